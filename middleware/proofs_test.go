package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/middleware"
)

// spellings is a directory that folds names, as slapd does, and that can take
// groups and entries away.
type spellings struct {
	directory.Source
	noGroups *atomic.Bool
	goneName *atomic.Value // string: who has no entry any more
}

func newSpellings(c *middleware.Config) spellings {
	s := spellings{c.Directory, new(atomic.Bool), new(atomic.Value)}
	s.goneName.Store("")
	c.Directory = s
	return s
}

func (s spellings) Find(ctx context.Context, name string) (directory.Entry, error) {
	if s.goneName.Load() == name {
		return directory.Entry{Node: "static"}, directory.ErrNoUser
	}
	return s.Source.Find(ctx, strings.TrimSpace(name))
}

func (s spellings) Groups(ctx context.Context, e directory.Entry, asked ...string) (directory.GroupSet, error) {
	if s.goneName.Load() == e.Name {
		return directory.GroupSet{Node: "static", Preferred: true}, directory.ErrNoUser
	}
	g, err := s.Source.Groups(ctx, e, asked...)
	if s.noGroups.Load() {
		g.Names = nil
	}
	return g, err
}

// basicFrom sends Basic credentials from an address.
func (w *world) basicFrom(remote, user, password string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "http://jira.example.com/rest/closed", nil)
	r.RemoteAddr = remote
	r.Header.Set("Authorization", basic(user, password))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.app.ServeHTTP(rec, r)
	return rec
}

// here is where httptest's requests come from.
const here, there = "192.0.2.1:1234", "198.51.100.7:1234"

var hereAddr = netip.MustParseAddr("192.0.2.1")

// TestProofs: after one login by Basic, and after what happens between, the
// next request with the same credentials costs so many binds.
func TestProofs(t *testing.T) {
	nothing := func(*world) {}
	again := func(w *world) *httptest.ResponseRecorder { return w.basicFrom(here, "fred", "fredpass") }
	for _, tt := range []struct {
		name    string
		between func(*world)
		next    func(*world) *httptest.ResponseRecorder
		binds   int64
	}{
		{"the same credentials are remembered", nothing, again, 0},
		{"until the time is over", func(*world) { time.Sleep(time.Minute - 1) }, again, 0},
		{"and not longer", func(*world) { time.Sleep(time.Minute) }, again, 1},
		{"use makes it no longer", func(w *world) { time.Sleep(40 * time.Second); again(w); time.Sleep(20 * time.Second) }, again, 1},
		{"not for another address", nothing, func(w *world) *httptest.ResponseRecorder { return w.basicFrom(there, "fred", "fredpass") }, 1},
		{"not for another spelling", nothing, func(w *world) *httptest.ResponseRecorder { return w.basicFrom(here, " fred", "fredpass") }, 1},
		{"not for the form", nothing, func(w *world) *httptest.ResponseRecorder { return w.form("fred", "fredpass") }, 1},
		{"not for the session resource", nothing, func(w *world) *httptest.ResponseRecorder { return w.rest("fred", "fredpass") }, 1},
		{"a wrong password ends it", func(w *world) { w.basicFrom(here, "fred", "x") }, again, 1},
		{"one under another spelling, too", func(w *world) { w.basicFrom(here, " fred", "x") }, again, 1},
		{"one in the form, too", func(w *world) { w.form("fred", "x") }, again, 1},
		{"one at the session resource, too", func(w *world) { w.rest("fred", "x") }, again, 1},
		{"an empty one, too", func(w *world) { w.basicFrom(here, "fred", "") }, again, 1},
		{"one from elsewhere does not", func(w *world) { w.basicFrom(there, "fred", "x") }, again, 0},
		{"nor does one of somebody else", func(w *world) { w.basicFrom(here, "alice", "x") }, again, 0},
		{"nor a login of somebody else", func(w *world) { w.basicFrom(here, "alice", "right") }, again, 0},
		{"the application forgets the user", func(w *world) { w.auth.Forget("fred") }, again, 1},
		{"and not another", func(w *world) { w.auth.Forget("alice") }, again, 0},
		{"a logout everywhere ends it", func(w *world) { _ = w.auth.Sessions().RevokeUser(w.t.Context(), "fred") }, again, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *middleware.Config) { newSpellings(c) })
				if rec := again(w); rec.Code != 200 || w.source.binds.Load() != 1 {
					t.Fatalf("the login: %d, %d binds", rec.Code, w.source.binds.Load())
				}
				tt.between(w)
				before := w.source.binds.Load()
				if rec := tt.next(w); rec.Code >= 400 || reason(rec) != "OK" {
					t.Fatalf("the next request: %d %s", rec.Code, rec.Body)
				}
				if got := w.source.binds.Load() - before; got != tt.binds {
					t.Errorf("%d binds, want %d", got, tt.binds)
				}
			})
		})
	}
}

// TestNoProof: what is never remembered, however often it comes.
func TestNoProof(t *testing.T) {
	for _, tt := range []struct {
		name, user, remote string
		change             func(*middleware.Config)
		header             []string
		status             int
	}{
		{"where it is switched off", "fred", here, func(c *middleware.Config) { c.NoProofs = true }, nil, 200},
		{"behind a proxy nobody has configured", "fred", here, nil, []string{"X-Forwarded-For", "203.0.113.7"}, 200},
		{"from an address nobody knows", "fred", "@", nil, nil, 200},
		{"a user without access", "nouse", here, nil, nil, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.change)
			password := map[string]string{"fred": "fredpass", "nouse": "right"}[tt.user]
			for i := range 3 {
				if rec := w.basicFrom(tt.remote, tt.user, password, tt.header...); rec.Code != tt.status {
					t.Fatalf("got %d", rec.Code)
				}
				if got := w.source.binds.Load(); got != int64(i+1) {
					t.Errorf("%d binds after %d requests", got, i+1)
				}
			}
		})
	}
}

// TestProofOfAnIPv6Network: a subscriber picks addresses of a /64, and is
// counted as one client.
func TestProofOfAnIPv6Network(t *testing.T) {
	w := newWorld(t, nil)
	w.basicFrom("[2001:db8::1]:1", "fred", "fredpass")
	if w.basicFrom("[2001:db8::2]:1", "fred", "fredpass"); w.source.binds.Load() != 1 {
		t.Errorf("%d binds, want one for the network", w.source.binds.Load())
	}
	w.basicFrom("[2001:db8::3]:1", "fred", "x")
	if w.basicFrom("[2001:db8::1]:1", "fred", "fredpass"); w.source.binds.Load() != 3 {
		t.Errorf("%d binds, want one more after a wrong password", w.source.binds.Load())
	}
}

// TestProofIsNoOracle: to a client that failures have armed, the right
// password looks like a wrong one, whichever door it failed at.
func TestProofIsNoOracle(t *testing.T) {
	for _, tt := range []struct {
		name string
		fail func(*world, string)
	}{
		{"Basic", func(w *world, p string) { w.basicFrom(here, "fred", p) }},
		{"Basic by another spelling", func(w *world, p string) { w.basicFrom(here, " fred", p) }},
		{"session resource", func(w *world, p string) { w.rest("fred", p) }},
		{"form", func(w *world, p string) { w.form("fred", p) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *middleware.Config) { newSpellings(c) })
			w.basicFrom(here, "fred", "fredpass")
			for i := range 3 {
				tt.fail(w, fmt.Sprint("wrong", i))
			}
			right, wrong := w.basicFrom(here, "fred", "fredpass"), w.basicFrom(here, "fred", "x")
			if right.Code != 403 || wrong.Code != 403 || right.Body.String() != wrong.Body.String() {
				t.Errorf("right %d %s, wrong %d %s", right.Code, right.Body, wrong.Code, wrong.Body)
			}
		})
	}
}

// TestProofOfALoginThatIsOvertaken: what ends proofs while a login is under
// way leaves none behind it.
func TestProofOfALoginThatIsOvertaken(t *testing.T) {
	for _, tt := range []struct {
		name  string
		event func(*world)
		binds int64 // of the request afterwards
	}{
		{"by nothing", func(*world) {}, 0},
		{"by a forgotten user", func(w *world) { w.auth.Forget("fred") }, 1},
		{"by a logout everywhere", func(w *world) { _ = w.auth.Sessions().RevokeUser(w.t.Context(), "fred") }, 1},
		{"by a wrong password", func(w *world) { go w.basicFrom(here, "fred", "x") }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.source.slow = make(chan struct{})
				go w.basicFrom(here, "fred", "fredpass")
				synctest.Wait()
				tt.event(w)
				synctest.Wait()
				close(w.source.slow)
				synctest.Wait()
				before := w.source.binds.Load()
				w.basicFrom(here, "fred", "fredpass")
				if got := w.source.binds.Load() - before; got != tt.binds {
					t.Errorf("%d binds, want %d", got, tt.binds)
				}
			})
		})
	}
}

// TestWrongPasswordEndsAProofAtOnce, before the directory is asked for the
// name: a crowd of guesses that hang there must not be one that tells.
func TestWrongPasswordEndsAProofAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.basicFrom(here, "fred", "fredpass")
		w.source.slowFind = make(chan struct{})
		answered := make(chan int, 2)
		for _, password := range []string{"x", "fredpass"} {
			go func() { answered <- w.basicFrom(here, "fred", password).Code }()
			synctest.Wait()
		}
		if len(answered) != 0 {
			t.Errorf("answered %d without asking", <-answered)
		}
		close(w.source.slowFind)
		synctest.Wait()
	})
}

// TestLossAtOneClientEndsTheProofsOfAll the user's clients.
func TestLossAtOneClientEndsTheProofsOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var source spellings
		w := newWorld(t, func(c *middleware.Config) {
			c.ProofTTL = time.Hour
			source = newSpellings(c)
		})
		w.basicFrom(here, "fred", "fredpass")
		w.basicFrom(there, "fred", "fredpass")
		source.noGroups.Store(true)
		time.Sleep(groupTTL + time.Second)
		if rec := w.basicFrom(here, "fred", "fredpass"); rec.Code != 401 {
			t.Fatalf("without the group: %d", rec.Code)
		}
		source.noGroups.Store(false)
		time.Sleep(groupTTL + time.Second)
		before := w.source.binds.Load()
		if rec := w.basicFrom(there, "fred", "fredpass"); rec.Code != 200 || w.source.binds.Load() == before {
			t.Errorf("elsewhere: %d, %d binds", rec.Code, w.source.binds.Load()-before)
		}
	})
}

// TestProofGivesNoMoreThanASession: the directory's word on groups and entry
// counts as for a cookie, and the next request meets the whole login again.
func TestProofGivesNoMoreThanASession(t *testing.T) {
	for _, tt := range []struct {
		name   string
		take   func(spellings, *meter)
		status int
		reason string
		back   int64 // binds once it is as it was
	}{
		{"the access group is lost", func(s spellings, _ *meter) { s.noGroups.Store(true) }, 401, "AUTHORISATION_FAILED", 1},
		{"the entry is gone", func(s spellings, _ *meter) { s.goneName.Store("fred") }, 401, "AUTHENTICATED_FAILED", 1},
		{"an outage changes nothing", func(_ spellings, m *meter) { m.down.Store(true) }, 200, "OK", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var source spellings
				w := newWorld(t, func(c *middleware.Config) {
					c.ProofTTL = time.Hour
					source = newSpellings(c)
				})
				w.basicFrom(here, "fred", "fredpass")
				tt.take(source, w.source)
				if rec := w.basicFrom(here, "fred", "fredpass"); rec.Code != 200 {
					t.Fatalf("while the groups are fresh: %d", rec.Code)
				}
				time.Sleep(groupTTL + time.Second)
				for range 2 {
					if rec := w.basicFrom(here, "fred", "fredpass"); rec.Code != tt.status || reason(rec) != tt.reason {
						t.Errorf("afterwards: %d %s", rec.Code, reason(rec))
					}
				}
				source.noGroups.Store(false)
				source.goneName.Store("")
				w.source.down.Store(false)
				time.Sleep(2 * time.Minute) // a pause of the group cache
				before := w.source.binds.Load()
				if rec := w.basicFrom(here, "fred", "fredpass"); rec.Code != 200 {
					t.Errorf("in the end: %d", rec.Code)
				}
				if got := w.source.binds.Load() - before; got != tt.back {
					t.Errorf("%d binds in the end, want %d", got, tt.back)
				}
			})
		})
	}
}

// TestProofWithoutGroupsIsNoVerdict: access hangs on groups that nobody can
// tell any more.
func TestProofWithoutGroupsIsNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *middleware.Config) {
			c.ProofTTL, c.GroupTTL, c.GroupStaleMax = time.Hour, time.Minute, 2*time.Minute
		})
		w.basicFrom(here, "fred", "fredpass")
		w.source.down.Store(true)
		time.Sleep(3 * time.Minute)
		if rec := w.basicFrom(here, "fred", "fredpass"); rec.Code != 503 || rec.Header().Get("Retry-After") == "" {
			t.Errorf("got %d %v", rec.Code, rec.Header())
		}
		w.source.down.Store(false)
		time.Sleep(2 * time.Minute)
		if rec := w.basicFrom(here, "fred", "fredpass"); rec.Code != 200 || w.source.binds.Load() != 1 {
			t.Errorf("the outage has ended the proof: %d, %d binds", rec.Code, w.source.binds.Load())
		}
	})
}

// TestProofAnswersLikeALogin, but is none in log and history.
func TestProofAnswersLikeALogin(t *testing.T) {
	w := newWorld(t, nil)
	login, proof := w.basicFrom(here, "fred", "fredpass"), w.basicFrom(here, "fred", "fredpass")
	for _, rec := range []*httptest.ResponseRecorder{login, proof} {
		delete(rec.Header(), http.CanonicalHeaderKey("X-AREQUESTID"))
	}
	if a, b := fmt.Sprint(login.Code, login.Header(), login.Body), fmt.Sprint(proof.Code, proof.Header(), proof.Body); a != b {
		t.Errorf("the login was answered\n%s\nthe proof\n%s", a, b)
	}
	if n := strings.Count(w.log.String(), "has PASSED authentication."); n != 1 {
		t.Errorf("%d lines of two requests:\n%s", n, w.log)
	}
	status, err := w.auth.Attempts().Status(t.Context(), "fred", hereAddr)
	if err != nil || status.Logins != 1 {
		t.Errorf("%d logins in the history, %v", status.Logins, err)
	}
}

// TestParallelGuessesBesideAProof: with a proof to find, too, at most three
// wrong passwords reach the directory, and none gets in.
func TestParallelGuessesBesideAProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.basicFrom(here, "fred", "fredpass")
		before := w.source.binds.Load()
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				if rec := w.basicFrom(here, "fred", fmt.Sprint("wrong", i)); rec.Code == 200 {
					t.Error("a wrong password was accepted")
				}
			})
		}
		wg.Wait()
		if binds := w.source.binds.Load() - before; binds < 1 || binds > 3 {
			t.Errorf("%d binds, want 1 to 3", binds)
		}
		if rec := w.basicFrom(here, "fred", "fredpass"); rec.Code != 403 {
			t.Errorf("the right one afterwards: %d", rec.Code)
		}
	})
}

// TestProofsConcurrently is for the race detector: whatever happens at once, a
// wrong password is refused.
func TestProofsConcurrently(t *testing.T) {
	w := newWorld(t, func(c *middleware.Config) { c.Attempts.InsecureUnlimited, c.NoCaptcha = true, true })
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				remote := fmt.Sprintf("192.0.2.%d:1", j%3)
				switch i % 4 {
				case 0:
					if rec := w.basicFrom(remote, "fred", fmt.Sprint("wrong", j)); rec.Code != 401 {
						t.Errorf("a wrong password: %d", rec.Code)
					}
				case 1:
					w.auth.Forget("fred")
				default:
					if rec := w.basicFrom(remote, "fred", "fredpass"); rec.Code != 200 {
						t.Errorf("the right password: %d", rec.Code)
					}
				}
			}
		})
	}
	wg.Wait()
}
