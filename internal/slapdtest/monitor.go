package slapdtest

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Counts is what a server has been asked since it started, without the
// questions of this package.
type Counts struct {
	Connections int // accepted since the start
	Current     int // open now
	Binds       int // begun; a bind whose answer has arrived is counted
	Searches    int // begun
	Operations  int // begun, of all kinds, unbind and abandon included
}

// Sub returns what was added since before. Current stays as it is.
func (c Counts) Sub(before Counts) Counts {
	c.Connections -= before.Connections
	c.Binds -= before.Binds
	c.Searches -= before.Searches
	c.Operations -= before.Operations
	return c
}

// reads keeps account of the questions of this package, which slapd counts
// like all others: each is one connection and one search, without bind and
// unbind.
type reads struct {
	mu   sync.Mutex
	done int
}

func (r *reads) restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = 1 // the question that found the server ready
}

// Counts returns the figures of the server's monitor database. They are
// exact: slapd counts an operation before it begins it.
func (s *Server) Counts() Counts {
	s.t.Helper()
	s.reads.mu.Lock()
	defer s.reads.mu.Unlock()
	s.reads.done++
	values, err := s.read()
	if err != nil {
		s.t.Fatalf("slapdtest: cn=Monitor: %v", err)
	}
	own := s.reads.done
	return Counts{
		Connections: values["cn=total,cn=connections,cn=monitor"] - own,
		Current:     values["cn=current,cn=connections,cn=monitor"] - 1,
		Binds:       values["cn=bind,cn=operations,cn=monitor"],
		Searches:    values["cn=search,cn=operations,cn=monitor"] - own,
		Operations:  values["cn=operations,cn=monitor"] - own,
	}
}

// read asks the monitor database over a connection of its own and returns the
// counters by lower-case DN.
func (s *Server) read() (map[string]int, error) {
	conn, err := net.DialTimeout("tcp", s.Address(), 5*time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write(monitorSearch()); err != nil {
		return nil, err
	}
	return readCounters(conn)
}

// monitorSearch returns a search of everything below cn=Monitor (RFC 4511
// section 4.5.1), written by hand because the packages below internal/ stay
// with the standard library.
func monitorSearch() []byte {
	request := slicesOf(
		tlv(0x04, []byte("cn=Monitor")),
		tlv(0x0a, []byte{2}), // wholeSubtree
		tlv(0x0a, []byte{0}), // neverDerefAliases
		tlv(0x02, []byte{0}), // no size limit
		tlv(0x02, []byte{0}), // no time limit
		tlv(0x01, []byte{0}), // types and values
		tlv(0x87, []byte("objectClass")),
		tlv(0x30, slicesOf(tlv(0x04, []byte("monitorOpInitiated")), tlv(0x04, []byte("monitorCounter")))),
	)
	return tlv(0x30, slicesOf(tlv(0x02, []byte{1}), tlv(0x63, request)))
}

// readCounters reads entries up to the result of the search.
func readCounters(r io.Reader) (map[string]int, error) {
	values := make(map[string]int)
	for {
		message, err := readTLV(r)
		if err != nil {
			return nil, err
		}
		op := message.child(1)
		switch {
		case op.Tag == 4:
			if n, err := strconv.Atoi(op.child(1).child(0).child(1).child(0).text()); err == nil {
				values[strings.ToLower(op.child(0).text())] = n
			}
		case op.Tag == 5 && op.child(0).text() == "\x00":
			return values, nil
		default:
			return nil, fmt.Errorf("answer with tag %d, result %x", op.Tag, op.child(0).Bytes)
		}
	}
}

// An element is a BER element; a missing one is the zero element, which has
// no children.
type element struct{ asn1.RawValue }

func (e element) text() string { return string(e.Bytes) }

func (e element) child(n int) element {
	rest := e.Bytes
	for ; len(rest) > 0; n-- {
		var c element
		next, err := asn1.Unmarshal(rest, &c.RawValue)
		if err != nil {
			return element{}
		}
		if n == 0 {
			return c
		}
		rest = next
	}
	return element{}
}

// readTLV reads one element. slapd writes the short form or the long form in
// at most four bytes.
func readTLV(r io.Reader) (element, error) {
	head := make([]byte, 2, 6)
	if _, err := io.ReadFull(r, head); err != nil {
		return element{}, err
	}
	size := int(head[1])
	if size > 0x84 {
		return element{}, errors.New("length out of range")
	}
	if size >= 0x80 {
		long := make([]byte, size-0x80)
		if _, err := io.ReadFull(r, long); err != nil {
			return element{}, err
		}
		size = 0
		for _, b := range long {
			size = size<<8 | int(b)
		}
	}
	body := make([]byte, size)
	_, err := io.ReadFull(r, body)
	return element{asn1.RawValue{Tag: int(head[0] & 0x1f), Bytes: body}}, err
}

func slicesOf(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// tlv encodes an element of fewer than 128 bytes, which all of ours are, or
// fewer than 256.
func tlv(tag byte, body []byte) []byte {
	if len(body) < 128 {
		return append([]byte{tag, byte(len(body))}, body...)
	}
	return append([]byte{tag, 0x81, byte(len(body))}, body...)
}
