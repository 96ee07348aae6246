package ldapdir_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
	"github.com/seed-244866eb/gatehouse/internal/testservers"
)

// A balancer passes each connection to the next of several servers.
type balancer struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu       sync.Mutex
	backends []string
	next     int
	pairs    []net.Conn
}

func balance(t testing.TB, backends ...string) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{listener: l, backends: backends}
	b.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.wg.Go(func() { b.pass(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		b.cut()
		b.wg.Wait()
	})
	return b
}

func (b *balancer) addr() string { return b.listener.Addr().String() }

// pass copies both ways until one side ends. A server that refuses is left out
// for the next, as a health check of the balancer would.
func (b *balancer) pass(client net.Conn) {
	defer client.Close()
	for range b.backends {
		b.mu.Lock()
		to := b.backends[b.next%len(b.backends)]
		b.next++
		b.mu.Unlock()
		server, err := net.Dial("tcp", to)
		if err != nil {
			continue
		}
		b.mu.Lock()
		b.pairs = append(b.pairs, client, server)
		b.mu.Unlock()
		b.wg.Go(func() { io.Copy(server, client); server.Close() })
		io.Copy(client, server)
		server.Close()
		return
	}
}

// cut ends all connections.
func (b *balancer) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.pairs {
		c.Close()
	}
	b.pairs = nil
}

// A syncLog is a log that several goroutines write.
type syncLog struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *syncLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

// lines counts those with the text.
func (l *syncLog) lines(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.String(), text)
}

func (l *syncLog) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

const (
	lineFound = "more than one server answers"
	lineNext  = "another server behind the address"
	lineMaybe = "may lead to another server"
)

// behind is ann's directory as one server behind a balancer has it: with a
// group of its own.
func behind(name string, suffix map[string][]string) []ldapserver.Entry {
	const ann = "uid=ann,ou=people,dc=example,dc=org"
	return []ldapserver.Entry{
		{DN: "dc=example,dc=org", Attributes: suffix},
		{DN: ann, Attributes: map[string][]string{"objectClass": {"inetOrgPerson"}, "userPassword": {"geheim"},
			"entryUUID": {"11111111-1111-4111-8111-111111111111"}}},
		{DN: "uid=on-" + name + ",ou=people,dc=example,dc=org", Attributes: map[string][]string{
			"objectClass": {"inetOrgPerson"}, "userPassword": {"geheim"}}},
		{DN: "cn=staff,ou=groups,dc=example,dc=org", Attributes: map[string][]string{"member": {ann}}},
		{DN: "cn=only-" + name + ",ou=groups,dc=example,dc=org", Attributes: map[string][]string{"member": {ann}}},
	}
}

// A cluster is servers behind one balancer, and a client of that.
type cluster struct {
	t       *testing.T
	servers []*ldapserver.Server
	*balancer
	dir *ldapdir.Dir
	log syncLog
}

// crowd logs ann in, several at once, so that more connections are dialled.
func (c *cluster) crowd(n int) {
	c.t.Helper()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if _, _, err := login(c.t.Context(), c.dir, "ann", "geheim"); err != nil {
				c.t.Error(err)
			}
		})
	}
	wg.Wait()
}

// lose cuts all connections, and comes back when logins are possible again.
func (c *cluster) lose() {
	c.t.Helper()
	c.cut()
	eventually(c.t, func() error {
		_, _, err := login(c.t.Context(), c.dir, "ann", "geheim")
		return err
	})
}

func (c *cluster) state() directory.NodeState { return c.dir.Nodes()[0] }

// counts are the binds and searches of each server.
func (c *cluster) counts() (binds, searches []int) {
	for _, s := range c.servers {
		binds, searches = append(binds, s.Stats().Binds), append(searches, s.Stats().Searches)
	}
	return binds, searches
}

// idle returns how many servers have got no more operations since.
func idle(before, after []int) (n int) {
	for i := range before {
		if before[i] == after[i] {
			n++
		}
	}
	return n
}

// byName are servers that call themselves dc1, dc2 … in the rootDSE.
func byName(t *testing.T, schema string, n int) *cluster {
	c := &cluster{t: t}
	var addrs []string
	for i := range n {
		name := fmt.Sprintf("dc%d", i+1)
		s := serve(t, ldapserver.Config{Entries: behind(name, nil), RootDSE: map[string][]string{"dnsHostName": {name + ".example.org"}}})
		c.servers, addrs = append(c.servers, s), append(addrs, strings.TrimPrefix(s.URL(), "ldap://"))
	}
	c.balancer = balance(t, addrs...)
	c.dir = openFresh(t, ldapdir.Config{URLs: []string{"ldap://" + c.addr()}, Schema: schema, Logger: c.log.logger(), CoolDown: 50 * time.Millisecond})
	return c
}

// byCertificate are servers that each have a certificate of their own.
func byCertificate(t *testing.T, n int) *cluster {
	c := &cluster{t: t}
	authority := testservers.NewAuthority(t)
	var addrs []string
	for i := range n {
		s, err := ldapserver.New(ldapserver.Config{Entries: behind(fmt.Sprintf("dc%d", i+1), nil),
			TLS: &tls.Config{Certificates: []tls.Certificate{authority.Issue(t, "node", "127.0.0.1")}}})
		if err == nil {
			err = s.StartSecure("127.0.0.1:0")
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		c.servers, addrs = append(c.servers, s), append(addrs, strings.TrimPrefix(s.SecureURL(), "ldaps://"))
	}
	c.balancer = balance(t, addrs...)
	c.dir = openFresh(t, ldapdir.Config{URLs: []string{"ldaps://" + c.addr()}, RootCAs: authority.Pool(), Schema: "openldap",
		Logger: c.log.logger(), CoolDown: 50 * time.Millisecond})
	return c
}

// byChange are servers that nothing tells apart but how far their data are.
func byChange(t *testing.T, attribute string, values ...[]string) *cluster {
	c := &cluster{t: t}
	var addrs []string
	for i, csn := range values {
		s := serve(t, ldapserver.Config{Entries: behind(fmt.Sprintf("dc%d", i+1), map[string][]string{attribute: csn})})
		c.servers, addrs = append(c.servers, s), append(addrs, strings.TrimPrefix(s.URL(), "ldap://"))
	}
	c.balancer = balance(t, addrs...)
	c.dir = openFresh(t, ldapdir.Config{URLs: []string{"ldap://" + c.addr()}, Schema: "openldap", Logger: c.log.logger(), CoolDown: 50 * time.Millisecond})
	return c
}

func csn(second int, server string) string {
	return fmt.Sprintf("202601020304%02d.000000Z#000000#%s#000000", second, server)
}
