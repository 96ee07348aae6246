package middleware_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/middleware"
)

// people are those that every test of this package knows.
var people = []directory.Person{
	{Name: "fred", Password: "fredpass", DisplayName: "Fred Normal", Groups: []string{"jira-users", "jira-developers"}},
	{Name: "alice", Password: "right", Groups: []string{"jira-users"}},
	{Name: "admin", Password: "adminpass", Groups: []string{"jira-users", "jira-administrators"}},
	{Name: "nouse", Password: "right"},
	{Name: "zoë", Password: "pässwörd", Groups: []string{"jira-users"}},
}

// A meter counts what reaches the directory behind it and can take its
// verdicts away, as an outage does.
type meter struct {
	directory.Source
	finds, binds, groups atomic.Int64
	down, groupsDown     atomic.Bool
	findsHang, bindsHang atomic.Bool // questions wait for the end of their deadline
	groupsHang           atomic.Bool
	slow                 chan struct{} // a bind waits until it is closed; nil: no wait
	slowFind             chan struct{} // so does a search
}

func (m *meter) Find(ctx context.Context, name string) (directory.Entry, error) {
	m.finds.Add(1)
	if m.slowFind != nil {
		<-m.slowFind
	}
	if m.findsHang.Load() {
		<-ctx.Done()
	}
	if m.down.Load() || ctx.Err() != nil {
		return directory.Entry{}, directory.ErrUnavailable
	}
	return m.Source.Find(ctx, name)
}

func (m *meter) Verify(ctx context.Context, e directory.Entry, password string) (directory.Entry, error) {
	m.binds.Add(1)
	if m.slow != nil {
		<-m.slow
	}
	if m.bindsHang.Load() {
		<-ctx.Done()
		return e, ctx.Err()
	}
	if m.down.Load() {
		return e, directory.ErrUnavailable
	}
	return m.Source.Verify(ctx, e, password)
}

func (m *meter) Groups(ctx context.Context, e directory.Entry, asked ...string) (directory.GroupSet, error) {
	m.groups.Add(1)
	if m.groupsHang.Load() {
		<-ctx.Done()
	}
	if m.down.Load() || m.groupsDown.Load() {
		return directory.GroupSet{}, directory.ErrUnavailable
	}
	return m.Source.Groups(ctx, e, asked...)
}

// contacts is how often the directory was asked about a password or a name.
func (m *meter) contacts() int64 { return m.finds.Load() + m.binds.Load() }

// A world is an application behind an Auth, without a network.
type world struct {
	t       testing.TB
	auth    *middleware.Auth
	source  *meter
	answers *lockedBuffer // "ID ANSWER" lines of the CAPTCHA
	log     *lockedBuffer
	app     http.Handler
	context string
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newWorld builds the application of the tests. change may alter the Config.
func newWorld(t testing.TB, change func(*middleware.Config)) *world {
	t.Helper()
	static, err := directory.NewStatic(people...)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, source: &meter{Source: static}, answers: new(lockedBuffer), log: new(lockedBuffer)}
	c := middleware.Config{Directory: w.source, AccessGroups: []string{"jira-users"}}
	c.Captcha.InsecureAnswers = w.answers
	c.Logger = slog.New(slog.NewTextHandler(w.log, nil))
	if change != nil {
		change(&c)
	}
	if u, err := url.Parse(c.BaseURL); err == nil {
		w.context = strings.TrimSuffix(u.Path, "/")
	}
	if w.auth, err = middleware.New(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.auth.Close(); err != nil {
			t.Error(err)
		}
	})
	w.app = w.auth.Handler(w.routes())
	return w
}

func (w *world) routes() http.Handler {
	a, mux, at := w.auth, http.NewServeMux(), w.context
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "nobody"
		if u, ok := middleware.User(r.Context()); ok {
			name = u.Name
		}
		_, _ = io.WriteString(w, "served to "+name+" token="+a.FormToken(r)+";")
	})
	mux.Handle(at+"/login", a.Login())
	mux.Handle(at+"/logout", a.Logout())
	mux.Handle(at+"/rest/auth/", a.SessionResource())
	mux.Handle(at+"/rest/open", a.REST(who))
	mux.Handle(at+"/rest/closed", a.REST(a.RequireUser(who)))
	mux.Handle(at+"/secure/", a.RequireUser(who))
	mux.Handle(at+"/secure/admin", a.RequireGroup(who, "jira-administrators"))
	mux.Handle(at+"/", who)
	return mux
}

// A call is one request to a world and what came back.
type call struct {
	method, path string
	header       http.Header
	body         string
	cookies      []string
}

func (w *world) do(c call) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(c.method, "http://jira.example.com"+w.context+c.path, strings.NewReader(c.body))
	for k, v := range c.header {
		r.Header[http.CanonicalHeaderKey(k)] = v
	}
	if len(c.cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(c.cookies, "; "))
	}
	rec := httptest.NewRecorder()
	w.app.ServeHTTP(rec, r)
	return rec
}

func (w *world) get(path string, cookies ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(call{method: "GET", path: path, cookies: cookies})
}

func (w *world) post(path string, form url.Values, cookies ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(call{
		method: "POST", path: path, cookies: cookies, body: form.Encode(),
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	})
}

func (w *world) rest(user, password string) *httptest.ResponseRecorder {
	w.t.Helper()
	b, err := json.Marshal(map[string]string{"username": user, "password": password})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.do(call{
		method: "POST", path: "/rest/auth/1/session", body: string(b),
		header: http.Header{"Content-Type": {"application/json"}},
	})
}

func (w *world) basic(path, user, password string, cookies ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(call{method: "GET", path: path, cookies: cookies, header: http.Header{"Authorization": {basic(user, password)}}})
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func (w *world) form(user, password string, more ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	v := url.Values{"os_username": {user}, "os_password": {password}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return w.post("/login", v)
}

// login returns the session cookie of a new login.
func (w *world) login(user, password string) string {
	w.t.Helper()
	rec := w.form(user, password)
	if rec.Code != http.StatusSeeOther {
		w.t.Fatalf("login of %s: %d %s", user, rec.Code, rec.Body)
	}
	return sessionCookie(w.t, rec)
}

// sessionCookie returns NAME=VALUE of the session cookie that rec sets.
func sessionCookie(t testing.TB, rec *httptest.ResponseRecorder) string {
	t.Helper()
	return sessionCookieNamed(t, rec, "JSESSIONID")
}

func sessionCookieNamed(t testing.TB, rec *httptest.ResponseRecorder, name string) string {
	t.Helper()
	for _, c := range rec.Result().Cookies() {
		if c.Name == name && c.MaxAge >= 0 && c.Value != "" {
			return c.Name + "=" + c.Value
		}
	}
	t.Fatalf("no session cookie in %v", rec.Header())
	return ""
}

var hiddenID = regexp.MustCompile(`name="os_captcha_id" value="([^"]+)"`)

// challenge returns id and answer of the CAPTCHA on a login page.
func (w *world) challenge(page string) (id, answer string) {
	w.t.Helper()
	m := hiddenID.FindStringSubmatch(page)
	if m == nil {
		w.t.Fatalf("no CAPTCHA on the page:\n%s", page)
	}
	for line := range strings.Lines(w.answers.String()) {
		if i, a, ok := strings.Cut(strings.TrimSpace(line), " "); ok && i == m[1] {
			return i, a
		}
	}
	w.t.Fatalf("no answer for challenge %s", m[1])
	return "", ""
}

func reason(rec *httptest.ResponseRecorder) string { return rec.Header().Get("X-Seraph-LoginReason") }
