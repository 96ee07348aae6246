package ldapdir

import (
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/internal/casefile"
)

const (
	testFilter   = "(&(objectClass=inetOrgPerson)(uid=%s))"
	testTemplate = "uid=%s,ou=people,dc=example,dc=com"
)

// checkFilter reports how the filter with the name in it differs from an
// equality of exactly that name: invariants I1 and I2 of the case file.
func checkFilter(t *testing.T, name string) {
	t.Helper()
	p, err := ldap.CompileFilter(expandFilter(testFilter, name, ""))
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	if p.Tag != ldap.FilterAnd || len(p.Children) != 2 || p.Children[1].Tag != ldap.FilterEqualityMatch {
		t.Fatalf("%q changes the filter: %s", name, expandFilter(testFilter, name, ""))
	}
	if value := p.Children[1].Children[1]; text(value) != name {
		t.Errorf("%q is asked for as %q", name, text(value))
	}
}

func text(p *ber.Packet) string { return p.Data.String() }

// checkDN does the same for the DN: invariant I3.
func checkDN(t *testing.T, name string) {
	t.Helper()
	dn, err := ldap.ParseDN(expandDN(testTemplate, name))
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	if len(dn.RDNs) != 4 || len(dn.RDNs[0].Attributes) != 1 {
		t.Fatalf("%q changes the DN: %s", name, expandDN(testTemplate, name))
	}
	if a := dn.RDNs[0].Attributes[0]; a.Type != "uid" || a.Value != name {
		t.Errorf("%q is named as %s=%q", name, a.Type, a.Value)
	}
}

func TestEscapingCases(t *testing.T) {
	for _, row := range casefile.Read[struct {
		ID          string `json:"id"`
		Username    string `json:"username"`
		FilterValue string `json:"filter_value"`
		DN          string `json:"dn"`
	}](t, "testdata/ldap_escaping.json") {
		t.Run(row.ID, func(t *testing.T) {
			checkFilter(t, row.Username)
			checkDN(t, row.Username)
			want, err := ldap.CompileFilter(strings.Replace(testFilter, "%s", row.FilterValue, 1))
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := ldap.CompileFilter(expandFilter(testFilter, row.Username, "")); string(got.Bytes()) != string(want.Bytes()) {
				t.Errorf("filter on the wire %x, want %x", got.Bytes(), want.Bytes())
			}
			theirs, err := ldap.ParseDN(row.DN)
			if err != nil {
				t.Fatal(err)
			}
			if ours, _ := ldap.ParseDN(expandDN(testTemplate, row.Username)); !ours.Equal(theirs) {
				t.Errorf("DN %s, want %s", ours, theirs)
			}
		})
	}
}

func TestNameIsNotExpandedAgain(t *testing.T) {
	if got := expandFilter("(|(member=%d)(memberUid=%s))", "%d", "cn=%s"); got != "(|(member=cn=%s)(memberUid=%d))" {
		t.Error(got)
	}
}

// Whatever the name, the filter is an equality of it and the DN has it as its
// first value.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"alice", "*", "a)(uid=*", "a,ou=x", " lead", "trail ", " ", "#x", `\2a`, `a\`, "%s", "%d", "ü＊", "a+b=c", `"<;>`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if directory.CheckName(name) != nil {
			return // never gets here
		}
		checkFilter(t, name)
		checkDN(t, name)
	})
}
