package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/middleware"
	"github.com/seed-244866eb/gatehouse/middleware/authtest"
	"github.com/seed-244866eb/gatehouse/proxytrust"
)

// The users of these tests, as the directory would show them.
var (
	userFred    = &directory.User{Name: "fred", DisplayName: "Fred Normal", Email: "fred@example.org", Groups: []string{"jira-developers", "jira-users"}}
	userAdmin   = &directory.User{Name: "admin", Groups: []string{"jira-administrators", "jira-users"}}
	userMarkup  = &directory.User{Name: "<b>", DisplayName: "<script>alert(1)</script>", Groups: []string{"jira-users"}}
	formHeader  = "Content-Type: application/x-www-form-urlencoded"
	jsonHeader  = "Content-Type: application/json"
	htmlAccept  = "Accept: text/html"
	noCheck     = "X-Atlassian-Token: no-check"
	testMachine = "192.0.2.1" // the peer of httptest.NewRequest
)

// newTestSite returns a site behind a real gate; o is the command line.
func newTestSite(t testing.TB, args ...string) *site {
	t.Helper()
	o, _, err := parse(args, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s, err := newSite(o, log)
	if err != nil {
		t.Fatal(err)
	}
	if o.bare {
		s.gate, s.open, s.ready = bare{}, true, newReadiness(nil, 0)
		return s
	}
	dir, err := directory.NewStatic(
		directory.Person{Name: "fred", Password: "fredpass", DisplayName: "Fred Normal", Groups: []string{"jira-users"}},
		directory.Person{Name: "admin", Password: "adminpass", Groups: []string{"jira-users", "jira-administrators"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := proxytrust.New(proxytrust.Config{Trusted: o.trustedProxies, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	auth, err := middleware.New(middleware.Config{Directory: dir, Trust: trust, BaseURL: o.baseURL.text, AccessGroups: o.accessGroups, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { auth.Close(); trust.Close() })
	s.directory = auth.Directory()
	s.gate, s.ready = auth, newReadiness(dir, o.ldap.Timeout)
	return s
}

// send returns the answer to a request by user; nil is nobody. Headers are
// "Name: value".
func (s *site) send(user *directory.User, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	if user != nil {
		r = authtest.As(r, user)
	}
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, r)
	return w
}

// decode returns the JSON of an answer, as encoding/json sees any.
func decode(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/json;charset=UTF-8" && got != "application/json" {
		t.Errorf("Content-Type %q: node-rest-client reads no such JSON", got)
	}
	var v map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	return v
}

func TestRoutesAskForWhatTheyPromise(t *testing.T) {
	s := newTestSite(t)
	for _, tt := range []struct {
		method, target string
		accept         string
		nobody         int
		fred, admin    int
	}{
		{"GET", "/", htmlAccept, 200, 200, 200},
		{"GET", "/nothing", htmlAccept, 404, 404, 404},
		{"GET", "/style.css", htmlAccept, 200, 200, 200},
		{"GET", "/login", htmlAccept, 200, 200, 200},
		{"GET", "/issue/TEST-1", htmlAccept, 303, 200, 200},
		{"GET", "/browse/TEST-1", htmlAccept, 303, 200, 200},
		{"GET", "/issue/TEST-21", htmlAccept, 303, 404, 404},
		{"POST", "/issue/TEST-1/comment", htmlAccept, 303, 400, 400},
		{"GET", "/issue/TEST-1/comment", htmlAccept, 405, 405, 405},
		{"POST", "/issue/TEST-1/attachments", htmlAccept, 303, 415, 415},
		{"GET", "/attachment/1/a.txt", htmlAccept, 303, 404, 404},
		{"GET", "/secure/admin", htmlAccept, 303, 403, 200},
		{"GET", "/rest/api/2/serverInfo", "", 200, 200, 200},
		{"GET", "/rest/api/latest/serverInfo", "", 200, 200, 200},
		{"GET", "/rest/api/3/serverInfo", "", 404, 404, 404},
		{"GET", "/rest/api/2/myself", "", 401, 200, 200},
		{"GET", "/rest/api/2/issue/TEST-20", "", 401, 200, 200},
		{"GET", "/rest/api/2/issue/TEST-21", "", 401, 404, 404},
		{"POST", "/rest/api/2/search", "", 401, 415, 415},
		{"GET", "/rest/api/2/search", "", 401, 200, 200},
		{"POST", "/rest/api/2/issue/TEST-1/comment", "", 401, 415, 415},
		{"POST", "/rest/api/2/issue/TEST-1/attachments", "", 401, 415, 415},
		{"GET", "/whoami", "", 200, 200, 200},
		{"GET", "/healthz", "", 200, 200, 200},
		{"GET", "/readyz", "", 200, 200, 200},
	} {
		t.Run(tt.method+" "+tt.target, func(t *testing.T) {
			for _, c := range []struct {
				name string
				user *directory.User
				want int
			}{{"nobody", nil, tt.nobody}, {"fred", userFred, tt.fred}, {"admin", userAdmin, tt.admin}} {
				w := s.send(c.user, tt.method, tt.target, "", tt.accept, noCheck)
				if w.Code != c.want {
					t.Errorf("%s: %d, want %d: %.200s", c.name, w.Code, c.want, w.Body)
				}
			}
		})
	}
}

func TestEverythingStandsBelowTheContextPath(t *testing.T) {
	s := newTestSite(t, "-base-url", "https://jira.example.org/jira")
	for _, tt := range []struct {
		target string
		want   int
	}{
		{"/jira", 302}, {"/jira/", 200}, {"/jira/style.css", 200}, {"/jira/login", 200}, {"/jira/healthz", 200}, {"/jira/whoami", 200},
		{"/jira/issue/TEST-1", 200}, {"/jira/rest/api/2/issue/TEST-1", 200}, {"/jira/rest/auth/1/session", 200},
		{"/", 404}, {"/login", 404}, {"/issue/TEST-1", 404}, {"/rest/api/2/issue/TEST-1", 404}, {"/jirafe/", 404},
	} {
		if w := s.send(userFred, "GET", tt.target, ""); w.Code != tt.want {
			t.Errorf("%s: %d, want %d", tt.target, w.Code, tt.want)
		}
	}
	page := s.send(userFred, "GET", "/jira/issue/TEST-1", "").Body.String()
	for _, want := range []string{`href="/jira/style.css"`, `action="/jira/logout"`, `action="/jira/issue/TEST-1/comment"`, `action="/jira/issue/TEST-1/attachments"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of an issue lacks %s", want)
		}
	}
	if w := s.send(userFred, "POST", "/jira/issue/TEST-1/comment", "body=x", formHeader); w.Header().Get("Location") != "/jira/issue/TEST-1#comments" {
		t.Errorf("after a comment: %d to %q", w.Code, w.Header().Get("Location"))
	}
	info := decode(t, s.send(nil, "GET", "/jira/rest/api/2/serverInfo", ""))
	if info["baseUrl"] != "https://jira.example.org/jira" {
		t.Errorf("baseUrl %v", info["baseUrl"])
	}
}

func TestBareServesTheSamePages(t *testing.T) {
	s := newTestSite(t, "-bare")
	for _, tt := range []struct {
		method, target string
		want           int
	}{
		{"GET", "/", 200}, {"GET", "/issue/TEST-1", 200}, {"GET", "/secure/admin", 200}, {"GET", "/rest/api/2/issue/TEST-1", 200},
		{"GET", "/whoami", 200}, {"GET", "/readyz", 200}, {"GET", "/rest/api/2/myself", 401}, {"GET", "/login", 404}, {"GET", "/rest/auth/1/session", 404},
	} {
		w := s.send(nil, tt.method, tt.target, "")
		if w.Code != tt.want {
			t.Errorf("%s: %d, want %d", tt.target, w.Code, tt.want)
		}
		if w.Header().Get("X-Ausername") != "" {
			t.Errorf("%s: gatehouse has been here", tt.target)
		}
	}
	if page := s.send(nil, "GET", "/", "").Body.String(); !strings.Contains(page, "TEST-20") || strings.Contains(page, "/login") {
		t.Error("the home page lacks the issues, or offers a login")
	}
	if s.send(nil, "POST", "/issue/TEST-1/comment", "body=x", formHeader); s.tracker.commentsOf("TEST-1")[0].Author.Name != "anonymous" {
		t.Errorf("comments %+v", s.tracker.commentsOf("TEST-1"))
	}
	answer := decode(t, s.send(nil, "GET", "/whoami", ""))
	if answer["user"] != nil || answer["client"] != testMachine || answer["scheme"] != "http" || answer["host"] != "example.com" {
		t.Errorf("whoami: %v", answer)
	}
}

func TestSecurityHeaders(t *testing.T) {
	s := newTestSite(t)
	for _, tt := range []struct {
		target string
		user   *directory.User
	}{
		{"/", nil}, {"/", userFred}, {"/issue/TEST-1", userFred}, {"/nothing", nil}, {"/secure/admin", userFred}, {"/rest/api/2/serverInfo", nil},
	} {
		h := s.send(tt.user, "GET", tt.target, "", htmlAccept).Header()
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: Content-Security-Policy %q", tt.target, csp)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options %q", tt.target, h.Get("X-Content-Type-Options"))
		}
	}
}

// A cache that serves others must not keep what names a user and a session.
func TestNoAnswerThatNamesTheUserIsForASharedCache(t *testing.T) {
	s := newTestSite(t, "-base-url", "http://example.com/jira")
	private := regexp.MustCompile(`\b(private|no-store)\b`)
	for _, tt := range []struct{ method, target string }{
		{"GET", ""}, {"GET", "/"}, {"GET", "/style.css"}, {"GET", "/nothing"}, {"GET", "/login"}, {"GET", "/logout"}, {"POST", "/logout"},
		{"GET", "/issue/TEST-1"}, {"GET", "/issue/TEST-21"}, {"GET", "//issue/TEST-1"}, {"GET", "/issue/TEST-1/comment"}, {"POST", "/issue/TEST-1/comment"},
		{"GET", "/secure/admin"}, {"GET", "/rest/api/2/serverInfo"}, {"GET", "/rest/api/2/myself"}, {"GET", "/rest/auth/1/session"},
		{"GET", "/rest/nothing"}, {"GET", "/whoami"}, {"GET", "/healthz"}, {"GET", "/readyz"},
	} {
		for _, user := range []*directory.User{nil, userFred} {
			w := s.send(user, tt.method, "/jira"+tt.target, "", htmlAccept)
			cache := w.Header().Get("Cache-Control")
			if !private.MatchString(cache) || strings.Contains(cache, "public") {
				t.Errorf("%s %q: %d with Cache-Control %q", tt.method, tt.target, w.Code, cache)
			}
		}
	}
}

func TestWhoami(t *testing.T) {
	// The worked case of Jira's documentation, and what surrounds it.
	const header = "X-Forwarded-For: 10.77.11.252, 10.44.222.10, 10.44.44.178"
	for _, tt := range []struct {
		name, trusted, peer string
		client              string
		hop                 any
	}{
		{"all proxies trusted", "10.44.*", "10.44.222.10", "10.77.11.252", nil},
		{"one of them not", "10.44.222.10", "10.44.222.10", "10.44.44.178", "10.44.44.178"},
		{"a peer that is none", "10.99.0.1", "10.44.222.10", "10.44.222.10", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestSite(t, "-trusted-proxy", tt.trusted)
			r := httptest.NewRequest("GET", "http://jira.example.org/whoami", nil)
			r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(tt.peer), 4711).String()
			name, value, _ := strings.Cut(header, ": ")
			r.Header.Set(name, value)
			r.Header.Set("X-Forwarded-Proto", "https")
			w := httptest.NewRecorder()
			s.handler().ServeHTTP(w, r)
			got := decode(t, w)
			if got["client"] != tt.client || got["untrustedHop"] != tt.hop {
				t.Errorf("got %v, want client %s, untrustedHop %v", got, tt.client, tt.hop)
			}
			var chain []string
			for _, hop := range got["chain"].([]any) {
				chain = append(chain, hop.(string))
			}
			if strings.Join(chain, " ") != "10.77.11.252 10.44.222.10 10.44.44.178 "+tt.peer {
				t.Errorf("chain %v", chain)
			}
			if _, ok := got["user"]; !ok || len(got) != 8 {
				t.Errorf("not the fields of the contract: %v", got)
			}
		})
	}
	got := decode(t, newTestSite(t).send(userFred, "GET", "/whoami", ""))
	if got["user"] != "fred" || got["authType"] != "cookie" || got["loginReason"] != "OK" {
		t.Errorf("logged in: %v", got)
	}
}
