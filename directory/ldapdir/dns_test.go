package ldapdir_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
	"github.com/seed-244866eb/gatehouse/internal/testservers"
)

const nameServerIP = "127.0.5.3"

// A nameServer is dnsmasq.
type nameServer struct {
	t       *testing.T
	program string
	conf    string
	addr    string
	run     *testservers.Process
	asked   atomic.Int64 // questions that a resolver of it has sent
}

// dns runs a name server that has the records: lines of dnsmasq.conf.
func dns(t *testing.T, records ...string) *nameServer {
	t.Helper()
	s := &nameServer{t: t, program: testservers.Find(t, "dnsmasq"), conf: filepath.Join(t.TempDir(), "dnsmasq.conf")}
	// It needs the port for TCP too. Connections of other tests have theirs on
	// other addresses.
	free, err := net.ListenPacket("udp", nameServerIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = free.LocalAddr().String()
	free.Close()
	t.Cleanup(func() { s.run.Kill() })
	s.restart(records...)
	return s
}

// restart makes it have these records alone.
func (s *nameServer) restart(records ...string) {
	s.t.Helper()
	if s.run != nil {
		s.run.Kill()
	}
	_, port, _ := net.SplitHostPort(s.addr)
	lines := append([]string{"port=" + port, "listen-address=" + nameServerIP, "bind-interfaces", "no-resolv", "no-hosts", "user=", "pid-file",
		"local=/test/"}, records...)
	if err := os.WriteFile(s.conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	var err error
	if s.run, err = testservers.Run(exec.Command(s.program, "--keep-in-foreground", "--log-facility=-", "--conf-file="+s.conf)); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, func() error {
		_, err := s.resolver().LookupHost(s.t.Context(), "no-such-name.test")
		if e := (*net.DNSError)(nil); errors.As(err, &e) && e.IsNotFound {
			return nil
		}
		return fmt.Errorf("%v; %s", err, s.run.Output())
	})
}

// resolver asks the name server, and no other.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		s.asked.Add(1)
		return new(net.Dialer).DialContext(ctx, network, s.addr)
	}}
}

// addresses are the records of a name.
func addresses(name string, ips ...string) (records []string) {
	for _, ip := range ips {
		records = append(records, "host-record="+name+","+ip)
	}
	return records
}

// threeNodes are the servers behind the name, on the addresses 127.0.1.1 to 3.
func threeNodes(t *testing.T, hosts ...string) []*slapdtest.Server {
	t.Helper()
	c := slapdtest.Config{Users: 3, Groups: 2, Hosts: hosts}
	return slapdtest.StartNodes(t, c, c, c)
}

// at returns the URL of a name on the port of the servers.
func at(s *slapdtest.Server, name string) string {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.TLSURL(), "ldaps://"))
	return "ldaps://" + name + ":" + port
}

// mustHave waits until the nodes have these addresses, in this order.
func mustHave(t *testing.T, d *ldapdir.Dir, want ...string) {
	t.Helper()
	eventually(t, func() error {
		var got []string
		for _, n := range d.Nodes() {
			host, _, _ := net.SplitHostPort(n.Address)
			got = append(got, host)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("nodes %q, want %q", got, want)
		}
		return nil
	})
	if t.Failed() {
		t.FailNow()
	}
}

// mustServe waits until the node of that address serves a login.
func mustServe(t *testing.T, d *ldapdir.Dir, ip string) {
	t.Helper()
	eventually(t, func() error {
		_, g, err := login(t.Context(), d, "u00001", "pw-u00001")
		if err == nil && !strings.Contains(g.Node, "("+ip+")") {
			err = fmt.Errorf("served by %q, want %s", g.Node, ip)
		}
		return err
	})
}

// Each address of a name is a node; in the same order for everybody, whatever
// the order of the answers. One that disappears is no longer used, one that
// appears is, and no connection to the former is left.
func TestEachAddressIsANode(t *testing.T) {
	nodes := threeNodes(t, "ldap.test")
	ns := dns(t, addresses("ldap.test", "127.0.1.3", "127.0.1.1", "127.0.1.2")...)
	config := ldapdir.Config{
		URLs: []string{at(nodes[0], "ldap.test")}, RootCAs: nodes[0].Roots(), Resolver: ns.resolver(),
		ResolveEvery: 50 * time.Millisecond, Timeout: time.Second, FailBack: 100 * time.Millisecond,
	}
	for range 3 { // dnsmasq turns the order of its answers
		d := openFresh(t, config)
		mustHave(t, d, "127.0.1.1", "127.0.1.2", "127.0.1.3")
		mustServe(t, d, "127.0.1.1")
		d.Close()
	}
	d := openFresh(t, config)
	idle := nodes[0].Counts().Current
	mustServe(t, d, "127.0.1.1")
	if nodes[0].Counts().Current == idle {
		t.Fatal("no connection to drain")
	}
	ns.restart(addresses("ldap.test", "127.0.1.3", "127.0.1.2")...)
	mustHave(t, d, "127.0.1.2", "127.0.1.3")
	mustServe(t, d, "127.0.1.2")
	eventually(t, func() error {
		if now := nodes[0].Counts().Current; now != idle {
			return fmt.Errorf("%d connections to the node that is gone, before %d", now, idle)
		}
		return nil
	})
	ns.restart(addresses("ldap.test", "127.0.1.2", "127.0.1.1")...)
	mustHave(t, d, "127.0.1.1", "127.0.1.2")
	mustServe(t, d, "127.0.1.1") // after it was well for a while
}

// The name that was configured is what the certificate must be for, whatever
// address it has.
func TestTLSChecksTheConfiguredName(t *testing.T) {
	nodes := threeNodes(t, "ldap.test")
	ns := dns(t, slices.Concat(addresses("ldap.test", "127.0.1.1"), addresses("other.test", "127.0.1.1"))...)
	for name, works := range map[string]bool{"ldap.test": true, "other.test": false} {
		d := openFresh(t, ldapdir.Config{URLs: []string{at(nodes[0], name)}, RootCAs: nodes[0].Roots(), Resolver: ns.resolver()})
		_, _, err := login(t.Context(), d, "u00001", "pw-u00001")
		if works != (err == nil) || !works && (!errors.Is(err, directory.ErrUnavailable) || !strings.Contains(err.Error(), "not other.test")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// DNS that is down keeps what is known, and is no concern of a call: none
// asks, and none waits.
func TestDNSIsNotOnTheWay(t *testing.T) {
	nodes := threeNodes(t, "ldap.test")
	records := addresses("ldap.test", "127.0.1.1", "127.0.1.2", "127.0.1.3")
	ns := dns(t, records...)
	var log syncLog
	config := ldapdir.Config{URLs: []string{at(nodes[0], "ldap.test")}, RootCAs: nodes[0].Roots(), Resolver: ns.resolver(), Logger: log.logger()}
	d := openFresh(t, config)
	mustServe(t, d, "127.0.1.1")
	asked := ns.asked.Load()
	if err := ns.run.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, node := range []int{1, 2} { // also while a node fails
		for range 10 {
			began := time.Now()
			if _, _, err := login(t.Context(), d, "u00001", "pw-u00001"); err != nil || time.Since(began) > time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
		nodes[node-1].Kill()
		mustServe(t, d, fmt.Sprintf("127.0.1.%d", node+1))
	}
	if n := ns.asked.Load(); n != asked {
		t.Errorf("%d questions for logins", n-asked)
	}
	if err := ns.run.Cont(); err != nil {
		t.Fatal(err)
	}
	config.ResolveEvery = 20 * time.Millisecond
	d = openFresh(t, config)
	mustServe(t, d, "127.0.1.3")
	ns.restart() // there is no such name any more
	eventually(t, func() error {
		if log.lines("cannot be resolved") == 0 {
			return errors.New("nothing logged")
		}
		return nil
	})
	time.Sleep(10 * config.ResolveEvery)
	if nodes := d.Nodes(); len(nodes) != 3 || log.lines("cannot be resolved") != 1 {
		t.Errorf("%d nodes; logged:\n%s", len(nodes), &log)
	}
	mustServe(t, d, "127.0.1.3")
}

// A name server that does not answer keeps nobody longer than the time of a
// call, and a program from nothing: when it answers, logins work.
func TestDNSIsDownAtTheStart(t *testing.T) {
	nodes := threeNodes(t, "ldap.test")
	ns := dns(t)
	ns.run.Kill()
	d := openFresh(t, ldapdir.Config{URLs: []string{at(nodes[0], "ldap.test")}, RootCAs: nodes[0].Roots(), Resolver: ns.resolver(), Timeout: time.Second})
	began := time.Now()
	if _, err := d.Find(t.Context(), "u00001"); !errors.Is(err, directory.ErrUnavailable) || time.Since(began) > 1500*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	ns.restart(addresses("ldap.test", "127.0.1.2")...)
	eventually(t, func() error {
		_, _, err := login(t.Context(), d, "u00001", "pw-u00001")
		return err
	})
}

// srv is the record of a service.
func srv(name, target, port string, priority, weight int) string {
	return fmt.Sprintf("srv-host=%s,%s,%s,%d,%d", name, target, port, priority, weight)
}

// SRV records name the servers: by priority, then weight; those of the site
// first; the ones for ldaps, or with StartTLS those for ldap.
func TestDomainNamesItsServers(t *testing.T) {
	nodes := threeNodes(t, "dc1.corp.test", "dc2.corp.test", "dc3.corp.test", "corp.test")
	_, secure, _ := net.SplitHostPort(strings.TrimPrefix(nodes[0].TLSURL(), "ldaps://"))
	_, plain, _ := net.SplitHostPort(nodes[0].Address())
	hosts := slices.Concat(addresses("dc1.corp.test", "127.0.1.1"), addresses("dc2.corp.test", "127.0.1.2"),
		addresses("dc3.corp.test", "127.0.1.3"), addresses("dc.elsewhere.test", "127.0.1.2"))
	ldaps, ldap := "_ldaps._tcp.corp.test", "_ldap._tcp.corp.test"
	three := []string{
		srv(ldaps, "dc1.corp.test", secure, 10, 90), srv(ldaps, "dc2.corp.test", secure, 0, 5), srv(ldaps, "dc3.corp.test", secure, 0, 60),
	}
	for _, tt := range []struct {
		name    string
		records []string
		config  ldapdir.Config
		want    []string // nodes
		port    string
	}{
		{"priority, then weight", three, ldapdir.Config{}, []string{"127.0.1.3", "127.0.1.2", "127.0.1.1"}, secure},
		{"the site first, all others behind", append(three, srv("_ldaps._tcp.Oslo._sites.corp.test", "dc1.corp.test", secure, 50, 1)),
			ldapdir.Config{Site: "Oslo"}, []string{"127.0.1.1", "127.0.1.3", "127.0.1.2"}, secure},
		{"a site without servers", three, ldapdir.Config{Site: "Rome"}, []string{"127.0.1.3", "127.0.1.2", "127.0.1.1"}, secure},
		{"StartTLS", []string{srv(ldap, "dc2.corp.test", plain, 0, 1), srv(ldaps, "dc1.corp.test", secure, 0, 1)},
			ldapdir.Config{StartTLS: true}, []string{"127.0.1.2"}, plain},
		{"outside the domain, with a certificate of the domain", []string{srv(ldaps, "dc.elsewhere.test", secure, 0, 1)},
			ldapdir.Config{}, []string{"127.0.1.2"}, secure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := dns(t, append(tt.records, hosts...)...)
			c := tt.config
			c.Domain, c.Resolver, c.RootCAs = "corp.test", ns.resolver(), nodes[0].Roots()
			d := openFresh(t, c)
			mustHave(t, d, tt.want...)
			_, g, err := login(t.Context(), d, "u00001", "pw-u00001")
			if n := d.Nodes()[0]; err != nil || g.Node != n.Name || n.Address != tt.want[0]+":"+tt.port {
				t.Errorf("%+v, %v, %+v", g, err, n)
			}
		})
	}
}

// What SRV records may not do: lead to a machine of somebody else's, who has a
// certificate for its name, or to a port without TLS.
func TestForgedRecords(t *testing.T) {
	nodes := threeNodes(t, "dc.elsewhere.test")
	_, secure, _ := net.SplitHostPort(strings.TrimPrefix(nodes[0].TLSURL(), "ldaps://"))
	host := addresses("dc.elsewhere.test", "127.0.1.1")
	ns := dns(t, append(host, srv("_ldaps._tcp.corp.test", "dc.elsewhere.test", secure, 0, 1))...)
	d := openFresh(t, ldapdir.Config{Domain: "corp.test", Resolver: ns.resolver(), RootCAs: nodes[0].Roots()})
	if _, _, err := login(t.Context(), d, "u00001", "pw-u00001"); !errors.Is(err, directory.ErrUnavailable) || !strings.Contains(err.Error(), "not corp.test") {
		t.Errorf("certificate of another domain: %v", err)
	}
	// Active Directory has these alone; it answers with TLS on 636.
	ns = dns(t, append(host, srv("_ldap._tcp.corp.test", "dc.elsewhere.test", "389", 0, 1))...)
	d = openFresh(t, ldapdir.Config{Domain: "corp.test", Resolver: ns.resolver(), RootCAs: nodes[0].Roots()})
	mustHave(t, d, "127.0.1.1")
	if n := d.Nodes()[0]; n.Address != "127.0.1.1:636" || !strings.HasPrefix(n.Name, "ldaps://") {
		t.Errorf("%+v", n)
	}
}
