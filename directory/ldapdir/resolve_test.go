package ldapdir_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// blackHole is the address of a name server that hears and says nothing, in
// the form of dnsmasq's option "server".
func blackHole(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.5.4:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return strings.Replace(c.LocalAddr().String(), ":", "#", 1)
}

// A name that nobody answers for does not hold up the servers that are known,
// neither the first call nor those after it. Resolve, which is for seeing all,
// waits for it as long as it may.
func TestANameThatHangsHoldsNobodyUp(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 2, Hosts: []string{"ldap.test"}})
	ns := dns(t, append(addresses("ldap.test", s.IP()), "server=/hang.test/"+blackHole(t))...)
	for name, known := range map[string]struct{ url, node string }{
		"an address":   {s.TLSURL(), s.TLSURL()},
		"another name": {at(s, "ldap.test"), at(s, "ldap.test") + " (" + s.IP() + ")"},
	} {
		t.Run(name, func(t *testing.T) {
			d := openFresh(t, ldapdir.Config{
				URLs: []string{at(s, "hang.test"), known.url}, RootCAs: s.Roots(), Resolver: ns.resolver(), Timeout: 2 * time.Second,
			})
			for i, limit := range []time.Duration{1900 * time.Millisecond, time.Second} {
				began := time.Now()
				_, g, err := login(t.Context(), d, "u00001", "pw-u00001")
				if took := time.Since(began); err != nil || g.Node != known.node || took > limit {
					t.Errorf("login %d: %+v, %v after %v", i, g, err, took)
				}
			}
			began := time.Now()
			if err := d.Resolve(t.Context()); err != nil || time.Since(began) < 2*time.Second {
				t.Errorf("Resolve: %v after %v", err, time.Since(began))
			}
		})
	}
}

// The same when the answer that there is comes late.
func TestALateAnswerBesideNone(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 2, Hosts: []string{"ldap.test"}})
	ns := dns(t, append(addresses("ldap.test", s.IP()), "server=/hang.test/"+blackHole(t))...)
	if err := ns.run.Stop(); err != nil {
		t.Fatal(err)
	}
	d := openFresh(t, ldapdir.Config{
		URLs: []string{at(s, "hang.test"), at(s, "ldap.test")}, RootCAs: s.Roots(), Resolver: ns.resolver(), Timeout: 500 * time.Millisecond,
	})
	_, err := d.Find(t.Context(), "u00001")
	mustBeUnavailable(t, "before any answer", err)
	if err := ns.run.Cont(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually(t, func() error {
		_, _, err := login(t.Context(), d, "u00001", "pw-u00001")
		return err
	})
	// The questions have five seconds each.
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("logins work after %v", took)
	}
}

// A name server that hears and says nothing keeps neither New nor Close nor a
// call; when it goes on, so do logins.
func TestDNSHangsAtTheStart(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 2, Hosts: []string{"ldap.test"}})
	ns := dns(t, addresses("ldap.test", s.IP())...)
	if err := ns.run.Stop(); err != nil {
		t.Fatal(err)
	}
	config := ldapdir.Config{
		URLs: []string{at(s, "ldap.test")}, BaseDN: slapdtest.BaseDN, RootCAs: s.Roots(), Resolver: ns.resolver(), Timeout: 500 * time.Millisecond,
	}
	within := func(what string, limit time.Duration, f func() error) {
		began := time.Now()
		if err := f(); err != nil || time.Since(began) > limit {
			t.Errorf("%s: %v after %v", what, err, time.Since(began))
		}
	}
	var d *ldapdir.Dir
	within("New", 200*time.Millisecond, func() (err error) {
		d, err = ldapdir.New(config)
		return err
	})
	defer d.Close()
	within("a call", 700*time.Millisecond, func() error {
		_, err := d.Find(t.Context(), "u00001")
		mustBeUnavailable(t, "while DNS hangs", err)
		return nil
	})
	asked := ns.asked.Load()
	config.Resolver = ns.resolver() // one asks but once at a time
	other := openFresh(t, config)
	eventually(t, func() error {
		if ns.asked.Load() == asked {
			return errors.New("it does not ask yet")
		}
		return nil
	})
	within("Close", 500*time.Millisecond, other.Close)
	if err := ns.run.Cont(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, _, err := login(t.Context(), d, "u00001", "pw-u00001")
		return err
	})
}

// While the client asks and asks again, and hears nothing or that nobody
// listens, the nodes stay and logins are as quick as ever. The next answer
// counts.
func TestDNSHangsOrDiesLater(t *testing.T) {
	nodes := threeNodes(t, "ldap.test")
	ns := dns(t, addresses("ldap.test", "127.0.1.1", "127.0.1.2")...)
	d := openFresh(t, ldapdir.Config{
		URLs: []string{at(nodes[0], "ldap.test")}, RootCAs: nodes[0].Roots(), Resolver: ns.resolver(), ResolveEvery: 20 * time.Millisecond,
	})
	mustServe(t, d, "127.0.1.1")
	stop := func() {
		if err := ns.run.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	for _, outage := range []struct {
		name  string
		begin func()
	}{{"stopped", stop}, {"killed", ns.run.Kill}} {
		outage.begin()
		asked := ns.asked.Load()
		eventually(t, func() error {
			if ns.asked.Load() == asked {
				return errors.New("nothing is asked")
			}
			return nil
		})
		for range 20 {
			began := time.Now()
			if _, _, err := login(t.Context(), d, "u00001", "pw-u00001"); err != nil || time.Since(began) > 500*time.Millisecond {
				t.Errorf("%s: %v after %v", outage.name, err, time.Since(began))
			}
		}
		mustHave(t, d, "127.0.1.1", "127.0.1.2")
	}
	ns.restart(addresses("ldap.test", "127.0.1.3")...)
	mustHave(t, d, "127.0.1.3")
	mustServeOnly(t, d)
}

// mustServeOnly checks that the one node there is serves.
func mustServeOnly(t *testing.T, d *ldapdir.Dir) {
	t.Helper()
	_, g, err := login(t.Context(), d, "u00001", "pw-u00001")
	if nodes := d.Nodes(); err != nil || len(nodes) != 1 || g.Node != nodes[0].Name {
		t.Errorf("%+v, %v, nodes %+v", g, err, nodes)
	}
}

// Calls that are on a node when this leaves the DNS are not cut off.
func TestCallsOnANodeThatDisappears(t *testing.T) {
	s := serve(t, ldapserver.Config{})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.URL(), "ldap://"))
	ns := dns(t, addresses("ldap.test", "127.0.0.1", "127.0.1.9")...)
	d := openFresh(t, ldapdir.Config{
		URLs: []string{"ldap://ldap.test:" + port}, InsecurePlaintext: true, Resolver: ns.resolver(), ResolveEvery: 20 * time.Millisecond,
	})
	e, _, err := login(t.Context(), d, "ann", "geheim")
	if err != nil {
		t.Fatal(err)
	}
	s.SetFault(ldapserver.Fault{Silent: true})
	before, ends := s.Stats(), make(chan error, 2)
	go func() {
		_, err := d.Verify(t.Context(), e, "geheim")
		ends <- err
	}()
	go func() {
		_, err := d.Find(t.Context(), "ann")
		ends <- err
	}()
	eventually(t, func() error {
		if now := s.Stats(); now.Binds == before.Binds || now.Searches == before.Searches {
			return errors.New("bind or search is still to come")
		}
		return nil
	})
	ns.restart(addresses("ldap.test", "127.0.1.9")...)
	mustHave(t, d, "127.0.1.9")
	time.Sleep(50 * time.Millisecond) // a connection would be closed by now
	s.SetFault(ldapserver.Fault{})
	for range 2 {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
	began := time.Now()
	eventually(t, func() error {
		if open := s.Stats().Open; open > 0 {
			return fmt.Errorf("%d connections to the node that is gone", open)
		}
		return nil
	})
	if took := time.Since(began); took > 2*time.Second { // a call may take five
		t.Errorf("connections are closed %v after their calls", took)
	}
}

// The records of a domain come and go as addresses do. A target whose address
// is not told this time keeps the one it had.
func TestDomainChangesItsServers(t *testing.T) {
	nodes := threeNodes(t, "corp.test", "dc1.corp.test", "dc2.corp.test", "dc3.corp.test")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(nodes[0].TLSURL(), "ldaps://"))
	record := func(n int) string {
		return srv("_ldaps._tcp.corp.test", fmt.Sprintf("dc%d.corp.test", n), port, n, 0)
	}
	host := func(n int) string { return fmt.Sprintf("host-record=dc%d.corp.test,127.0.1.%d", n, n) }
	ns := dns(t, record(1), host(1), record(2), host(2))
	d := openFresh(t, ldapdir.Config{Domain: "corp.test", Resolver: ns.resolver(), RootCAs: nodes[0].Roots(), ResolveEvery: 20 * time.Millisecond})
	for _, step := range []struct {
		name    string
		records []string
		want    []string
	}{
		{"at first", nil, []string{"127.0.1.1", "127.0.1.2"}},
		{"one more, and one without its address", []string{record(1), record(2), host(2), record(3), host(3)}, []string{"127.0.1.1", "127.0.1.2", "127.0.1.3"}},
		{"one less", []string{record(2), host(2), record(3), host(3)}, []string{"127.0.1.2", "127.0.1.3"}},
		{"no service, RFC 2782", []string{"srv-host=_ldaps._tcp.corp.test"}, []string{"127.0.1.2", "127.0.1.3"}},
	} {
		if step.records != nil {
			ns.restart(step.records...)
			time.Sleep(100 * time.Millisecond) // several rounds
		}
		mustHave(t, d, step.want...)
		if _, _, err := login(t.Context(), d, "u00001", "pw-u00001"); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
}

// A target of "." says that there is no such service here: nobody is asked in
// its place, and a site that says so leaves it to the rest of the domain.
func TestNoServiceHere(t *testing.T) {
	host := "host-record=dc1.corp.test,127.0.1.1"
	ldaps, ldap := "_ldaps._tcp.corp.test", "_ldap._tcp.corp.test"
	ns := dns(t, host, "srv-host="+ldaps, srv(ldap, "dc1.corp.test", "389", 0, 0))
	d := openFresh(t, ldapdir.Config{Domain: "corp.test", Resolver: ns.resolver()})
	if err := d.Resolve(t.Context()); !errors.Is(err, directory.ErrUnavailable) || !strings.Contains(err.Error(), "names no servers") {
		t.Errorf("%v, nodes %+v", err, d.Nodes())
	}
	ns = dns(t, host, "srv-host=_ldaps._tcp.Oslo._sites.corp.test", srv(ldaps, "dc1.corp.test", "636", 0, 0))
	d = openFresh(t, ldapdir.Config{Domain: "corp.test", Site: "Oslo", Resolver: ns.resolver()})
	mustHave(t, d, "127.0.1.1")
}

// Who answers for the DNS makes us keep and ask no more than 64 servers.
func TestDNSWithoutEnd(t *testing.T) {
	const most = 64
	var many, targets, want []string
	for i := range 200 {
		ip := fmt.Sprintf("127.0.9.%d", i+1)
		many = append(many, addresses("ldap.test", ip)...)
		target := fmt.Sprintf("dc%d.corp.test", i)
		targets = append(targets, srv("_ldaps._tcp.corp.test", target, "636", i, 0), "host-record="+target+","+ip)
		if i < most {
			want = append(want, ip)
		}
	}
	for _, tt := range []struct {
		name    string
		records []string
		config  ldapdir.Config
		lookups int
	}{
		{"addresses of a name", many, ldapdir.Config{URLs: []string{"ldaps://ldap.test"}}, 1},
		{"servers of a domain", targets, ldapdir.Config{Domain: "corp.test"}, most + 1},
	} {
		ns := dns(t, tt.records...)
		asked := ns.asked.Load()
		tt.config.Resolver = ns.resolver()
		d := openFresh(t, tt.config)
		mustHave(t, d, want...)
		// IPv4 and IPv6, and again over TCP what is too long for UDP.
		if n := int(ns.asked.Load() - asked); n > 2*tt.lookups+2 {
			t.Errorf("%s: %d questions", tt.name, n)
		}
	}
}

// SpreadByHost gives each machine an order of its own, which stays; without it
// all have the same.
func TestSpreadByHost(t *testing.T) {
	var records, urls []string
	for i := range 10 {
		records = append(records, addresses(fmt.Sprintf("ldap%d.test", i), "127.0.9.1", "127.0.9.2", "127.0.9.3")...)
		urls = append(urls, fmt.Sprintf("ldaps://ldap%d.test", i))
	}
	ns := dns(t, records...)
	order := func(spread bool, urls ...string) (names []string) {
		d := openFresh(t, ldapdir.Config{URLs: urls, Resolver: ns.resolver(), SpreadByHost: spread})
		if err := d.Resolve(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, n := range d.Nodes() {
			names = append(names, n.Name)
		}
		return names
	}
	other := 0
	for _, url := range urls {
		plain, spread := order(false, url), order(true, url)
		if !slices.Equal(spread, order(true, url)) {
			t.Errorf("%s: the order changes", url)
		}
		if slices.Equal(slices.Sorted(slices.Values(spread)), plain) && !slices.Equal(spread, plain) {
			other++
		}
	}
	if other == 0 { // one machine in 6^10
		t.Error("the addresses of no name have another order than without it")
	}
	// All URLs are of one rank: one in 10! machines has them as written.
	if all := order(true, urls...); strings.HasPrefix(all[0], urls[0]) && strings.HasPrefix(all[3], urls[1]) && strings.HasPrefix(all[6], urls[2]) {
		t.Errorf("the servers are as written: %q", all)
	}
}
