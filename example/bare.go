package main

import (
	"net/http"
	"net/netip"

	"github.com/seed-244866eb/gatehouse/proxytrust"
)

// bare is the gate that is not there: everybody may do everything. What the
// site costs behind it, against the same site behind the real one, is the
// price of gatehouse.
type bare struct{}

func (bare) Handler(next http.Handler) http.Handler                   { return next }
func (bare) RequireUser(next http.Handler) http.Handler               { return next }
func (bare) RequireGroup(next http.Handler, _ ...string) http.Handler { return next }
func (bare) REST(next http.Handler) http.Handler                      { return next }
func (bare) Login() http.Handler                                      { return http.NotFoundHandler() }
func (bare) Logout() http.Handler                                     { return http.NotFoundHandler() }
func (bare) SessionResource() http.Handler                            { return http.NotFoundHandler() }
func (bare) FormToken(*http.Request) string                           { return "" }

// peerOf returns what the connection alone says about the sender of r, for a
// site without a gate.
func peerOf(r *http.Request) proxytrust.Client {
	c := proxytrust.Client{Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		c.Scheme = "https"
	}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.Addr = ap.Addr().Unmap()
		c.Peer = c.Addr
	}
	return c
}
