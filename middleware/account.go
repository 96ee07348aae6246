package middleware

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/directory"
)

// passwordRight returns the state of an account that refuses a right password,
// or nil for every other error. Only that may be shown to a person.
func passwordRight(err error) *directory.AccountError {
	var state *directory.AccountError
	if errors.As(err, &state) && state.PasswordRight {
		return state
	}
	return nil
}

// wrongPassword reports a failed login, which is counted.
func wrongPassword(err error) bool {
	return errors.Is(err, directory.ErrBadCredentials) && passwordRight(err) == nil
}

// mayChange reports that a new password would let the person in.
func mayChange(err error) bool {
	state := passwordRight(err)
	return state != nil && state.MayChange()
}

// notTaken reports that the old password was right and that the new one did
// not become the password.
func notTaken(err error) bool {
	var fault *directory.PasswordError
	return errors.As(err, &fault) || errors.Is(err, directory.ErrNoPasswordChange)
}

// change replaces the password of e, which has just been found right or
// expired, and verifies the new one. It is part of the try: a further one of
// its own would meet the CAPTCHA that this one has solved.
func (a *Auth) change(ctx context.Context, c Credentials, e directory.Entry, res *Accepted) (directory.Entry, error) {
	if len(c.NewPassword) > maxPassword {
		return e, &directory.PasswordError{Fault: directory.PasswordRefused, Detail: "too long"} // it would never be accepted here
	}
	_, err := settled(e, a.directory.ChangePassword(ctx, e, c.Password, c.NewPassword))
	a.proofs.forget(res.Subject) // also after an error: the answer alone may be lost
	if wrongPassword(err) {
		// It was right a moment ago: another node has an older one, or it was
		// changed meanwhile. The person has typed nothing wrong.
		err = fmt.Errorf("%w: the old password, which was accepted: %v", directory.ErrUnavailable, err)
	}
	if err != nil {
		return e, err
	}
	res.PasswordChanged = true
	verified, err := settled(a.directory.Verify(ctx, e, c.NewPassword))
	switch {
	case err == nil:
		a.proofs.forget(attempts.Fold(verified.Name)) // which only Verify may know
	case wrongPassword(err):
		// A node that does not know it yet; the person has typed nothing wrong.
		err = fmt.Errorf("%w: the new password: %v", directory.ErrUnavailable, err)
	}
	return verified, err
}

// stateMessage is what a person who knows the password is told about the
// account.
func stateMessage(state directory.AccountState) string {
	switch state {
	case directory.PasswordExpired:
		return "Your password has expired."
	case directory.PasswordMustChange:
		return "Your password must be changed before you can log in."
	case directory.AccountLocked:
		return "Your account is locked. Please ask your administrator."
	case directory.AccountDisabled:
		return "Your account is disabled. Please ask your administrator."
	case directory.AccountExpired:
		return "Your account has expired. Please ask your administrator."
	case directory.OutsideLogonHours:
		return "Your account may not log in at this time."
	case directory.OtherWorkstation:
		return "Your account may not log in from here."
	}
	return "Your account does not allow you to log in. Please ask your administrator."
}

// faultMessage is what a person is told about a new password.
func faultMessage(fault directory.PasswordFault) string {
	switch fault {
	case directory.PasswordTooShort:
		return "The new password is too short."
	case directory.PasswordTooWeak:
		return "The new password is not complex enough. Please choose a longer one, or one of more kinds of characters."
	case directory.PasswordReused:
		return "The new password has been used before. Please choose another one."
	case directory.PasswordTooYoung:
		return "The password was changed too recently to be changed again."
	}
	return "The new password is not acceptable. Please choose another one."
}
