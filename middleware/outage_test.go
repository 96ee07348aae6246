package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/middleware"
	"github.com/seed-244866eb/gatehouse/session"
)

func TestDirectoryOutage(t *testing.T) {
	for _, tt := range []struct {
		name string
		cut  func(*meter)
	}{
		{"nothing answers", func(m *meter) { m.down.Store(true) }},
		{"groups alone do not answer", func(m *meter) { m.groupsDown.Store(true) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			cookie := w.login("fred", "fredpass")
			tt.cut(w.source)
			for range 5 { // more than the limit of failures
				for door, rec := range map[string]interface {
					Header() http.Header
				}{
					"form": w.form("alice", "right"), "REST": w.rest("alice", "right"), "Basic": w.basic("/rest/open", "alice", "right"),
				} {
					h := rec.Header()
					if h.Get("Retry-After") == "" || h.Get("X-Seraph-LoginReason") != "" || h.Get("Set-Cookie") != "" {
						t.Errorf("%s: %v", door, h)
					}
				}
				if rec := w.rest("alice", "right"); rec.Code != 503 || !strings.Contains(rec.Body.String(), "not available") {
					t.Fatalf("an outage is %d %s", rec.Code, rec.Body)
				}
			}
			if rec := w.get("/secure/x", cookie); rec.Code != 200 {
				t.Errorf("the outage ended a session: %d", rec.Code)
			}
			w.source.down.Store(false)
			w.source.groupsDown.Store(false)
			if rec := w.rest("alice", "right"); rec.Code != 200 {
				t.Errorf("after the outage: %d; it was counted", rec.Code)
			}
		})
	}
}

// TestCrowdInAnOutage: of many tries that hang in the directory none is told
// to have been too many, as long as there is room to wait for each other.
func TestCrowdInAnOutage(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hang  func(*meter) *atomic.Bool
		crowd int
	}{
		{"searches hang", func(m *meter) *atomic.Bool { return &m.findsHang }, 40},
		{"binds hang", func(m *meter) *atomic.Bool { return &m.bindsHang }, 15},
		{"groups hang", func(m *meter) *atomic.Bool { return &m.groupsHang }, 15},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				tt.hang(w.source).Store(true)
				var wg sync.WaitGroup
				for i := range tt.crowd {
					wg.Go(func() {
						r := httptest.NewRequest("GET", "http://jira.example.com/rest/open", nil)
						r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", i+1)
						r.Header.Set("Authorization", basic("alice", "right"))
						rec := httptest.NewRecorder()
						w.app.ServeHTTP(rec, r)
						if rec.Code != 503 || rec.Header().Get("Retry-After") == "" {
							t.Errorf("try %d: %d %v", i, rec.Code, rec.Header())
						}
					})
				}
				wg.Wait()
				tt.hang(w.source).Store(false)
				time.Sleep(10 * time.Second) // for reads that still hang
				if rec := w.rest("alice", "right"); rec.Code != 200 {
					t.Errorf("after the outage: %d; something was counted", rec.Code)
				}
			})
		})
	}
}

// A brokenStore is a session store that fails on demand: a fault that the
// memory store cannot make.
type brokenStore struct {
	session.Store
	down *bool
}

var errBroken = errors.New("store is broken")

func (b brokenStore) Load(ctx context.Context, k session.Key) (session.Record, error) {
	if *b.down {
		return session.Record{}, errBroken
	}
	return b.Store.Load(ctx, k)
}

func (b brokenStore) Save(ctx context.Context, k session.Key, r session.Record) error {
	if *b.down {
		return errBroken
	}
	return b.Store.Save(ctx, k, r)
}

func (b brokenStore) List(ctx context.Context, shard uint16, user string) (map[session.Key]session.Record, error) {
	if *b.down {
		return nil, errBroken
	}
	return b.Store.List(ctx, shard, user)
}

func TestSessionStoreOutage(t *testing.T) {
	down := false
	w := newWorld(t, func(c *middleware.Config) {
		c.Session.Store = brokenStore{session.NewMemory(session.MemoryConfig{}), &down}
	})
	cookie := w.login("fred", "fredpass")
	down = true
	for _, tt := range []struct {
		name string
		c    call
		want int
	}{
		{"a public page goes on", call{method: "GET", path: "/", cookies: []string{cookie}}, 200},
		{"an open resource goes on", call{method: "GET", path: "/rest/open", cookies: []string{cookie}}, 200},
		{"a protected page cannot tell", call{method: "GET", path: "/secure/x", cookies: []string{cookie}}, 503},
		{"a protected resource cannot tell", call{method: "GET", path: "/rest/closed", cookies: []string{cookie}}, 503},
		{"the session resource cannot tell", call{method: "GET", path: "/rest/auth/1/session", cookies: []string{cookie}}, 503},
		{"nothing is changed", call{method: "POST", path: "/", cookies: []string{cookie}}, 503},
		{"nobody's visit goes on", call{method: "GET", path: "/"}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := w.do(tt.c)
			if rec.Code != tt.want {
				t.Errorf("got %d, want %d", rec.Code, tt.want)
			}
			_, named := rec.Header()["X-Ausername"]
			if len(tt.c.cookies) > 0 && named {
				t.Errorf("X-AUSERNAME = %q while nobody can tell", rec.Header().Get("X-AUSERNAME"))
			}
			if rec.Header().Get("Set-Cookie") != "" {
				t.Error("the cookie was taken away")
			}
			if tt.want == 503 && rec.Header().Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
		})
	}
	if rec := w.rest("fred", "fredpass"); rec.Code != 503 || reason(rec) != "" || rec.Header().Get("X-AUSERNAME") == "fred" {
		t.Errorf("a login that cannot be kept: %d %v", rec.Code, rec.Header())
	}
	down = false
	if rec := w.get("/secure/x", cookie); rec.Code != 200 {
		t.Errorf("the session after the outage: %d", rec.Code)
	}
}

// A brokenCounter fails at one of its steps.
type brokenCounter struct {
	attempts.Store
	begin, end *bool
}

func (b brokenCounter) Begin(ctx context.Context, a attempts.Attempt) (attempts.Decision, error) {
	if *b.begin {
		return attempts.Decision{}, errBroken
	}
	return b.Store.Begin(ctx, a)
}

func (b brokenCounter) End(ctx context.Context, l attempts.Lease, o attempts.Outcome, p attempts.Policy) (attempts.Status, error) {
	if *b.end {
		return attempts.Status{}, errBroken
	}
	return b.Store.End(ctx, l, o, p)
}

func TestCounterOutageIsNeverACountOfZero(t *testing.T) {
	begin, end := false, false
	w := newWorld(t, func(c *middleware.Config) {
		c.Attempts.Store = brokenCounter{attempts.NewMemory(attempts.MemoryConfig{}), &begin, &end}
	})
	begin = true
	if rec := w.rest("fred", "fredpass"); rec.Code != 503 || w.source.binds.Load() != 0 {
		t.Errorf("an unreserved try: %d, %d binds", rec.Code, w.source.binds.Load())
	}
	begin, end = false, true
	if rec := w.rest("fred", "fredpass"); rec.Code != 503 || rec.Header().Get("Set-Cookie") != "" {
		t.Errorf("a try that cannot be ended: %d", rec.Code)
	}
}

func TestGroupsUnknown(t *testing.T) {
	// Nobody has ever read the groups of a user whose session is older than
	// the process: RequireUser passes without access groups, RequireGroup
	// cannot tell.
	store := session.NewMemory(session.MemoryConfig{})
	before := newWorld(t, func(c *middleware.Config) { c.AccessGroups = nil; c.Session.Store = store })
	cookie := before.login("admin", "adminpass")
	for _, tt := range []struct {
		name, path string
		access     []string
		want       int
	}{
		{"without access groups a user passes", "/secure/x", nil, 200},
		{"a group cannot be told", "/secure/admin", nil, 503},
		{"nor can access", "/secure/x", []string{"jira-users"}, 503},
		{"a public page goes on", "/", []string{"jira-users"}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *middleware.Config) { c.AccessGroups = tt.access; c.Session.Store = store })
			w.source.down.Store(true)
			if rec := w.get(tt.path, cookie); rec.Code != tt.want {
				t.Errorf("got %d, want %d", rec.Code, tt.want)
			}
		})
	}
}
