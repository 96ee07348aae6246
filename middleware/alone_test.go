package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/middleware"
)

// TestHandlersAlone holds that each handler does its whole work without
// Auth.Handler around it.
func TestHandlersAlone(t *testing.T) {
	w := newWorld(t, nil)
	hello := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		u, _ := middleware.User(r.Context())
		_, _ = io.WriteString(rw, "served to "+u.Name)
	})
	cookie := w.login("fred", "fredpass")
	form := "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name    string
		handler http.Handler
		method  string
		path    string
		body    string
		cookie  string
		origin  string
		status  int
		user    string
	}{
		{"login", w.auth.Login(), "POST", "/login", "os_username=fred&os_password=fredpass", "", "", 303, "fred"},
		{"login from another origin", w.auth.Login(), "POST", "/login", "os_username=fred&os_password=fredpass", "", "https://evil.example", 403, ""},
		{"session resource", w.auth.SessionResource(), "GET", "/rest/auth/1/session", "", cookie, "", 200, "fred"},
		{"a page without a session", w.auth.RequireUser(hello), "GET", "/", "", "", "", 303, "anonymous"},
		{"a page with a session", w.auth.RequireUser(hello), "GET", "/", "", cookie, "", 200, "fred"},
		{"a form without a token", w.auth.RequireUser(hello), "POST", "/", "", cookie, "", 403, "fred"},
		{"a group the user is in", w.auth.RequireGroup(hello, "x", "jira-developers"), "GET", "/", "", cookie, "", 200, "fred"},
		{"a group the user is not in", w.auth.RequireGroup(hello, "x"), "GET", "/", "", cookie, "", 403, "fred"},
		{"no group is nobody's", w.auth.RequireGroup(hello), "GET", "/", "", cookie, "", 403, "fred"},
		{"a REST route with a dead cookie", w.auth.REST(hello), "GET", "/rest/x", "", "JSESSIONID=x", "", 401, "anonymous"},
		{"logout without a token", w.auth.Logout(), "POST", "/logout", "", cookie, "", 403, "fred"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "http://jira.example.com"+tt.path, strings.NewReader(tt.body))
			r.Header.Set("Content-Type", form)
			if tt.cookie != "" {
				r.Header.Set("Cookie", tt.cookie)
			}
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			rec := httptest.NewRecorder()
			tt.handler.ServeHTTP(rec, r)
			if rec.Code != tt.status || rec.Header().Get("X-AUSERNAME") != tt.user || rec.Header().Get("X-AREQUESTID") == "" {
				t.Errorf("got %d %v", rec.Code, rec.Header())
			}
		})
	}
}

// TestWhoIsSentToTheLoginPage: a script that follows a redirect would take the
// login page for its answer.
func TestWhoIsSentToTheLoginPage(t *testing.T) {
	w := newWorld(t, nil)
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for _, tt := range []struct {
		name, method, path string
		header             http.Header
		want               int
	}{
		{"a browser", "GET", "/secure/x", http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}}, 303},
		{"without an Accept", "GET", "/secure/x", nil, 303},
		{"anything", "GET", "/secure/x", http.Header{"Accept": {"*/*"}}, 303},
		{"HEAD", "HEAD", "/secure/x", nil, 303},
		{"a form", "POST", "/secure/x", form, 303},
		{"a script that posts", "POST", "/secure/x", http.Header{"Content-Type": {"application/json"}}, 401},
		{"PUT", "PUT", "/secure/x", nil, 401},
		{"DELETE", "DELETE", "/secure/x", nil, 401},
		{"JSON", "GET", "/secure/x", http.Header{"Accept": {"application/json"}}, 401},
		{"JSON before anything", "GET", "/secure/x", http.Header{"Accept": {"application/json, text/plain, */*"}}, 401},
		{"a picture", "GET", "/secure/x", http.Header{"Accept": {"image/png"}}, 401},
		{"XMLHttpRequest", "GET", "/secure/x", http.Header{"X-Requested-With": {"XMLHttpRequest"}}, 401},
		{"fetch", "GET", "/secure/x", http.Header{"Accept": {"*/*"}, "Sec-Fetch-Mode": {"cors"}}, 401},
		{"a navigation", "GET", "/secure/x", http.Header{"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}}, 303},
		{"a browser under /rest/", "GET", "/rest/closed", http.Header{"Accept": {"text/html"}}, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := w.do(call{method: tt.method, path: tt.path, header: tt.header})
			if rec.Code != tt.want || (tt.want == 401) != (rec.Header().Get("WWW-Authenticate") == oauth) {
				t.Errorf("got %d %v", rec.Code, rec.Header())
			}
		})
	}
}

// TestOneRequestIsResolvedOnce: handlers inside handlers share one answer.
func TestOneRequestIsResolvedOnce(t *testing.T) {
	w := newWorld(t, nil)
	before := w.source.binds.Load()
	if rec := w.basic("/rest/closed", "fred", "fredpass"); rec.Code != 200 { // Handler, REST and RequireUser
		t.Fatalf("status %d", rec.Code)
	}
	if n := w.source.binds.Load() - before; n != 1 {
		t.Errorf("%d binds for one request", n)
	}
}

// aliases is a directory that knows people by their mail address, too.
type aliases struct{ directory.Source }

func (a aliases) Find(ctx context.Context, name string) (directory.Entry, error) {
	return a.Source.Find(ctx, strings.TrimSuffix(name, "@example.org"))
}

// aliased also makes every request a login: its tests are about those.
func aliased(c *middleware.Config) { c.Directory, c.NoProofs = aliases{c.Directory}, true }

func TestSpellingsOfOneUserShareOneCount(t *testing.T) {
	w := newWorld(t, aliased)
	for _, name := range []string{"fred", "FRED ", "fred@example.org"} {
		if rec := w.rest(name, "wrong"); rec.Code != 401 {
			t.Fatalf("%q: %d", name, rec.Code)
		}
	}
	for _, name := range []string{"fred", "Fred", "fred@example.org", "ｆｒｅｄ"} {
		binds := w.source.binds.Load()
		if rec := w.rest(name, "fredpass"); rec.Code != 403 || w.source.binds.Load() != binds {
			t.Errorf("%q after three failures of one user: %d, %d binds", name, rec.Code, w.source.binds.Load()-binds)
		}
	}
	page := w.form("fred@example.org", "fredpass")
	id, answer := w.challenge(page.Body.String())
	rec := w.post("/login", url.Values{"os_username": {"fred"}, "os_password": {"fredpass"}, "os_captcha_id": {id}, "os_captcha": {answer}})
	if rec.Code != 303 || rec.Header().Get("X-AUSERNAME") != "fred" {
		t.Errorf("the challenge belongs to the user, not to the spelling: %d", rec.Code)
	}
}

// TestAliasIsNoWayToLockAnIntegrationOut: an integration that logs in by an
// alias is a known caller of the user, whatever strangers try under the alias
// or under spellings of it that the directory does not know.
func TestAliasIsNoWayToLockAnIntegrationOut(t *testing.T) {
	for _, tt := range []struct{ name, typed string }{
		{"under the alias", "fred@example.org"},
		{"with a control character", "fred@example.org\x00"},
		{"with an invisible letter", "fred@example.org\u200b"},
		{"under the canonical name", "fred"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, aliased)
			if got := w.from("192.0.2.1", "fred@example.org", "fredpass"); got != 200 {
				t.Fatalf("the integration's first login: %d", got)
			}
			for i := range 5 {
				w.from("198.51.100.7", tt.typed, fmt.Sprint("wrong", i))
			}
			for range 3 {
				if got := w.from("192.0.2.1", "fred@example.org", "fredpass"); got != 200 {
					t.Errorf("the integration after a stranger's failures: %d", got)
				}
			}
		})
	}
}

// TestCaptchaIsPassedByAlias: one challenge, one answer, whichever of the
// user's names is armed.
func TestCaptchaIsPassedByAlias(t *testing.T) {
	w := newWorld(t, aliased)
	for i := range 4 {
		w.rest("fred@example.org\x00", fmt.Sprint("a", i))
		w.rest("fred", fmt.Sprint("b", i))
	}
	page := w.form("fred@example.org", "fredpass")
	id, answer := w.challenge(page.Body.String())
	if rec := w.form("fred@example.org", "fredpass", "os_captcha_id", id, "os_captcha", answer); rec.Code != 303 {
		t.Fatalf("right password and answer: %d", rec.Code)
	}
	if rec := w.rest("fred@example.org", "fredpass"); rec.Code != 200 {
		t.Errorf("afterwards: %d", rec.Code)
	}
}

// TestRefusedTryCostsTheDirectoryNothing, also by alias and for nobody.
func TestRefusedTryCostsTheDirectoryNothing(t *testing.T) {
	for _, name := range []string{"fred", "fred@example.org", "ghost"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, aliased)
			for i := range 3 {
				w.rest(name, fmt.Sprint("wrong", i))
			}
			contacts := w.source.contacts()
			if rec := w.rest(name, "fredpass"); rec.Code != 403 || w.source.contacts() != contacts {
				t.Errorf("%d after %d contacts more", rec.Code, w.source.contacts()-contacts)
			}
		})
	}
}

// from returns the status of a Basic request from an address.
func (w *world) from(remote, name, password string) int {
	r := httptest.NewRequest("GET", "http://jira.example.com/rest/open", nil)
	r.RemoteAddr = remote + ":1"
	r.Header.Set("Authorization", basic(name, password))
	rec := httptest.NewRecorder()
	w.app.ServeHTTP(rec, r)
	return rec.Code
}

// TestWhatAStrangerWasRefusedIsNobodyElses: a node that misses an alias for a
// moment lets strangers arm the alias itself; the known caller must not meet
// that once the entry is found again.
func TestWhatAStrangerWasRefusedIsNobodyElses(t *testing.T) {
	missing := false
	w := newWorld(t, func(c *middleware.Config) { c.Directory, c.NoProofs = forgetful{aliases{c.Directory}, &missing}, true })
	w.from("192.0.2.1", "fred@example.org", "fredpass")
	missing = true
	for i := range 5 {
		w.from("198.51.100.7", "fred@example.org", fmt.Sprint("wrong", i))
	}
	w.from("192.0.2.1", "fred@example.org", "fredpass") // refused as nobody, for the moment
	missing = false
	if got := w.from("192.0.2.1", "fred@example.org", "fredpass"); got != 200 {
		t.Errorf("the known caller: %d", got)
	}
}

// forgetful is a directory that misses every entry for a while.
type forgetful struct {
	directory.Source
	missing *bool
}

func (f forgetful) Find(ctx context.Context, name string) (directory.Entry, error) {
	if *f.missing {
		return directory.Entry{}, directory.ErrNoUser
	}
	return f.Source.Find(ctx, name)
}

// TestKnockingTellsNothing: the cost of a refusal, and so its time, is the
// same for somebody who logs in elsewhere meanwhile and for nobody.
func TestKnockingTellsNothing(t *testing.T) {
	w := newWorld(t, func(c *middleware.Config) { c.NoProofs = true })
	w.from("192.0.2.1", "alice", "right")
	cost := map[string]int64{}
	for i := range 3 {
		for _, name := range []string{"alice", "ghost"} {
			w.from("198.51.100.7", name, fmt.Sprint("wrong", i))
		}
	}
	for range 20 {
		if got := w.from("192.0.2.1", "alice", "right"); got != 200 {
			t.Fatalf("the owner: %d", got)
		}
		for _, name := range []string{"alice", "ghost"} {
			before := w.source.contacts()
			if got := w.from("198.51.100.7", name, "knock"); got != 403 {
				t.Fatalf("%s: %d", name, got)
			}
			cost[name] += w.source.contacts() - before
		}
	}
	if cost["alice"] != 0 || cost["ghost"] != 0 {
		t.Errorf("refusals cost %v contacts", cost)
	}
}

// TestTwoAuths: what one Auth knows about a request is not what another knows.
func TestTwoAuths(t *testing.T) {
	outer := newWorld(t, nil)
	inner := newWorld(t, func(c *middleware.Config) {
		c.AccessGroups = []string{"jira-administrators"}
		c.Session.Name = "ADMINSESSION"
	})
	hello := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		u, _ := middleware.User(r.Context())
		_, _ = io.WriteString(rw, "served to "+u.Name)
	})
	app := outer.auth.Handler(inner.auth.RequireUser(hello))
	fred := outer.login("fred", "fredpass")
	admin := sessionCookieNamed(t, inner.form("admin", "adminpass"), "ADMINSESSION")
	for _, tt := range []struct {
		name, cookie string
		status       int
		body         string
	}{
		{"a session of the outer one alone", fred, 303, ""},
		{"sessions of both", fred + "; " + admin, 200, "served to admin"},
		{"a session of the inner one alone", admin, 200, "served to admin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "http://jira.example.com/", nil)
			r.Header.Set("Cookie", tt.cookie)
			rec := httptest.NewRecorder()
			app.ServeHTTP(rec, r)
			if rec.Code != tt.status || rec.Body.String() != tt.body {
				t.Errorf("got %d %q", rec.Code, rec.Body)
			}
		})
	}
}

// TestLoginElsewhereIsRefused: the path of the login page is free of form
// tokens, so nothing else may stand for it, and it nowhere else.
func TestLoginElsewhereIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	mux := http.NewServeMux()
	mux.Handle("/signin", w.auth.Login())
	mux.Handle("/app/", http.StripPrefix("/app", w.auth.Login()))
	for _, path := range []string{"/signin", "/app/login"} {
		r := httptest.NewRequest("GET", "http://jira.example.com"+path, nil)
		rec := httptest.NewRecorder()
		w.auth.Handler(mux).ServeHTTP(rec, r)
		if rec.Code != 404 || !strings.Contains(w.log.String(), "login_path=/login") {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	below := newWorld(t, func(c *middleware.Config) { c.BaseURL = "http://jira.example.com/app" })
	sub := http.NewServeMux()
	sub.Handle("/login", below.auth.Login())
	rec := httptest.NewRecorder()
	http.StripPrefix("/app", below.auth.Handler(sub)).ServeHTTP(rec, httptest.NewRequest("GET", "http://jira.example.com/app/login", nil))
	if rec.Code != 200 {
		t.Errorf("below a stripped context path: %d", rec.Code)
	}
}
