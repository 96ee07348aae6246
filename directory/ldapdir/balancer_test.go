package ldapdir_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
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

// One address that hides several servers which can be told apart: it is found
// out and said once, everything goes to one of them, a second opinion comes
// from another, and when the one is gone the next takes over.
func TestBehindABalancer(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *cluster{
		"two rootDSE":       func(t *testing.T) *cluster { return byName(t, "", 2) },
		"three rootDSE":     func(t *testing.T) *cluster { return byName(t, "", 3) },
		"two certificates":  func(t *testing.T) *cluster { return byCertificate(t, 2) },
		"four certificates": func(t *testing.T) *cluster { return byCertificate(t, 4) },
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			for range 8 {
				c.crowd(8)
				if c.state().Balanced != "" {
					break
				}
				c.lose() // what lives long shows nothing new
			}
			state := c.state()
			if state.Balanced == "" || state.Server == "" || c.log.lines(lineFound) != 1 {
				t.Fatalf("%+v; logged:\n%s", state, &c.log)
			}
			c.stays()
			c.otherOpinion()
			c.followsTheEntry()
			c.votes()
			c.nextServer()
		})
	}
}

// stays checks that all logins go to one server, but for the binds of a crowd
// when the balancer leads all of several dials elsewhere.
func (c *cluster) stays() {
	c.t.Helper()
	c.crowd(1)
	others, moves := len(c.servers)-1, c.log.lines(lineNext)
	binds, searches := c.counts()
	for range 20 {
		c.crowd(1)
	}
	moreBinds, moreSearches := c.counts()
	if idle(binds, moreBinds) != others || idle(searches, moreSearches) != others {
		c.t.Errorf("binds %v, then %v; searches %v, then %v", binds, moreBinds, searches, moreSearches)
	}
	if c.log.lines(lineNext) != moves {
		c.t.Errorf("logged:\n%s", &c.log)
	}
	c.crowd(32)
	_, after := c.counts()
	most := 0 // besides, a new connection may be asked who answers
	for i := range after {
		most = max(most, after[i]-moreSearches[i])
	}
	if most < 2*32 {
		c.t.Errorf("a crowd: searches %v, then %v", moreSearches, after)
	}
}

// otherOpinion checks that each of the servers has a voice.
func (c *cluster) otherOpinion() {
	t := c.t
	t.Helper()
	e, g, err := login(t.Context(), c.dir, "ann", "geheim")
	if err != nil || e.Node != g.Node || !strings.Contains(g.Node, c.state().Server) || !g.Preferred {
		t.Fatalf("%+v, %+v, %v", e, g, err)
	}
	asked, names := []string{g.Node}, []string{strings.Join(g.Names, " ")}
	for range len(c.servers) - 1 {
		g, err := c.dir.Groups(t.Context(), e, asked...)
		if err != nil || slices.Contains(asked, g.Node) || slices.Contains(names, strings.Join(g.Names, " ")) || g.Preferred {
			t.Fatalf("asked %q, which said %q: %+v, %v", asked, names, g, err)
		}
		asked, names = append(asked, g.Node), append(names, strings.Join(g.Names, " "))
	}
	if g, err := c.dir.Groups(t.Context(), e, asked...); err != nil || !slices.Contains(asked, g.Node) {
		t.Errorf("all of %q asked: %+v, %v", asked, g, err)
	}
}

// followsTheEntry checks that a login of somebody whom another server has shown
// goes to that one: the one that is kept to would refuse the password.
func (c *cluster) followsTheEntry() {
	t := c.t
	t.Helper()
	strangers := 0
	for i := range c.servers {
		name := fmt.Sprintf("on-dc%d", i+1)
		missing, err := c.dir.Find(t.Context(), name)
		if err == nil {
			continue
		}
		strangers++
		dn := "uid=" + name + ",ou=people,dc=example,dc=org"
		asked := []string{missing.Node}
		var g directory.GroupSet
		for range c.servers {
			if g, err = c.dir.Groups(t.Context(), directory.Entry{Name: name, DN: dn}, asked...); err == nil {
				break
			}
			asked = append(asked, g.Node)
		}
		e, err2 := c.dir.Verify(t.Context(), directory.Entry{Name: name, DN: dn, Node: g.Node}, "geheim")
		if err != nil || err2 != nil || e.Node != g.Node {
			t.Errorf("%s: %+v, %v; %+v, %v", name, g, err, e, err2)
		}
		if again, err := c.dir.Groups(t.Context(), e); err != nil || again.Node != g.Node || again.Preferred {
			t.Errorf("%s: %+v, %v", name, again, err)
		}
	}
	if strangers != len(c.servers)-1 {
		t.Errorf("%d people are strangers to the server that is kept to", strangers)
	}
}

// votes checks that one server's yes is enough for a group that is needed, and
// that what only another has shown does not come and go.
func (c *cluster) votes() {
	t := c.t
	t.Helper()
	people, err := directory.New(directory.Config{Source: c.dir})
	if err != nil {
		t.Fatal(err)
	}
	defer people.Close()
	for i := range c.servers {
		need := fmt.Sprintf("only-dc%d", i+1)
		for range 3 {
			e, err := people.Find(t.Context(), "ann")
			if err != nil {
				t.Fatal(err)
			}
			if u, err := people.Login(t.Context(), e, need); err != nil || !slices.Contains(u.Groups, need) {
				t.Errorf("who needs %s: %+v, %v", need, u, err)
			}
		}
	}
}

// nextServer checks what happens when the server that is kept to is gone.
func (c *cluster) nextServer() {
	t := c.t
	t.Helper()
	before, moves := c.state(), c.log.lines(lineNext)
	binds, _ := c.counts()
	c.crowd(1)
	after, _ := c.counts()
	busy := 0
	for i := range binds {
		if binds[i] != after[i] {
			busy = i
		}
	}
	c.servers[busy].Close()
	eventually(t, func() error {
		_, _, err := login(t.Context(), c.dir, "ann", "geheim")
		return err
	})
	if now := c.state(); now.Server == before.Server || now.Balanced != before.Balanced || c.log.lines(lineNext) != moves+1 {
		t.Errorf("%+v, before %+v; logged:\n%s", now, before, &c.log)
	}
}

// Where servers cannot be told apart all searches go to one as long as the
// connection lives.
func TestBehindABlindBalancer(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *cluster{
		"contextCSN": func(t *testing.T) *cluster {
			return byChange(t, "contextCSN", []string{csn(30, "001"), csn(20, "002")}, []string{csn(30, "001"), csn(10, "002")})
		},
		"entryCSN": func(t *testing.T) *cluster {
			return byChange(t, "entryCSN", []string{csn(30, "000")}, []string{csn(10, "000")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			c.crowd(1)
			e, err := c.dir.Find(t.Context(), "ann")
			for i := 0; i < 4 && c.state().Balanced == ""; i++ {
				c.dir.Groups(t.Context(), e, e.Node)
			}
			if state := c.state(); err != nil || state.Balanced != "contextCSN or entryCSN has gone back" || c.log.lines(lineFound) != 1 {
				t.Fatalf("%+v, %v; logged:\n%s", state, err, &c.log)
			}
			_, before := c.counts()
			for range 3 {
				c.crowd(40)
			}
			_, after := c.counts()
			if idle(before, after) != 1 {
				t.Errorf("searches %v, then %v", before, after)
			}
			if g, err := c.dir.Groups(t.Context(), e, e.Node); err != nil || g.Node != e.Node || !g.Preferred {
				t.Errorf("second opinion %+v, %v", g, err)
			}
			c.lose()
			if c.log.lines(lineMaybe) != 1 {
				t.Errorf("logged:\n%s", &c.log)
			}
		})
	}
}

// One server alone, and servers that are as far as each other, stay what they
// are.
func TestNoBalancer(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *cluster{
		"one name":        func(t *testing.T) *cluster { return byName(t, "", 1) },
		"one certificate": func(t *testing.T) *cluster { return byCertificate(t, 1) },
		"no difference": func(t *testing.T) *cluster {
			return byChange(t, "contextCSN", []string{csn(30, "001")}, []string{csn(30, "001")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			for range 3 {
				c.crowd(16)
				e, _, err := login(t.Context(), c.dir, "ann", "geheim")
				if g, err2 := c.dir.Groups(t.Context(), e, e.Node); err != nil || err2 != nil || g.Node != e.Node || g.Node != c.state().Name {
					t.Fatal(g, err, err2)
				}
				c.lose()
			}
			if s := c.state(); s.Balanced != "" || c.log.lines("") > 0 && c.log.lines(lineFound) != 0 {
				t.Errorf("%+v\n%s", s, &c.log)
			}
			if s := c.state(); name == "one name" && s.Server != "dc1.example.org" {
				t.Errorf("%+v", s)
			}
		})
	}
}

// The same by slapd: two servers of one data set, of which one was loaded
// earlier, behind a balancer; the steady state costs what it always does.
func TestSlapdBehindABalancer(t *testing.T) {
	config := slapdtest.Config{Users: 5, Groups: 5}
	one := slapdtest.Start(t, config)
	two := slapdtest.Start(t, config)
	b := balance(t, one.Address(), two.Address())
	var log syncLog
	d := openFresh(t, ldapdir.Config{URLs: []string{"ldap://" + b.addr()}, Logger: log.logger()})
	eventually(t, func() error {
		e, _, err := login(t.Context(), d, "u00000", "pw-u00000")
		if err == nil {
			_, err = d.Groups(t.Context(), e, e.Node)
		}
		if err == nil && d.Nodes()[0].Balanced == "" {
			err = errors.New("not seen")
		}
		return err
	})
	if log.lines(lineFound) != 1 {
		t.Errorf("logged:\n%s", &log)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	login(ctx, d, "u00000", "pw-u00000")
	first, second := one.Counts(), two.Counts()
	for range 10 {
		if _, _, err := login(ctx, d, "u00000", "pw-u00000"); err != nil {
			t.Fatal(err)
		}
	}
	x, y := one.Counts().Sub(first), two.Counts().Sub(second)
	if x.Operations+y.Operations != 30 || x.Connections+y.Connections != 0 || x.Searches*y.Searches != 0 {
		t.Errorf("ten logins: %+v and %+v", x, y)
	}
}
