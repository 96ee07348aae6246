package ldapserver

import (
	"bufio"
	"errors"
	"io"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// Limits of one message. The decoder copies the content of an element once
// for each level above it and keeps about 250 bytes for each element, so the
// length alone does not bound what a message costs.
const (
	maxMessage  = 1 << 20 // bytes
	maxDepth    = 64
	maxElements = 1 << 14
)

var errMalformed = errors.New("ldapserver: malformed message")

// A message is one LDAPMessage (RFC 4511, section 4.1.1).
type message struct {
	id       int64
	op       *ber.Packet
	controls []control
}

// A control is one Control (RFC 4511, section 4.1.11).
type control struct {
	oid      string
	critical bool
	value    string
}

// readMessage returns the next message. An error other than errMalformed
// comes from the connection.
func readMessage(r *bufio.Reader) (*message, error) {
	raw, err := readRaw(r)
	if err != nil {
		return nil, err
	}
	left := maxElements
	if rest, ok := checkElement(raw, maxDepth, &left); !ok || len(rest) > 0 {
		return nil, errMalformed
	}
	p, err := ber.DecodePacketErr(raw)
	if err != nil {
		return nil, errMalformed
	}
	return parseMessage(p)
}

// readRaw returns the bytes of one sequence, header included. The buffer
// grows with what arrives, not with the length that is promised.
func readRaw(r *bufio.Reader) ([]byte, error) {
	head, err := r.Peek(2)
	if err != nil {
		return nil, err
	}
	need := 2
	if head[1] >= 0x80 {
		need += int(head[1] & 0x7f)
	}
	// More than four octets of length are more than maxMessage, or padding.
	if head[0] != 0x30 || need > 6 {
		return nil, errMalformed
	}
	if head, err = r.Peek(need); err != nil {
		return nil, err
	}
	size, ok := contentLength(head[1:])
	if !ok || size > maxMessage {
		return nil, errMalformed
	}
	raw, err := io.ReadAll(io.LimitReader(r, int64(need+size)))
	if err == nil && len(raw) < need+size {
		err = io.ErrUnexpectedEOF
	}
	return raw, err
}

// contentLength reads the length octets at the start of b. The indefinite
// form is not allowed in LDAP (RFC 4511, section 5.1).
func contentLength(b []byte) (n int, ok bool) {
	if b[0] < 0x80 {
		return int(b[0]), true
	}
	octets := int(b[0] & 0x7f)
	if octets == 0 || octets > 4 || octets >= len(b) {
		return 0, false
	}
	for _, o := range b[1 : 1+octets] {
		n = n<<8 | int(o)
	}
	return n, n >= 0
}

// checkElement checks the element at the start of b, so that the decoder only
// sees what LDAP uses: short tags, definite lengths that fit, and no types
// with parsers of their own. It returns what follows.
func checkElement(b []byte, depth int, left *int) (rest []byte, ok bool) {
	if *left--; *left < 0 || depth == 0 || len(b) < 2 || !allowedTag(b[0]) {
		return nil, false
	}
	n, ok := contentLength(b[1:])
	if !ok {
		return nil, false
	}
	start := 2
	if b[1] >= 0x80 {
		start += int(b[1] & 0x7f)
	}
	if n > len(b)-start {
		return nil, false
	}
	content, rest := b[start:start+n], b[start+n:]
	if b[0]&0x20 == 0 {
		return rest, true
	}
	for len(content) > 0 {
		if content, ok = checkElement(content, depth-1, left); !ok {
			return nil, false
		}
	}
	return rest, true
}

func allowedTag(tag byte) bool {
	if tag&0xc0 != 0 { // application or context class, one octet
		return tag&0x1f != 0x1f
	}
	switch tag {
	// Boolean, integer, octet string, null, enumerated, sequence, set. The
	// decoder also parses times, object identifiers and floating point, which
	// LDAP never sends: code that only an attacker would run.
	case 0x01, 0x02, 0x04, 0x05, 0x0a, 0x30, 0x31:
		return true
	}
	return false
}

// parseMessage takes a message apart as far as the operation, which each kind
// of operation reads for itself.
func parseMessage(p *ber.Packet) (*message, error) {
	if len(p.Children) < 2 || len(p.Children) > 3 {
		return nil, errMalformed
	}
	id, ok := integer(p.Children[0], ber.TagInteger)
	// Zero is the server's own, for unsolicited notifications.
	if !ok || id < 1 || id > 1<<31-1 {
		return nil, errMalformed
	}
	m := &message{id: id, op: p.Children[1]}
	if m.op.ClassType != ber.ClassApplication {
		return nil, errMalformed
	}
	if len(p.Children) == 3 {
		list := p.Children[2]
		if !isContext(list, 0) {
			return nil, errMalformed
		}
		for _, c := range list.Children {
			parsed, ok := parseControl(c)
			if !ok {
				return nil, errMalformed
			}
			m.controls = append(m.controls, parsed)
		}
	}
	return m, nil
}

// parseControl reads a Control: criticality defaults to false and the value
// may be absent, so the second child can be either.
func parseControl(p *ber.Packet) (c control, ok bool) {
	if len(p.Children) < 1 || len(p.Children) > 3 {
		return c, false
	}
	if c.oid, ok = octets(p.Children[0]); !ok {
		return c, false
	}
	for _, child := range p.Children[1:] {
		if b, isBool := child.Value.(bool); isBool {
			c.critical = b
		} else if c.value, ok = octets(child); !ok {
			return c, false
		}
	}
	return c, true
}

// octets returns the content of a universal octet string.
func octets(p *ber.Packet) (string, bool) {
	if p.ClassType != ber.ClassUniversal || p.Tag != ber.TagOctetString {
		return "", false
	}
	return p.Data.String(), true
}

// integer returns the value of a universal integer or enumerated. The decoder
// makes 0 of one that is empty or too long, and 0 has a meaning in LDAP.
func integer(p *ber.Packet, tag ber.Tag) (int64, bool) {
	if p.ClassType != ber.ClassUniversal || p.Tag != tag || p.Data.Len() == 0 || p.Data.Len() > 8 {
		return 0, false
	}
	n, ok := p.Value.(int64)
	return n, ok
}

func isContext(p *ber.Packet, tag ber.Tag) bool {
	return p.ClassType == ber.ClassContext && p.Tag == tag
}

// primitive reports whether p has the context tag and no children. The
// content of a constructed element would be its encoded children, taken for
// text.
func primitive(p *ber.Packet, tag ber.Tag) bool {
	return isContext(p, tag) && p.TagType == ber.TypePrimitive
}
