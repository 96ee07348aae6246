package proxytrust

import (
	"net/netip"
	"strings"
)

// elements hands out the elements of a list header from the right. Several
// lines are one list (RFC 9110 section 5.3), so an attacker gains nothing by
// how a proxy appends, and empty elements do not count (section 5.6.1).
type elements struct {
	lines []string // not begun
	rest  string   // of the line that was begun, what is left of it
}

// next returns the next element to the left, without the white space around
// it, or false when there is none.
func (e *elements) next() (text string, ok bool) {
	for {
		for e.rest != "" {
			comma := strings.LastIndexByte(e.rest, ',')
			text = trimSpace(e.rest[comma+1:])
			e.rest = e.rest[:max(comma, 0)]
			if text != "" {
				return text, true
			}
		}
		if len(e.lines) == 0 {
			return "", false
		}
		last := len(e.lines) - 1
		e.rest, e.lines = e.lines[last], e.lines[:last]
	}
}

// anyElement reports whether lines hold an element at all.
func anyElement(lines []string) bool {
	e := elements{lines: lines}
	_, ok := e.next()
	return ok
}

// trimSpace cuts spaces and tabs off both ends. strings.TrimSpace would also
// take a no-break space, which is no white space in HTTP (RFC 9110 section
// 5.6.3), and so accept what other parsers of the chain refuse.
func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// parseHop returns the address in one element of X-Forwarded-For: IPv4 or
// IPv6, the latter with or without brackets, and a port after an IPv4 address
// or a bracket. Names, "unknown", zones and unspecified addresses are none.
func parseHop(s string) (netip.Addr, bool) {
	if strings.HasPrefix(s, "[") {
		inner, port, ok := strings.Cut(s[1:], "]")
		if !ok || !isPortSuffix(port) || !strings.Contains(inner, ":") {
			return netip.Addr{}, false
		}
		return parseHopAddr(inner)
	}
	// The first separator tells the family: 192.0.2.1:80 has its dot before
	// the colon, ::ffff:192.0.2.1 the colon before the dot.
	colon := strings.IndexByte(s, ':')
	if colon >= 0 && strings.IndexByte(s[:colon], '.') >= 0 {
		if !isPortSuffix(s[colon:]) {
			return netip.Addr{}, false
		}
		s = s[:colon]
	}
	return parseHopAddr(s)
}

// parseHopAddr returns the canonical address that s spells.
func parseHopAddr(s string) (netip.Addr, bool) {
	// Looked at first, because netip makes an error value of each failure and
	// interns each zone, and strangers choose s.
	for i := range len(s) {
		if c := s[i]; !isHex(c) && c != '.' && c != ':' {
			return netip.Addr{}, false
		}
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	a = canonical(a)
	return a, a.IsValid()
}

// isPortSuffix reports whether s is empty, or a colon and a port number.
func isPortSuffix(s string) bool {
	if s == "" {
		return true
	}
	if s[0] != ':' || len(s) < 2 || len(s) > 6 {
		return false
	}
	port := 0
	for i := 1; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
		port = port*10 + int(s[i]-'0')
	}
	return port <= 65535
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isHex(c byte) bool    { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
