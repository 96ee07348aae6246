package attempts_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/internal/casefile"
)

// otherNames are rows that Fold cannot know: the directory says who it is,
// and the count is kept for the entry it returned.
var otherNames = map[string]string{
	"username_lockout-039": "directory/ldapdir: DOMAIN\\user of a configured domain is the entry found, which is counted",
	"username_lockout-041": "directory/ldapdir: a UPN of a configured domain is the entry found, which is counted",
}

func TestUsernameLockoutCases(t *testing.T) {
	type row struct {
		ID, Variant, Canonical string
		Same                   any    `json:"same_counter"`
		Slapd                  string `json:"observed_slapd_equal"`
	}
	const path = "testdata/username_lockout.json"
	casefile.LeftOut(t, path, otherNames)
	for _, r := range casefile.Read[row](t, path) {
		t.Run(r.ID, func(t *testing.T) {
			if why, ok := otherNames[r.ID]; ok {
				t.Skip(why)
			}
			same := attempts.Fold(r.Variant) == attempts.Fold(r.Canonical)
			if want, ok := r.Same.(bool); ok && same != want {
				t.Errorf("%+q and %+q: same counter %t, want %t", r.Variant, r.Canonical, same, want)
			}
			if r.Slapd == "yes" && !same {
				t.Errorf("slapd takes %+q for %+q, the counter does not", r.Variant, r.Canonical)
			}
		})
	}
}

// partly are rows that are played here as far as counting goes; the rest of
// each is another test's.
var partly = map[string]string{
	"lockout_sequences-005": "middleware: that a wrong answer to the CAPTCHA is not Solved",
	"lockout_sequences-007": "middleware: that an expired CAPTCHA is not Solved",
	"lockout_sequences-009": "middleware: that each door asks the counter",
	"lockout_sequences-011": "redisstore: here the store outlives the counter; Memory documents that it does not outlive a process",
	"lockout_sequences-017": "middleware: that the session goes on",
	"lockout_sequences-019": "middleware: that an outage answers 503",
	"lockout_sequences-025": "middleware: that the answer says AUTHORISATION_FAILED",
}

// A lockoutStep is one step of lockout_sequences.json.
type lockoutStep struct {
	Do, Via, User, Password, Captcha, Assert string
	Reason                                   string `json:"expect_reason"`
	Contacted                                *bool  `json:"directory_contacted"`
	Times, N, Right, Seconds                 int
}

func TestLockoutSequences(t *testing.T) {
	type row struct {
		ID, Title string
		Max       int `json:"max_failures"`
		Steps     []lockoutStep
	}
	const path = "testdata/lockout_sequences.json"
	casefile.LeftOut(t, path, partly)
	for _, r := range casefile.Read[row](t, path) {
		t.Run(r.ID, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &door{t: t, config: attempts.Config{
					Store: attempts.NewMemory(attempts.MemoryConfig{}), Max: r.Max, Challenge: true}}
				d.counter = counter(t, d.config)
				for _, step := range r.Steps {
					d.step(step)
				}
			})
		})
	}
}

// A door is a login handler in little: a counter before a directory that
// knows one password.
type door struct {
	t       *testing.T
	config  attempts.Config
	counter *attempts.Counter
	down    bool
	binds   atomic.Int64
	wrong   atomic.Int64 // binds with a wrong password
	right   atomic.Int64 // successes
}

// step plays one step.
func (d *door) step(s lockoutStep) {
	d.t.Helper()
	switch s.Do {
	case "login":
		for range max(s.Times, 1) {
			before := d.binds.Load()
			if got := d.login(s.User, s.Password, s.Captcha == "solved"); got != s.Reason {
				d.t.Fatalf("%+v: reason %s", s, got)
			}
			if s.Contacted != nil && *s.Contacted != (d.binds.Load() > before) {
				d.t.Fatalf("%+v: directory contacted %t", s, !*s.Contacted)
			}
		}
	case "parallel":
		d.parallel(s)
	case "restart_node":
		d.counter = counter(d.t, d.config)
	case "directory_busy", "directory_ok":
		d.down = s.Do == "directory_busy"
	case "advance_clock":
		time.Sleep(time.Duration(s.Seconds) * time.Second)
	case "admin_reset":
		if err := d.counter.Reset(d.t.Context(), s.User); err != nil {
			d.t.Fatal(err)
		}
	case "have_session", "request_with_session": // sessions are not counted
	default:
		d.t.Fatalf("unknown step %q", s.Do)
	}
}

// login is what every door does, and returns the reason of the answer.
func (d *door) login(user, password string, solved bool) string {
	ctx := context.WithoutCancel(d.t.Context())
	try, err := d.counter.Begin(ctx, attempts.Login{User: user, Client: netip.MustParseAddr("192.0.2.1"), Solved: solved})
	var refused *attempts.RefusedError
	if errors.As(err, &refused) {
		return "AUTHENTICATION_DENIED"
	}
	if err != nil {
		return err.Error()
	}
	d.binds.Add(1)
	time.Sleep(50 * time.Millisecond)
	outcome, reason := attempts.Succeeded, "OK"
	switch {
	case d.down:
		outcome, reason = attempts.Abandoned, "ERROR_503"
	case password != "right":
		outcome, reason = attempts.Failed, "AUTHENTICATED_FAILED"
		d.wrong.Add(1)
	case user == "nouse":
		outcome, reason = attempts.SucceededUnknown, "AUTHORISATION_FAILED"
	default:
		d.right.Add(1)
	}
	if _, err := try.End(ctx, outcome); err != nil {
		return err.Error()
	}
	return reason
}

// parallel makes many tries at once, some of them right.
func (d *door) parallel(s lockoutStep) {
	d.t.Helper()
	user := s.User
	if user == "" {
		user = "alice"
	}
	var wg sync.WaitGroup
	for i := range s.N {
		password := "wrong"
		if i < s.Right {
			password = "right"
		}
		wg.Go(func() { d.login(user, password, false) })
	}
	wg.Wait()
	most := int64(d.config.Max)
	if w, r := d.wrong.Load(), d.right.Load(); w > most*(r+1) {
		d.t.Errorf("%s: %d wrong binds with %d successes", s.Assert, w, r)
	}
	st, err := d.counter.Status(d.t.Context(), user, netip.Addr{})
	if err != nil || s.Right == 0 && (st.Failures < d.config.Max || d.wrong.Load() != most) {
		d.t.Errorf("%s: %d wrong binds, status %+v, %v", s.Assert, d.wrong.Load(), st, err)
	}
}
