package ldapserver

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/internal/casefile"
)

// An entry with any name is found by its escaped filter and by its escaped
// DN, and by nothing that a wrong escape would make of it.
func TestCasesLDAPEscaping(t *testing.T) {
	for _, row := range casefile.Read[struct {
		ID, Filter, DN string
		Hex            string `json:"utf8_hex"`
	}](t, "testdata/ldap_escaping.json") {
		t.Run(row.ID, func(t *testing.T) {
			name, err := hex.DecodeString(row.Hex)
			if err != nil {
				t.Fatal(err)
			}
			s := start(t, Config{Entries: []Entry{
				{DN: "dc=example,dc=com"},
				{DN: "cn=bystander,ou=people,dc=example,dc=com", Attributes: attrs{"objectClass": {"inetOrgPerson"}, "uid": {"bystander"}}},
				{DN: row.DN, Attributes: attrs{"objectClass": {"inetOrgPerson"}, "mark": {"it"}, "userPassword": {"secret"}}},
			}})
			// The naming attribute was taken from the DN: it must be the name.
			e := s.tree.Load().entries[2]
			if got := e.get("uid").values; len(got) != 1 || got[0] != string(name) {
				t.Errorf("the DN names %q, want %q", got, name)
			}
			c := dial(t, s.URL())
			q := ldap.NewSearchRequest("dc=example,dc=com", ldap.ScopeWholeSubtree, 0, 0, 0, false, row.Filter, []string{"mark"}, nil)
			r, err := c.Search(q)
			if err != nil || len(r.Entries) != 1 || r.Entries[0].GetAttributeValue("mark") != "it" {
				t.Errorf("%s found %v, %v", row.Filter, r, err)
			}
			if err := c.Bind(row.DN, "secret"); err != nil {
				t.Errorf("bind as %q: %v", row.DN, err)
			}
		})
	}
}

// Names are one here exactly when slapd took them for one.
func TestCasesUsernameAsSlapd(t *testing.T) {
	// Rows that need what this server does not do, by id.
	elsewhere := map[string]string{
		"username_lockout-019": "mathematical letters: Unicode compatibility normalisation",
		"username_lockout-021": "small Roman numeral: the same",
		"username_lockout-031": "decomposed accent: Unicode normalisation",
		"username_lockout-051": "variant and canonical are the same 256 bytes, equal by any rule",
	}
	const path = "testdata/username_lockout.json"
	casefile.LeftOut(t, path, elsewhere)
	for _, row := range casefile.Read[struct {
		ID, Variant, Canonical string
		Equal                  string `json:"observed_slapd_equal"`
	}](t, path) {
		if elsewhere[row.ID] != "" {
			continue
		}
		t.Run(row.ID, func(t *testing.T) {
			c := dial(t, start(t, Config{Entries: []Entry{{DN: suffix}, {DN: "cn=x," + suffix, Attributes: attrs{"uid": {row.Canonical}}}}}).URL())
			got := len(find(t, c, "(uid="+ldap.EscapeFilter(row.Variant)+")")) == 1
			if want := strings.HasPrefix(row.Equal, "yes"); got != want {
				t.Errorf("%q found %q: %v, slapd: %s", row.Variant, row.Canonical, got, row.Equal)
			}
		})
	}
}
