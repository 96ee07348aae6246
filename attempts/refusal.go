package attempts

import (
	"errors"
	"time"
)

// The refusals of [Counter.Begin], for errors.Is; the error itself is a
// [*RefusedError]. None of them counts anything.
var (
	// ErrChallenge means a CAPTCHA must be answered together with the password.
	ErrChallenge = errors.New("attempts: a CAPTCHA must be answered")
	// ErrDelayed means it is too early after the latest failure: status 429.
	ErrDelayed = errors.New("attempts: too early after the last failed login")
	// ErrDenied means 100 failures; only the end of the window or a reset helps.
	ErrDenied = errors.New("attempts: too many failed logins")
	// ErrBusy means that other tries of the user are pending and too many
	// callers, or this one for too long, wait for their end: status 429.
	ErrBusy = errors.New("attempts: too many logins of the user at once")
)

// A RefusedError says why a try may not be made, and when to come back.
type RefusedError struct {
	Verdict    Verdict       // Armed, Busy, Delayed or Denied
	RetryAfter time.Duration // 0 when Armed: time alone does not help
	Failures   int           // failures that count, of the record that was used
}

// Error returns the text of the sentinel alone: no name, no number, so that
// showing it to a client tells a guesser nothing.
func (e *RefusedError) Error() string { return e.Unwrap().Error() }

// Unwrap returns the sentinel of the verdict.
func (e *RefusedError) Unwrap() error {
	switch e.Verdict {
	case Armed:
		return ErrChallenge
	case Delayed:
		return ErrDelayed
	case Denied:
		return ErrDenied
	}
	return ErrBusy
}
