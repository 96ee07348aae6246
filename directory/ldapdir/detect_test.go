package ldapdir

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

func TestKindOf(t *testing.T) {
	for _, tt := range []struct {
		name string
		root map[string][]string
		want string
	}{
		{"OpenLDAP", map[string][]string{"structuralObjectClass": {"OpenLDAProotDSE"}, "vendorName": nil}, kindOpenLDAP},
		{"Active Directory", map[string][]string{"supportedCapabilities": {"1.2.840.113556.1.4.800", "1.2.840.113556.1.4.1670"}}, kindAD},
		{"Samba", map[string][]string{"supportedCapabilities": {"1.2.840.113556.1.4.800"}, "vendorName": {"Samba Team (https://www.samba.org)"}}, kindAD},
		{"AD LDS has no accounts", map[string][]string{"supportedCapabilities": {"1.2.840.113556.1.4.1851", "1.2.840.113556.1.4.1670"}}, kindOpenLDAP},
		{"389", map[string][]string{"vendorName": {"389 Project"}, "vendorVersion": {"389-Directory/2.4.5 B2024.017.0000"}}, kind389},
		{"FreeIPA", map[string][]string{"vendorName": {"389 Project"}, "ipatopologypluginversion": {"1.0"}, "ipatopologyismanaged": {"on"}}, kindFreeIPA},
		{"unknown", map[string][]string{"vendorName": {"Acme"}}, kindOpenLDAP},
		{"empty", nil, kindOpenLDAP},
	} {
		if got := kindOf(ldap.NewEntry("", tt.root)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// What the Config says wins over what the kind has, field by field.
func TestSchemaDefaults(t *testing.T) {
	base := Config{BaseDN: "dc=example,dc=org"}
	change := func(f func(*Config)) Config {
		c := base
		f(&c)
		return c
	}
	for _, tt := range []struct {
		name   string
		config Config
		kind   string
		filter string // of users
		group  string // name attribute
		base   string // of groups
		nested string
		member bool // memberOf
	}{
		{"openldap", base, kindOpenLDAP, "(uid=%s)", "cn", base.BaseDN, "off", false},
		{"rfc2307", base, kindRFC2307, "(&(objectClass=posixAccount)(uid=%s))", "cn", base.BaseDN, "off", false},
		{"ad", base, kindAD, "(&(objectClass=user)(!(objectClass=computer))(|(sAMAccountName=%s)(userPrincipalName=%s)))", "sAMAccountName", base.BaseDN, "token-groups", false},
		{"389ds", base, kind389, "(&(objectClass=person)(uid=%s))", "cn", base.BaseDN, "recursive", true},
		{"freeipa", base, kindFreeIPA, "(&(objectClass=person)(uid=%s))", "cn", "cn=groups,cn=accounts,dc=example,dc=org", "recursive", true},
		{"a base inside FreeIPA stays", change(func(c *Config) { c.BaseDN = "cn=accounts,dc=example,dc=org" }), kindFreeIPA, "(&(objectClass=person)(uid=%s))", "cn", "cn=accounts,dc=example,dc=org", "recursive", true},
		{"so does one that is set", change(func(c *Config) { c.GroupBaseDN = "cn=x,dc=example,dc=org" }), kindFreeIPA, "(&(objectClass=person)(uid=%s))", "cn", "cn=x,dc=example,dc=org", "recursive", true},
		{"name attribute", change(func(c *Config) { c.NameAttribute = "cn" }), kindOpenLDAP, "(cn=%s)", "cn", base.BaseDN, "off", false},
		{"login attributes", change(func(c *Config) { c.LoginAttributes = []string{"UID", "mail"} }), kindOpenLDAP, "(|(UID=%s)(mail=%s))", "cn", base.BaseDN, "off", false},
		{"the name attribute is always one", change(func(c *Config) { c.LoginAttributes = []string{"mail"} }), kindAD, "(&(objectClass=user)(!(objectClass=computer))(|(sAMAccountName=%s)(mail=%s)))", "sAMAccountName", base.BaseDN, "token-groups", false},
		{"user filter", change(func(c *Config) { c.UserFilter = "(x=%s)" }), kindAD, "(x=%s)", "sAMAccountName", base.BaseDN, "token-groups", false},
		{"group filter", change(func(c *Config) { c.GroupFilter = "(member=%d)" }), kindAD, "(&(objectClass=user)(!(objectClass=computer))(|(sAMAccountName=%s)(userPrincipalName=%s)))", "sAMAccountName", base.BaseDN, "off", false},
		{"group filter in place of memberOf", change(func(c *Config) { c.GroupFilter = "(member=%d)" }), kind389, "(&(objectClass=person)(uid=%s))", "cn", base.BaseDN, "off", false},
		{"memberOf", change(func(c *Config) { c.MemberOf = true }), kindAD, "(&(objectClass=user)(!(objectClass=computer))(|(sAMAccountName=%s)(userPrincipalName=%s)))", "sAMAccountName", base.BaseDN, "off", true},
		{"memberOf and nesting", change(func(c *Config) { c.MemberOf, c.Nested = true, "recursive" }), kindOpenLDAP, "(uid=%s)", "cn", base.BaseDN, "recursive", true},
		{"nesting", change(func(c *Config) { c.Nested = "off" }), kind389, "(&(objectClass=person)(uid=%s))", "cn", base.BaseDN, "off", true},
	} {
		s := tt.config.withDefaults().schema(tt.kind)
		if s.userFilter != tt.filter || s.groupName != tt.group || s.groupBase != tt.base || s.nested != tt.nested || s.memberOf != tt.member {
			t.Errorf("%s: %+v", tt.name, s)
		}
	}
}

func TestDNSDomain(t *testing.T) {
	for dn, want := range map[string]string{
		"DC=ad,DC=example,DC=test": "ad.example.test",
		"dc=example":               "example",
		"":                         "",
		"o=Example":                "",
		"ou=people,dc=example":     "",
		"dc=a+ou=b,dc=example":     "",
		"CN=Configuration,DC=ad":   "",
		"DC=ad\\,DC=x,DC=test":     "ad,DC=x.test", // one label, however odd
	} {
		if got, ok := dnsDomain(dn); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", dn, got, ok)
		}
	}
}

// A filter holds a bounded number of terms and bytes, all terms once and in
// order.
func TestBatches(t *testing.T) {
	long := string(make([]byte, maxFilterBytes/3))
	for name, terms := range map[string][]string{
		"none": nil, "one": {"(a=b)"}, "many": slices.Repeat([]string{"(a=b)"}, 2*maxFilterTerms+1),
		"long": slices.Repeat([]string{long}, 5), "too long alone": {long + long + long + long, "(a=b)"},
	} {
		count, bytes := 0, 0
		for filter := range batches(terms) {
			count++
			bytes += len(filter)
			if len(filter) > maxFilterBytes+len("(|)") && name != "too long alone" {
				t.Errorf("%s: %d bytes", name, len(filter))
			}
		}
		want := map[string]int{"none": 0, "one": 1, "many": 3, "long": 2, "too long alone": 2}[name]
		if count != want {
			t.Errorf("%s: %d filters, want %d", name, count, want)
		}
		if sum := len(strings.Join(terms, "")); bytes < sum {
			t.Errorf("%s: %d filters", name, count)
		}
	}
}
