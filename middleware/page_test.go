package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/middleware"
)

func TestLoginRedirects(t *testing.T) {
	for _, tt := range []struct{ name, base, destination, want string }{
		{"home without a destination", "", "", "/"},
		{"to the destination", "", "/secure/x?y=1", "/secure/x?y=1"},
		{"never to another host", "", "//evil.example/", "/"},
		{"never by a backslash", "", `/\evil.example`, "/"},
		{"never back to the login page", "", "/login", "/"},
		{"home below the context path", "http://jira.example.com/jira", "", "/jira/"},
		{"to a path of the context", "http://jira.example.com/jira", "/jira/secure/x", "/jira/secure/x"},
		{"never out of the context path", "http://jira.example.com/jira", "/other", "/jira/"},
		{"own origin is written as its path", "http://jira.example.com/jira", "http://jira.example.com/jira/x", "/jira/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *middleware.Config) { c.BaseURL = tt.base })
			rec := w.form("fred", "fredpass", "os_destination", tt.destination)
			if rec.Code != 303 || rec.Header().Get("Location") != tt.want || reason(rec) != "OK" {
				t.Errorf("got %d to %q, %q", rec.Code, rec.Header().Get("Location"), reason(rec))
			}
		})
	}
}

func TestLoginComesBackToThePageAskedFor(t *testing.T) {
	w := newWorld(t, func(c *middleware.Config) { c.BaseURL = "http://jira.example.com/jira" })
	rec := w.get("/secure/x?q=a%20b")
	loc := rec.Header().Get("Location")
	if rec.Code != 303 || loc != "/jira/login?os_destination="+url.QueryEscape("/jira/secure/x?q=a%20b") {
		t.Fatalf("got %d to %q", rec.Code, loc)
	}
	page := w.get(strings.TrimPrefix(loc, "/jira"))
	if !strings.Contains(page.Body.String(), `name="os_destination" value="/jira/secure/x?q=a%20b"`) {
		t.Errorf("the form has lost the destination:\n%s", page.Body)
	}
}

func TestLoginPage(t *testing.T) {
	w := newWorld(t, nil)
	rec := w.get("/login")
	h := rec.Header()
	if rec.Code != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/html") || !strings.Contains(h.Get("Cache-Control"), "no-store") {
		t.Errorf("GET: %d %v", rec.Code, h)
	}
	for _, want := range []string{`<label for="username">`, `<label for="password">`, `name="os_username"`, `name="os_password"`, `lang="en"`, "<title>Log in</title>", `action="/login"`} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(rec.Body.String(), "<script") {
		t.Error("the page needs a script")
	}
	bad := w.form(`"><b>fred`, "wrong")
	if bad.Code != 401 || bad.Header().Get("WWW-Authenticate") != oauth || reason(bad) != "AUTHENTICATED_FAILED" {
		t.Errorf("wrong: %d %v", bad.Code, bad.Header())
	}
	if strings.Contains(bad.Body.String(), "<b>fred") || strings.Contains(bad.Body.String(), "wrong\"") {
		t.Errorf("the page repeats what must not stand there:\n%s", bad.Body)
	}
}

func TestLoginPageMethods(t *testing.T) {
	w := newWorld(t, nil)
	for _, tt := range []struct {
		name   string
		c      call
		status int
	}{
		{"PUT", call{method: "PUT", path: "/login"}, 405},
		{"JSON", call{method: "POST", path: "/login", body: "{}", header: http.Header{"Content-Type": {"application/json"}}}, 415},
		{"a form that is none", call{method: "POST", path: "/login", body: "%zz", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}, 400},
		{"a body beyond all bounds", call{method: "POST", path: "/login", body: strings.Repeat("a", 65<<10), header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}, 400},
		{"a CAPTCHA that does not exist", call{method: "GET", path: "/login?captcha=x"}, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if rec := w.do(tt.c); rec.Code != tt.status {
				t.Errorf("got %d, want %d", rec.Code, tt.status)
			}
		})
	}
	if w.source.contacts() != 0 {
		t.Error("an unreadable login reached the directory")
	}
}

func TestApplicationsSecurityPolicyStands(t *testing.T) {
	w := newWorld(t, nil)
	for _, tt := range []struct{ name, own, want string }{
		{"none", "", "frame-ancestors 'none'"},
		{"the application's", "default-src 'none'", "default-src 'none'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			if tt.own != "" {
				rec.Header().Set("Content-Security-Policy", tt.own)
			}
			w.app.ServeHTTP(rec, httptest.NewRequest("GET", "/login", nil))
			if got := rec.Header().Get("Content-Security-Policy"); got != tt.want {
				t.Errorf("policy = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCredentialsInTheQueryAreIgnored(t *testing.T) {
	w := newWorld(t, nil)
	rec := w.get("/login?os_username=fred&os_password=fredpass")
	if rec.Code != 200 || rec.Header().Get("Set-Cookie") != "" || w.source.contacts() != 0 {
		t.Errorf("got %d, cookie %q", rec.Code, rec.Header().Get("Set-Cookie"))
	}
	if !strings.Contains(w.log.String(), "credentials in the query string were ignored") || strings.Contains(w.log.String(), "fredpass") {
		t.Errorf("log: %s", w.log)
	}
}

func TestLogout(t *testing.T) {
	w := newWorld(t, nil)
	if page := w.get("/logout"); !strings.Contains(page.Body.String(), "You are not logged in") || strings.Contains(page.Body.String(), "<form") {
		t.Errorf("nobody is asked: %s", page.Body)
	}
	cookie := w.login("fred", "fredpass")
	page := w.get("/logout", cookie)
	if page.Code != 200 || !strings.Contains(page.Body.String(), `name="atl_token"`) {
		t.Errorf("GET asks: %d %s", page.Code, page.Body)
	}
	if rec := w.post("/logout", nil, cookie); rec.Code != 403 {
		t.Errorf("without a token: %d", rec.Code)
	}
	if rec := w.get("/secure/x", cookie); rec.Code != 200 {
		t.Errorf("the session has ended by GET or without a token: %d", rec.Code)
	}
	rec := w.post("/logout", url.Values{"atl_token": {w.token(cookie)}}, cookie)
	if rec.Code != 303 || rec.Header().Get("Location") != "/" || reason(rec) != "OUT" {
		t.Errorf("POST: %d to %q, %q", rec.Code, rec.Header().Get("Location"), reason(rec))
	}
	if rec := w.get("/secure/x", cookie); rec.Code != 303 {
		t.Errorf("the old cookie after logout: %d", rec.Code)
	}
}

func TestLoginMakesANewSession(t *testing.T) {
	w := newWorld(t, nil)
	planted := "JSESSIONID=" + strings.Repeat("A", 46)
	v := url.Values{"os_username": {"fred"}, "os_password": {"fredpass"}}
	first := sessionCookie(t, w.post("/login", v, planted))
	if first == planted {
		t.Fatal("a planted id was adopted")
	}
	second := sessionCookie(t, w.post("/login", v, first)) // no form token: scripts have none
	if second == first {
		t.Error("a login kept the session's id")
	}
	if rec := w.get("/secure/x", first); rec.Code != 303 {
		t.Errorf("the id from before the login: %d", rec.Code)
	}
	if rec := w.get("/secure/x", second); rec.Code != 200 {
		t.Errorf("the new id: %d", rec.Code)
	}
}

// TestPicturesHaveALimitOfTheirOwn: one address cannot have pictures made
// without end, and what it asks for takes no tries from others behind it.
func TestPicturesHaveALimitOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		codes := map[int]int{}
		for range 403 {
			codes[w.form("alice", "wrong").Code]++
		}
		// The third failure has the first picture; then the burst of 300 ends.
		if codes[401] != 3 || codes[403] != 299 || codes[429] != 101 {
			t.Errorf("answers %v", codes)
		}
		if rec := w.rest("fred", "fredpass"); rec.Code != 200 {
			t.Errorf("somebody else at that address: %d", rec.Code)
		}
		time.Sleep(2 * time.Second)
		if rec := w.form("alice", "right"); rec.Code != 403 {
			t.Errorf("a moment later: %d", rec.Code)
		}
	})
}

func TestCaptchaOnThePage(t *testing.T) {
	w := newWorld(t, nil)
	var last string
	for range 3 {
		last = w.form("alice", "wrong").Body.String()
	}
	if !strings.Contains(last, "the characters in the picture are needed") {
		t.Errorf("nobody says what the picture is for:\n%s", last)
	}
	id, _ := w.challenge(last) // due at once, so that nobody types a password for nothing
	pic := w.get("/login?captcha=" + id)
	if pic.Code != 200 || pic.Header().Get("Content-Type") != "image/png" || !strings.HasPrefix(pic.Body.String(), "\x89PNG") || !strings.Contains(pic.Header().Get("Cache-Control"), "no-store") {
		t.Errorf("picture: %d %v", pic.Code, pic.Header())
	}
	denied := w.form("alice", "right")
	if denied.Code != 403 || reason(denied) != "AUTHENTICATION_DENIED" || denied.Header().Get("X-Authentication-Denied-Reason") == "" {
		t.Errorf("right password alone: %d %v", denied.Code, denied.Header())
	}
	id, answer := w.challenge(denied.Body.String())
	for _, tt := range []struct {
		name, user, answer string
		want               int
	}{
		{"another account's answer does not count", "fred", answer, 303}, // fred needs none
		{"a wrong answer burns it", "alice", "nope", 403},
		{"burnt", "alice", answer, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			password := map[string]string{"fred": "fredpass", "alice": "right"}[tt.user]
			if rec := w.form(tt.user, password, "os_captcha_id", id, "os_captcha", tt.answer); rec.Code != tt.want {
				t.Errorf("got %d, want %d", rec.Code, tt.want)
			}
		})
	}
	id, answer = w.challenge(w.form("alice", "right").Body.String())
	if rec := w.form("alice", "right", "os_captcha_id", id, "os_captcha", answer); rec.Code != 303 {
		t.Errorf("right password and answer: %d", rec.Code)
	}
	if rec := w.rest("alice", "right"); rec.Code != 200 {
		t.Errorf("the door is open again for REST: %d", rec.Code)
	}
}
