package ldapdir

import (
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// expandFilter puts name and dn into a filter as the values they are. It is
// the last step before the wire: nothing may change the text after the
// escaping, or a look-alike becomes a metacharacter.
func expandFilter(filter, name, dn string) string {
	return strings.NewReplacer("%s", ldap.EscapeFilter(name), "%d", ldap.EscapeFilter(dn)).Replace(filter)
}

// expandDN puts name into a DN as the one value it is (RFC 4514 section 2.4).
func expandDN(template, name string) string {
	return strings.Replace(template, "%s", ldap.EscapeDN(name), 1)
}

// rdnValue returns the value that attribute has in the first RDN of dn.
func rdnValue(dn *ldap.DN, attribute string) (string, bool) {
	if len(dn.RDNs) == 0 {
		return "", false
	}
	for _, a := range dn.RDNs[0].Attributes {
		if strings.EqualFold(a.Type, attribute) {
			return a.Value, true
		}
	}
	return "", false
}
