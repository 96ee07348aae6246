package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/internal/casefile"
	"github.com/seed-244866eb/gatehouse/middleware"
)

// lockoutElsewhere lists the rows of lockout_sequences.json that cannot run
// here, with the reason.
var lockoutElsewhere = map[string]string{
	"lockout_sequences-011": "counts that outlive the process need a shared store; in memory a restart forgets them, as documented",
}

type lockoutStep struct {
	Do, Via, User, Password, Captcha string
	Reason                           string `json:"expect_reason"`
	Contacted                        *bool  `json:"directory_contacted"`
	Times, N, Right                  int
	Seconds                          int
}

type lockoutRow struct {
	ID, Title string
	Max       int `json:"max_failures"`
	Steps     []lockoutStep
}

func TestLockoutSequences(t *testing.T) {
	const path = "testdata/lockout_sequences.json"
	casefile.LeftOut(t, path, lockoutElsewhere)
	for _, row := range casefile.Read[lockoutRow](t, path) {
		if lockoutElsewhere[row.ID] != "" {
			continue
		}
		for _, proofs := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, proofs=%v", row.ID, proofs), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { row.run(t, proofs) })
			})
		}
	}
}

func (row lockoutRow) run(t *testing.T, proofs bool) {
	w := newWorld(t, func(c *middleware.Config) { c.Attempts.Max, c.NoProofs = row.Max, !proofs })
	var cookie string
	for i, s := range row.Steps {
		switch s.Do {
		case "login":
			for range max(s.Times, 1) {
				w.lockoutLogin(fmt.Sprintf("step %d", i+1), s)
			}
		case "parallel":
			w.lockoutParallel(row.Max, s)
		case "have_session":
			cookie = w.login(s.User, "right")
		case "request_with_session":
			if rec := w.get("/secure/x", cookie); rec.Code != 200 {
				t.Errorf("the session was ended: %d", rec.Code)
			}
		case "directory_busy":
			w.source.down.Store(true)
		case "directory_ok":
			w.source.down.Store(false)
		case "advance_clock":
			time.Sleep(time.Duration(s.Seconds) * time.Second)
		case "admin_reset":
			if err := w.auth.Attempts().Reset(t.Context(), s.User); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("unknown step %q", s.Do)
		}
	}
}

func (w *world) lockoutLogin(name string, s lockoutStep) {
	w.t.Helper()
	before := w.source.contacts()
	var more []string
	if s.Captcha != "" {
		more = w.lockoutCaptcha(s)
		before = w.source.contacts()
	}
	var rec *httptest.ResponseRecorder
	switch s.Via {
	case "form":
		rec = w.form(s.User, s.Password, more...)
	case "rest":
		rec = w.rest(s.User, s.Password)
	case "basic":
		rec = w.basic("/rest/open", s.User, s.Password)
	}
	got := reason(rec)
	if got == "" {
		got = fmt.Sprintf("ERROR_%d", rec.Code)
	}
	if got != s.Reason {
		w.t.Errorf("%s: reason %s (%d), want %s", name, got, rec.Code, s.Reason)
	}
	if contacted := w.source.contacts() > before; s.Contacted != nil && contacted != *s.Contacted {
		w.t.Errorf("%s: directory contacted %v, want %v", name, contacted, *s.Contacted)
	}
}

// lockoutCaptcha gets a challenge by a first refusal and returns the fields
// that answer it as the step says.
func (w *world) lockoutCaptcha(s lockoutStep) []string {
	w.t.Helper()
	id, answer := w.challenge(w.form(s.User, s.Password).Body.String())
	switch s.Captcha {
	case "wrong":
		answer = "nope"
	case "solved_but_expired":
		time.Sleep(10 * time.Minute)
	}
	return []string{"os_captcha_id", id, "os_captcha", answer}
}

func (w *world) lockoutParallel(limit int, s lockoutStep) {
	w.t.Helper()
	user := s.User
	if user == "" {
		user = "alice"
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for i := range s.N {
		wg.Go(func() {
			password := fmt.Sprintf("wrong %d", i)
			if i < s.Right {
				password = "right"
			}
			rec := w.rest(user, password)
			mu.Lock()
			codes[rec.Code]++
			mu.Unlock()
		})
	}
	wg.Wait()
	most := limit
	if s.Right > 0 {
		most = 2*limit + s.Right // Max before and Max after the one success
	}
	if binds := w.source.binds.Load(); binds > int64(most) || binds == 0 {
		w.t.Errorf("%d binds of %d parallel tries, want 1 to %d; statuses %v", binds, s.N, most, codes)
	}
}

func TestParallelLogins(t *testing.T) {
	t.Run("fifty right ones are all accepted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			w.source.slow = make(chan struct{})
			var wg sync.WaitGroup
			var mu sync.Mutex
			ids := map[string]bool{}
			for range 50 {
				wg.Go(func() {
					rec := w.rest("fred", "fredpass")
					if rec.Code != 200 {
						t.Errorf("a right login: %d %s", rec.Code, rec.Body)
						return
					}
					mu.Lock()
					ids[sessionCookie(t, rec)] = true
					mu.Unlock()
				})
			}
			synctest.Wait()
			close(w.source.slow)
			wg.Wait()
			if len(ids) != 50 {
				t.Errorf("%d sessions, want one for each", len(ids))
			}
			if binds := w.source.binds.Load(); binds != 1 {
				t.Errorf("%d binds, want one for all", binds)
			}
		})
	})
	for _, same := range []bool{false, true} {
		t.Run(fmt.Sprintf("of 200 wrong ones at most three reach the directory, same=%v", same), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				var wg sync.WaitGroup
				for i := range 200 {
					wg.Go(func() {
						password := "wrong"
						if !same {
							password += fmt.Sprint(i)
						}
						if rec := w.rest("fred", password); rec.Code == 200 {
							t.Error("a wrong password was accepted")
						}
					})
				}
				wg.Wait()
				if binds := w.source.binds.Load(); binds < 1 || binds > 3 {
					t.Errorf("%d binds", binds)
				}
			})
		})
	}
}

// TestInventedCaptchaIsNone: the answer of a challenge that does not exist,
// sent while none is due, must not count when one becomes due a moment later.
func TestInventedCaptchaIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		for i := range 4 { // the last is refused, and so remembered
			w.form("alice", fmt.Sprint("wrong", i))
		}
		if err := w.auth.Attempts().Reset(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		before := w.source.binds.Load()
		w.source.slowFind = make(chan struct{}) // so that all have knocked before one fails
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				w.form("alice", fmt.Sprint("guess", i), "os_captcha_id", "AAAAAAAAAAAAAAAAAAAAAA", "os_captcha", "X")
			})
		}
		synctest.Wait()
		close(w.source.slowFind)
		wg.Wait()
		if binds := w.source.binds.Load() - before; binds > 3 {
			t.Errorf("%d binds of wrong passwords, want at most 3", binds)
		}
	})
}

func TestDelayWithoutCaptcha(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *middleware.Config) { c.NoCaptcha = true })
		for range 3 {
			w.rest("fred", "wrong")
		}
		for _, rec := range []*httptest.ResponseRecorder{w.rest("fred", "fredpass"), w.form("fred", "fredpass"), w.basic("/", "fred", "fredpass")} {
			if rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") == "" || reason(rec) != "AUTHENTICATION_DENIED" {
				t.Errorf("at the threshold: %d %v", rec.Code, rec.Header())
			}
		}
		time.Sleep(2 * time.Second)
		if rec := w.rest("fred", "fredpass"); rec.Code != 200 {
			t.Errorf("after the delay: %d", rec.Code)
		}
	})
}

// TestHangingUpDecidesNothing: a client that goes away after its password was
// sent has still used up a try.
func TestHangingUpDecidesNothing(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 3 {
		r := httptest.NewRequest("GET", "http://jira.example.com/rest/open", nil)
		r.Header.Set("Authorization", basic("alice", fmt.Sprint("wrong", i)))
		ctx, hangUp := context.WithCancel(r.Context())
		hangUp()
		w.app.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
	}
	if rec := w.rest("alice", "right"); rec.Code != 403 {
		t.Errorf("after three wrong passwords whose clients hung up: %d", rec.Code)
	}
}
