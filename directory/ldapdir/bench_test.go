package ldapdir_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// dialPerLogin is what most programs do with the LDAP library: a connection,
// the bind of the service account, and four more operations for each login.
func dialPerLogin(s *slapdtest.Server, secure bool, name string) error {
	url, options := s.URL(), []ldap.DialOpt{}
	if secure {
		url = s.TLSURL()
		options = append(options, ldap.DialWithTLSConfig(&tls.Config{RootCAs: s.Roots(), ServerName: "127.0.0.1"}))
	}
	conn, err := ldap.DialURL(url, options...)
	if err != nil {
		return err
	}
	defer conn.Unbind()
	conn.SetTimeout(5 * time.Second)
	if err := conn.Bind(slapdtest.ReaderDN, slapdtest.ReaderPassword); err != nil {
		return err
	}
	search := func(filter, attribute string) ([]*ldap.Entry, error) {
		r, err := conn.Search(ldap.NewSearchRequest(slapdtest.BaseDN, ldap.ScopeWholeSubtree,
			ldap.NeverDerefAliases, 0, 0, false, filter, []string{attribute}, nil))
		if err != nil {
			return nil, err
		}
		return r.Entries, nil
	}
	people, err := search("(uid="+ldap.EscapeFilter(name)+")", "mail")
	if err != nil || len(people) != 1 {
		return errors.Join(err, fmt.Errorf("%d entries", len(people)))
	}
	if err := conn.Bind(people[0].DN, "pw-"+name); err != nil {
		return err
	}
	if err := conn.Bind(slapdtest.ReaderDN, slapdtest.ReaderPassword); err != nil {
		return err
	}
	_, err = search("(member="+ldap.EscapeFilter(people[0].DN)+")", "cn")
	return err
}

// BenchmarkLogin defends the steady state of a login against slapd: no
// dialling and 3 operations a login (2 with a template and memberOf), 1.7
// times the logins of a client that dials for each, 2.5 times over ldaps. It
// runs them side by side; ops and dials are counted at the server.
func BenchmarkLogin(b *testing.B) {
	s := slapdtest.Start(b, slapdtest.Config{Users: 10000, Groups: 1000, MemberOf: true})
	base := ldapdir.Config{BindDN: slapdtest.ReaderDN, BindPassword: slapdtest.ReaderPassword, RootCAs: s.Roots()}
	pooled := func(change func(*ldapdir.Config)) func(string) error {
		c := base
		c.URLs = []string{s.URL()}
		change(&c)
		d := open(b, c)
		return func(name string) error {
			_, _, err := login(context.Background(), d, name, "pw-"+name)
			return err
		}
	}
	const template = "uid=%s," + slapdtest.PeopleDN
	for _, way := range []struct {
		name  string
		login func(string) error
	}{
		{"dial", func(name string) error { return dialPerLogin(s, false, name) }},
		{"pooled", pooled(func(c *ldapdir.Config) {})},
		{"template", pooled(func(c *ldapdir.Config) { c.UserDNTemplate, c.MemberOf = template, true })},
		{"dial-ldaps", func(name string) error { return dialPerLogin(s, true, name) }},
		{"pooled-ldaps", pooled(func(c *ldapdir.Config) { c.URLs = []string{s.TLSURL()} })},
	} {
		for _, clients := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/clients=%d", way.name, clients), func(b *testing.B) {
				benchmarkLogin(b, s, clients, way.login)
			})
		}
	}
}

func benchmarkLogin(b *testing.B, s *slapdtest.Server, clients int, login func(string) error) {
	b.ReportAllocs()
	names := s.Names()
	warm(b, clients, login, names)
	before := s.Counts()
	var next atomic.Int64
	b.SetParallelism(max(1, clients/2)) // times GOMAXPROCS, which is 2 where the bounds were measured
	b.ResetTimer()
	if clients == 1 {
		for b.Loop() {
			if err := login(names[int(next.Add(1))%len(names)]); err != nil {
				b.Fatal(err)
			}
		}
	} else {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := login(names[int(next.Add(1))%len(names)]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.StopTimer()
	got := s.Counts().Sub(before)
	logins := float64(next.Load())
	b.ReportMetric(logins/b.Elapsed().Seconds(), "logins/s")
	b.ReportMetric(float64(got.Binds+got.Searches)/logins, "ops/login")
	b.ReportMetric(float64(got.Connections)/logins, "dials/login")
}

// warm opens the connections that a crowd needs.
func warm(b *testing.B, clients int, login func(string) error, names []string) {
	done := make(chan error, clients)
	for i := range clients {
		go func() { done <- login(names[i]) }()
	}
	for range clients {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

// The two that are compared must ask for the same: the benchmark is
// worth nothing when one of them finds nobody.
func TestBenchmarkLogsIn(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 50, Groups: 10, MemberOf: true})
	for _, secure := range []bool{false, true} {
		if err := dialPerLogin(s, secure, "u00001"); err != nil {
			t.Error(err)
		}
	}
	if err := dialPerLogin(s, false, "nobody"); err == nil || !strings.Contains(err.Error(), "0 entries") {
		t.Error(err)
	}
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, UserDNTemplate: "uid=%s," + slapdtest.PeopleDN, MemberOf: true})
	if _, g, err := login(t.Context(), d, "u00001", "pw-u00001"); err != nil || !slices.Equal(g.Names, s.Groups("u00001")) {
		t.Error(g, err)
	}
}
