package session

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
)

const (
	dataVersion = 1
	secretSize  = 16
	maxID       = 1024 // a DN fits; entryUUID has 36 bytes
	maxAgent    = 200
)

// data is what Record.Data holds. Its layout, of which every field but the
// last has a length, so that one piece of text has one reading:
//
//	version   1 byte, dataVersion
//	secret    16 bytes
//	created   uvarint, Unix seconds
//	elevated  uvarint, Unix seconds of the end of elevated rights; 0: none
//	address   1 byte of length (0, 4 or 16), then the bytes
//	id        uvarint of length, then the bytes
//	agent     uvarint of length, then the bytes, packed as agent.go says
//	values    the rest, as values.go says; empty for most
//
// Strings, so that decoding cuts and never copies.
type data struct {
	secret   string
	created  int64
	elevated int64
	address  netip.Addr
	id       string
	agent    string
	values   string
}

// encode returns the layout of d. The address is folded and has no zone, as in
// the record of a request: a second spelling would be a second client.
func (d data) encode() string {
	addr := d.address.Unmap().WithZone("").AsSlice()
	b := make([]byte, 0, 48+len(d.id)+len(d.agent)+len(d.values))
	b = append(b, dataVersion)
	b = append(b, d.secret...)
	b = binary.AppendUvarint(b, uint64(d.created))
	b = binary.AppendUvarint(b, uint64(d.elevated))
	b = append(b, byte(len(addr)))
	b = append(b, addr...)
	b = appendText(b, d.id)
	b = appendText(b, d.agent)
	b = append(b, d.values...)
	return string(b)
}

// decode reads what encode wrote. It returns false for everything else: a
// store can hold garbage, or what another version wrote, and neither may
// authenticate anybody.
func decode(text string) (data, bool) {
	r := reader{rest: text}
	if v := r.take(1); r.bad || v[0] != dataVersion {
		return data{}, false
	}
	d := data{
		secret:   r.take(secretSize),
		created:  r.seconds(),
		elevated: r.seconds(),
		address:  r.addr(),
		id:       r.text(maxID),
		agent:    r.text(maxAgent),
	}
	// The gob in it is not looked at: an application whose values cannot be
	// read must still know who is logged in.
	d.values = r.rest
	return d, !r.bad
}

// newSecret returns 16 bytes of crypto/rand: what form tokens need, which are
// masked anew in every answer and compared on the server.
func newSecret() string {
	var b [secretSize]byte
	rand.Read(b[:])
	return string(b[:])
}

// appendText writes what reader.text reads.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// A reader cuts fields off a string. After the first fault every field is
// empty and bad is set.
type reader struct {
	rest string
	bad  bool
}

// take returns the next n bytes.
func (r *reader) take(n int) string {
	if r.bad || n > len(r.rest) {
		r.bad, r.rest = true, ""
		return ""
	}
	var s string
	s, r.rest = r.rest[:n], r.rest[n:]
	return s
}

// number returns the next uvarint, which must have its shortest form and be
// at most limit: one value, one spelling.
func (r *reader) number(limit uint64) uint64 {
	var n uint64
	for shift := 0; ; shift += 7 {
		s := r.take(1)
		if r.bad || shift > 56 || (s[0] == 0 && shift > 0) {
			r.bad, r.rest = true, ""
			return 0
		}
		n |= uint64(s[0]&0x7f) << shift
		if s[0] < 0x80 {
			break
		}
	}
	if n > limit {
		r.bad, r.rest = true, ""
		return 0
	}
	return n
}

// seconds returns a Unix time, up to the year 9999 which time.Time can still
// write.
func (r *reader) seconds() int64 { return int64(r.number(253402300799)) }

// text returns the next piece of text, at most limit bytes. The limit also
// keeps the length within an int on every machine.
func (r *reader) text(limit uint64) string { return r.take(int(r.number(limit))) }

// addr returns the next address, invalid where none was known.
func (r *reader) addr() netip.Addr {
	n := r.take(1)
	if r.bad || n[0] == 0 {
		return netip.Addr{}
	}
	var b [16]byte
	s := r.take(int(n[0]))
	copy(b[:], s)
	switch len(s) {
	case 4:
		return netip.AddrFrom4([4]byte(b[:4]))
	case 16:
		// A mapped one was never written: encode folds it.
		if a := netip.AddrFrom16(b); !a.Is4In6() {
			return a
		}
	}
	r.bad, r.rest = true, ""
	return netip.Addr{}
}
