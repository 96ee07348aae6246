package ldapdir_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
)

func TestNewNamesEveryFault(t *testing.T) {
	good := func(change func(*ldapdir.Config)) ldapdir.Config {
		c := ldapdir.Config{URLs: []string{"ldaps://dc1.example.org"}, BaseDN: "dc=example,dc=org"}
		change(&c)
		return c
	}
	for _, tt := range []struct {
		name   string
		config ldapdir.Config
		want   []string // parts of the error; none: no error
	}{
		{"wiring of the documentation", good(func(c *ldapdir.Config) { c.URLs = append(c.URLs, "ldaps://dc2.example.org") }), nil},
		{"zero", ldapdir.Config{}, []string{"Config.URLs", "Config.UserBaseDN", "Config.GroupBaseDN"}},
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
		{"bind DN without password", good(func(c *ldapdir.Config) { c.BindDN = "cn=reader" }), []string{"BindPassword"}},
		{"password without bind DN", good(func(c *ldapdir.Config) { c.BindPassword = "geheim" }), []string{"BindDN"}},
		{"base that is no DN", good(func(c *ldapdir.Config) { c.BaseDN = "example.org" }), []string{"Config.BaseDN", "example.org"}},
		{"template without a place", good(func(c *ldapdir.Config) { c.UserDNTemplate = "uid=ann,ou=people" }), []string{"UserDNTemplate"}},
		{"template with two places", good(func(c *ldapdir.Config) { c.UserDNTemplate = "uid=%s,ou=%s" }), []string{"UserDNTemplate"}},
		{"template with a part of a value", good(func(c *ldapdir.Config) { c.UserDNTemplate = "uid=x%s,ou=people" }), []string{"UserDNTemplate"}},
		{"template", good(func(c *ldapdir.Config) { c.UserDNTemplate = "uid=%s,ou=people,dc=example,dc=org" }), nil},
		{"filter that does not parse", good(func(c *ldapdir.Config) { c.UserFilter = "(uid=%s" }), []string{"UserFilter"}},
		{"filter without a name", good(func(c *ldapdir.Config) { c.UserFilter = "(uid=*)" }), []string{"UserFilter"}},
		{"group filter without a name", good(func(c *ldapdir.Config) { c.GroupFilter = "(cn=*)" }), []string{"GroupFilter"}},
		{"schema", good(func(c *ldapdir.Config) { c.Schema = "novell" }), []string{"Schema", "novell"}},
		{"negative numbers", good(func(c *ldapdir.Config) {
			c.Timeout, c.CoolDown, c.SearchConns, c.BindConns, c.MaxWaiting = -time.Second, -1, -2, -3, -4
		}), []string{"Timeout is negative: -1s", "CoolDown", "SearchConns is negative: -2", "BindConns", "MaxWaiting"}},
	} {
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
