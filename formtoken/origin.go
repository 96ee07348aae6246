package formtoken

import (
	"errors"
	"net/netip"
	"strings"
)

// An origin is a scheme, host and port as RFC 6454 section 4 has them. Host is
// as it was written, without brackets; comparing folds its case.
type origin struct {
	scheme string // "http" or "https"
	host   string
	port   uint16
}

// parseOrigin reads a serialized origin (RFC 6454 section 6.1) and nothing
// else: no path, user, wildcard, list or null. It allocates nothing.
func parseOrigin(s string) (origin, bool) {
	scheme, authority, ok := strings.Cut(s, "://")
	if !ok {
		return origin{}, false
	}
	switch {
	case strings.EqualFold(scheme, "http"):
		return parseAuthority("http", authority)
	case strings.EqualFold(scheme, "https"):
		return parseAuthority("https", authority)
	}
	return origin{}, false
}

// parseReferer returns the origin of an absolute URL. A relative one proves
// nothing about who sent it and is refused.
func parseReferer(s string) (origin, bool) {
	i := strings.Index(s, "://")
	if i < 0 {
		return origin{}, false
	}
	if end := strings.IndexAny(s[i+3:], "/?#"); end >= 0 {
		s = s[:i+3+end]
	}
	return parseOrigin(s)
}

// parseAuthority reads host and port, as in a Host header. The port of the
// scheme is the default, so that :443 and none are one spelling.
func parseAuthority(scheme, s string) (origin, bool) {
	o := origin{scheme: scheme, port: 80}
	if scheme == "https" {
		o.port = 443
	}
	end := hostEnd(s)
	if end <= 0 {
		return origin{}, false
	}
	o.host = strings.TrimSuffix(strings.TrimPrefix(s[:end], "["), "]")
	if end == len(s) {
		return o, true
	}
	port, ok := parsePort(s[end:])
	o.port = port
	return o, ok
}

// hostEnd returns the length of the host, brackets included, at the start of
// s, or 0 when there is none. What follows is left to [parsePort].
func hostEnd(s string) int {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 || !isIPv6(s[1:end]) {
			return 0
		}
		return end + 1
	}
	for i := range len(s) {
		if s[i] == ':' {
			return i
		}
		if !isHostByte(s[i]) {
			return 0
		}
	}
	return len(s)
}

// isHostByte admits what browsers put into the host of an Origin after they
// have made it ASCII. Non-ASCII letters stay out, so that folding the case
// cannot make two hosts one (U+212A, the Kelvin sign, folds to k).
func isHostByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' ||
		b == '-' || b == '.' || b == '_'
}

// isIPv6 reports an IPv6 address without a zone, which no origin has.
func isIPv6(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is6() && a.Zone() == ""
}

// parsePort reads ":" and a port from 1 to 65535 in its one spelling.
func parsePort(s string) (uint16, bool) {
	if len(s) < 2 || len(s) > 6 || s[0] != ':' || s[1] == '0' {
		return 0, false
	}
	n := 0
	for _, b := range []byte(s[1:]) {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + int(b-'0')
	}
	return uint16(n), n <= 65535
}

// equal reports whether o and p are the same origin.
func (o origin) equal(p origin) bool {
	return o.scheme == p.scheme && o.port == p.port && sameHost(o.host, p.host)
}

func sameHost(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	if strings.IndexByte(a, ':') < 0 || strings.IndexByte(b, ':') < 0 {
		return false
	}
	// An operator may list an IPv6 address in another spelling than the
	// short one that browsers send.
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return errX == nil && errY == nil && x == y
}

// trustedOrigin reads an entry of Config.TrustedOrigins and says in the words
// of an operator what is wrong with it.
func trustedOrigin(s string) (origin, error) {
	if o, ok := parseOrigin(s); ok {
		return o, nil
	}
	scheme, rest, ok := strings.Cut(s, "://")
	switch {
	case s == "":
		return origin{}, errors.New("is empty")
	case s == "null":
		return origin{}, errors.New("null is the origin of every sandboxed page and can never be trusted")
	case strings.Contains(s, "*"):
		return origin{}, errors.New("wildcards are not supported; list each origin")
	case !ok:
		return origin{}, errors.New("the scheme is missing; write https://host or https://host:port")
	case !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https"):
		return origin{}, errors.New("the scheme must be http or https")
	case strings.ContainsAny(rest, "/?#"):
		return origin{}, errors.New("an origin has no path, query or fragment, not even a slash at the end")
	case strings.Contains(rest, "@"):
		return origin{}, errors.New("an origin has no user")
	}
	return origin{}, errors.New("host or port is malformed; write host names in ASCII (xn--…), IPv6 addresses in brackets")
}
