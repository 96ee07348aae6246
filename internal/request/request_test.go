package request_test

import (
	"context"
	"crypto/tls"
	"net/http/httptest"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/request"
)

func TestPeer(t *testing.T) {
	for _, tt := range []struct{ name, remote, want string }{
		{"address and port", "192.0.2.1:1234", "192.0.2.1"},
		{"v6 address and port", "[2001:db8::1]:1234", "2001:db8::1"},
		{"mapped address is the v4 address", "[::ffff:192.0.2.1]:1234", "192.0.2.1"},
		{"a zone is dropped", "[fe80::1%eth0]:1234", "fe80::1"},
		{"an address without a port", "192.0.2.1", "192.0.2.1"},
		{"a unix socket has none", "@", "invalid IP"},
		{"empty", "", "invalid IP"},
		{"the unspecified address is nobody's", "[::]:1", "invalid IP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.remote
			if got := request.Peer(r).String(); got != tt.want {
				t.Errorf("Peer(%q) = %s, want %s", tt.remote, got, tt.want)
			}
		})
	}
}

func TestForkFillsFromTheConnection(t *testing.T) {
	r := httptest.NewRequest("GET", "http://jira.example.com:8443/x", nil)
	r.TLS = &tls.ConnectionState{}
	r.Header.Set("X-Forwarded-For", "203.0.113.7")
	r.Header.Set("X-Forwarded-Proto", "http")
	c, r2 := request.Fork(r)
	if c.Scheme != "https" || c.Host != "jira.example.com:8443" || c.Client.String() != "192.0.2.1" || c.Resolved {
		t.Errorf("record = %s://%s from %s, resolved %v", c.Scheme, c.Host, c.Client, c.Resolved)
	}
	if request.From(r2.Context()) != c || request.From(r.Context()) != nil {
		t.Error("the record must hang on the copy and on the copy alone")
	}
}

func TestForkCompletesWhatAResolverLeftOpen(t *testing.T) {
	first, r := request.Fork(httptest.NewRequest("GET", "https://jira.example.com/", nil))
	first.Scheme, first.Host = "", ""
	if c, _ := request.Fork(r); c.Scheme != "https" || c.Host != "jira.example.com" {
		t.Errorf("record = %q, %q; want the connection's", c.Scheme, c.Host)
	}
}

func TestForkOfAForkLeavesTheFirstAlone(t *testing.T) {
	first, r := request.Fork(httptest.NewRequest("GET", "/", nil))
	first.Host = "first"
	ctx := context.WithValue(r.Context(), struct{ k int }{1}, "app")
	second, r2 := request.Fork(r.WithContext(ctx))
	if second.Host != "first" {
		t.Errorf("second.Host = %q, want the first's", second.Host)
	}
	second.Host = "second"
	if first.Host != "first" {
		t.Error("writing the second record changed the first")
	}
	if r2.Context().Value(struct{ k int }{1}) != "app" {
		t.Error("the application's context value is lost")
	}
}

// BenchmarkFork defends the two allocations that the whole way of a request
// is allowed for its context value and its copy of the request.
func BenchmarkFork(b *testing.B) {
	r := httptest.NewRequest("GET", "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		request.Fork(r)
	}
}
