package ldapdir_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
)

// A faultRow is a Config and what New says of it.
type faultRow struct {
	name   string
	config ldapdir.Config
	want   []string // parts of the error; none: no error
}

// good returns a valid Config with one change.
func good(change func(*ldapdir.Config)) ldapdir.Config {
	c := ldapdir.Config{URLs: []string{"ldaps://dc1.example.org"}, BaseDN: "dc=example,dc=org"}
	change(&c)
	return c
}

func urlFaults() []faultRow {
	return []faultRow{
		{"wiring of the documentation", good(func(c *ldapdir.Config) { c.URLs = append(c.URLs, "ldaps://dc2.example.org") }), nil},
		{"plain to another machine", good(func(c *ldapdir.Config) { c.URLs = []string{"ldap://dc1.example.org"} }), []string{"ldap://dc1.example.org", "in the clear"}},
		{"plain to a name like localhost", good(func(c *ldapdir.Config) { c.URLs = []string{"ldap://localhost.example.org"} }), []string{"in the clear"}},
		{"plain, said to be insecure", good(func(c *ldapdir.Config) {
			c.URLs, c.InsecurePlaintext = []string{"ldap://dc1.example.org"}, true
		}), nil},
		{"plain to loopback", good(func(c *ldapdir.Config) {
			c.URLs = []string{"ldap://127.0.0.9:1389", "ldap://[::1]", "ldap://localhost"}
		}), nil},
		{"StartTLS to another machine", good(func(c *ldapdir.Config) { c.URLs, c.StartTLS = []string{"ldap://dc1.example.org"}, true }), nil},
		{"StartTLS over ldaps", good(func(c *ldapdir.Config) { c.StartTLS = true }), []string{"StartTLS"}},
		{"other scheme", good(func(c *ldapdir.Config) { c.URLs = []string{"http://dc1.example.org"} }), []string{"http://dc1.example.org", "scheme"}},
		{"no host", good(func(c *ldapdir.Config) { c.URLs = []string{"ldaps://"} }), []string{"no host"}},
		{"path", good(func(c *ldapdir.Config) { c.URLs = []string{"ldaps://dc1/dc=example"} }), []string{"more than scheme"}},
		{"twice", good(func(c *ldapdir.Config) { c.URLs = append(c.URLs, "ldaps://dc1.example.org:636") }), []string{"twice"}},
		{"colon behind the port", good(func(c *ldapdir.Config) { c.URLs = []string{"ldap://127.0.0.1:35011:"} }), []string{`"ldap://127.0.0.1:35011:": the port is not a number`}},
		{"colon without a port", good(func(c *ldapdir.Config) { c.URLs = []string{"ldap://dc1:"} }), []string{"the port is not a number"}},
		{"two ports", good(func(c *ldapdir.Config) { c.URLs = []string{"ldaps://dc1:636:636"} }), []string{"the port is not a number"}},
		{"port that is a word", good(func(c *ldapdir.Config) { c.URLs = []string{"ldap://dc1:ldap"} }), []string{"number 1: the port is not a number"}},
		{"port 0", good(func(c *ldapdir.Config) { c.URLs = []string{"ldaps://dc1:0"} }), []string{"between 1 and 65535"}},
		{"port 65536", good(func(c *ldapdir.Config) { c.URLs = []string{"ldaps://dc1:65536"} }), []string{"between 1 and 65535"}},
		{"IPv6 without brackets", good(func(c *ldapdir.Config) { c.URLs = []string{"ldap://2001:db8::1"} }), []string{"needs brackets"}},
	}
}

func fieldFaults() []faultRow {
	return []faultRow{
		{"zero", ldapdir.Config{}, []string{"Config.URLs", "Config.UserBaseDN", "Config.GroupBaseDN"}},
		{"bind DN without password", good(func(c *ldapdir.Config) { c.BindDN = "cn=reader" }), []string{"BindPassword"}},
		{"password without bind DN", good(func(c *ldapdir.Config) { c.BindPassword = "geheim" }), []string{"BindDN"}},
		{"base that is no DN", good(func(c *ldapdir.Config) { c.BaseDN = "example.org" }), []string{`Config.BaseDN "example.org" is no DN; for example dc=example,dc=org`}},
		{"user base that is no DN", good(func(c *ldapdir.Config) { c.UserBaseDN = "people" }), []string{`Config.UserBaseDN "people" is no DN; for example ou=people,`}},
		{"group base that is no DN", good(func(c *ldapdir.Config) { c.GroupBaseDN = "groups" }), []string{`Config.GroupBaseDN "groups" is no DN; for example ou=groups,`}},
		{"bind DN that is none", good(func(c *ldapdir.Config) { c.BindDN, c.BindPassword = "reader", "geheim" }), []string{`Config.BindDN "reader" is no DN; for example cn=reader,`}},
		{"template without a place", good(func(c *ldapdir.Config) { c.UserDNTemplate = "uid=ann,ou=people" }), []string{"UserDNTemplate"}},
		{"template with two places", good(func(c *ldapdir.Config) { c.UserDNTemplate = "uid=%s,ou=%s" }), []string{"UserDNTemplate"}},
		{"template with a part of a value", good(func(c *ldapdir.Config) { c.UserDNTemplate = "uid=x%s,ou=people" }), []string{"UserDNTemplate"}},
		{"template", good(func(c *ldapdir.Config) { c.UserDNTemplate = "uid=%s,ou=people,dc=example,dc=org" }), nil},
		{"filter that does not parse", good(func(c *ldapdir.Config) { c.UserFilter = "(uid=%s" }), []string{"UserFilter"}},
		{"filter without a name", good(func(c *ldapdir.Config) { c.UserFilter = "(uid=*)" }), []string{"UserFilter"}},
		{"group filter without a name", good(func(c *ldapdir.Config) { c.GroupFilter = "(cn=*)" }), []string{"GroupFilter"}},
		{"schema", good(func(c *ldapdir.Config) { c.Schema = "novell" }), []string{"Schema", "novell"}},
		{"nesting", good(func(c *ldapdir.Config) { c.Nested, c.NestedDepth = "deep", -1 }), []string{`Nested "deep"`, "NestedDepth is negative: -1"}},
		{"token groups of no Active Directory", good(func(c *ldapdir.Config) { c.Schema, c.Nested = "389ds", "token-groups" }), []string{`"token-groups" is for Active Directory`}},
		{"in-chain with a filter", good(func(c *ldapdir.Config) { c.Nested, c.GroupFilter = "in-chain", "(member=%d)" }), []string{`Nested "in-chain" uses neither`}},
		{"attributes", good(func(c *ldapdir.Config) {
			c.LoginAttributes, c.GroupNameAttribute, c.IDAttribute = []string{"uid", "mail)(uid", ""}, "c n", "entry*"
		}), []string{`LoginAttributes "mail)(uid"`, `LoginAttributes "(empty)"`, `GroupNameAttribute "c n"`, `IDAttribute "entry*"`}},
		{"domains", good(func(c *ldapdir.Config) { c.Domains = []string{"CORP", `CORP\`, "@corp.example.org", ""} }), []string{`Domains "CORP\\"`, `Domains "@corp.example.org"`, `Domains ""`}},
		{"referrals to nowhere", good(func(c *ldapdir.Config) { c.FollowReferrals = true }), []string{"FollowReferrals and Config.ReferralHosts"}},
		{"referral hosts", good(func(c *ldapdir.Config) {
			c.FollowReferrals, c.ReferralHosts = true, []string{"dc1.example.org", "ldaps://dc2", "dc3:636", "2001:db8::1"}
		}), []string{`ReferralHosts "ldaps://dc2"`, `ReferralHosts "dc3:636"`}},
		{"names and groups", good(func(c *ldapdir.Config) {
			c.Schema, c.Nested, c.Domains, c.LoginAttributes = "ad", "in-chain", []string{"CORP", "corp.example.org"}, []string{"sAMAccountName", "mail", "1.2.840.113556.1.4.656"}
			c.FollowReferrals, c.ReferralHosts = true, []string{"dc1.example.org", "2001:db8::1"}
		}), nil},
		{"negative numbers", good(func(c *ldapdir.Config) {
			c.MaxCoolDown, c.FailBack, c.ResolveEvery = -5, -6, -7
			c.Timeout, c.CoolDown, c.SearchConns, c.BindConns, c.MaxWaiting = -time.Second, -1, -2, -3, -4
		}), []string{"Timeout is negative: -1s", "CoolDown", "SearchConns is negative: -2", "BindConns", "MaxWaiting", "MaxCoolDown is negative: -5ns", "FailBack is", "ResolveEvery is"}},
		{"longest pause shorter than the first", good(func(c *ldapdir.Config) { c.CoolDown, c.MaxCoolDown = time.Minute, time.Second }), []string{"MaxCoolDown is less than CoolDown"}},
		{"domain", good(func(c *ldapdir.Config) { c.URLs, c.Domain, c.Site = nil, "example.org", "Default-First-Site-Name" }), nil},
		{"domain beside URLs", good(func(c *ldapdir.Config) { c.Domain = "example.org" }), []string{"URLs or Config.Domain", "not both"}},
		{"domain that is a URL", good(func(c *ldapdir.Config) { c.URLs, c.Domain = nil, "ldaps://example.org" }), []string{`Domain "ldaps://example.org"`}},
		{"domain with an empty label", good(func(c *ldapdir.Config) { c.URLs, c.Domain = nil, "example..org" }), []string{"is no DNS domain"}},
		{"site that is several labels", good(func(c *ldapdir.Config) { c.URLs, c.Domain, c.Site = nil, "example.org", "a.b" }), []string{`Site "a.b"`}},
		{"site without a domain", good(func(c *ldapdir.Config) { c.Site = "oslo" }), []string{"Site goes with"}},
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	for _, tt := range append(urlFaults(), fieldFaults()...) {
		t.Run(tt.name, func(t *testing.T) {
			d, err := ldapdir.New(tt.config)
			if (err == nil) != (len(tt.want) == 0) {
				t.Fatal(err)
			}
			if err == nil {
				d.Close()
				return
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("no %q in %q", part, err)
				}
			}
			if strings.Contains(err.Error(), "geheim") {
				t.Errorf("a password is in %q", err)
			}
		})
	}
}

// One wrong value is one fault: the others that it would cause, in fields that
// were never set or about a host that is none, only hide it.
func TestNewNamesAFaultOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config ldapdir.Config
	}{
		{"base that is no DN", good(func(c *ldapdir.Config) { c.BaseDN = "example" })},
		{"colon behind the port", good(func(c *ldapdir.Config) { c.URLs = []string{"ldap://127.0.0.1:35011:"} })},
		{"colon behind the port of another machine", good(func(c *ldapdir.Config) { c.URLs = []string{"ldap://dc1.example.org:389:"} })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ldapdir.New(tt.config)
			if err == nil || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "in the clear") {
				t.Errorf("New: %v, want one fault", err)
			}
		})
	}
}

func TestNewCopies(t *testing.T) {
	urls := []string{"ldaps://dc1.example.org"}
	d, err := ldapdir.New(ldapdir.Config{URLs: urls, BaseDN: "dc=example,dc=org"})
	if err != nil {
		t.Fatal(err)
	}
	urls[0] = "changed"
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
