package ldapdir_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

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
