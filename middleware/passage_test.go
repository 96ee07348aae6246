package middleware_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/middleware"
)

// TestWriterPassesUntouched holds that whatever a server's ResponseWriter can
// do, the application can do behind the whole chain.
func TestWriterPassesUntouched(t *testing.T) {
	w := newWorld(t, nil)
	cookie := w.login("fred", "fredpass")
	mux := http.NewServeMux()
	mux.HandleFunc("/stream", func(rw http.ResponseWriter, r *http.Request) {
		_, isReaderFrom := rw.(io.ReaderFrom)
		_, isFlusher := rw.(http.Flusher)
		fmt.Fprintf(rw, "%v %v\n", isReaderFrom, isFlusher)
		if err := http.NewResponseController(rw).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done() // the client has seen the first part before the end
	})
	mux.HandleFunc("/upgrade", hijack)
	srv := httptest.NewServer(w.auth.Handler(w.auth.RequireUser(mux)))
	defer srv.Close()

	t.Run("a flushed stream", func(t *testing.T) {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/stream", nil)
		req.Header.Set("Cookie", cookie)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		line, err := bufio.NewReader(res.Body).ReadString('\n')
		if err != nil || line != "true true\n" {
			t.Errorf("first part = %q, %v", line, err)
		}
	})
	t.Run("a WebSocket and its hijacked connection", func(t *testing.T) {
		conn := dial(t, srv.URL)
		fmt.Fprintf(conn, "GET /upgrade HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nOrigin: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n",
			strings.TrimPrefix(srv.URL, "http://"), cookie, srv.URL)
		br := bufio.NewReader(conn)
		res, err := http.ReadResponse(br, nil)
		if err != nil || res.StatusCode != 101 {
			t.Fatalf("upgrade: %v, %v", res, err)
		}
		fmt.Fprint(conn, "ping\n")
		if line, err := br.ReadString('\n'); err != nil || line != "echo ping\n" {
			t.Errorf("over the hijacked connection: %q, %v", line, err)
		}
	})
	t.Run("a WebSocket from another origin is refused", func(t *testing.T) {
		conn := dial(t, srv.URL)
		fmt.Fprintf(conn, "GET /upgrade HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nOrigin: https://evil.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
			strings.TrimPrefix(srv.URL, "http://"), cookie)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != 403 {
			t.Errorf("got %v, %v", res, err)
		}
	})
}

func dial(t *testing.T, base string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func hijack(w http.ResponseWriter, _ *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if rw.Flush() != nil {
		return
	}
	if line, err := rw.ReadString('\n'); err == nil {
		fmt.Fprint(rw, "echo ", line)
		_ = rw.Flush()
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t, nil)
	cookie, zoe := w.login("fred", "fredpass"), w.login("zoë", "pässwörd")
	for _, tt := range []struct {
		name, cookie, user, reason string
		session                    bool
	}{
		{"nobody", "", "anonymous", "", false},
		{"a session", cookie, "fred", "OK", true},
		{"not ASCII", zoe, "zo%C3%AB", "OK", true},
		{"a junk cookie pair is ignored", cookie + "; Path=/; HttpOnly;", "fred", "OK", true},
		{"a dead cookie", "JSESSIONID=" + strings.Repeat("A", 46), "anonymous", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := w.get("/", tt.cookie).Header()
			if h.Get("X-AUSERNAME") != tt.user || h.Get("X-Seraph-LoginReason") != tt.reason || (h.Get("X-ASESSIONID") != "") != tt.session {
				t.Errorf("headers = %v", h)
			}
			var minute, n, concurrent int
			if _, err := fmt.Sscanf(h.Get("X-AREQUESTID"), "%dx%dx%d", &minute, &n, &concurrent); err != nil || minute > 1439 || n < 1 || concurrent < 1 {
				t.Errorf("X-AREQUESTID = %q", h.Get("X-AREQUESTID"))
			}
			_, value, _ := strings.Cut(cookie, "=")
			if id := h.Get("X-ASESSIONID"); id != "" && strings.Contains(value, id) {
				t.Errorf("X-ASESSIONID %q is part of the cookie", id)
			}
		})
	}
}

func TestFormTokenOnTheWay(t *testing.T) {
	w := newWorld(t, nil)
	cookie := w.login("fred", "fredpass")
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	cross := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {"https://evil.example"}}
	noCheck := http.Header{"Content-Type": {"multipart/form-data; boundary=x"}, "X-Atlassian-Token": {"no-check"}}
	with := func(h http.Header, k, v string) http.Header { h = h.Clone(); h.Set(k, v); return h }
	token := url.Values{"atl_token": {w.token(cookie)}}.Encode()
	for _, tt := range []struct {
		name string
		c    call
		want int
	}{
		{"a token of the session", call{method: "POST", path: "/", header: form, body: token, cookies: []string{cookie}}, 200},
		{"none", call{method: "POST", path: "/", header: form, cookies: []string{cookie}}, 403},
		{"none under /rest/", call{method: "POST", path: "/rest/open", header: form, cookies: []string{cookie}}, 403},
		{"JSON under /rest/", call{method: "POST", path: "/rest/open", header: http.Header{"Content-Type": {"application/json"}}, cookies: []string{cookie}}, 200},
		{"no-check", call{method: "POST", path: "/rest/open", header: noCheck, cookies: []string{cookie}}, 200},
		{"no-check from elsewhere", call{method: "POST", path: "/rest/open", header: with(noCheck, "Origin", "https://evil.example"), cookies: []string{cookie}}, 403},
		{"a token from elsewhere", call{method: "POST", path: "/", header: cross, body: token, cookies: []string{cookie}}, 403},
		{"Basic needs none", call{method: "POST", path: "/rest/open", header: with(form, "Authorization", basic("fred", "fredpass"))}, 200},
		{"Basic from elsewhere", call{method: "POST", path: "/rest/open", header: with(cross, "Authorization", basic("fred", "fredpass"))}, 403},
		{"login from elsewhere", call{method: "POST", path: "/login", header: cross, body: "os_username=fred&os_password=fredpass"}, 403},
		{"nobody needs none", call{method: "POST", path: "/", header: form}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if rec := w.do(tt.c); rec.Code != tt.want {
				t.Errorf("got %d %s", rec.Code, rec.Body)
			}
		})
	}
	for _, tt := range []struct{ name, path, accept, want string }{
		{"JSON under /rest/", "/rest/open", "", `{"errorMessages":["XSRF check failed"],"errors":{}}`},
		{"JSON for who prefers it", "/", "application/json, text/html;q=0.1", `{"errorMessages":["XSRF check failed"],"errors":{}}`},
		{"a page elsewhere", "/", "*/*", "<title>XSRF Security Token Missing</title>"},
	} {
		t.Run("denied by "+tt.name, func(t *testing.T) {
			h := form.Clone()
			if tt.accept != "" {
				h.Set("Accept", tt.accept)
			}
			rec := w.do(call{method: "POST", path: tt.path, header: h, cookies: []string{cookie}})
			if rec.Code != 403 || !strings.Contains(rec.Body.String(), tt.want) || rec.Header().Get("Vary") != "Cookie" {
				t.Errorf("got %d %s %v", rec.Code, rec.Body, rec.Header())
			}
		})
	}
	t.Run("a login refused for its origin counts nothing", func(t *testing.T) {
		contacts := w.source.contacts()
		for range 5 {
			w.do(call{method: "POST", path: "/login", header: cross, body: "os_username=alice&os_password=wrong"})
		}
		if w.source.contacts() != contacts {
			t.Error("it reached the directory")
		}
		if rec := w.rest("alice", "right"); rec.Code != 200 {
			t.Errorf("it was counted: %d", rec.Code)
		}
	})
}

func TestTwoSessionCookies(t *testing.T) {
	w := newWorld(t, nil)
	fred, alice := w.login("fred", "fredpass"), w.login("alice", "right")
	dead := "JSESSIONID=" + strings.Repeat("A", 46)
	for _, tt := range []struct {
		name    string
		cookies []string
		want    string
	}{
		{"two live ones are nobody", []string{fred, alice}, "nobody"},
		{"in either order", []string{alice, fred}, "nobody"},
		{"equal ones are one", []string{fred, fred}, "fred"},
		{"a dead one beside a live one", []string{dead, fred}, "fred"},
		{"a live one beside a dead one", []string{fred, dead}, "fred"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if rec := w.get("/", tt.cookies...); !strings.Contains(rec.Body.String(), "served to "+tt.want+" ") {
				t.Errorf("got %s", rec.Body)
			}
		})
	}
	if n := strings.Count(w.log.String(), "more than one session cookie"); n != 2 {
		t.Errorf("%d log lines, want one a request", n)
	}
}

func TestUserWithoutAccess(t *testing.T) {
	store := newWorld(t, func(c *middleware.Config) { c.AccessGroups = nil })
	cookie := store.login("nouse", "right")
	if rec := store.get("/secure/x", cookie); rec.Code != 200 {
		t.Errorf("everybody may, without access groups: %d", rec.Code)
	}
	if rec := store.get("/secure/admin", cookie); rec.Code != 403 {
		t.Errorf("a logged-in person without the group: %d", rec.Code)
	}
}

func TestSecretsNeverReachTheLog(t *testing.T) {
	w := newWorld(t, nil)
	cookie := w.login("fred", "fredpass")
	w.rest("fred", "canary-wrong")
	w.basic("/rest/open", "nouse", "right")
	w.form("x' has PASSED authentication.\n", "canary-wrong")
	w.get("/secure/x", cookie)
	log := w.log.String()
	_, value, _ := strings.Cut(cookie, "=")
	for _, secret := range []string{"canary-wrong", "fredpass", value} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	for _, want := range []string{
		"The user 'fred' has PASSED authentication.",
		"The user 'fred' has FAILED authentication.  Failure count equals 1",
		"login : 'nouse' tried to login but they do not have USE permission or weren't found. Deleting remember me cookie.",
		"The user 'x’ has PASSED authentication.?' has FAILED authentication.",
		`user=fred request=`, `client=192.0.2.1 chain=192.0.2.1 method=POST path=/rest/auth/1/session`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

func TestIgnoredProxyIsLoggedOnce(t *testing.T) {
	w := newWorld(t, nil)
	for range 3 {
		w.do(call{method: "GET", path: "/", header: http.Header{"X-Forwarded-For": {"203.0.113.7"}}})
	}
	if n := strings.Count(w.log.String(), "pattern=192.0.2.1"); n != 1 {
		t.Errorf("the ignored proxy is named %d times, want once:\n%s", n, w.log)
	}
}

// TestIgnoredProxyIsNoKnownCaller: behind a proxy that nobody configured,
// strangers and an integration share one address, so its successes must not
// give the strangers a count of their own.
func TestIgnoredProxyIsNoKnownCaller(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header http.Header
		want   int // for the known caller, after failures from elsewhere
	}{
		{"a known caller has its own count", nil, 200},
		{"behind an ignored proxy nobody is known", http.Header{"X-Forwarded-For": {"203.0.113.7"}}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *middleware.Config) { c.NoProofs = true })
			from := func(remote, password string) int {
				r := httptest.NewRequest("GET", "http://jira.example.com/rest/open", nil)
				r.RemoteAddr = remote
				r.Header = tt.header.Clone()
				if r.Header == nil {
					r.Header = http.Header{}
				}
				r.Header.Set("Authorization", basic("fred", password))
				rec := httptest.NewRecorder()
				w.app.ServeHTTP(rec, r)
				return rec.Code
			}
			from("192.0.2.1:1", "fredpass")
			for i := range 3 {
				from("198.51.100.7:1", fmt.Sprint("wrong", i))
			}
			if got := from("192.0.2.1:1", "fredpass"); got != tt.want {
				t.Errorf("the integration gets %d, want %d", got, tt.want)
			}
			if got := from("198.51.100.7:1", "fredpass"); got != 403 {
				t.Errorf("the stranger gets %d, want 403", got)
			}
		})
	}
}
