package ldapserver

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// A dn is a distinguished name with the form in which two names are compared.
type dn struct {
	text string
	// rdns are the normal forms from the entry upwards. Values are quoted, so
	// that no value can look like a separator.
	rdns []string
	// naming holds the attributes of the first RDN.
	naming []*ldap.AttributeTypeAndValue
}

func parseDN(text string) (dn, bool) {
	parsed, err := ldap.ParseDN(text)
	if err != nil {
		return dn{}, false
	}
	d := dn{text: text}
	for i, r := range parsed.RDNs {
		if i == 0 {
			d.naming = r.Attributes
		}
		d.rdns = append(d.rdns, normalRDN(r))
	}
	return d, true
}

// normalRDN sorts the attributes of a multi-valued RDN and folds types and
// values. Values compare under caseIgnoreMatch whatever the attribute.
func normalRDN(r *ldap.RelativeDN) string {
	parts := make([]string, len(r.Attributes))
	for i, a := range r.Attributes {
		parts[i] = attributeKey(a.Type) + "=" + strconv.Quote(foldSpaces(a.Value))
	}
	slices.Sort(parts)
	return strings.Join(parts, "+")
}

// key returns the string by which equal names are equal.
func (d dn) key() string { return strings.Join(d.rdns, ",") }

// ancestor returns the key of the name n levels up.
func (d dn) ancestor(n int) string { return strings.Join(d.rdns[n:], ",") }

// below reports whether key is under base, at any depth.
func below(key, base string) bool {
	return base == "" && key != "" || strings.HasSuffix(key, ","+base)
}
