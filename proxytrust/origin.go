package proxytrust

import (
	"net/netip"
	"strings"
)

// parseProto returns the scheme that the lines of X-Forwarded-Proto report,
// or false when they hold no value. One leg that is not https makes the whole
// way insecure: the rule of Tomcat's RemoteIpValve.
func parseProto(lines []string) (scheme string, ok bool) {
	e := elements{lines: lines}
	value, ok := e.next()
	if !ok {
		return "", false
	}
	for ; ok; value, ok = e.next() {
		// EqualFold takes U+017F for an s; the length rules it out.
		if len(value) != len("https") || !strings.EqualFold(value, "https") {
			return "http", true
		}
	}
	return "https", true
}

// parseHost returns the right-most value of X-Forwarded-Host. A malformed one
// is not believed, and neither is what stands to its left: the host of links
// and redirects must not be smuggled in behind a proxy's back.
func parseHost(lines []string) (host string, ok bool) {
	e := elements{lines: lines}
	host, ok = e.next()
	return host, ok && isHost(host)
}

// isHost reports whether s is a name, an IPv4 or a bracketed IPv6 address,
// each with or without a port: a strict part of RFC 3986 section 3.2.2.
func isHost(s string) bool {
	if strings.HasPrefix(s, "[") {
		inner, port, ok := strings.Cut(s[1:], "]")
		a, err := netip.ParseAddr(inner)
		return ok && isPortSuffix(port) && err == nil && a.Is6() && a.Zone() == ""
	}
	if colon := strings.IndexByte(s, ':'); colon >= 0 {
		if !isPortSuffix(s[colon:]) {
			return false
		}
		s = s[:colon]
	}
	if endsInNumber(s) {
		a, err := netip.ParseAddr(s)
		return err == nil && a.Is4()
	}
	return isName(s, true)
}

// isName reports whether s is a hostname by RFC 1123 section 2.1, with or
// without the dot of the root. Underscores are outside it, but container
// networks have them in names that browsers send.
func isName(s string, underscore bool) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for more := true; more; {
		var label string
		label, s, more = strings.Cut(s, ".")
		if !isLabel(label, underscore) {
			return false
		}
	}
	return true
}

func isLabel(s string, underscore bool) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && c != '-' && (c != '_' || !underscore) {
			return false
		}
	}
	return true
}

// endsInNumber reports whether the last label of s is all digits. Such a name
// can only be meant as an IPv4 address (WHATWG URL, "ends in a number"), and
// resolvers of the C library take even 3232235777 for one.
func endsInNumber(s string) bool {
	s = strings.TrimSuffix(s, ".")
	s = s[strings.LastIndexByte(s, '.')+1:]
	return s != "" && isDigits(s)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}
