package middleware_test

import (
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

// timed returns the time of one of n calls.
func timed(n int, f func()) time.Duration {
	began := time.Now()
	for range n {
		f()
	}
	return time.Since(began) / time.Duration(n)
}
