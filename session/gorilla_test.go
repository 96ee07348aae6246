package session_test

import (
	"encoding/gob"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/sessions"

	"github.com/seed-244866eb/gatehouse/session"
)

// values runs do with the gorilla session called name of one request, saves
// it and returns the cookie that the browser sends next.
func values(t *testing.T, m *session.Manager, cookie, name string, do func(*sessions.Session)) string {
	t.Helper()
	r, w := request(cookie), httptest.NewRecorder()
	g, err := m.Get(r, name)
	if err != nil {
		t.Fatal(err)
	}
	do(g)
	if err := g.Save(r, w); err != nil {
		t.Fatal(err)
	}
	if w.Header().Get("Set-Cookie") != "" {
		return cookieOf(t, w)
	}
	return cookie
}

func set(key, value any) func(*sessions.Session) {
	return func(g *sessions.Session) { g.Values[key] = value }
}

func value(t *testing.T, m *session.Manager, cookie, name string, key any) any {
	t.Helper()
	g, err := m.Get(request(cookie), name)
	if err != nil {
		t.Fatal(err)
	}
	return g.Values[key]
}

func TestVisitorGetsASessionOnSaveAlone(t *testing.T) {
	f, m := newFaulty(t)
	cookie := values(t, m, "", "cart", func(g *sessions.Session) {
		if !g.IsNew || g.Name() != "cart" || g.Store() != sessions.Store(m) {
			t.Errorf("IsNew %v, name %q, store %v", g.IsNew, g.Name(), g.Store())
		}
	})
	if cookie != "" || f.calls != nil {
		t.Errorf("saving nothing made cookie %q and calls %v", cookie, f.calls)
	}
	cookie = values(t, m, "", "cart", set("item", 7))
	if got := value(t, m, cookie, "cart", "item"); got != 7 {
		t.Errorf("item %v, want 7", got)
	}
	s := m.Check(request(cookie))
	if s.State() != session.Live || s.User().User != "" || len(s.Secret()) != 16 {
		t.Errorf("the visitor has %v, user %v, a secret of %d bytes", s.State(), s.User(), len(s.Secret()))
	}
}

func TestSaveWritesChangesAlone(t *testing.T) {
	f, m := newFaulty(t)
	cookie := values(t, m, "", "cart", set("list", []any{"a", 1}))
	f.calls = nil
	values(t, m, cookie, "cart", func(*sessions.Session) {})
	if slices.Contains(f.calls, "save") {
		t.Error("values that did not change were saved")
	}
	values(t, m, cookie, "cart", func(g *sessions.Session) { g.Values["list"].([]any)[1] = 2 })
	if got := fmt.Sprint(value(t, m, cookie, "cart", "list")); got != "[a 2]" {
		t.Errorf("a change inside a value is lost: %s", got)
	}
	values(t, m, cookie, "cart", func(g *sessions.Session) { delete(g.Values, "list") })
	if got := value(t, m, cookie, "cart", "list"); got != nil {
		t.Errorf("a removed value is still there: %v", got)
	}
}

func TestFlashesShowOnce(t *testing.T) {
	m := newManager(t, session.Config{})
	cookie := values(t, m, "", "flash", func(g *sessions.Session) { g.AddFlash("saved"); g.AddFlash("oops", "errors") })
	for _, want := range []string{"[saved] [oops]", "[] []"} {
		values(t, m, cookie, "flash", func(g *sessions.Session) {
			if got := fmt.Sprint(g.Flashes(), g.Flashes("errors")); got != want {
				t.Errorf("flashes %s, want %s", got, want)
			}
		})
	}
}

// point stands for the types that applications register with gob.
type point struct{ X, Y int }

func TestValuesOfAnyGobType(t *testing.T) {
	gob.Register(point{})
	m := newManager(t, session.Config{})
	cookie := values(t, m, "", "map", set(3, point{1, 2}))
	if got := value(t, m, cookie, "map", 3); got != (point{1, 2}) {
		t.Errorf("%v", got)
	}
	r, w := request(""), httptest.NewRecorder()
	g, _ := m.Get(r, "map")
	g.Values["f"] = func() {}
	if err := g.Save(r, w); err == nil || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("a value that gob cannot write: %v", err)
	}
}

func TestSeveralNamesShareOneNewSession(t *testing.T) {
	m := newManager(t, session.Config{})
	for _, handler := range []bool{true, false} {
		w := httptest.NewRecorder()
		var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, _ := m.Get(r, "a")
			b, _ := m.Get(r, "b")
			again, _ := m.Get(r, "a")
			if a != again {
				t.Error("Get returns another object the second time")
			}
			a.Values["k"], b.Values["k"] = "of a", "of b"
			if err := sessions.Save(r, w); err != nil {
				t.Error(err)
			}
		})
		if handler {
			h = m.Handler(h)
		}
		h.ServeHTTP(w, request(""))
		cookie := cookieOf(t, w)
		if a, b := value(t, m, cookie, "a", "k"), value(t, m, cookie, "b", "k"); a != "of a" || b != "of b" {
			t.Errorf("with a handler %v: %v, %v", handler, a, b)
		}
	}
}

func TestNegativeMaxAgeDeletesOneName(t *testing.T) {
	m := newManager(t, session.Config{})
	cookie := values(t, m, "", "a", set("k", 1))
	values(t, m, cookie, "b", set("k", 2))
	values(t, m, cookie, "a", func(g *sessions.Session) { g.Options.MaxAge = -1 })
	if a, b := value(t, m, cookie, "a", "k"), value(t, m, cookie, "b", "k"); a != nil || b != 2 {
		t.Errorf("a %v, b %v, want none and 2", a, b)
	}
	none := values(t, m, "", "a", func(g *sessions.Session) { g.Values["k"] = 1; g.Options.MaxAge = -1 })
	if none != "" {
		t.Errorf("deleting made a session: %q", none)
	}
}

// ann is another user than fred.
var ann = session.Principal{User: "ann"}

// A loginRow is what a browser with the value k of cart does, and what k is
// afterwards.
type loginRow struct {
	name string
	do   func(*testing.T, *session.Manager, string) string // returns the last cookie
	want any
}

// laterRows are logins and logouts in requests of their own.
func laterRows() []loginRow {
	return []loginRow{
		{"an anonymous visitor's move into the login", func(t *testing.T, m *session.Manager, cookie string) string {
			return cookieOf(t, visit(m, cookie, mustLogin(t, m, fred)))
		}, "v"},
		{"a second login of the same user keeps them", func(t *testing.T, m *session.Manager, cookie string) string {
			cookie = cookieOf(t, visit(m, cookie, mustLogin(t, m, fred)))
			return cookieOf(t, visit(m, cookie, mustLogin(t, m, fred)))
		}, "v"},
		{"another user never gets them", func(t *testing.T, m *session.Manager, cookie string) string {
			cookie = cookieOf(t, visit(m, cookie, mustLogin(t, m, fred)))
			return cookieOf(t, visit(m, cookie, mustLogin(t, m, ann)))
		}, nil},
		{"nor another person of the same name", func(t *testing.T, m *session.Manager, cookie string) string {
			cookie = cookieOf(t, visit(m, cookie, mustLogin(t, m, fred)))
			return cookieOf(t, visit(m, cookie, mustLogin(t, m, session.Principal{User: "fred", ID: "other"})))
		}, nil},
		{"a logout ends them", func(t *testing.T, m *session.Manager, cookie string) string {
			visit(m, cookie, func(w http.ResponseWriter, r *http.Request) {
				if err := m.Logout(w, r); err != nil {
					t.Error(err)
				}
			})
			return cookie
		}, nil},
	}
}

// duringRows are saves in the request of a login, or beside it.
func duringRows() []loginRow {
	return []loginRow{
		{"an old object saved after another's login carries nothing over", func(t *testing.T, m *session.Manager, cookie string) string {
			cookie = cookieOf(t, visit(m, cookie, mustLogin(t, m, fred)))
			return cookieOf(t, visit(m, cookie, func(w http.ResponseWriter, r *http.Request) {
				g, _ := m.Get(r, "cart")
				g.Values["k"] = "changed under fred"
				mustLogin(t, m, ann)(w, r)
				g.Values["new"] = 1
				if err := g.Save(r, w); err != nil {
					t.Error(err)
				}
			}))
		}, nil},
		{"values got before the login and saved after it arrive", func(t *testing.T, m *session.Manager, _ string) string {
			return cookieOf(t, visit(m, "", func(w http.ResponseWriter, r *http.Request) {
				g, _ := m.Get(r, "cart")
				g.Values["k"] = "v"
				mustLogin(t, m, fred)(w, r)
				if err := g.Save(r, w); err != nil {
					t.Error(err)
				}
			}))
		}, "v"},
		{"what another request saved during the login moves too", func(t *testing.T, m *session.Manager, cookie string) string {
			return cookieOf(t, visit(m, cookie, func(w http.ResponseWriter, r *http.Request) {
				values(t, m, cookie, "cart", set("k", "later"))
				mustLogin(t, m, fred)(w, r)
			}))
		}, "later"},
	}
}

func TestValuesLiveAndDieWithTheLogin(t *testing.T) {
	for _, tt := range append(laterRows(), duringRows()...) {
		t.Run(tt.name, func(t *testing.T) {
			m := newManager(t, session.Config{})
			last := tt.do(t, m, values(t, m, "", "cart", set("k", "v")))
			if got := value(t, m, last, "cart", "k"); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// A farewell flash after a logout is the visitor's, in a session of its own.
func TestFlashAfterLogout(t *testing.T) {
	m := newManager(t, session.Config{})
	cookie := cookieOf(t, visit(m, values(t, m, "", "s", set("secret", 1)), mustLogin(t, m, fred)))
	next := cookieOf(t, visit(m, cookie, func(w http.ResponseWriter, r *http.Request) {
		g, _ := m.Get(r, "s")
		g.Values["secret"] = 2
		if err := m.Logout(w, r); err != nil {
			t.Error(err)
		}
		g.AddFlash("bye")
		if err := g.Save(r, w); err != nil {
			t.Error(err)
		}
	}))
	g, err := m.Get(request(next), "s")
	if err != nil || fmt.Sprint(g.Flashes()) != "[bye]" || g.Values["secret"] != nil || next == cookie {
		t.Errorf("%v, values %v, cookie kept %v", err, g.Values, next == cookie)
	}
	if u := m.Check(request(next)).User(); u.User != "" {
		t.Errorf("the flash belongs to %v", u)
	}
}

// Each request saves while the other is between its read and its write.
func TestParallelSavesLoseNothing(t *testing.T) {
	for _, tt := range []struct {
		name, otherName, otherKey string
		want                      string
	}{
		{"under two names", "other", "k", "mine theirs"},
		{"under two keys of one name", "cart", "other", "mine theirs"},
		{"under one key the later save wins", "cart", "k", "mine mine"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, m := newFaulty(t)
			cookie := values(t, m, "", "cart", set("first", 1))
			f.beforeSave = func() { values(t, m, cookie, tt.otherName, set(tt.otherKey, "theirs")) }
			values(t, m, cookie, "cart", set("k", "mine"))
			got := fmt.Sprint(value(t, m, cookie, "cart", "k"), " ", value(t, m, cookie, tt.otherName, tt.otherKey))
			if got != tt.want || value(t, m, cookie, "cart", "first") != 1 {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// A late save must neither revive what a logout ended nor answer a cookie that
// overwrites the one of a login.
func TestLateSaveRevivesNothing(t *testing.T) {
	m := newManager(t, session.Config{})
	cookie := values(t, m, "", "cart", set("k", 1))
	r, w := request(cookie), httptest.NewRecorder()
	g, _ := m.Get(r, "cart")
	if err := m.Logout(httptest.NewRecorder(), request(cookie)); err != nil {
		t.Fatal(err)
	}
	g.Values["k"] = 2
	if err := g.Save(r, w); !errors.Is(err, session.ErrNotFound) || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("Save: %v, Set-Cookie %q", err, w.Header().Get("Set-Cookie"))
	}
	if s := m.Check(request(cookie)); s.State() != session.Dead {
		t.Errorf("%v", s)
	}
}

func TestValuesWhenTheStoreFails(t *testing.T) {
	f, m := newFaulty(t)
	cookie := values(t, m, "", "cart", set("k", 1))
	f.load = errDown
	r, w := request(cookie), httptest.NewRecorder()
	g, err := m.Get(r, "cart")
	if g == nil || !errors.Is(err, errDown) || len(g.Values) != 0 {
		t.Fatalf("Get: %v, %v", g, err)
	}
	g.Values["k"] = 2
	if err := g.Save(r, w); !errors.Is(err, errDown) {
		t.Errorf("Save of an unknown session: %v", err)
	}
	f.load, f.save = nil, errDown
	r = request(cookie)
	g, _ = m.Get(r, "cart")
	g.Values["k"] = 3
	if err := g.Save(r, w); !errors.Is(err, errDown) {
		t.Errorf("Save: %v", err)
	}
	f.save = nil
	if got := value(t, m, cookie, "cart", "k"); got != 1 || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("k = %v, Set-Cookie %q", got, w.Header().Get("Set-Cookie"))
	}
	f.save = fmt.Errorf("moved: %w", session.ErrConflict)
	r = request(cookie)
	g, _ = m.Get(r, "cart")
	g.Values["k"] = 4
	if err := g.Save(r, w); !errors.Is(err, session.ErrConflict) {
		t.Errorf("endless conflicts: %v", err)
	}
}

// A key that one request removes stays removed though another has saved.
func TestParallelRemoval(t *testing.T) {
	f, m := newFaulty(t)
	cookie := values(t, m, "", "cart", func(g *sessions.Session) { g.Values["a"], g.Values["b"] = 1, 2 })
	f.beforeSave = func() { values(t, m, cookie, "cart", set("c", 3)) }
	values(t, m, cookie, "cart", func(g *sessions.Session) { delete(g.Values, "a") })
	g, err := m.Get(request(cookie), "cart")
	if err != nil || fmt.Sprint(g.Values) != "map[b:2 c:3]" {
		t.Errorf("%v, %v", g.Values, err)
	}
}

// A second save within a request goes on from the first.
func TestSavesOfOneRequestDoNotCollide(t *testing.T) {
	f, m := newFaulty(t)
	cookie := values(t, m, "", "cart", set("a", 1))
	f.calls = nil
	r := request(cookie)
	for i := range 3 {
		g, _ := m.Get(r, "cart")
		g.Values["a"] = i + 2
		if err := g.Save(r, httptest.NewRecorder()); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"load", "save", "save", "save"}; !slices.Equal(f.calls, want) {
		t.Errorf("calls %v, want %v", f.calls, want)
	}
}

func TestAmbiguousRequestSavesNothing(t *testing.T) {
	m := newManager(t, session.Config{})
	r, w := request("JSESSIONID="+login(t, m, "fred")+"; JSESSIONID="+login(t, m, "ann")), httptest.NewRecorder()
	g, err := m.Get(r, "cart")
	if err != nil {
		t.Fatal(err)
	}
	g.Values["k"] = 1
	if err := g.Save(r, w); err == nil || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("Save: %v, Set-Cookie %q", err, w.Header().Get("Set-Cookie"))
	}
}

func TestValuesAreBounded(t *testing.T) {
	m := newManager(t, session.Config{})
	cookie := values(t, m, "", "a", set("k", strings.Repeat("x", 40<<10)))
	r := request(cookie)
	g, _ := m.Get(r, "b")
	g.Values["k"] = strings.Repeat("x", 40<<10)
	if err := g.Save(r, httptest.NewRecorder()); err == nil || !strings.Contains(err.Error(), "65536") {
		t.Errorf("80 KiB in one session: %v", err)
	}
}

// Values that this program cannot decode are an error with an empty session,
// and a save replaces them.
func TestUnreadableValues(t *testing.T) {
	store := session.NewMemory(session.MemoryConfig{})
	m := newManager(t, session.Config{Store: store})
	cookie := cookieOf(t, visit(m, values(t, m, "", "cart", set("k", "v")), mustLogin(t, m, fred)))
	records, err := store.List(t.Context(), shardOf(t, cookie[11:]), "fred")
	if err != nil {
		t.Fatal(err)
	}
	for key, r := range records {
		r.Data = r.Data[:len(r.Data)-3] + "\xff\xff\xff"
		if err := store.Save(t.Context(), key, r); err != nil {
			t.Fatal(err)
		}
	}
	r := request(cookie)
	g, err := m.Get(r, "cart")
	if err == nil || g == nil || len(g.Values) != 0 {
		t.Fatalf("%v, %v", g, err)
	}
	g.Values["k"] = "new"
	if err := g.Save(r, httptest.NewRecorder()); err != nil {
		t.Fatal(err)
	}
	if got := value(t, m, cookie, "cart", "k"); got != "new" || m.Check(request(cookie)).User() != fred {
		t.Errorf("%v", got)
	}
}

func TestGetRefusesABadName(t *testing.T) {
	if _, err := newManager(t, session.Config{}).Get(request(""), "a b"); err == nil {
		t.Error("no error")
	}
}

func TestOptionsTellTheCookie(t *testing.T) {
	m := newManager(t, session.Config{Path: "/jira"})
	g, err := m.New(httptest.NewRequest("GET", "https://a/", nil), "x")
	want := sessions.Options{Path: "/jira", HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode}
	if err != nil || *g.Options != want || g.ID != "" {
		t.Errorf("%+v, id %q, %v", g.Options, g.ID, err)
	}
}
