package ldapserver

import (
	"encoding/base64"
	"errors"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// The results are those of OpenLDAP 2.5 (see TestBindsAsSlapd).
var bindTests = []struct {
	name, dn, password string
	want               uint16
}{
	{"plain password", fredDN, fredPass, 0},
	{"DN in other letters and with spaces", "UID=FRED, OU=people,dc=example,dc=org", fredPass, 0},
	{"salted password", "uid=admin,ou=people," + suffix, "adminpass", 0},
	{"salted password, wrong", "uid=admin,ou=people," + suffix, "adminpas", 49},
	{"the stored hash is not the password", "uid=admin,ou=people," + suffix, "{SSHA}/kfcsAicyrF09gaV54Fe4byPN6VzYWx0", 49},
	{"beyond ASCII", "uid=zoë,ou=people," + suffix, zoePass, 0},
	{"wrong password", fredDN, "guess", 49},
	{"passwords keep their case", fredDN, "FredPass", 49},
	{"unknown DN", "uid=nobody,ou=people," + suffix, "x", 49},
	{"entry without password", "uid=nogroups,ou=people," + suffix, "x", 49},
	{"DN without password", fredDN, "", 53},
	{"unknown DN without password", "uid=nobody,ou=people," + suffix, "", 53},
	{"password without DN", "", "x", 49},
	{"anonymous", "", "", 0},
	{"not a DN", "fred", fredPass, 34},
}

// resultOf returns the LDAP result of a call of go-ldap.
func resultOf(err error) uint16 {
	if e := (*ldap.Error)(nil); errors.As(err, &e) {
		return e.ResultCode
	}
	return 0
}

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestPasswordMatches(t *testing.T) {
	for _, tt := range []struct {
		name, stored, password string
		want                   bool
	}{
		{"plain", "secret", "secret", true},
		{"plain, longer", "secret", "secrets", false},
		{"scheme in lower case", "{ssha}/kfcsAicyrF09gaV54Fe4byPN6VzYWx0", "adminpass", true},
		{"unsalted", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret", true},
		{"hash cut short", "{SSHA}AAAA", "", false},
		{"hash that is no base64", "{SSHA}***", "***", false},
		{"unknown scheme matches nothing", "{CRYPT}x", "{CRYPT}x", false},
		{"a brace alone is plain", "{x", "{x", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := passwordMatches(tt.stored, tt.password); got != tt.want {
				t.Errorf("passwordMatches(%q, %q) = %v", tt.stored, tt.password, got)
			}
		})
	}
}

// A failed bind must not leave the identity of the one before.
func TestFailedBindIsAnonymous(t *testing.T) {
	c := dial(t, start(t, Config{Entries: testEntries()}).URL())
	who := func() string {
		t.Helper()
		r, err := c.WhoAmI(nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.AuthzID
	}
	if err := c.Bind(fredDN, fredPass); err != nil {
		t.Fatal(err)
	}
	if got := who(); got != "dn:"+fredDN {
		t.Errorf("bound as %q", got)
	}
	if err := c.Bind(fredDN, "guess"); resultOf(err) != 49 {
		t.Fatal(err)
	}
	if got := who(); got != "" {
		t.Errorf("after a failed bind still %q", got)
	}
}

func TestDenyAnonymous(t *testing.T) {
	c := dial(t, start(t, Config{Entries: testEntries(), DenyAnonymous: true}).URL())
	search := ldap.NewSearchRequest(suffix, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", nil, nil)
	if _, err := c.Search(search); resultOf(err) != 50 {
		t.Errorf("anonymous search: %v, want result 50", err)
	}
	if _, err := c.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", nil, nil)); err != nil {
		t.Errorf("anonymous rootDSE: %v", err)
	}
	if err := c.Bind(fredDN, fredPass); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Search(search); err != nil {
		t.Errorf("search after bind: %v", err)
	}
}
