package session_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/session"
)

var fred = session.Principal{User: "fred", ID: "d3b0c1a8-7c1e-103e-9d1c-0f7bd0a5c1c2"}

func newManager(t testing.TB, c session.Config) *session.Manager {
	t.Helper()
	m, err := session.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// login returns the token of a new session of user.
func login(t testing.TB, m *session.Manager, user string) string {
	t.Helper()
	token, _, err := m.Create(t.Context(), session.Principal{User: user, ID: "id of " + user}, session.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func request(cookie string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	return r
}

// cookieOf returns the Cookie header that a browser sends after w.
func cookieOf(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("Set-Cookie %q, want one", w.Header().Values("Set-Cookie"))
	}
	return cookies[0].Name + "=" + cookies[0].Value
}

var errDown = errors.New("connection refused")

// faulty is a store whose calls fail on demand, which no store in memory can.
type faulty struct {
	session.Store
	mu                 sync.Mutex
	load, save, delete error
	loads              int
	calls              []string
	beforeSave         func()
}

func (f *faulty) note(call string, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
	if call == "load" {
		f.loads++
	}
	return err
}

func (f *faulty) Load(ctx context.Context, key session.Key) (session.Record, error) {
	if err := f.note("load", f.load); err != nil {
		return session.Record{}, err
	}
	return f.Store.Load(ctx, key)
}

func (f *faulty) Save(ctx context.Context, key session.Key, r session.Record) error {
	if err := f.note("save", f.save); err != nil {
		return err
	}
	if hook := f.beforeSave; hook != nil {
		f.beforeSave = nil
		hook()
	}
	return f.Store.Save(ctx, key, r)
}

func (f *faulty) Delete(ctx context.Context, key session.Key) error {
	if err := f.note("delete", f.delete); err != nil {
		return err
	}
	return f.Store.Delete(ctx, key)
}

func newFaulty(t *testing.T) (*faulty, *session.Manager) {
	f := &faulty{Store: session.NewMemory(session.MemoryConfig{})}
	return f, newManager(t, session.Config{Store: f})
}

func TestNewReportsEveryFault(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config session.Config
		want   []string // "" is no fault
	}{
		{"the zero Config is valid", session.Config{}, nil},
		{"a full one is valid", session.Config{Name: "__Host-s", Path: "/", Idle: time.Second, Lifetime: time.Second}, nil},
		{"a domain is valid", session.Config{Name: "__Secure-s", Path: "/jira", Domain: "example.org"}, nil},
		{"a name with a space", session.Config{Name: "a b"}, []string{`Config.Name`, `"a b"`}},
		{"a name with a semicolon", session.Config{Name: "a;b"}, []string{`"a;b"`}},
		{"a name that is not ASCII", session.Config{Name: "é"}, []string{`"é"`}},
		{"a relative path", session.Config{Path: "jira"}, []string{`Config.Path`, `"jira"`}},
		{"a path that adds an attribute", session.Config{Path: "/; Domain=evil"}, []string{`Config.Path`}},
		{"a domain with a port", session.Config{Domain: "a:80"}, []string{`Config.Domain`, `"a:80"`}},
		{"a domain that is none", session.Config{Domain: "a..b"}, []string{`Config.Domain`, `"a..b"`}},
		{"a lifetime that no store can hold", session.Config{Lifetime: 1<<63 - 1}, []string{`Config.Lifetime`, "2562047h"}},
		{"a host cookie with a path", session.Config{Name: "__host-s", Path: "/jira"}, []string{`__host-s`, `/jira`}},
		{"a host cookie with a domain", session.Config{Name: "__Host-s", Domain: "a.b"}, []string{`a.b`}},
		{"everything at once", session.Config{Name: "=", Path: "x", Domain: "/", Idle: -1, Lifetime: time.Millisecond},
			[]string{"Name", "Path", "Domain", "Idle", "-1ns", "Lifetime", "1ms"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := session.New(tt.config)
			if (err != nil) != (tt.want != nil) {
				t.Fatalf("error %v, want one about %q", err, tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\ndoes not mention %q", err, want)
				}
			}
		})
	}
}

// shardOf returns the shard that a token names in its first two bytes.
func shardOf(t testing.TB, token string) uint16 {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	return binary.BigEndian.Uint16(raw)
}
