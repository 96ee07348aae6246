package session_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gatehouse "github.com/seed-244866eb/gatehouse/internal/request"
	"github.com/seed-244866eb/gatehouse/session"
)

// visit sends one request with cookie through a Handler of m.
func visit(m *session.Manager, cookie string, do func(http.ResponseWriter, *http.Request)) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(do)).ServeHTTP(w, request(cookie))
	return w
}

func mustLogin(t *testing.T, m *session.Manager, p session.Principal) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		token, err := m.Login(w, r, p)
		if err != nil {
			t.Error(err)
		}
		if got := w.Header().Get("Set-Cookie"); !strings.Contains(got, token) {
			t.Errorf("Login returns %q and answers %q", token, got)
		}
	}
}

func TestLoginGivesANewIdentifier(t *testing.T) {
	m := newManager(t, session.Config{})
	before := cookieOf(t, visit(m, "", mustLogin(t, m, fred)))
	old := m.Check(request(before))
	after := cookieOf(t, visit(m, before, mustLogin(t, m, fred)))
	now := m.Check(request(after))
	if before == after || old.Hash() == now.Hash() || string(old.Secret()) == string(now.Secret()) {
		t.Errorf("cookie %q, hash %s or secret are as before", after, now.Hash())
	}
	if s := m.Check(request(before)); s.State() != session.Dead {
		t.Errorf("the old identifier is %v", s.State())
	}
	if now.User() != fred {
		t.Errorf("user %v, want %v", now.User(), fred)
	}
}

func TestLoginAdoptsNoPlantedIdentifier(t *testing.T) {
	m := newManager(t, session.Config{})
	planted := "JSESSIONID=" + strings.Repeat("A", 46)
	got := cookieOf(t, visit(m, planted, mustLogin(t, m, fred)))
	if got == planted || m.Check(request(planted)).State() != session.Dead {
		t.Error("the planted identifier became a session")
	}
}

// A neighbour's live cookie beside one's own makes nobody of the request; a
// login must be able to get out of that.
func TestLoginEndsAmbiguity(t *testing.T) {
	m := newManager(t, session.Config{})
	planted := "JSESSIONID=" + login(t, m, "mallory")
	both := "JSESSIONID=" + login(t, m, "fred") + "; " + planted
	fresh := cookieOf(t, visit(m, both, mustLogin(t, m, fred)))
	if s := m.Check(request(fresh + "; " + planted)); s.User() != fred {
		t.Errorf("after the login: %v", s)
	}
}

func TestLoginShowsFromTheNextRequest(t *testing.T) {
	m := newManager(t, session.Config{})
	var sent, during string
	cookie := cookieOf(t, visit(m, "", func(w http.ResponseWriter, r *http.Request) {
		mustLogin(t, m, fred)(w, r)
		s, ok := session.FromContext(r.Context())
		if !ok || s != m.Check(r) {
			t.Error("the request has two cells")
		}
		sent, during = s.User().User, s.Hash()
		if s.State() != session.None {
			t.Errorf("state %v after the login, want that of the request", s.State())
		}
		if s.Secret() == nil {
			t.Error("no secret for forms in this very answer")
		}
	}))
	s := m.Check(request(cookie))
	if sent != "" || s.User() != fred || s.Hash() != during {
		t.Errorf("during: %q %s; next: %v", sent, during, s)
	}
}

func TestLogoutEndsTheSession(t *testing.T) {
	m := newManager(t, session.Config{})
	cookie := "JSESSIONID=" + login(t, m, "fred")
	w := visit(m, cookie, func(w http.ResponseWriter, r *http.Request) {
		if err := m.Logout(w, r); err != nil {
			t.Error(err)
		}
		s, _ := session.FromContext(r.Context())
		if s.User().User != "fred" || s.Secret() != nil || s.Hash() != "" || !s.Created().IsZero() || !s.Expires().IsZero() {
			t.Errorf("after the logout within the request: %v", s)
		}
	})
	if c := w.Result().Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
		t.Errorf("cookies %v, want one that clears", c)
	}
	if s := m.Check(request(cookie)); s.State() != session.Dead {
		t.Errorf("state %v after the logout", s.State())
	}
}

// A client that hangs up must not keep its session alive by it.
func TestHangingUpStopsNoLogout(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var seen error
	store := &faulty{Store: session.NewMemory(session.MemoryConfig{})}
	m := newManager(t, session.Config{Store: ctxStore{store, &seen}})
	cookie := "JSESSIONID=" + login(t, m, "fred")
	r := request(cookie).WithContext(ctx)
	cancel()
	if err := m.Logout(httptest.NewRecorder(), r); err != nil || seen != nil {
		t.Errorf("Logout: %v; the store's context: %v", err, seen)
	}
	if s := m.Check(request(cookie)); s.State() != session.Dead {
		t.Errorf("state %v", s.State())
	}
}

// ctxStore notes whether the context of a Delete was cancelled.
type ctxStore struct {
	session.Store
	seen *error
}

func (c ctxStore) Delete(ctx context.Context, key session.Key) error {
	*c.seen = ctx.Err()
	return c.Store.Delete(ctx, key)
}

func TestSessionsEnd(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pause time.Duration
		times int
		want  session.State
	}{
		{"within the idle time", 29 * time.Minute, 1, session.Live},
		{"idle too long", 30 * time.Minute, 1, session.Dead},
		{"kept alive by use", 20 * time.Minute, 35, session.Live},
		{"past the lifetime, however used", 20 * time.Minute, 36, session.Dead},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t, session.Config{})
				cookie := "JSESSIONID=" + login(t, m, "fred")
				var s *session.Session
				for range tt.times {
					time.Sleep(tt.pause)
					s = m.Check(request(cookie))
				}
				if s.State() != tt.want {
					t.Errorf("%v, want %v", s.State(), tt.want)
				}
			})
		})
	}
}

func TestSessionTellsWhereItBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, session.Config{Idle: time.Hour, Lifetime: time.Hour})
		r := request("")
		r.RemoteAddr = "[::ffff:192.0.2.7]:4711"
		r.Header.Set("User-Agent", "curl/8.5\r\nX: y")
		begun := time.Now()
		token, err := m.Login(httptest.NewRecorder(), r, fred)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s, err := m.Find(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if s.Address() != netip.MustParseAddr("192.0.2.7") || s.Agent() != "curl/8.5??X: y" {
			t.Errorf("address %v, agent %q", s.Address(), s.Agent())
		}
		if !s.Created().Equal(begun) || !s.Expires().Equal(begun.Add(time.Hour)) {
			t.Errorf("created %v, expires %v, want %v and an hour later", s.Created(), s.Expires(), begun)
		}
	})
}

// What trusted proxies say about address and scheme stands in the record.
func TestTheRecordDecidesAddressAndScheme(t *testing.T) {
	m := newManager(t, session.Config{})
	c, r := gatehouse.Fork(request(""))
	c.Client, c.Scheme = netip.MustParseAddr("2001:db8::1"), "https"
	w := httptest.NewRecorder()
	token, err := m.Login(w, r, fred)
	if err != nil {
		t.Fatal(err)
	}
	if !w.Result().Cookies()[0].Secure {
		t.Error("the cookie is not Secure though the client's scheme is https")
	}
	s, err := m.Find(t.Context(), token)
	if err != nil || s.Address() != c.Client {
		t.Errorf("address %v (%v), want %v", s.Address(), err, c.Client)
	}
}

func TestBelowTheCookie(t *testing.T) {
	m := newManager(t, session.Config{})
	token, s, err := m.Create(t.Context(), fred, session.Origin{Address: netip.MustParseAddr("192.0.2.1"), Agent: "crowd"})
	if err != nil || s.User() != fred || s.State() != session.Live || s.Agent() != "crowd" {
		t.Fatalf("%v, %v", s, err)
	}
	if got := m.Check(request("JSESSIONID=" + token)); got.User() != fred {
		t.Errorf("the token is no cookie: %v", got)
	}
	if err := m.Revoke(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{token, "", "x", strings.Repeat("A", 46)} {
		if _, err := m.Find(t.Context(), token); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("Find(%q): %v", token, err)
		}
		if err := m.Revoke(t.Context(), token); err != nil {
			t.Errorf("Revoke(%q): %v", token, err)
		}
	}
	if _, _, err := m.Create(t.Context(), session.Principal{ID: "x"}, session.Origin{}); err == nil {
		t.Error("Create of nobody succeeds")
	}
	if _, err := m.Login(httptest.NewRecorder(), request(""), session.Principal{}); err == nil {
		t.Error("Login of nobody succeeds")
	}
	if _, _, err := m.Create(t.Context(), session.Principal{User: "a", ID: strings.Repeat("x", 2000)}, session.Origin{}); err == nil {
		t.Error("an identifier that could not be read back was saved")
	}
}

func TestRevokeUserEndsAllOfOne(t *testing.T) {
	m := newManager(t, session.Config{})
	a, b, other := login(t, m, "fred"), login(t, m, "fred"), login(t, m, "ann")
	if err := m.RevokeUser(t.Context(), "fred"); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]session.State{a: session.Dead, b: session.Dead, other: session.Live} {
		if s := m.Check(request("JSESSIONID=" + token)); s.State() != want {
			t.Errorf("%v, want %v", s.State(), want)
		}
	}
}

// What else keeps somebody logged in ends also where the sessions cannot be.
func TestRevokeUserTellsWhoWantsToKnow(t *testing.T) {
	store := &faulty{Store: session.NewMemory(session.MemoryConfig{}), delete: errDown}
	var told []string
	m := newManager(t, session.Config{Store: store, Revoked: func(user string) { told = append(told, user) }})
	if _ = m.Revoke(t.Context(), login(t, m, "fred")); len(told) != 0 {
		t.Errorf("one session is not all: %v", told)
	}
	if err := m.RevokeUser(t.Context(), "fred"); err == nil || !slices.Equal(told, []string{"fred"}) {
		t.Errorf("told %v, %v", told, err)
	}
}

// A record of another kind, or one that cannot be read, authenticates nobody.
func TestForeignRecordsAreDead(t *testing.T) {
	store := session.NewMemory(session.MemoryConfig{})
	m := newManager(t, session.Config{Store: store})
	for _, tt := range []struct {
		name string
		edit func(*session.Record)
		want session.State
	}{
		{"untouched", func(*session.Record) {}, session.Live},
		{"a remember-me series", func(r *session.Record) { r.Kind = session.KindRememberMe }, session.Dead},
		{"no kind", func(r *session.Record) { r.Kind = 0 }, session.Dead},
		{"no data", func(r *session.Record) { r.Data = "" }, session.Dead},
		{"a later version", func(r *session.Record) { r.Data = "\x02" + r.Data[1:] }, session.Dead},
		{"cut short", func(r *session.Record) { r.Data = r.Data[:20] }, session.Dead},
		{"garbage", func(r *session.Record) { r.Data = strings.Repeat("\xff", 99) }, session.Dead},
	} {
		t.Run(tt.name, func(t *testing.T) {
			user := "fred " + tt.name
			token := login(t, m, user)
			records, err := store.List(t.Context(), shardOf(t, token), user)
			if err != nil || len(records) != 1 {
				t.Fatal(records, err)
			}
			for key, r := range records {
				tt.edit(&r)
				if err := store.Save(t.Context(), key, r); err != nil {
					t.Fatal(err)
				}
			}
			s := m.Check(request("JSESSIONID=" + token))
			if s.State() != tt.want || (s.User().User == "") == (tt.want == session.Live) {
				t.Errorf("%v %v, want %v", s.State(), s.User(), tt.want)
			}
		})
	}
}

// Secrets stay out of whatever an application prints.
func TestSecretsAreNotPrinted(t *testing.T) {
	store := session.NewMemory(session.MemoryConfig{})
	m := newManager(t, session.Config{Store: store})
	token := login(t, m, "fred")
	s := m.Check(request("JSESSIONID=" + token))
	records, _ := store.List(t.Context(), shardOf(t, token), "fred")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		text := fmt.Sprintf(strings.Repeat(verb+" ", 5), s, records, m, store, session.Config{Store: store})
		for _, secret := range []string{token, string(s.Secret()), hex.EncodeToString(s.Secret()), fmt.Sprint(s.Secret())} {
			if strings.Contains(text, secret) {
				t.Errorf("%s prints a secret: %.200s", verb, text)
			}
		}
	}
	if text := fmt.Sprintf("%+v", s); text != "session live "+s.Hash() {
		t.Errorf("%q", text)
	}
}

// Sub-requests may run in parallel on one cell; run with -race.
func TestOneCellManyGoroutines(t *testing.T) {
	m := newManager(t, session.Config{})
	visit(m, "", func(w http.ResponseWriter, r *http.Request) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				own := r.Clone(r.Context())
				w := httptest.NewRecorder()
				if _, err := m.Login(w, own, fred); err != nil {
					t.Error(err)
				}
				s := m.Check(own)
				_, _, _ = s.Secret(), s.Hash(), s.Created()
				if err := m.Logout(w, own); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

// Two Managers in one application keep apart, also within one request.
func TestTwoManagers(t *testing.T) {
	a, b := newManager(t, session.Config{Name: "A"}), newManager(t, session.Config{Name: "B"})
	cookie := "A=" + login(t, a, "fred") + "; B=" + login(t, b, "ann")
	h := a.Handler(b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if u := a.Check(r).User().User; u != "fred" {
			t.Errorf("outer: %q", u)
		}
		if u := b.Check(r).User().User; u != "ann" {
			t.Errorf("inner: %q", u)
		}
		if first, again := a.Check(r), a.Check(r); first != again {
			t.Error("the outer Manager has two cells in one request")
		}
		if first, again := b.Check(r), b.Check(r); first != again {
			t.Error("the inner Manager has two cells in one request")
		}
	})))
	h.ServeHTTP(httptest.NewRecorder(), request(cookie))
}

func TestFromContextWithoutAHandler(t *testing.T) {
	if s, ok := session.FromContext(t.Context()); ok || s != nil {
		t.Errorf("%v, %v", s, ok)
	}
}
