package directory_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
	"github.com/seed-244866eb/gatehouse/internal/soak"
)

// lagging says which of the generated groups a node has not got.
func lagging(third int) func(int) bool {
	return func(group int) bool { return group%3 == third }
}

// TestNodesThatDisagree is the incident: three servers of one directory, two
// of which miss a third of the groups, and users who need a group that is
// there. A client that asks them in turn is refused now and then; nobody is
// here, and nobody's groups get fewer, also while servers are killed, stopped
// and started again, wherever the one that has everything stands in the order.
func TestNodesThatDisagree(t *testing.T) {
	for _, tt := range []struct {
		name  string
		omits []func(int) bool // by preference
	}{
		{"two miss another third each", []func(int) bool{nil, lagging(0), lagging(1)}},
		{"two miss the same third", []func(int) bool{nil, lagging(0), lagging(0)}},
		{"the laggards are preferred", []func(int) bool{lagging(0), lagging(1), nil}},
		{"the laggards are preferred and agree", []func(int) bool{lagging(0), lagging(0), nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var servers []*slapdtest.Server
			var urls []string
			full := 0
			for i, omit := range tt.omits {
				s := slapdtest.Start(t, slapdtest.Config{Users: soak.Count(10_000), Groups: soak.Count(2_000), Omit: omit})
				servers, urls = append(servers, s), append(urls, s.URL())
				if omit == nil {
					full = i
				}
			}
			source, err := ldapdir.New(ldapdir.Config{URLs: urls, BaseDN: slapdtest.BaseDN,
				BindDN: slapdtest.ReaderDN, BindPassword: slapdtest.ReaderPassword, Schema: "openldap"})
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			d, err := directory.New(directory.Config{Source: source})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			i := &incident{t: t, servers: servers, full: servers[full], d: d}
			i.run()
		})
	}
}

type incident struct {
	t       *testing.T
	servers []*slapdtest.Server
	full    *slapdtest.Server // has all groups
	d       *directory.Directory
	faults  int // servers killed or stopped
	again   int // logins without a verdict, which were tried again
}

func (i *incident) run() {
	const users = 50
	logins := soak.Count(10_000)
	names, had := i.full.Names()[:users], map[string][]string{}
	refused := 0
	for n := range logins {
		name := names[n%users]
		need := i.needs(name)
		if !slices.Contains(i.servers[n%len(i.servers)].Groups(name), need) {
			refused++ // of a client that asks one after the other
		}
		if n >= 2*users { // every one of them is known
			i.disturb(n, logins)
		}
		u := i.login(name, need)
		for _, g := range had[name] {
			if !u.In(g) {
				i.t.Fatalf("login %d: %s has lost %s", n, name, g)
			}
		}
		had[name] = u.Groups
	}
	i.t.Logf("%d logins: a client that asks the nodes in turn is refused %d times; here %d were tried again after %d faults, and %d of %d users are held at the end",
		logins, refused, i.again, i.faults, len(i.d.Held()), users)
	if i.again > i.faults {
		i.t.Error("more logins without a verdict than binds that can have been under way")
	}
	if refused == 0 {
		i.t.Error("the servers do not disagree about a group that is needed")
	}
}

// needs returns a group of the user, which laggards miss if there is such a
// one.
func (i *incident) needs(name string) string {
	all := i.full.Groups(name)
	for _, g := range all {
		if !slices.Contains(i.servers[0].Groups(name), g) || !slices.Contains(i.servers[1].Groups(name), g) {
			return g
		}
	}
	return all[0]
}

// login fails the test unless the user may log in.
func (i *incident) login(name, need string) *directory.User {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(i.t.Context(), 10*time.Second)
	defer cancel()
	e, err := i.d.Find(ctx, name)
	if err == nil {
		e, err = i.d.Verify(ctx, e, "pw-"+name)
	}
	if errors.Is(err, directory.ErrUnavailable) {
		// A bind that its server has got and not answered is not repeated: no
		// verdict, which counts nothing. The person tries again.
		i.again++
		if e, err = i.d.Find(ctx, name); err == nil {
			e, err = i.d.Verify(ctx, e, "pw-"+name)
		}
	}
	if err != nil {
		i.t.Fatalf("%s: %v", name, err)
	}
	u, err := i.d.Login(ctx, e, need)
	if err != nil || !u.In(need) {
		i.t.Fatalf("%s needs %s: %+v, %v", name, need, u, err)
	}
	return u
}

// disturb kills, stops and restarts one server after the other.
func (i *incident) disturb(n, logins int) {
	step := logins / 16
	s := i.servers[n/(4*step)%len(i.servers)]
	switch n % (4 * step) {
	case step:
		s.Kill()
		i.faults++
	case 2 * step:
		s.Restart()
	case 3 * step:
		s.Stop()
		i.faults++
	case 4*step - 1:
		s.Cont()
	}
}
