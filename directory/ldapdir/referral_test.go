package ldapdir_test

import (
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// reference returns the LDIF of an entry that refers to others.
func reference(name, url string) string {
	return "dn: ou=" + name + "," + slapdtest.GroupsDN + "\nobjectClass: referral\nobjectClass: extensibleObject\nou: " + name + "\nref: " + url + "\n\n"
}

// onlyReader shows groups to the service account alone.
const onlyReader = `access to dn.subtree="ou=groups,dc=example,dc=org" by dn.exact="` + slapdtest.ReaderDN + `" read by * none`

func referralConfig(url string, hosts ...string) ldapdir.Config {
	return ldapdir.Config{URLs: []string{url}, UserBaseDN: slapdtest.PeopleDN, GroupBaseDN: slapdtest.GroupsDN,
		BindDN: slapdtest.ReaderDN, BindPassword: slapdtest.ReaderPassword,
		FollowReferrals: len(hosts) > 0, ReferralHosts: hosts}
}

func TestReferrals(t *testing.T) {
	people := []slapdtest.Person{{Name: "ann", Groups: []string{"here"}}}
	there := slapdtest.Start(t, slapdtest.Config{
		People: []slapdtest.Person{{Name: "ann", Groups: []string{"there"}}}, Extra: onlyReader,
	})
	const below = "ou=more," + slapdtest.GroupsDN
	continuation := slapdtest.Start(t, slapdtest.Config{People: people, LDIF: reference("more", there.URL()+"/"+slapdtest.GroupsDN)})
	secure := slapdtest.Start(t, slapdtest.Config{People: people, LDIF: reference("more", there.TLSURL()+"/"+slapdtest.GroupsDN)})
	for _, tt := range []struct {
		name   string
		server *slapdtest.Server
		base   string // of groups; empty: all
		hosts  []string
		tls    bool
		want   []string // nil: no verdict, and nobody was asked
	}{
		{"continuation, not followed", continuation, "", nil, false, nil},
		{"continuation, followed as the service account", continuation, "", []string{"127.0.0.1"}, false, []string{"here", "there"}},
		{"continuation, another host", continuation, "", []string{"localhost", "127.0.0.11"}, false, nil},
		{"result 10, not followed", continuation, below, nil, false, nil},
		{"result 10, followed", continuation, below, []string{"127.0.0.1"}, false, []string{"there"}},
		{"result 10, another host", continuation, below, []string{"localhost"}, false, nil},
		{"from TLS into the clear", continuation, "", []string{"127.0.0.1"}, true, nil},
		{"from TLS to TLS", secure, "", []string{"127.0.0.1"}, true, []string{"here", "there"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := referralConfig(tt.server.URL(), tt.hosts...)
			if tt.tls {
				c.URLs, c.RootCAs = []string{tt.server.TLSURL()}, roots(t, tt.server, there)
			}
			if tt.base != "" {
				c.GroupBaseDN = tt.base
			}
			d := open(t, c)
			before := there.Counts()
			_, g, err := login(t.Context(), d, "ann", "pw-ann")
			if !slices.Equal(g.Names, tt.want) || tt.want != nil && err != nil {
				t.Errorf("groups %q, want %q, %v", g.Names, tt.want, err)
			}
			got := there.Counts().Sub(before)
			if tt.want == nil {
				mustBeUnavailable(t, "Groups", err)
				if got.Connections != 0 {
					t.Errorf("the other server was asked: %+v", got)
				}
				return
			}
			if got.Binds != 1 || got.Searches != 1 {
				t.Errorf("the other server was asked: %+v", got)
			}
		})
	}
}

// What is missing elsewhere is no shorter list, and no fault of this server.
func TestReferralsThatFail(t *testing.T) {
	there := slapdtest.Start(t, slapdtest.Config{})
	here := slapdtest.Start(t, slapdtest.Config{
		People: []slapdtest.Person{{Name: "ann", Groups: []string{"here"}}},
		LDIF:   reference("more", there.TLSURL()+"/"+slapdtest.GroupsDN),
	})
	c := referralConfig(here.TLSURL(), "127.0.0.1")
	c.RootCAs = roots(t, here, there)
	if _, _, err := login(t.Context(), open(t, c), "ann", "pw-ann"); err != nil {
		t.Fatal("before:", err)
	}
	other := c
	other.RootCAs = roots(t, here)
	_, _, err := login(t.Context(), open(t, other), "ann", "pw-ann")
	mustBeUnavailable(t, "certificate of another authority", err)
	there.Kill()
	d := open(t, c)
	_, g, err := login(t.Context(), d, "ann", "pw-ann")
	if mustBeUnavailable(t, "the other server is down", err); len(g.Names) > 0 {
		t.Errorf("a part of the groups: %q", g.Names)
	}
	if _, err := d.Find(t.Context(), "ann"); err != nil {
		t.Error("and this one is not:", err)
	}
}

func TestReferencesToManyPlaces(t *testing.T) {
	const most = 8
	for _, places := range []int{most, most + 1} {
		t.Run(fmt.Sprint(places), func(t *testing.T) {
			there := slapdtest.Start(t, slapdtest.Config{Users: places})
			var ldif strings.Builder
			for i, name := range there.Names() {
				ldif.WriteString(reference(fmt.Sprint("more", i), there.URL()+"/"+slapdtest.UserDN(name)))
			}
			here := slapdtest.Start(t, slapdtest.Config{People: []slapdtest.Person{{Name: "ann", Groups: []string{"here"}}}, LDIF: ldif.String()})
			_, g, err := login(t.Context(), open(t, referralConfig(here.URL(), "127.0.0.1")), "ann", "pw-ann")
			if places > most {
				mustBeUnavailable(t, "Groups", err)
			} else if err != nil || !slices.Equal(g.Names, []string{"here"}) {
				t.Errorf("%q, %v", g.Names, err)
			}
			if n := there.Counts().Connections; n != most {
				t.Errorf("%d connections, want %d", n, most)
			}
		})
	}
}

// roots returns the authorities of all servers.
func roots(t *testing.T, servers ...*slapdtest.Server) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	for _, s := range servers {
		pem, err := os.ReadFile(s.CAFile())
		if err != nil || !pool.AppendCertsFromPEM(pem) {
			t.Fatal(err)
		}
	}
	return pool
}

// What a server refers to leads nowhere for ever, and not to what it makes up.
func TestReferencesWithoutEnd(t *testing.T) {
	const base = "/ou=groups,dc=example,dc=org"
	for _, tt := range []struct {
		name string
		refs func(there *ldapserver.Server) []string // of the first server
		back bool                                    // and the second refers to itself
		want []string                                // nil: no verdict
		conn int                                     // most connections to the second
	}{
		{"once", func(s *ldapserver.Server) []string { return []string{s.URL() + base} }, false, []string{"admins", "staff", "there"}, 1},
		{"in a circle", func(s *ldapserver.Server) []string { return []string{s.URL() + base} }, true, []string{"admins", "staff", "there"}, 1},
		{"the same DN as before", func(s *ldapserver.Server) []string { return []string{s.URL()} }, false, []string{"admins", "staff", "there"}, 1},
		{"scope", func(s *ldapserver.Server) []string {
			return []string{s.URL() + "/cn=there,ou=groups,dc=example,dc=org??base"}
		}, false, []string{"admins", "staff", "there"}, 1},
		{"scope of the DN alone, which is no group", func(s *ldapserver.Server) []string { return []string{s.URL() + base + "??base"} }, false, []string{"admins", "staff"}, 1},
		{"a filter of its own", func(s *ldapserver.Server) []string { return []string{s.URL() + base + "??sub?(objectClass=*)"} }, false, nil, 0},
		{"an unknown scope", func(s *ldapserver.Server) []string { return []string{s.URL() + base + "??all"} }, false, nil, 0},
		{"another scheme", func(s *ldapserver.Server) []string { return []string{"http" + strings.TrimPrefix(s.URL(), "ldap")} }, false, nil, 0},
		{"no URL", func(s *ldapserver.Server) []string { return []string{"%zz"} }, false, nil, 0},
		{"another host among them", func(s *ldapserver.Server) []string {
			return []string{"ldap://127.0.0.99:1" + base, s.URL() + base}
		}, false, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			here := serve(t, ldapserver.Config{})
			there := serve(t, ldapserver.Config{Entries: []ldapserver.Entry{
				object("cn=there,ou=groups,dc=example,dc=org", attrs{"objectClass": {"groupOfNames"}}, "member", annEntries[0].DN),
			}})
			d := open(t, ldapdir.Config{URLs: []string{here.URL()}, FollowReferrals: true, ReferralHosts: []string{"127.0.0.1"}})
			e, err := d.Find(t.Context(), "ann")
			if err != nil {
				t.Fatal(err)
			}
			here.SetFault(ldapserver.Fault{References: tt.refs(there)})
			if tt.back {
				there.SetFault(ldapserver.Fault{References: []string{there.URL() + base}})
			}
			g, err := d.Groups(t.Context(), e)
			if !slices.Equal(g.Names, tt.want) || (err == nil) != (tt.want != nil) {
				t.Errorf("%q, want %q, %v", g.Names, tt.want, err)
			}
			if tt.want == nil {
				mustBeUnavailable(t, "Groups", err)
			}
			if n := there.Stats().Connections; n > tt.conn {
				t.Errorf("%d connections", n)
			}
			// People must be here, so references are passed over.
			if again, err := d.Find(t.Context(), "ann"); err != nil || again.ID != e.ID {
				t.Errorf("%+v, %v", again, err)
			}
		})
	}
}
