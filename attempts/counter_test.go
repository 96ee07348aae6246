package attempts_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
)

var (
	home = netip.MustParseAddr("192.0.2.1")
	away = netip.MustParseAddr("198.51.100.7")
)

// counter returns a counter, or ends the test.
func counter(t testing.TB, c attempts.Config) *attempts.Counter {
	t.Helper()
	n, err := attempts.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// begin begins a try that must be granted.
func begin(t testing.TB, c *attempts.Counter, l attempts.Login) *attempts.Try {
	t.Helper()
	try, err := c.Begin(t.Context(), l)
	if err != nil {
		t.Fatalf("Begin(%+v): %v", l, err)
	}
	return try
}

// end ends a try and returns the status.
func end(t testing.TB, try *attempts.Try, o attempts.Outcome) attempts.Status {
	t.Helper()
	st, err := try.End(t.Context(), o)
	if err != nil {
		t.Error(err) // not Fatal: crowds end tries, too
	}
	return st
}

func TestNewChecksTheConfig(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config attempts.Config
		faults string // all of them, in order
	}{
		{"the zero Config is valid", attempts.Config{}, ""},
		{"100 is allowed", attempts.Config{Max: 100, Window: time.Second}, ""},
		{"more than 100 is not", attempts.Config{Max: 101}, "Config.Max is not between 0 and 100: 101"},
		{"nothing is negative", attempts.Config{Max: -1, Window: -1, LoginTimeout: -1, AddressBurst: -1, AddressEvery: -1},
			"Config.Max is not between 0 and 100: -1|Config.Window is less than a second: -1ns|" +
				"Config.LoginTimeout is negative: -1ns|Config.AddressBurst is negative: -1|Config.AddressEvery is negative: -1ns"},
		{"a window has a second", attempts.Config{Window: 999 * time.Millisecond}, "Config.Window is less than a second: 999ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := attempts.New(tt.config)
			got := ""
			if err != nil {
				got = strings.ReplaceAll(strings.ReplaceAll(err.Error(), "attempts: ", ""), "\n", "|")
			}
			if got != tt.faults {
				t.Errorf("New = %q, want %q", got, tt.faults)
			}
		})
	}
}

func TestRefusalsSayWhyAndWhen(t *testing.T) {
	for _, tt := range []struct {
		name     string
		config   attempts.Config
		failures int
		want     error
		after    time.Duration
	}{
		{"a CAPTCHA", attempts.Config{Challenge: true}, 3, attempts.ErrChallenge, 0},
		{"a CAPTCHA at another maximum", attempts.Config{Challenge: true, Max: 5}, 5, attempts.ErrChallenge, 0},
		{"a delay", attempts.Config{}, 3, attempts.ErrDelayed, time.Second},
		{"denied", attempts.Config{Max: 100}, 100, attempts.ErrDenied, 24 * time.Hour},
		{"denied for another window", attempts.Config{Max: 100, Window: time.Minute}, 100, attempts.ErrDenied, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := counter(t, tt.config)
				for range tt.failures {
					end(t, begin(t, c, attempts.Login{User: "fred"}), attempts.Failed)
				}
				_, err := c.Begin(t.Context(), attempts.Login{User: "Fred "})
				var refused *attempts.RefusedError
				if !errors.Is(err, tt.want) || !errors.As(err, &refused) {
					t.Fatalf("Begin = %v, want %v", err, tt.want)
				}
				if refused.RetryAfter != tt.after || refused.Failures != tt.failures {
					t.Errorf("refused with %+v, want %d failures and %v", *refused, tt.failures, tt.after)
				}
				if strings.Contains(err.Error(), "fred") {
					t.Errorf("%q names the user", err)
				}
			})
		})
	}
}

func TestInsecureUnlimitedKeepsTheHistoryAlone(t *testing.T) {
	c := counter(t, attempts.Config{InsecureUnlimited: true, AddressBurst: 1})
	for range 500 {
		if !c.Take(home) {
			t.Fatal("an address is limited")
		}
		end(t, begin(t, c, attempts.Login{User: "fred", Client: home}), attempts.Failed)
	}
	st := end(t, begin(t, c, attempts.Login{User: "fred", Client: home}), attempts.Succeeded)
	if st.Logins != 1 || st.FailedLogins != 500 {
		t.Errorf("status %+v, want 1 login and 500 failed", st)
	}
}

// Known callers, as the counter sees them: networks, not addresses, and never
// one that may be a proxy's.
func TestKnownAddresses(t *testing.T) {
	for _, tt := range []struct {
		name      string
		from, at  string // logged in from, tried at
		uncertain bool
		known     bool
	}{
		{"the same address", "192.0.2.1", "192.0.2.1", false, true},
		{"another IPv4 address", "192.0.2.1", "192.0.2.2", false, false},
		{"IPv4 written as IPv6", "192.0.2.1", "::ffff:192.0.2.1", false, true},
		{"the same /64", "2001:db8:1:2::3", "2001:db8:1:2:ffff::9", false, true},
		{"another /64", "2001:db8:1:2::3", "2001:db8:1:3::3", false, false},
		{"a zone is no other address", "fe80::1%eth0", "fe80::1%eth1", false, true},
		{"an ignored header", "192.0.2.1", "192.0.2.1", true, false},
		{"no address", "", "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := counter(t, attempts.Config{Challenge: true})
			from, _ := netip.ParseAddr(tt.from)
			at, _ := netip.ParseAddr(tt.at)
			end(t, begin(t, c, attempts.Login{User: "fred", Client: from, Uncertain: tt.uncertain}), attempts.Succeeded)
			st, err := c.Status(t.Context(), "FRED", at)
			if err != nil || st.Known != tt.known || st.Logins != 1 {
				t.Errorf("Status = %+v, %v; want Known %t", st, err, tt.known)
			}
			// A certain login must not help an uncertain one either.
			end(t, begin(t, c, attempts.Login{User: "fred", Client: at}), attempts.Succeeded)
			for range 3 {
				end(t, begin(t, c, attempts.Login{User: "fred", Client: at, Uncertain: true}), attempts.Failed)
			}
			if st, _ := c.Status(t.Context(), "fred", at); st.Failures != 3 || st.PairFailures != 0 {
				t.Errorf("uncertain failures are counted as %+v", st)
			}
		})
	}
}

func TestResetOpensEveryDoor(t *testing.T) {
	c := counter(t, attempts.Config{Challenge: true})
	end(t, begin(t, c, attempts.Login{User: "fred", Client: home}), attempts.Succeeded)
	for range 3 {
		end(t, begin(t, c, attempts.Login{User: "fred", Client: home}), attempts.Failed)
		end(t, begin(t, c, attempts.Login{User: "fred", Client: away}), attempts.Failed)
	}
	if err := c.Reset(t.Context(), " Fred"); err != nil {
		t.Fatal(err)
	}
	begin(t, c, attempts.Login{User: "fred", Client: home})
	begin(t, c, attempts.Login{User: "fred", Client: away})
}

// brokenStore answers nothing, after some good answers.
type brokenStore struct {
	attempts.Store
	good int
}

var errDown = errors.New("store is down")

func (b *brokenStore) Begin(ctx context.Context, a attempts.Attempt) (attempts.Decision, error) {
	if b.good--; b.good < 0 {
		return attempts.Decision{}, errDown
	}
	return b.Store.Begin(ctx, a)
}

// An error of the store is never taken for a count of zero, nor for busy.
func TestStoreErrorsAreNoVerdict(t *testing.T) {
	for _, good := range []int{0, 3, 4} { // the fourth Begin is busy, the fifth polls
		c := counter(t, attempts.Config{Store: &brokenStore{attempts.NewMemory(attempts.MemoryConfig{}), good}})
		for range min(good, 3) {
			begin(t, c, attempts.Login{User: "fred"})
		}
		var refused *attempts.RefusedError
		if _, err := c.Begin(t.Context(), attempts.Login{User: "fred"}); !errors.Is(err, errDown) || errors.As(err, &refused) {
			t.Errorf("after %d answers Begin = %v, want the error of the store", good, err)
		}
	}
}

// contextStore remembers whether the context of End could be cancelled.
type contextStore struct {
	attempts.Store
	err      error
	deadline bool
}

func (s *contextStore) End(ctx context.Context, l attempts.Lease, o attempts.Outcome, p attempts.Policy) (attempts.Status, error) {
	s.err = ctx.Err()
	_, s.deadline = ctx.Deadline()
	return s.Store.End(ctx, l, o, p)
}

func TestWhoHangsUpDecidesNothing(t *testing.T) {
	s := &contextStore{Store: attempts.NewMemory(attempts.MemoryConfig{})}
	c := counter(t, attempts.Config{Store: s})
	ctx, cancel := context.WithCancel(t.Context())
	try, err := c.Begin(ctx, attempts.Login{User: "fred"})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if st, err := try.End(ctx, attempts.Failed); err != nil || st.Failures != 1 {
		t.Errorf("End = %+v, %v; want one failure", st, err)
	}
	if s.err != nil || !s.deadline {
		t.Errorf("the store's context: %v, deadline %t; want alive, with a deadline", s.err, s.deadline)
	}
}

// The lease outlives the deadline of a login, and an end that comes later
// finds a failure.
func TestLeaseOutlivesTheLogin(t *testing.T) {
	for _, tt := range []struct {
		timeout, took time.Duration
		late          bool
	}{
		{0, 9999 * time.Millisecond, false}, {0, 10 * time.Second, true},
		{time.Second, 5999 * time.Millisecond, false}, {time.Second, 6 * time.Second, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := counter(t, attempts.Config{LoginTimeout: tt.timeout})
			try := begin(t, c, attempts.Login{User: "fred"})
			time.Sleep(tt.took)
			if st := end(t, try, attempts.Succeeded); (st.Failures == 1) != tt.late || (st.Logins == 1) == tt.late {
				t.Errorf("timeout %v, after %v: %+v, want late %t", tt.timeout, tt.took, st, tt.late)
			}
		})
	}
}
