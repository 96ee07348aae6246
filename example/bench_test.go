package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkGetIssue shows what gatehouse adds to a real handler: the same
// answer with no gatehouse at all (-bare) and for a session cookie through
// the whole chain. The difference in allocations has the bound of 6.
func BenchmarkGetIssue(b *testing.B) {
	for _, tt := range []struct {
		name string
		args []string
	}{{"bare", []string{"-bare"}}, {"cookie", nil}} {
		b.Run(tt.name, func(b *testing.B) {
			s := newTestSite(b, tt.args...)
			h := s.handler()
			r := httptest.NewRequest("GET", "/rest/api/2/issue/TEST-3", nil)
			if !s.open {
				r.AddCookie(login(b, h))
			}
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

// login returns the session cookie of fred.
func login(t testing.TB, h http.Handler) *http.Cookie {
	t.Helper()
	r := httptest.NewRequest("POST", "/rest/auth/1/session", strings.NewReader(`{"username":"fred","password":"fredpass"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	cookies := w.Result().Cookies()
	if w.Code != http.StatusOK || len(cookies) == 0 {
		t.Fatalf("login: %d, %d cookies", w.Code, len(cookies))
	}
	return cookies[0]
}
