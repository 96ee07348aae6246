package directory

import "unicode/utf8"

// maxName is more than any directory allows: sAMAccountName has 20
// characters, a mail address 254 octets.
const maxName = 256

// CheckName returns [ErrBadName] when name cannot be a user's: it is empty,
// longer than 256 bytes, not UTF-8, or holds a control character (C0 or DEL).
// It is the last check before a name is escaped and sent.
func CheckName(name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return ErrBadName
	}
	for i := range len(name) {
		if name[i] < 0x20 || name[i] == 0x7f {
			return ErrBadName
		}
	}
	return nil
}
