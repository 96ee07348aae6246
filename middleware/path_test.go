package middleware_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/casefile"
)

// protectedBody is what nobody anonymous may ever see.
const protectedBody = "the protected handler"

// TestPathTricks sends the rows of path_bypass.json as raw request lines to a
// server whose whole mux is wrapped in RequireUser but for /public/.
func TestPathTricks(t *testing.T) {
	rows := pathRows(t)
	w := newWorld(t, nil)
	app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(rw, protectedBody)
	})
	public := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(rw, "public") })
	mux := http.NewServeMux()
	mux.Handle("/public/", public)
	mux.Handle("/", w.auth.RequireUser(app))
	bare := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		// A handler that cleans the path its own way, after the guard.
		if r.URL.Path == "/public/" || strings.HasPrefix(path.Clean(r.URL.Path), "/public/") {
			public.ServeHTTP(rw, r)
			return
		}
		w.auth.RequireUser(app).ServeHTTP(rw, r)
	})
	for name, next := range map[string]http.Handler{"ServeMux": mux, "bare handler": bare} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(w.auth.Handler(next))
			defer srv.Close()
			for _, row := range rows {
				t.Run(row.ID, func(t *testing.T) {
					conn := dial(t, srv.URL)
					// In one piece: a server that refuses the first line at once
					// and closes resets the connection under later ones.
					request := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: app\r\nConnection: close\r\n", row.Method, row.Target)
					for k, v := range row.Headers {
						request += k + ": " + v + "\r\n"
					}
					_, _ = io.WriteString(conn, request+"\r\n")
					body, err := io.ReadAll(bufio.NewReader(conn))
					if err != nil || len(body) == 0 {
						t.Fatalf("no answer: %v", err)
					}
					if strings.Contains(string(body), protectedBody) {
						t.Errorf("%s %s was served to nobody", row.Method, row.Target)
					}
				})
			}
		})
	}
	cookie := w.login("fred", "fredpass")
	r := httptest.NewRequest("GET", "/secure/admin", nil)
	r.Header.Set("Cookie", cookie)
	rec := httptest.NewRecorder()
	w.auth.Handler(mux).ServeHTTP(rec, r)
	if !strings.Contains(rec.Body.String(), protectedBody) {
		t.Error("the protected handler is served to nobody at all: the test proves nothing")
	}
}

type pathRow struct {
	ID, Method string
	Target     string `json:"raw_target"`
	Expect     string
	Headers    map[string]string
}

// pathRows reads the rows, which all expect the same.
func pathRows(t *testing.T) []pathRow {
	t.Helper()
	rows := casefile.Read[pathRow](t, "testdata/path_bypass.json")
	for _, r := range rows {
		if r.Expect != "not_served_to_anonymous" {
			t.Fatalf("%s: unknown expectation %q", r.ID, r.Expect)
		}
	}
	return rows
}
