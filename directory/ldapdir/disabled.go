package ldapdir

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

const (
	accountDisable  = 0x2             // of userAccountControl, MS-ADTS section 2.2.16
	fileTimeNever   = 1<<63 - 1       // of accountExpires; 0 means the same
	permanentlyLock = "000001010000Z" // of pwdAccountLockedTime, draft-behera-ldap-password-policy section 5.3.3
)

// disabled reports whether the entry shows that the account has been barred
// until an administrator allows it again. A lock that wrong passwords have set
// is none: strangers would end other people's sessions with it. An attribute
// that may not be read says nothing; the bind then does.
func disabled(e *ldap.Entry, now time.Time) bool {
	value := e.GetEqualFoldAttributeValue
	if control, err := strconv.ParseInt(value("userAccountControl"), 10, 64); err == nil && control&accountDisable != 0 {
		return true
	}
	if expires, err := strconv.ParseInt(value("accountExpires"), 10, 64); err == nil &&
		expires > 0 && expires != fileTimeNever && !fileTime(expires).After(now) {
		return true
	}
	return strings.EqualFold(value("nsAccountLock"), "true") || value("pwdAccountLockedTime") == permanentlyLock
}

// fileTime returns the time of a count of 100 ns since 1601 (MS-DTYP section
// 2.3.3).
func fileTime(count int64) time.Time {
	const second, epoch = 10_000_000, 11_644_473_600 // counts; seconds from 1601 to 1970
	return time.Unix(count/second-epoch, count%second*100)
}
