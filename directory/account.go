package directory

import (
	"context"
	"errors"
	"time"
)

// An AccountState is why a directory refuses an account, whatever the
// password.
type AccountState string

// The states that directories tell apart.
const (
	PasswordExpired    AccountState = "password expired"
	PasswordMustChange AccountState = "password must be changed"
	AccountLocked      AccountState = "account locked" // by wrong passwords, mostly
	AccountDisabled    AccountState = "account disabled"
	AccountExpired     AccountState = "account expired"
	OutsideLogonHours  AccountState = "not at this time"
	OtherWorkstation   AccountState = "not from this workstation"
)

// An AccountError is a refusal for the state of the account. errors.Is takes
// it for [ErrBadCredentials]: to a guesser it must look like a wrong password
// unless PasswordRight.
type AccountError struct {
	State AccountState
	// PasswordRight reports that the directory tells this state only to
	// whoever knows the password, so that showing it tells a guesser nothing
	// and counting it as a failed login would be wrong.
	PasswordRight bool
	// Detail is what the directory said, for the log: a sub-code, a control.
	Detail string
}

// Error returns the state and the detail.
func (e *AccountError) Error() string {
	text := "directory: " + string(e.State)
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	return text
}

// Unwrap returns [ErrBadCredentials].
func (e *AccountError) Unwrap() error { return ErrBadCredentials }

// MayChange reports whether a new password would let the person in.
func (e *AccountError) MayChange() bool {
	return e.PasswordRight && (e.State == PasswordExpired || e.State == PasswordMustChange)
}

// A PasswordNotice is what a directory says about a password that it accepts.
// The zero value is nothing.
type PasswordNotice struct {
	// Expires is when the password will expire, if that is soon; zero: not
	// soon, or not known.
	Expires time.Time
	// Expired reports that it has, and that GraceLogins more logins are
	// allowed to change it.
	Expired     bool
	GraceLogins int
}

// A PasswordChanger is a [Source] that can change passwords.
type PasswordChanger interface {
	// ChangePassword replaces the password of the entry. The old one has just
	// been verified, or refused with an AccountError that MayChange. The error
	// is ErrBadCredentials when the directory says that old is wrong, a
	// *PasswordError when it does not want the new one, ErrNoPasswordChange
	// when it lets nobody change it this way, and else ErrUnavailable.
	ChangePassword(ctx context.Context, e Entry, old, new string) error
}

// ErrNoPasswordChange means that passwords cannot be changed here.
var ErrNoPasswordChange = errors.New("directory: passwords cannot be changed")

// A PasswordFault is why a directory does not want a new password.
type PasswordFault string

// The faults that directories tell apart.
const (
	PasswordTooShort PasswordFault = "too short"
	PasswordTooWeak  PasswordFault = "not complex enough"
	PasswordReused   PasswordFault = "used before"
	PasswordTooYoung PasswordFault = "changed too recently"
	PasswordRefused  PasswordFault = "not acceptable" // for a reason it does not tell
)

// A PasswordError is a new password that the directory does not want. The
// person may be shown the fault.
type PasswordError struct {
	Fault  PasswordFault
	Detail string // what the directory said, for the log
}

// Error returns the fault and the detail.
func (e *PasswordError) Error() string {
	text := "directory: the new password is " + string(e.Fault)
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	return text
}

// ChangePassword replaces the password of e as [PasswordChanger] says, and
// returns [ErrNoPasswordChange] when the source is none.
func (d *Directory) ChangePassword(ctx context.Context, e Entry, old, new string) error {
	c, ok := d.source.(PasswordChanger)
	if !ok {
		return ErrNoPasswordChange
	}
	if old == "" || new == "" {
		return &PasswordError{Fault: PasswordRefused, Detail: "empty"}
	}
	var refused *PasswordError
	err := c.ChangePassword(ctx, e, old, new)
	if err == nil || errors.As(err, &refused) || errors.Is(err, ErrNoPasswordChange) {
		return err
	}
	return verdict(err, ErrBadCredentials)
}
