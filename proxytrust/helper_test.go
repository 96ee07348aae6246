package proxytrust_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/seed-244866eb/gatehouse/proxytrust"
)

// newTrust returns a Trust of patterns, silent and closed with the test.
func newTrust(t testing.TB, patterns ...string) *proxytrust.Trust {
	t.Helper()
	trust, err := proxytrust.New(proxytrust.Config{Trusted: patterns, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trust.Close() })
	return trust
}

// newRequest returns a GET for app.example from the address remote, with
// pairs of header name and value in order.
func newRequest(remote string, header ...string) *http.Request {
	r := httptest.NewRequest("GET", "http://app.example/", nil)
	r.RemoteAddr = remote
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// text returns a as the case files write it: "" for no address.
func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// A resolver answers from a function.
type resolver func(ctx context.Context, host string) ([]netip.Addr, error)

func (f resolver) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	return f(ctx, host)
}
