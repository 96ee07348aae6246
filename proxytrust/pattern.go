package proxytrust

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A PatternError names an entry of the list of trusted proxies that is not a
// pattern, and says why.
type PatternError struct {
	Position int    // of the entry in its list; the first is 1
	Pattern  string // as it was written
	Reason   string // for the operator; it quotes parts of the pattern
}

// Error returns position, pattern and reason in one line.
func (e *PatternError) Error() string {
	return fmt.Sprintf("proxytrust: trusted proxy %d, %q: %s", e.Position, e.Pattern, e.Reason)
}

// A pattern is one parsed entry: a prefix, or a hostname.
type pattern struct {
	text   string       // as it was written
	prefix netip.Prefix // masked, IPv4 never as mapped IPv6
	name   string       // in lower case; empty: prefix holds
}

// parsePatterns returns the patterns of a list, or one error that joins a
// PatternError for each bad entry.
func parsePatterns(texts []string) ([]pattern, error) {
	var errs []error
	patterns := make([]pattern, 0, len(texts))
	for i, text := range texts {
		p, err := parsePattern(text)
		if err != nil {
			errs = append(errs, &PatternError{i + 1, text, err.Error()})
		}
		patterns = append(patterns, p)
	}
	return patterns, errors.Join(errs...)
}

// parsePattern returns the pattern that s spells in one of the four forms.
// Nothing is trimmed or repaired, and whatever looks like an address but is
// none is refused, not looked up: a typing error must not become a hostname
// that some resolver or some stranger's DNS answers.
func parsePattern(s string) (pattern, error) {
	if err := checkCharacters(s); err != nil {
		return pattern{}, err
	}
	p, name := netip.Prefix{}, ""
	var err error
	switch {
	case strings.Contains(s, "*"):
		p, err = parseWildcard(s)
	case strings.Contains(s, "/"):
		p, err = parsePrefix(s)
	case isRange(s):
		err = errors.New("a range is not a pattern: write it as prefixes, such as 10.0.0.0/28")
	case strings.ContainsAny(s, ":[]%") || endsInNumber(s):
		p, err = parseWhole(s)
	default:
		name, err = parseName(s)
	}
	return pattern{text: s, prefix: p, name: name}, err
}

// checkCharacters refuses what can stand in no pattern, with the reason that
// helps: most of it comes from copying out of a file or a web page.
func checkCharacters(s string) error {
	if s == "" {
		return errors.New("the entry is empty")
	}
	if strings.TrimSpace(s) == "" {
		return errors.New("the entry is empty but for whitespace or control characters")
	}
	for _, r := range s {
		switch {
		case unicode.IsControl(r):
			return fmt.Errorf("control character %U: entries are not trimmed", r)
		case r == '#':
			return errors.New("a comment cannot stand in an entry")
		case unicode.IsSpace(r):
			return fmt.Errorf("whitespace %U: entries are not trimmed", r)
		case r == ',' || r == ';':
			return errors.New("a comma or semicolon makes a list: an entry holds one address or hostname")
		case r >= utf8.RuneSelf:
			return fmt.Errorf("%q is neither part of an address nor of a hostname "+
				"(international names are written in their xn-- form)", r)
		}
	}
	if strings.Contains(s, "://") {
		return errors.New("a URL is not a pattern: write the hostname or address alone, without scheme and path")
	}
	return nil
}

// parseWildcard returns the prefix of 192.168.* or 192.168.*.*: one to three
// octets, then at least one wildcard.
func parseWildcard(s string) (netip.Prefix, error) {
	// It reads like "any proxy" and means "any client chooses its address".
	// Who wants that says so for each family.
	if strings.Trim(s, "*.") == "" {
		return netip.Prefix{}, errors.New("the wildcard would trust everybody: " +
			"if that is meant, write 0.0.0.0/0 and ::/0")
	}
	if strings.Trim(s, "0123456789.*") != "" {
		return netip.Prefix{}, errors.New("a wildcard stands for whole octets at the end of " +
			"an IPv4 address only, not in a hostname, an IPv6 address or beside a prefix length")
	}
	// Too many octets are counted in the end, so that an error names what is
	// wrong first from the left.
	var octets [4]byte
	labels := strings.Split(s, ".")
	fixed := 0
	for fixed < len(labels) && labels[fixed] != "*" {
		octet, err := parseOctet(labels[fixed])
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("a wildcard takes the place of whole octets "+
				"at the end of an IPv4 address: %w", err)
		}
		if fixed < len(octets) {
			octets[fixed] = octet
		}
		fixed++
	}
	// 10.*.0.1 is no prefix, and the field knows no such pattern.
	for _, label := range labels[fixed:] {
		if label != "*" {
			return netip.Prefix{}, fmt.Errorf("%q after a wildcard: after the first, "+
				"all octets must be wildcards", label)
		}
	}
	return wildcardPrefix(octets, fixed, len(labels))
}

// wildcardPrefix returns the prefix of the first fixed octets, of labels in
// all.
func wildcardPrefix(octets [4]byte, fixed, labels int) (netip.Prefix, error) {
	switch {
	case labels > len(octets):
		return netip.Prefix{}, fmt.Errorf("wildcard and numbers are %d octets, "+
			"an IPv4 address has 4 octets", labels)
	case fixed == 0:
		return netip.Prefix{}, errors.New("a wildcard cannot come first")
	}
	return netip.PrefixFrom(netip.AddrFrom4(octets), 8*fixed), nil
}

// parsePrefix returns the prefix of an address, a slash and a length; bits of
// the address after the length are ignored, as Crowd does.
func parsePrefix(s string) (netip.Prefix, error) {
	text, length, _ := strings.Cut(s, "/")
	a, err := parseAddress(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("before the prefix length: %w", err)
	}
	bits, err := parseLength(length, a.BitLen())
	if err != nil {
		return netip.Prefix{}, err
	}
	if a.Is4In6() {
		// Peers are compared as IPv4, so the length must be one of IPv4, too:
		// a shorter one would silently cover no IPv4 peer at all.
		if bits < 96 {
			return netip.Prefix{}, fmt.Errorf("prefix length %d on an IPv4-mapped address "+
				"reaches beyond IPv4: write the IPv4 prefix", bits)
		}
		a, bits = a.Unmap(), bits-96
	}
	return netip.PrefixFrom(a, bits).Masked(), nil
}

// parseLength returns the prefix length s, at most limit.
func parseLength(s string, limit int) (int, error) {
	switch {
	// A netmask can have holes (255.0.255.0), which no prefix can express.
	case strings.Contains(s, "."):
		return 0, errors.New("the prefix length is written as a number of bits, " +
			"such as /8, not as a netmask")
	case s == "" || !isDigits(s):
		return 0, fmt.Errorf("prefix length %q is not a number", s)
	case s[0] == '0' && s != "0":
		return 0, fmt.Errorf("prefix length %q has a leading zero", s)
	}
	bits := 0
	for i := range len(s) {
		if bits = bits*10 + int(s[i]-'0'); bits > limit {
			return 0, fmt.Errorf("prefix length %s is over %d", s, limit)
		}
	}
	return bits, nil
}

// parseWhole returns the prefix that holds one address.
func parseWhole(s string) (netip.Prefix, error) {
	a, err := parseAddress(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// parseAddress returns the address that s spells, with a reason an operator
// can act on where net/netip would only say that it failed.
func parseAddress(s string) (netip.Addr, error) {
	switch {
	case strings.ContainsAny(s, "[]"):
		return netip.Addr{}, errors.New("brackets, as with a port: write the address alone")
	case strings.Contains(s, "%"):
		return netip.Addr{}, errors.New("a zone is not compared: write the address without it")
	case strings.Count(s, ":") == 1:
		return netip.Addr{}, errors.New("a port is not compared: write the address or hostname alone")
	case !strings.Contains(s, ":"):
		return parseIPv4(s)
	}
	// IPv6 has one notation only (RFC 4291 section 2.2), which netip knows.
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, errors.New("not an IPv6 address")
	}
	return a, nil
}

// parseIPv4 returns the address of four decimal octets. Shorter and other
// notations of inet_aton(3) are refused: two programs of one chain must not
// read two addresses out of one text.
func parseIPv4(s string) (netip.Addr, error) {
	if s != "" && isDigits(s) {
		return netip.Addr{}, errors.New("a bare number is not an address: it needs 4 octets with dots")
	}
	var octets [4]byte
	labels := strings.Split(s, ".")
	for i, label := range labels {
		octet, err := parseOctet(label)
		if err != nil {
			return netip.Addr{}, fmt.Errorf("not an IPv4 address: %w", err)
		}
		if i < len(octets) {
			octets[i] = octet
		}
	}
	if len(labels) != len(octets) {
		return netip.Addr{}, fmt.Errorf("not an IPv4 address: it has 4 octets, not %d "+
			"(a network is written 192.168.1.* or 192.168.1.0/24)", len(labels))
	}
	return netip.AddrFrom4(octets), nil
}

// parseOctet returns one octet of an IPv4 address. A leading zero is octal to
// some parsers and not to others (CVE-2021-29923).
func parseOctet(s string) (byte, error) {
	switch {
	case s == "":
		return 0, errors.New("an octet is empty")
	case !isDigits(s):
		return 0, fmt.Errorf("octet %q is not a decimal number", s)
	case s[0] == '0' && s != "0":
		return 0, fmt.Errorf("octet %q has a leading zero", s)
	}
	n := 0
	for i := range len(s) {
		if n = n*10 + int(s[i]-'0'); n > 255 {
			return 0, fmt.Errorf("octet %q is over 255", s)
		}
	}
	return byte(n), nil
}

// isRange reports whether s is meant as a range of addresses: an address, a
// hyphen, and an address or the end of one.
func isRange(s string) bool {
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		return false
	}
	// The first half alone decides, for 10-0-0-1.example is a hostname.
	_, err := netip.ParseAddr(from)
	return err == nil && strings.Trim(to, "0123456789abcdefABCDEF.:") == ""
}

// parseName returns the hostname s in lower case.
func parseName(s string) (string, error) {
	labels := strings.Split(s, ".")
	switch {
	case !isName(s, false):
		return "", errors.New("neither an address nor a hostname: a hostname has labels of " +
			"1 to 63 letters, digits and inner hyphens, and at most 253 characters")
	case len(labels) <= 4 && !hasWord(labels):
		return "", errors.New("a number in hexadecimal is neither an address nor a hostname")
	}
	// In one case, so that one name in two spellings is looked up once.
	return strings.ToLower(s), nil
}

// hasWord reports whether one of labels is neither decimal nor hexadecimal:
// inet_aton(3), and with it the resolver of the C library, takes 0x7f000001
// and 127.0.0.0x1 for addresses.
func hasWord(labels []string) bool {
	for _, label := range labels {
		digits, hex := strings.CutPrefix(strings.ToLower(label), "0x")
		if !isDigits(label) && (!hex || strings.Trim(digits, "0123456789abcdef") != "") {
			return true
		}
	}
	return false
}
