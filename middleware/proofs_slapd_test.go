package middleware_test

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
	"github.com/seed-244866eb/gatehouse/middleware"
)

// dialPerLogin is what most programs do with the LDAP library.
func dialPerLogin(tb testing.TB, s *slapdtest.Server, name string) {
	conn, err := ldap.DialURL(s.URL())
	if err != nil {
		tb.Fatal(err)
	}
	naiveLogin(tb, conn, name)
}

func dialTLSPerLogin(tb testing.TB, s *slapdtest.Server, name string) {
	conn, err := ldap.DialURL(s.TLSURL(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: s.Roots(), ServerName: "127.0.0.1"}))
	if err != nil {
		tb.Fatal(err)
	}
	naiveLogin(tb, conn, name)
}

func naiveLogin(tb testing.TB, conn *ldap.Conn, name string) {
	defer conn.Close()
	conn.SetTimeout(5 * time.Second)
	if err := conn.Bind(slapdtest.ReaderDN, slapdtest.ReaderPassword); err != nil {
		tb.Fatal(err)
	}
	search := func(filter string) []*ldap.Entry {
		r, err := conn.Search(ldap.NewSearchRequest(slapdtest.BaseDN, ldap.ScopeWholeSubtree,
			ldap.NeverDerefAliases, 0, 0, false, filter, []string{"cn"}, nil))
		if err != nil {
			tb.Fatal(err)
		}
		return r.Entries
	}
	people := search("(uid=" + ldap.EscapeFilter(name) + ")")
	if len(people) != 1 {
		tb.Fatalf("%d entries", len(people))
	}
	if err := conn.Bind(people[0].DN, "pw-"+name); err != nil {
		tb.Fatal(err)
	}
	if err := conn.Bind(slapdtest.ReaderDN, slapdtest.ReaderPassword); err != nil {
		tb.Fatal(err)
	}
	search("(member=" + ldap.EscapeFilter(people[0].DN) + ")")
}

// TestRememberedPasswordAgainstADialPerLogin: a request with a remembered
// password asks the server nothing and takes a hundredth of the time. Both run
// in turns, and the pairs are compared, since times swing by a third. The race
// detector slows our half alone, so with it nothing is held against the bound.
func TestRememberedPasswordAgainstADialPerLogin(t *testing.T) {
	const user = "u00007"
	s := slapdtest.Start(t, slapdtest.Config{Users: 10_000, Groups: 1_000})
	dir, err := ldapdir.New(ldapdir.Config{
		URLs: []string{s.URL()}, BaseDN: slapdtest.BaseDN, BindDN: slapdtest.ReaderDN, BindPassword: slapdtest.ReaderPassword,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	w := newWorld(t, func(c *middleware.Config) { c.Directory, c.AccessGroups, c.ProofTTL = dir, nil, time.Hour })
	r := httptest.NewRequest("GET", "http://jira.example.com/rest/closed", nil)
	r.Header.Set("Authorization", basic(user, "pw-"+user))
	remembered := func() {
		answer := &sink{make(http.Header)}
		if w.app.ServeHTTP(answer, r); answer.h.Get("X-AUSERNAME") != user {
			t.Fatalf("answered to %v", answer.h)
		}
	}
	remembered() // the login
	const dials, requests = 20, 2000
	var ratios []float64
	for range 5 {
		dial := timed(dials, func() { dialPerLogin(t, s, user) })
		before := s.Counts()
		proof := timed(requests, remembered)
		if n := s.Counts().Sub(before); n.Binds+n.Searches != 0 {
			t.Errorf("remembered passwords asked the server %+v", n)
		}
		ratios = append(ratios, float64(dial)/float64(proof))
		t.Logf("a dial per login %.0f/s, a remembered password %.0f/s", 1/dial.Seconds(), 1/proof.Seconds())
	}
	slices.Sort(ratios)
	median := ratios[len(ratios)/2]
	t.Logf("%.0f times as many", median)
	if median < 100 && !raceEnabled {
		t.Error("want 100 times at least")
	}
}

// TestLoginAgainstADialPerLogin: a login takes no dialling and three
// operations, and less than 1/1.7 of the time of one that dials, by ldaps less
// than 1/2.5. Both run in turns, and the pairs are compared, as above.
func TestLoginAgainstADialPerLogin(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 10_000, Groups: 1_000, MemberOf: true})
	for _, tt := range []struct {
		name   string
		change func(*ldapdir.Config)
		dial   func(testing.TB, *slapdtest.Server, string)
		want   float64
		ops    int // of each login; a read of the entry makes three of two now and then
	}{
		{"ldap", func(c *ldapdir.Config) {}, dialPerLogin, 1.7, 3},
		{"ldaps", func(c *ldapdir.Config) { c.URLs, c.RootCAs = []string{s.TLSURL()}, s.Roots() }, dialTLSPerLogin, 2.5, 3},
		{"with a DN template, groups with the entry", func(c *ldapdir.Config) {
			c.UserDNTemplate, c.MemberOf = "uid=%s,"+slapdtest.PeopleDN, true
		}, dialPerLogin, 1.7, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := ldapdir.Config{
				URLs: []string{s.URL()}, BaseDN: slapdtest.BaseDN, BindDN: slapdtest.ReaderDN, BindPassword: slapdtest.ReaderPassword,
				GroupFilter: "(member=%d)", // as the other one asks
			}
			tt.change(&c)
			dir, err := ldapdir.New(c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { dir.Close() })
			auth, err := middleware.New(middleware.Config{Directory: dir, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { auth.Close() })
			next := 0
			login := func() {
				name := s.Names()[next%50]
				next++
				if _, err := auth.Authenticate(t.Context(), middleware.Credentials{Name: name, Password: "pw-" + name}); err != nil {
					t.Fatal(err)
				}
			}
			timed(60, login) // everybody is known and every connection there
			const logins = 150
			var ratios []float64
			median := 0.0
			for len(ratios) < 5 || len(ratios) < 20 && median < tt.want { // more where the machine is busy
				dial := timed(logins, func() { tt.dial(t, s, s.Names()[next%50]); next++ })
				before := s.Counts()
				ours := timed(logins, login)
				got := s.Counts().Sub(before)
				if got.Connections != 0 || got.Operations > tt.ops*logins {
					t.Errorf("%d logins: %+v", logins, got)
				}
				ratios = append(ratios, float64(dial)/float64(ours))
				t.Logf("a dial per login %.0f/s, a login %.0f/s with %.2f operations", 1/dial.Seconds(), 1/ours.Seconds(), float64(got.Operations)/logins)
				median = slices.Sorted(slices.Values(ratios))[len(ratios)/2]
			}
			t.Logf("%.1f times as many", median)
			if median < tt.want && !raceEnabled {
				t.Errorf("want %.1f times at least", tt.want)
			}
		})
	}
}

// timed returns the time of one of n calls.
func timed(n int, f func()) time.Duration {
	began := time.Now()
	for range n {
		f()
	}
	return time.Since(began) / time.Duration(n)
}
