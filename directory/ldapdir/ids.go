package ldapdir

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// idText returns the value of an ID attribute as text. Empty means that it is
// no ID.
func idText(attribute, value string) string {
	switch strings.ToLower(attribute) {
	case "objectguid":
		id, _ := guidText(value)
		return id
	case "objectsid":
		id, _ := sidText(value)
		return id
	case "ipauniqueid":
		if value == "autogenerate" {
			return "" // what every entry has that is not in force yet
		}
	}
	return value
}

// guidText returns an objectGUID as everybody prints it: the first three
// fields are little-endian on the wire (MS-DTYP section 2.3.4.2).
func guidText(guid string) (string, bool) {
	if len(guid) != 16 {
		return "", false
	}
	b := []byte(guid)
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]),
		binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:]), true
}

// maxSubAuthorities is the most that a SID has (MS-DTYP section 2.4.2).
const maxSubAuthorities = 15

// validSID tells a SID in the form that objectSid has (MS-DTYP section
// 2.4.2.2).
func validSID(sid string) bool {
	return len(sid) >= 12 && sid[0] == 1 && sid[1] <= maxSubAuthorities && len(sid) == 8+4*int(sid[1])
}

// sidText returns a SID as S-1-5-21-….
func sidText(sid string) (string, bool) {
	if !validSID(sid) {
		return "", false
	}
	b := []byte(sid)
	authority := binary.BigEndian.Uint64(append(make([]byte, 2, 8), b[2:8]...))
	text := strconv.AppendUint([]byte("S-1-"), authority, 10)
	for rest := b[8:]; len(rest) > 0; rest = rest[4:] {
		text = strconv.AppendUint(append(text, '-'), uint64(binary.LittleEndian.Uint32(rest)), 10)
	}
	return string(text), true
}

// siblingSID returns the SID in the domain of sid that ends in rid: the group
// that a primaryGroupID means.
func siblingSID(sid, rid string) (string, bool) {
	id, err := strconv.ParseUint(rid, 10, 32)
	if err != nil || !validSID(sid) {
		return "", false
	}
	b := []byte(sid)
	binary.LittleEndian.PutUint32(b[len(b)-4:], uint32(id))
	return string(b), true
}

// escapeBytes writes every byte of a binary value as RFC 4515 section 3 has
// it, so that none is taken for a character.
func escapeBytes(value string) string {
	var b strings.Builder
	b.Grow(3 * len(value))
	for i := range len(value) {
		b.WriteByte('\\')
		b.WriteString(hex.EncodeToString([]byte{value[i]}))
	}
	return b.String()
}
