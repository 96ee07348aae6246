// Package attempts counts failed logins and decides when a further try needs
// a CAPTCHA, a delay, or is refused.
//
// [Counter.Begin] reserves a try before the password is looked at, and
// [Try.End] decides it; a try without an end becomes a failure. So of any
// number of parallel wrong passwords at most Max are ever looked at, and
// parallel right ones only wait for each other. Counts are kept for a user,
// and apart for a user at an address that has logged in within 30 days: a
// stranger's failures do not lock a working integration out.
//
// # The budget of a guesser
//
// For one account, from addresses the account is not known at:
//
//	with a CAPTCHA        Max tries (3), then one for each CAPTCHA solved, at most 100 a window
//	without               Max tries, then one after 1, 2, 4 s … 15 min, at most 100 a window
//	after 100             none before the window (24 h after the latest failure) ends
//	owner logs in         the count is cleared, but for failures made meanwhile; a login
//	                      from a known address clears the count of that address alone
//	from one address      AddressBurst (300) failures, then one a second, over all accounts
//
// NIST SP 800-63B-4 section 3.2.2 asks for at most 100 consecutive failures;
// OWASP ASVS 5.0 section 6.3 for protection from guessing that cannot be
// turned into a lock-out of the owner.
package attempts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// graceOfLease is what a lease lasts beyond the deadline of a login, so that
// an end in time is never late.
const graceOfLease = 5 * time.Second

// A Config says how failures are counted. The zero Config is valid: three
// failures, forgotten after 24 hours, then growing delays, kept in memory.
type Config struct {
	// Store keeps the counts; nil means a new [Memory] of default size.
	Store Store
	// Max is the number of failures before a CAPTCHA or a delay; 0 means 3.
	// More than 100 is an error.
	Max int
	// Window is how long failures count, measured from the latest one. Zero
	// means 24 hours; less than a second is an error.
	Window time.Duration
	// Challenge asks for a CAPTCHA at Max; without it, delays grow instead.
	Challenge bool
	// LoginTimeout is the deadline of a whole login, and the longest wait of
	// Begin. Zero means 5 seconds. A try that has no end 5 seconds after it
	// becomes a failure.
	LoginTimeout time.Duration
	// AddressBurst is the number of wrong passwords that one client address
	// may try at once, over all users, and of CAPTCHAs that it may have made
	// at once; 0 means 300.
	AddressBurst int
	// AddressEvery is the time after which an address may try one more; 0
	// means one second.
	AddressEvery time.Duration
	// InsecureUnlimited switches off every limit: no CAPTCHA, no delay, no
	// address limit. The login history is kept all the same.
	InsecureUnlimited bool
}

// A Counter decides about tries to log in. It is safe for concurrent use.
type Counter struct {
	store     Store
	policy    Policy
	timeout   time.Duration
	waiters   waiters
	addresses *addresses // nil: no limit
	// challenges limits the CAPTCHAs made for an address; nil: no limit
	challenges *addresses
}

// New returns a counter, or an error that names every fault of c.
func New(c Config) (*Counter, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c.setDefaults()
	n := &Counter{
		store:   c.Store,
		timeout: c.LoginTimeout,
		policy: Policy{
			Max:       c.Max,
			Window:    c.Window,
			Lease:     c.LoginTimeout + graceOfLease,
			Challenge: c.Challenge,
		},
	}
	if c.InsecureUnlimited {
		n.policy.Max = 0
	} else {
		n.addresses = newAddresses(c.AddressBurst, c.AddressEvery)
		n.challenges = newAddresses(c.AddressBurst, c.AddressEvery)
	}
	return n, nil
}

// check reports all faults of c together.
func (c *Config) check() error {
	var errs []error
	if c.Max < 0 || c.Max > deniedAt {
		errs = append(errs, fmt.Errorf("attempts: Config.Max is not between 0 and %d: %d", deniedAt, c.Max))
	}
	if c.Window != 0 && c.Window < time.Second {
		errs = append(errs, fmt.Errorf("attempts: Config.Window is less than a second: %v", c.Window))
	}
	if c.LoginTimeout < 0 {
		errs = append(errs, fmt.Errorf("attempts: Config.LoginTimeout is negative: %v", c.LoginTimeout))
	}
	if c.AddressBurst < 0 {
		errs = append(errs, fmt.Errorf("attempts: Config.AddressBurst is negative: %d", c.AddressBurst))
	}
	if c.AddressEvery < 0 {
		errs = append(errs, fmt.Errorf("attempts: Config.AddressEvery is negative: %v", c.AddressEvery))
	}
	return errors.Join(errs...)
}

// setDefaults replaces zero values by what they mean.
func (c *Config) setDefaults() {
	if c.Store == nil {
		c.Store = NewMemory(MemoryConfig{})
	}
	c.Max = cmp.Or(c.Max, 3)
	c.Window = cmp.Or(c.Window, 24*time.Hour)
	c.LoginTimeout = cmp.Or(c.LoginTimeout, 5*time.Second)
	c.AddressBurst = cmp.Or(c.AddressBurst, 300)
	c.AddressEvery = cmp.Or(c.AddressEvery, time.Second)
}

// A Login is somebody who wants to log in.
type Login struct {
	// User is the canonical name of the entry that was found, or else what
	// was typed, in any spelling.
	User string
	// Client is the address of the client; invalid when it is not known.
	Client netip.Addr
	// Uncertain says that Client may be a proxy's address, because a
	// forwarding header was ignored: it is never a known address then, or
	// everybody behind the proxy would be.
	Uncertain bool
	// Solved says that a CAPTCHA was answered for this very try.
	Solved bool
}

// A Try is a login whose password may now be looked at.
type Try struct {
	counter *Counter
	lease   Lease
}

// Begin reserves a try, or returns a [*RefusedError]; any other error is the
// store's, means no verdict and must not let anybody in. While other tries of
// the user are pending it waits, until ctx or the LoginTimeout ends. A
// refusal changes nothing. Who gets a Try must call [Try.End].
func (c *Counter) Begin(ctx context.Context, l Login) (*Try, error) {
	a := Attempt{User: Fold(l.User), Client: l.network(), Solved: l.Solved, Policy: c.policy}
	d, err := c.store.Begin(ctx, a)
	if err == nil && d.Verdict == Busy {
		d, err = c.wait(ctx, a, d)
	}
	if err != nil {
		return nil, err
	}
	if d.Verdict != Granted {
		return nil, &RefusedError{Verdict: d.Verdict, RetryAfter: d.RetryAfter, Failures: d.Failures}
	}
	return &Try{counter: c, lease: d.Lease}, nil
}

// network returns the address that a pair is known by.
func (l *Login) network() netip.Addr {
	if l.Uncertain {
		return netip.Addr{}
	}
	return network(l.Client)
}

// End decides the try and returns the user's status afterwards. The end of
// ctx does not stop it, for who hangs up decides nothing. A late or a second
// end changes nothing; an error means that the try may become a failure.
func (t *Try) End(ctx context.Context, o Outcome) (Status, error) {
	if ctx.Done() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), t.counter.timeout)
		defer cancel()
	}
	return t.counter.store.End(ctx, t.lease, o, t.counter.policy)
}

// Status returns what is known about user, and about user at client if that
// is valid.
func (c *Counter) Status(ctx context.Context, user string, client netip.Addr) (Status, error) {
	return c.store.Status(ctx, Fold(user), network(client), c.policy)
}

// Reset forgives all failures of user, wherever they were made.
func (c *Counter) Reset(ctx context.Context, user string) error {
	return c.store.Reset(ctx, Fold(user))
}
