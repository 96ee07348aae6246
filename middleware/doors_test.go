package middleware_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/middleware"
)

// oauth is the challenge of every 401 that must not open a browser's dialog.
const oauth = `OAuth realm="http%3A%2F%2Fjira.example.com"`

func TestSessionPost(t *testing.T) {
	for _, tt := range []struct {
		name, contentType, body string
		status                  int
		reason, challenge, text string
	}{
		{"accepted", "application/json", `{"username":"fred","password":"fredpass"}`, 200, "OK", "", ""},
		{"accepted with a charset", "application/json; charset=utf-8", `{"username":"fred","password":"fredpass"}`, 200, "OK", "", ""},
		{"wrong password", "application/json", `{"username":"fred","password":"x"}`, 401, "AUTHENTICATED_FAILED", "JIRA REST POST", "Login failed"},
		{"unknown user", "application/json", `{"username":"nobody","password":"x"}`, 401, "AUTHENTICATED_FAILED", "JIRA REST POST", "Login failed"},
		{"missing password", "application/json", `{"username":"fred"}`, 401, "AUTHENTICATED_FAILED", "JIRA REST POST", "Login failed"},
		{"missing name", "application/json", `{"password":"x"}`, 401, "AUTHENTICATED_FAILED", "JIRA REST POST", "Login failed"},
		{"no access group", "application/json", `{"username":"nouse","password":"right"}`, 401, "AUTHORISATION_FAILED", "JIRA REST POST", "Login failed"},
		{"malformed JSON", "application/json", `{"username":`, 400, "", "", "Bad Request"},
		{"missing body", "application/json", ``, 400, "", "", "Bad Request"},
		{"null", "application/json", `null`, 400, "", "", "Bad Request"},
		{"two values", "application/json", `{}{}`, 400, "", "", "Bad Request"},
		{"wrong type of a field", "application/json", `{"username":1}`, 400, "", "", "Bad Request"},
		{"a form", "application/x-www-form-urlencoded", `username=fred`, 415, "", "", "Unsupported Media Type"},
		{"no media type", "", `{"username":"fred","password":"fredpass"}`, 415, "", "", "Unsupported Media Type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			rec := w.do(call{method: "POST", path: "/rest/auth/1/session", body: tt.body, header: http.Header{"Content-Type": {tt.contentType}}})
			if rec.Code != tt.status || reason(rec) != tt.reason || rec.Header().Get("WWW-Authenticate") != tt.challenge {
				t.Errorf("got %d, %q, %q", rec.Code, reason(rec), rec.Header().Get("WWW-Authenticate"))
			}
			if ct := rec.Header().Get("Content-Type"); ct != "application/json;charset=UTF-8" {
				t.Errorf("Content-Type = %q", ct)
			}
			if cc := rec.Header().Get("Cache-Control"); !strings.Contains(cc, "no-store") {
				t.Errorf("Cache-Control = %q", cc)
			}
			if tt.status == 200 {
				checkNewSession(t, rec.Body.Bytes(), sessionCookie(t, rec), rec.Header())
				return
			}
			if rec.Header().Get("Set-Cookie") != "" {
				t.Errorf("a refused login sets a cookie: %q", rec.Header().Get("Set-Cookie"))
			}
			want := `{"errorMessages":["` + tt.text + `"],"errors":{}}`
			if got := rec.Body.String(); got != want {
				t.Errorf("body = %s, want %s", got, want)
			}
		})
	}
}

func checkNewSession(t *testing.T, body []byte, cookie string, h http.Header) {
	t.Helper()
	var b struct {
		Session   struct{ Name, Value string }
		LoginInfo map[string]any
	}
	if err := json.Unmarshal(body, &b); err != nil {
		t.Fatal(err)
	}
	if b.Session.Name+"="+b.Session.Value != cookie {
		t.Errorf("session %v in the body, %s in the cookie", b.Session, cookie)
	}
	if b.LoginInfo["loginCount"] != 1.0 || b.LoginInfo["failedLoginCount"] != 0.0 || len(b.LoginInfo) != 2 {
		t.Errorf("loginInfo of a first login = %v", b.LoginInfo)
	}
	if h.Get("X-AUSERNAME") != "fred" {
		t.Errorf("X-AUSERNAME = %q", h.Get("X-AUSERNAME"))
	}
}

func TestSessionGetAndDelete(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/rest/auth/1/session", "/rest/auth/latest/session"} {
		cookie := w.login("fred", "fredpass")
		rec := w.get(path, cookie)
		var b struct {
			Self, Name string
			LoginInfo  map[string]any
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &b); err != nil || rec.Code != 200 {
			t.Fatalf("GET %s: %d %s, %v", path, rec.Code, rec.Body, err)
		}
		if b.Name != "fred" || b.Self != "http://jira.example.com/rest/api/latest/user?username=fred" || b.LoginInfo["loginCount"] == nil {
			t.Errorf("GET %s = %+v", path, b)
		}
		if cc := rec.Header().Get("Cache-Control"); cc != "no-cache, no-store" {
			t.Errorf("Cache-Control = %q", cc)
		}
		del := w.do(call{method: "DELETE", path: path, cookies: []string{cookie}})
		if del.Code != 204 || del.Body.Len() != 0 || reason(del) != "OUT" {
			t.Errorf("DELETE %s: %d %q %q", path, del.Code, del.Body, reason(del))
		}
		if sc := del.Header().Get("Set-Cookie"); !strings.HasPrefix(sc, "JSESSIONID=;") || !strings.Contains(sc, "Max-Age=0") {
			t.Errorf("DELETE clears with %q", sc)
		}
		for _, method := range []string{"GET", "DELETE"} {
			rec := w.do(call{method: method, path: path, cookies: []string{cookie}})
			want := `{"errorMessages":["You are not authenticated. Authentication required to perform this operation."],"errors":{}}`
			if rec.Code != 401 || rec.Body.String() != want || rec.Header().Get("WWW-Authenticate") != oauth {
				t.Errorf("%s with a dead cookie: %d %s %q", method, rec.Code, rec.Body, rec.Header().Get("WWW-Authenticate"))
			}
		}
		if rec := w.rest("fred", "fredpass"); rec.Code != 200 {
			t.Errorf("login beside a dead cookie: %d", rec.Code)
		}
	}
	if rec := w.get("/rest/auth/1/other"); rec.Code != 404 {
		t.Errorf("another resource: %d", rec.Code)
	}
}

func TestSessionGetShowsTheHistory(t *testing.T) {
	w := newWorld(t, nil)
	w.login("fred", "fredpass")
	w.rest("fred", "wrong")
	cookie := w.login("fred", "fredpass")
	var b struct{ LoginInfo map[string]any }
	if err := json.Unmarshal(w.get("/rest/auth/1/session", cookie).Body.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	if b.LoginInfo["loginCount"] != 2.0 || b.LoginInfo["failedLoginCount"] != 1.0 {
		t.Errorf("loginInfo = %v", b.LoginInfo)
	}
	for _, k := range []string{"previousLoginTime", "lastFailedLoginTime"} {
		if s, _ := b.LoginInfo[k].(string); len(s) != len("2006-01-02T15:04:05.000-0700") {
			t.Errorf("%s = %v", k, b.LoginInfo[k])
		}
	}
}

func TestOsAuthType(t *testing.T) {
	const (
		noCookie  = "os_authType was 'cookie' but no valid cookie was sent."
		badCookie = "os_authType was 'any' and an invalid cookie was sent."
		noLogin   = "You are not authenticated. Authentication required to perform this operation."
	)
	challenge := `Basic realm="protected-area", charset="UTF-8"`
	for _, tt := range []struct {
		name, path, cookie string
		status             int
		text, challenge    string
	}{
		{"none, live", "/rest/open?os_authType=none", "live", 200, "served to fred", ""},
		{"none, dead", "/rest/open?os_authType=none", "dead", 200, "served to nobody", ""},
		{"none, without", "/rest/open?os_authType=none", "", 200, "served to nobody", ""},
		{"cookie, live", "/rest/open?os_authType=cookie", "live", 200, "served to fred", ""},
		{"cookie, dead", "/rest/open?os_authType=cookie", "dead", 401, noCookie, oauth},
		{"cookie, without", "/rest/open?os_authType=cookie", "", 401, noCookie, oauth},
		{"basic, live", "/rest/open?os_authType=basic", "live", 200, "served to fred", ""},
		{"basic, dead", "/rest/open?os_authType=basic", "dead", 401, noLogin, challenge},
		{"basic, without", "/rest/open?os_authType=basic", "", 401, noLogin, challenge},
		{"any, live", "/rest/open?os_authType=any", "live", 200, "served to fred", ""},
		{"any, dead", "/rest/open?os_authType=any", "dead", 401, badCookie, oauth},
		{"any, without", "/rest/open?os_authType=any", "", 200, "served to nobody", ""},
		{"default under REST, dead", "/rest/open", "dead", 401, badCookie, oauth},
		{"default under REST, without", "/rest/open", "", 200, "served to nobody", ""},
		{"default of pages, dead", "/", "dead", 200, "served to nobody", ""},
		{"case does not count", "/rest/open?os_authType=CoOkIe", "", 401, noCookie, oauth},
		{"unknown is none", "/rest/open?os_authType=magic", "dead", 200, "served to nobody", ""},
		{"none opens no door", "/rest/closed?os_authType=none", "", 401, noLogin, oauth},
		{"none opens no page", "/secure/x?os_authType=none", "", 303, "", ""},
		{"basic asks on pages too", "/secure/x?os_authType=basic", "", 401, noLogin, challenge},
		{"the session resource never answers for a stale cookie", "/rest/auth/1/session", "dead", 401, noLogin, oauth},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			var cookies []string
			if tt.cookie != "" {
				cookies = []string{w.login("fred", "fredpass")}
			}
			if tt.cookie == "dead" {
				w.post("/logout", url.Values{"atl_token": {w.token(cookies[0])}}, cookies...)
			}
			rec := w.get(tt.path, cookies...)
			if rec.Code != tt.status || !strings.Contains(unescape(rec.Body.String()), tt.text) {
				t.Errorf("got %d %s, want %d with %q", rec.Code, rec.Body, tt.status, tt.text)
			}
			if got := rec.Header().Get("WWW-Authenticate"); got != tt.challenge {
				t.Errorf("WWW-Authenticate = %q, want %q", got, tt.challenge)
			}
		})
	}
}

func unescape(s string) string { return strings.ReplaceAll(s, "&#39;", "'") }

// token returns a form token of the session behind cookie.
func (w *world) token(cookie string) string {
	w.t.Helper()
	_, after, _ := strings.Cut(w.get("/", cookie).Body.String(), "token=")
	token, _, _ := strings.Cut(after, ";")
	if token == "" {
		w.t.Fatal("no form token for a logged-in user")
	}
	return token
}

func TestBasic(t *testing.T) {
	for _, tt := range []struct {
		name, path, user, password string
		status                     int
		reason, text, challenge    string
	}{
		{"accepted", "/rest/closed", "fred", "fredpass", 200, "OK", "served to fred", ""},
		{"accepted on a page", "/secure/x", "fred", "fredpass", 200, "OK", "served to fred", ""},
		{"not ASCII", "/rest/closed", "zoë", "pässwörd", 200, "OK", "served to zoë", ""},
		{"wrong is never silently nobody", "/rest/open", "fred", "x", 401, "AUTHENTICATED_FAILED", "Basic Authentication Failure - Reason : AUTHENTICATED_FAILED", `Basic realm="protected-area", charset="UTF-8"`},
		{"wrong on a public page", "/", "fred", "x", 401, "AUTHENTICATED_FAILED", "Basic Authentication Failure - Reason : AUTHENTICATED_FAILED", `Basic realm="protected-area", charset="UTF-8"`},
		{"no access", "/rest/open", "nouse", "right", 401, "AUTHORISATION_FAILED", "Basic Authentication Failure - Reason : AUTHORISATION_FAILED", `Basic realm="protected-area", charset="UTF-8"`},
		{"an empty password", "/rest/open", "fred", "", 401, "AUTHENTICATED_FAILED", "AUTHENTICATED_FAILED", `Basic realm="protected-area", charset="UTF-8"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			rec := w.basic(tt.path, tt.user, tt.password)
			if rec.Code != tt.status || reason(rec) != tt.reason || !strings.Contains(rec.Body.String(), tt.text) {
				t.Errorf("got %d %q %s", rec.Code, reason(rec), rec.Body)
			}
			if got := rec.Header().Get("WWW-Authenticate"); got != tt.challenge {
				t.Errorf("WWW-Authenticate = %q", got)
			}
			if got := rec.Header().Get("X-AUSERNAME"); tt.status == 401 && got != "anonymous" {
				t.Errorf("X-AUSERNAME = %q", got)
			}
			if sc := rec.Header().Get("Set-Cookie"); sc != "" {
				t.Errorf("Basic mints a session: %q", sc)
			}
		})
	}
}

func TestLiveSessionWinsOverBasic(t *testing.T) {
	w := newWorld(t, nil)
	cookie := w.login("fred", "fredpass")
	binds := w.source.binds.Load()
	if rec := w.basic("/rest/closed", "alice", "wrong", cookie); rec.Code != 200 || !strings.Contains(rec.Body.String(), "served to fred") {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	if w.source.binds.Load() != binds {
		t.Error("the Basic header beside a live session was looked at")
	}
	w.do(call{method: "DELETE", path: "/rest/auth/1/session", cookies: []string{cookie}})
	if rec := w.basic("/rest/closed", "alice", "right", cookie); rec.Code != 200 || !strings.Contains(rec.Body.String(), "served to alice") {
		t.Errorf("Basic beside a stale cookie: %d %s", rec.Code, rec.Body)
	}
}

func TestCaptchaRefusal(t *testing.T) {
	for _, tt := range []struct {
		name string
		try  func(*world, string) (int, http.Header, string)
		auth string
	}{
		{"session resource", func(w *world, p string) (int, http.Header, string) {
			r := w.rest("alice", p)
			return r.Code, r.Header(), r.Body.String()
		}, ""},
		{"Basic", func(w *world, p string) (int, http.Header, string) {
			r := w.basic("/rest/open", "alice", p)
			return r.Code, r.Header(), r.Body.String()
		}, `OAuth realm="http%3A%2F%2Fjira.example.com%2Fjira"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *middleware.Config) { c.BaseURL = "http://jira.example.com/jira" })
			for range 3 {
				if rec := w.rest("alice", "wrong"); rec.Code != 401 {
					t.Fatalf("one of the first three: %d", rec.Code)
				}
			}
			binds := w.source.binds.Load()
			var bodies [2]string
			for i, password := range []string{"right", "wrong"} {
				status, h, body := tt.try(w, password)
				bodies[i] = body
				if status != 403 || h.Get("X-Seraph-LoginReason") != "AUTHENTICATION_DENIED" {
					t.Errorf("%s password: %d %q", password, status, h.Get("X-Seraph-LoginReason"))
				}
				if got := h.Get("X-Authentication-Denied-Reason"); got != "CAPTCHA_CHALLENGE; login-url=http://jira.example.com/jira/login" {
					t.Errorf("X-Authentication-Denied-Reason = %q", got)
				}
				if got := h.Get("WWW-Authenticate"); got != tt.auth {
					t.Errorf("WWW-Authenticate = %q", got)
				}
			}
			if bodies[0] != bodies[1] {
				t.Errorf("right and wrong differ:\n%s\n%s", bodies[0], bodies[1])
			}
			if w.source.binds.Load() != binds {
				t.Error("a refused password was looked at")
			}
		})
	}
}

func TestUnknownAndKnownUsersLookAlike(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 5 {
		known, unknown := w.rest("fred", "wrong"), w.rest("ghost", "wrong")
		if known.Code != unknown.Code || known.Body.String() != unknown.Body.String() || reason(known) != reason(unknown) {
			t.Errorf("try %d: %d %s against %d %s", i+1, known.Code, known.Body, unknown.Code, unknown.Body)
		}
	}
	if w.source.binds.Load() != 6 {
		t.Errorf("%d binds, want three for each: unknown names cost the same", w.source.binds.Load())
	}
}

func TestBasicOnly(t *testing.T) {
	w := newWorld(t, func(c *middleware.Config) { c.BasicOnly = true })
	challenge := `Basic realm="protected-area", charset="UTF-8"`
	for _, tt := range []struct {
		name, path, auth string
		status           int
		challenge        string
	}{
		{"a page without credentials asks for them", "/secure/x", "", 401, challenge},
		{"a resource without credentials asks for them", "/rest/closed", "", 401, challenge},
		{"accepted", "/secure/x", basic("fred", "fredpass"), 200, ""},
		{"there is no login page", "/login", "", 404, ""},
		{"a public page stays public", "/", "", 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			if tt.auth != "" {
				h.Set("Authorization", tt.auth)
			}
			rec := w.do(call{method: "GET", path: tt.path, header: h})
			if rec.Code != tt.status || rec.Header().Get("WWW-Authenticate") != tt.challenge {
				t.Errorf("got %d %q", rec.Code, rec.Header().Get("WWW-Authenticate"))
			}
		})
	}
	if rec := w.rest("fred", "fredpass"); rec.Code != 405 {
		t.Errorf("session POST: %d", rec.Code)
	}
}
