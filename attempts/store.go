package attempts

import (
	"context"
	"net/netip"
	"time"
)

// An Attempt is what [Store.Begin] is asked to reserve: one try of one user
// from one client address, and the rules it is judged by.
type Attempt struct {
	User   string     // the folded name, see [Fold]
	Client netip.Addr // already masked to its pair network; invalid: no pair is looked at
	Solved bool       // a CAPTCHA was answered for this very try
	Policy Policy
}

// A Policy holds the limits of a [Counter], in the form a store needs them.
type Policy struct {
	Max       int           // failures before a CAPTCHA or a delay; 0: no limit
	Window    time.Duration // a failure counts this long after the latest one
	Lease     time.Duration // a try without an end becomes a failure after this
	Challenge bool          // a CAPTCHA is asked at Max, instead of a delay
}

// A Verdict is the answer of [Store.Begin].
type Verdict uint8

const (
	Granted Verdict = iota + 1 // go on; the lease must be ended
	Armed                      // a CAPTCHA must be answered first
	Busy                       // other tries are pending; ask again soon
	Delayed                    // too early after the last failure
	Denied                     // 100 failures; nothing helps until the window ends
)

// A Decision is a [Verdict] with what belongs to it.
type Decision struct {
	Verdict    Verdict
	Lease      Lease         // when Granted
	RetryAfter time.Duration // when Delayed or Denied
	Failures   int           // f of the record that was used
}

// A Lease is a reserved try. It is a plain value, so that a try may begin on
// one node and, in principle, be ended by another.
type Lease struct {
	ID       uint64     // unique within the record
	User     string     // the record of the user …
	Client   netip.Addr // … or, when Pair, of the user and this address
	Pair     bool       // the pair was known, its record was used
	Failures uint64     // F at the reservation
}

// An Outcome ends a try.
type Outcome uint8

const (
	// Failed means the directory refused the password.
	Failed Outcome = iota + 1
	// Succeeded means the user is logged in: the failures are forgiven, the
	// login is recorded and the pair becomes known, if the address is valid.
	Succeeded
	// SucceededUnknown means the password was right but nobody was logged in,
	// because access was denied: the failures are forgiven, and that is all.
	SucceededUnknown
	// Abandoned means no verdict: an outage, an unknown set of groups.
	Abandoned
)

// A Status is what a store knows about one user.
type Status struct {
	Failures     int       // f of the user's own record
	PairFailures int       // f of the pair, when it is known
	Known        bool      // the pair is known
	Pending      int       // tries without an end, both records
	Logins       uint64    // successful logins ever, within the history's 400 days
	FailedLogins uint64    // failed ones
	LastLogin    time.Time // zero: never
	PrevLogin    time.Time // the login before LastLogin; zero: none
	LastFailed   time.Time // zero: never
}

// A Store holds the counts. Every operation is one atomic step on the store's
// own clock. Implementations are safe for concurrent use and are checked by
// internal/storetest. An error means that the store did not answer: it is
// never to be taken for a count of zero.
type Store interface {
	// Begin decides about a and, when it grants, reserves the try. A refusal
	// changes nothing.
	Begin(ctx context.Context, a Attempt) (Decision, error)

	// End ends a reserved try, keeps the login history in the same step, and
	// returns the user's status afterwards. A late or a second end changes
	// nothing.
	End(ctx context.Context, l Lease, o Outcome, p Policy) (Status, error)

	// Status returns what is known about user from client (invalid: about
	// the user alone); the zero Status when nothing is.
	Status(ctx context.Context, user string, client netip.Addr, p Policy) (Status, error)

	// Reset forgives all failures of user, alone and in every pair. The
	// login history stays.
	Reset(ctx context.Context, user string) error
}
