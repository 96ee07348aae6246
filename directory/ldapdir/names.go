package ldapdir

import (
	"slices"
	"strings"

	"github.com/seed-244866eb/gatehouse/directory"
)

// A typedName is a name as somebody typed it, and without the domain where it
// has one that counts as nothing.
type typedName struct {
	whole string
	short string // empty: there is no such domain
}

// parseName takes one of the domains from DOMAIN\name and name@domain. In
// every other domain the name stays whole: another company's ann is not ours.
func parseName(name string, domains []string) typedName {
	ours := func(domain string) bool {
		return slices.ContainsFunc(domains, func(d string) bool { return strings.EqualFold(d, domain) })
	}
	t := typedName{whole: name}
	if domain, user, ok := strings.Cut(name, `\`); ok && ours(domain) {
		t.short = user
	} else if at := strings.LastIndexByte(name, '@'); at >= 0 && ours(name[at+1:]) {
		t.short = name[:at]
	}
	if directory.CheckName(t.short) != nil {
		t.short = ""
	}
	return t
}

// filter returns the filter for both readings of the name. One search for both
// keeps a known name from costing less than an unknown one.
func (s *schema) filter(t typedName) string {
	whole := expandFilter(s.userFilter, t.whole, "")
	if t.short == "" {
		return whole
	}
	return "(|" + whole + expandFilter(s.userFilter, t.short, "") + ")"
}
