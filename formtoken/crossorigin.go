package formtoken

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-244866eb/gatehouse/internal/request"
)

// CheckOrigin applies the origin rule, R1 to R4 of the package comment. It
// returns nil or an error that is [ErrCrossOrigin] and says which header was
// at fault, for the log. It reads no body and allocates nothing for a request
// that passes.
//
// A request that brings its own Authorization header and no cookie is free of
// R4: it is a program's, and a Referer that it sends is of its own making.
func (g *Guard) CheckOrigin(r *http.Request) error {
	if safe(r) {
		return nil
	}
	// Headers are looked up by presence: an empty one is not the same as
	// none, and no browser sends it.
	if v, ok := r.Header["Sec-Fetch-Site"]; ok {
		return g.checkSite(r, v)
	}
	if v, ok := r.Header["Origin"]; ok {
		return g.checkOrigin(r, v)
	}
	if v, ok := r.Header["Referer"]; ok && !ownCredentials(r) {
		return checkReferer(r, v)
	}
	return nil
}

// safe reports whether r is free of both rules (R1). A framework behind us may
// let X-HTTP-Method-Override turn a GET into a DELETE, and a WebSocket is open
// for writing once its GET has passed.
func safe(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		_, override := r.Header["X-Http-Method-Override"]
		return !override && !isWebSocket(r.Header["Upgrade"])
	}
	return false
}

// isWebSocket reports whether one of the protocols listed in Upgrade (RFC 9110
// section 7.8) is websocket, which RFC 6455 section 4.2.1 folds.
func isWebSocket(lines []string) bool {
	for _, line := range lines {
		for protocol := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(protocol), "websocket") {
				return true
			}
		}
	}
	return false
}

// ownCredentials reports a request that is authenticated, if at all, by its
// own Authorization header: without a cookie there is no session to ride on.
func ownCredentials(r *http.Request) bool {
	return len(r.Header["Authorization"]) > 0 && len(r.Header["Cookie"]) == 0
}

// checkSite is R2. The values are case-sensitive tokens (Fetch Metadata,
// section 2.4).
func (g *Guard) checkSite(r *http.Request, site []string) error {
	if len(site) == 1 && (site[0] == "same-origin" || site[0] == "none") {
		return nil
	}
	from := r.Header["Origin"]
	if o, ok := one(from, parseOrigin); ok && g.trusts(o) {
		return nil
	}
	return fmt.Errorf("%w: Sec-Fetch-Site %s, Origin %s", ErrCrossOrigin, quote(site), quote(from))
}

// checkOrigin is R3.
func (g *Guard) checkOrigin(r *http.Request, from []string) error {
	o, ok := one(from, parseOrigin)
	if ok && (sameOrigin(r, o) || g.trusts(o)) {
		return nil
	}
	return fmt.Errorf("%w: Origin %s, want %s", ErrCrossOrigin, quote(from), want(r))
}

// checkReferer is R4. Trusted origins do not count here: a browser that lets
// another site's page send a request names it in Origin.
func checkReferer(r *http.Request, from []string) error {
	if o, ok := one(from, parseReferer); ok && sameOrigin(r, o) {
		return nil
	}
	return fmt.Errorf("%w: Referer %s, want %s", ErrCrossOrigin, quote(from), want(r))
}

// one parses a header that must have exactly one line: of two that differ, the
// next program in the chain might believe the other.
func one(lines []string, parse func(string) (origin, bool)) (origin, bool) {
	if len(lines) != 1 {
		return origin{}, false
	}
	return parse(lines[0])
}

func (g *Guard) trusts(o origin) bool {
	return slices.ContainsFunc(g.trusted, o.equal)
}

// sameOrigin compares o with what the client sees as our scheme and host. A
// Host header that cannot be parsed is nobody's origin.
func sameOrigin(r *http.Request, o origin) bool {
	self, ok := parseAuthority(target(r))
	return ok && self.equal(o)
}

// target returns scheme and host of r as the client sees them. What no resolver
// has filled is taken from the connection.
func target(r *http.Request) (scheme, host string) {
	if c := request.From(r.Context()); c != nil {
		scheme, host = c.Scheme, c.Host
	}
	if host == "" {
		host = r.Host
	}
	switch {
	case scheme != "":
		return scheme, host
	case r.TLS != nil:
		return "https", host
	}
	return "http", host
}

// want names the origin that would have passed. A wrong scheme here tells an
// operator that the proxy in front is not trusted yet.
func want(r *http.Request) string {
	scheme, host := target(r)
	return quote([]string{scheme + "://" + host})
}

// quote makes header values fit for a log line: on one line, and bounded.
func quote(lines []string) string {
	const limit = 256
	s := strings.Join(lines, ", ")
	if len(s) > limit {
		return fmt.Sprintf("%q…", s[:limit])
	}
	return fmt.Sprintf("%q", s)
}
