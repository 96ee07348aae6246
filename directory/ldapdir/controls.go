package ldapdir

import (
	"encoding/binary"
	"fmt"
)

// oidPaging is the one response control that the library gets to see
// (RFC 2696).
const oidPaging = "1.2.840.113556.1.4.319"

// A control is one response control (RFC 4511 section 4.1.11). Whether it is
// critical says nothing in a response.
type control struct {
	oid   string
	value []byte
	whole []byte // the element
}

// element returns the parts of the element that b begins with.
func element(b []byte) (tag byte, content, rest []byte, ok bool) {
	head, size, err := header(b)
	if err != nil || size > len(b)-head {
		return 0, nil, nil, false
	}
	return b[0], b[head : head+size], b[head+size:], true
}

// parts takes the controls off a message that inspect has let pass, and
// whatever else stands behind the operation.
func parts(message []byte) (bare []byte, controls []control, err error) {
	_, body, _, _ := element(message)
	_, _, op, _ := element(body)
	_, _, behind, _ := element(op)
	if len(behind) == 0 {
		return message, nil, nil
	}
	const tagControls = 0xa0
	if tag, list, _, ok := element(behind); ok && tag == tagControls {
		if controls, err = readControls(list); err != nil {
			return nil, nil, err
		}
	}
	return sequence(body[:len(body)-len(behind)]), controls, nil
}

func readControls(list []byte) (controls []control, err error) {
	for len(list) > 0 {
		_, content, rest, ok := element(list)
		c, good := readControl(content)
		if !ok || !good {
			return nil, fmt.Errorf("%w: control", errBER)
		}
		c.whole = list[:len(list)-len(rest)]
		controls, list = append(controls, c), rest
	}
	return controls, nil
}

// readControl reads OID, criticality if there is one, and value if there is
// one.
func readControl(b []byte) (c control, ok bool) {
	tag, oid, rest, ok := element(b)
	if !ok || tag != 0x04 {
		return control{}, false
	}
	if len(rest) > 0 && rest[0] == 0x01 {
		if _, _, rest, ok = element(rest); !ok {
			return control{}, false
		}
	}
	c.oid = string(oid)
	if len(rest) == 0 {
		return c, true
	}
	tag, c.value, _, ok = element(rest)
	return c, ok && tag == 0x04
}

// pagingOnly returns the message with the paging control alone, if there is
// one. Its value is a sequence of size and cookie.
func pagingOnly(bare []byte, controls []control) ([]byte, error) {
	for _, c := range controls {
		if c.oid != oidPaging {
			continue
		}
		if elements, err := walk(c.value, 0); err != nil || elements != 3 {
			return nil, fmt.Errorf("%w: paging control", errBER)
		}
		_, body, _, _ := element(bare)
		return sequence(body, wrap(0xa0, c.whole)), nil
	}
	return bare, nil
}

func sequence(pieces ...[]byte) []byte { return wrap(0x30, pieces...) }

// wrap returns the element with the tag and the content of the pieces.
func wrap(tag byte, pieces ...[]byte) []byte {
	size := 0
	for _, p := range pieces {
		size += len(p)
	}
	b := append(make([]byte, 0, 6+size), tag)
	if size < 0x80 {
		b = append(b, byte(size))
	} else {
		b = binary.BigEndian.AppendUint32(append(b, 0x84), uint32(size))
	}
	for _, p := range pieces {
		b = append(b, p...)
	}
	return b
}
