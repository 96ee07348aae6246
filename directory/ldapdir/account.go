package ldapdir

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory"
)

// A state is an account state and whether the server tells it only to whoever
// knows the password.
type state struct {
	is            directory.AccountState
	passwordRight bool
}

// codeNoLogonServer is ERROR_NO_LOGON_SERVERS: a controller that holds no
// passwords, as a read-only one may, could reach none that does.
const codeNoLogonServer = 0x51f

// stateOfCode are the states behind the sub-codes of Active Directory, which
// are Windows error codes. It looks at the password first, and so does Samba:
// to a wrong one both say 52e. The lock alone comes before.
//
// Not among them are 525, no such user, and 52e, wrong password.
func stateOfCode(code uint64) (state, bool) {
	switch code {
	case 0x530:
		return state{directory.OutsideLogonHours, true}, true
	case 0x531:
		return state{directory.OtherWorkstation, true}, true
	case 0x532:
		return state{directory.PasswordExpired, true}, true
	case 0x533:
		return state{directory.AccountDisabled, true}, true
	case 0x701:
		return state{directory.AccountExpired, true}, true
	case 0x773:
		return state{directory.PasswordMustChange, true}, true
	case 0x775:
		return state{directory.AccountLocked, false}, true
	}
	return state{}, false
}

// subCode returns the sub-code in a diagnostic message such as "80090308:
// LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e,
// v1db1".
func subCode(message string) (code uint64, ok bool) {
	_, rest, ok := strings.Cut(message, ", data ")
	digits, _, _ := strings.Cut(rest, ",")
	code, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 32)
	return code, ok && err == nil
}

// stateOfWords are the states that 389 and FreeIPA tell in words alone, with a
// result that otherwise is about the server. All are told before a look at the
// password.
func stateOfWords(result uint16, message string) (state, bool) {
	for _, s := range []struct {
		result uint16
		words  string
		is     directory.AccountState
	}{
		{ldap.LDAPResultUnwillingToPerform, "Account inactivated", directory.AccountDisabled},
		{ldap.LDAPResultUnwillingToPerform, "Account (Kerberos principal) is expired", directory.AccountExpired},
		{ldap.LDAPResultUnwillingToPerform, "Entry permanently locked", directory.AccountLocked},
		{ldap.LDAPResultUnwillingToPerform, "Too many failed logins", directory.AccountLocked},
		{ldap.LDAPResultConstraintViolation, "Exceed password retry limit", directory.AccountLocked},
	} {
		if result == s.result && strings.HasPrefix(message, s.words) {
			return state{s.is, false}, true
		}
	}
	return state{}, false
}

// verdictOnBind returns what the answer to the bind of a person means: nil for
// welcome, [directory.ErrBadCredentials] or an AccountError for a refusal, and
// else an error that is no verdict.
func verdictOnBind(e directory.Entry, err error, said policy) error {
	result, answered := code(err)
	switch {
	case err == nil:
		return verdictOnSuccess(e, said)
	case !answered:
		return err
	}
	if s, ok := stateOf(e, result, diagnostic(err), said); ok {
		return &directory.AccountError{State: s.is, PasswordRight: s.passwordRight, Detail: detail(result, err)}
	}
	if sub, ok := subCode(diagnostic(err)); ok && sub == codeNoLogonServer && result == ldap.LDAPResultInvalidCredentials {
		// The 49 is of no password, and hidden.
		return fmt.Errorf("the server could ask nobody whether the password is right: %v", err)
	}
	if result == ldap.LDAPResultInvalidCredentials {
		return directory.ErrBadCredentials
	}
	return err
}

func detail(result uint16, err error) string {
	text := "result " + strconv.Itoa(int(result))
	if d := diagnostic(err); d != "" {
		text += ": " + d
	}
	return text
}

// stateOf returns the state that a refusal tells, if it tells one.
func stateOf(e directory.Entry, result uint16, message string, said policy) (state, bool) {
	locked := said.fault == faultAccountLocked
	switch result {
	case ldap.LDAPResultInvalidCredentials:
		if code, ok := subCode(message); ok {
			return stateOfCode(code)
		}
		if locked {
			return state{directory.AccountLocked, false}, true
		}
		return expiredState(message, said)
	case ldap.LDAPResultUnwillingToPerform:
		if s, ok := stateOfWords(result, message); ok {
			return s, true
		}
		// 389 says "locked" of what an administrator has barred.
		return state{directory.AccountDisabled, false}, locked || e.Disabled
	case ldap.LDAPResultConstraintViolation:
		if s, ok := stateOfWords(result, message); ok {
			return s, true
		}
		return state{directory.AccountLocked, false}, locked
	}
	return state{}, false
}

// expiredState returns the state that 49 and the controls for an expired
// password tell. OpenLDAP, which writes nothing beside it, and 389 have compared
// the password by then, as section 9.1 of the draft wants it. FreeIPA ("Password
// is expired.") and ApacheDS look at the age first: by their word a guesser
// would have the name, and free tries. FreeIPA sends the control of Netscape
// with a wrong password too, while there are grace logins; so that one alone
// says nothing.
func expiredState(message string, said policy) (state, bool) {
	by389 := strings.HasPrefix(message, "password expired!")
	told := said.fault == faultPasswordExpired
	return state{directory.PasswordExpired, by389 || message == ""}, told || said.expired && by389
}

// verdictOnSuccess refuses the right password of an account that may not log
// in, or not yet.
func verdictOnSuccess(e directory.Entry, said policy) error {
	switch {
	case said.garbled:
		// It may have said that the session is good for a new password alone.
		return badAnswer("the server took the password and added a control that cannot be read")
	case e.Disabled:
		return &directory.AccountError{State: directory.AccountDisabled, PasswordRight: true, Detail: "by the attributes of the entry"}
	case said.fault == faultChangeAfterReset:
		return &directory.AccountError{State: directory.PasswordMustChange, PasswordRight: true, Detail: "control " + oidPolicy}
	case said.expired && said.graces < 0:
		// With graces left 389 sends both controls.
		return &directory.AccountError{State: directory.PasswordMustChange, PasswordRight: true, Detail: "control " + oidExpired}
	}
	return nil
}

// notice returns what a server said about a password that it took.
func (p policy) notice() (n directory.PasswordNotice) {
	if p.expires > 0 {
		n.Expires = time.Now().Add(p.expires)
	}
	if p.graces >= 0 {
		n.Expired, n.GraceLogins = true, p.graces
	}
	return n
}
