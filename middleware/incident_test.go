package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
	"github.com/seed-244866eb/gatehouse/internal/soak"
	"github.com/seed-244866eb/gatehouse/middleware"
)

// The incident: three nodes of one directory, of which two miss a third of the
// groups. Each of fifty users needs one group to be let in.
type incident struct {
	nodes  []*slapdtest.Server // in the order of preference
	whole  *slapdtest.Server   // the one that misses nothing
	users  []string
	access []string // the one group that each user needs
}

const (
	incidentLogins  = 10_000
	incidentUsers   = 50
	incidentClients = 8
)

// lagging leaves out a third of the groups.
func lagging(third int) func(int) bool {
	return func(group int) bool { return group%3 == third }
}

func newIncident(t *testing.T, omit ...func(int) bool) *incident {
	t.Helper()
	in := new(incident)
	for _, o := range omit {
		s := slapdtest.Start(t, slapdtest.Config{Users: 10_000, Groups: 1_000, Omit: o})
		in.nodes = append(in.nodes, s)
		if o == nil {
			in.whole = s
		}
	}
	in.choose(t)
	return in
}

// choose takes users of whom each is in exactly one of the access groups.
func (in *incident) choose(t *testing.T) {
	t.Helper()
	in.access = make([]string, incidentUsers)
	for i := range in.access {
		in.access[i] = fmt.Sprintf("g%04d", i)
	}
	taken := map[string]bool{}
	for _, name := range in.whole.Names() {
		var needs []string
		for _, g := range in.whole.Groups(name) {
			if slices.Contains(in.access, g) {
				needs = append(needs, g)
			}
		}
		if len(needs) == 1 && !taken[needs[0]] {
			taken[needs[0]] = true
			in.users = append(in.users, name)
		}
	}
	if len(in.users) != incidentUsers {
		t.Fatalf("%d users for %d access groups", len(in.users), incidentUsers)
	}
}

// plain is the login of a program that dials the nodes of one name in turn. It
// reports whether the user was let in.
func (in *incident) plain(node *slapdtest.Server, user string) (bool, error) {
	conn, err := ldap.DialURL(node.URL())
	if err != nil {
		return false, err
	}
	defer conn.Close()
	conn.SetTimeout(5 * time.Second)
	if err := conn.Bind(slapdtest.UserDN(user), "pw-"+user); err != nil {
		return false, err
	}
	result, err := conn.Search(ldap.NewSearchRequest(slapdtest.GroupsDN, ldap.ScopeWholeSubtree,
		ldap.NeverDerefAliases, 0, 0, false, "(member="+ldap.EscapeFilter(slapdtest.UserDN(user))+")", []string{"cn"}, nil))
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(result.Entries, func(e *ldap.Entry) bool {
		return slices.Contains(in.access, e.GetAttributeValue("cn"))
	}), nil
}

// plainRefusals counts how many of n right logins the plain client refuses.
func (in *incident) plainRefusals(t *testing.T, n int) (refused int) {
	t.Helper()
	for i := range n {
		ok, err := in.plain(in.nodes[i%len(in.nodes)], in.users[i/len(in.nodes)%len(in.users)])
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			refused++
		}
	}
	return refused
}

// open returns gatehouse before the three nodes. Pauses are short, so that
// nodes come and go, fail over and back, many times in one run.
func (in *incident) open(t *testing.T) *middleware.Auth {
	t.Helper()
	c := ldapdir.Config{
		BaseDN: slapdtest.BaseDN, BindDN: slapdtest.ReaderDN, BindPassword: slapdtest.ReaderPassword,
		Timeout: 2 * time.Second, CoolDown: 50 * time.Millisecond, FailBack: 100 * time.Millisecond,
	}
	for _, n := range in.nodes {
		c.URLs = append(c.URLs, n.URL())
	}
	dir, err := ldapdir.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	auth, err := middleware.New(middleware.Config{
		Directory: dir, AccessGroups: in.access, LoginTimeout: 2 * time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { auth.Close() })
	return auth
}

// tally is what became of the logins.
type tally struct {
	accepted, unavailable atomic.Int64

	mu     sync.Mutex
	wrong  []string            // refusals and flips
	groups map[string][]string // of each user's last login
}

// before returns the groups that a login which begins now may not lose.
func (y *tally) before(user string) []string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.groups[user]
}

// book takes the outcome of one right login: accepted with no group lost since
// it began, or no verdict; anything else is the incident.
func (y *tally) book(user string, before []string, u *directory.User, err error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	switch {
	case errors.Is(err, directory.ErrUnavailable):
		y.unavailable.Add(1)
		return
	case err != nil:
		y.wrong = append(y.wrong, fmt.Sprintf("%s refused: %v", user, err))
		return
	}
	y.accepted.Add(1)
	for _, g := range before {
		if !slices.Contains(u.Groups, g) {
			y.wrong = append(y.wrong, fmt.Sprintf("%s lost %s, by the word of %s", user, g, u.Node))
		}
	}
	y.groups[user] = u.Groups
}

// run makes n right logins by several clients at once, and calls before each
// the next step of a script of faults.
func (in *incident) run(ctx context.Context, auth *middleware.Auth, n int, step func(done int)) *tally {
	y := &tally{groups: map[string][]string{}}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range incidentClients {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				step(i)
				user := in.users[i%len(in.users)]
				before := y.before(user)
				res, err := auth.Authenticate(ctx, middleware.Credentials{
					Name: user, Password: "pw-" + user, Client: netip.AddrFrom4([4]byte{192, 0, 2, byte(i % len(in.users))}),
				})
				y.book(user, before, res.User, err)
			}
		})
	}
	wg.Wait()
	return y
}

// uncounted fails when a counter has moved.
func (in *incident) uncounted(t *testing.T, auth *middleware.Auth) {
	t.Helper()
	for _, user := range in.users {
		s, err := auth.Attempts().Status(t.Context(), attempts.Fold(user), netip.Addr{})
		if err != nil || s.Failures != 0 || s.FailedLogins != 0 {
			t.Errorf("%s: %+v, %v", user, s, err)
		}
	}
}

// faults is a script that hits the nodes in turn: each is killed and
// restarted, stopped and continued, and restarted in one go.
func (in *incident) faults(t *testing.T, every int) (step func(done int), end func()) {
	var script []func()
	for _, n := range in.nodes {
		script = append(script, n.Kill, n.Restart, n.Stop, n.Cont, n.Restart)
	}
	var mu sync.Mutex
	played := 0
	play := func() {
		script[played%len(script)]()
		played++
		time.Sleep(20 * time.Millisecond) // the others go on meanwhile
	}
	step = func(done int) {
		if done == 0 || done%every != 0 {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		play()
	}
	return step, func() {
		for played%5 != 0 { // leave no node dead or stopped
			play()
		}
		if played < len(script) {
			t.Errorf("%d of %d faults happened", played, len(script))
		}
	}
}

// A valid user is never refused, never loses a group and is never counted,
// whatever two of three nodes miss, whichever is preferred, and while the
// nodes are killed, stopped and restarted in turn.
func TestLaggingNodesRefuseNobody(t *testing.T) {
	n := soak.Count(incidentLogins)
	for _, tt := range []struct {
		name string
		omit []func(int) bool
	}{
		{"the whole node is preferred", []func(int) bool{nil, lagging(0), lagging(1)}},
		{"a laggard is preferred", []func(int) bool{lagging(0), nil, lagging(1)}},
		{"both laggards miss the same and are preferred", []func(int) bool{lagging(0), lagging(0), nil}},
		{"the whole node is preferred to two that miss the same", []func(int) bool{nil, lagging(2), lagging(2)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := newIncident(t, tt.omit...)
			refused := in.plainRefusals(t, n)
			t.Logf("a plain client with a round-robin name refuses %d of %d right logins (%.0f %%)", refused, n, 100*float64(refused)/float64(n))
			if refused == 0 {
				t.Error("the nodes agree, so this test shows nothing")
			}
			t.Run("all nodes up", func(t *testing.T) {
				auth := in.open(t)
				y := in.run(t.Context(), auth, n, func(int) {})
				in.judge(t, auth, y, n, 0)
			})
			t.Run("killed, stopped and restarted in turn", func(t *testing.T) {
				auth := in.open(t)
				step, end := in.faults(t, max(1, n/32))
				y := in.run(t.Context(), auth, n, step)
				end()
				// A bind that was sent to a node that then hangs cannot be
				// repeated: those under way have no verdict.
				in.judge(t, auth, y, n, 15*2*incidentClients)
			})
		})
	}
}

// judge wants no refusal, no flip, no count, and at most so many logins
// without a verdict.
func (in *incident) judge(t *testing.T, auth *middleware.Auth, y *tally, n, unavailable int) {
	t.Helper()
	for i, node := range in.nodes {
		t.Logf("node %d is %s", i, node)
	}
	t.Logf("gatehouse: %d of %d logins accepted, %d without a verdict, %d refused or with a group lost",
		y.accepted.Load(), n, y.unavailable.Load(), len(y.wrong))
	if len(y.wrong) > 0 {
		t.Errorf("the incident, %d times:\n%s", len(y.wrong), strings.Join(y.wrong[:min(len(y.wrong), 10)], "\n"))
	}
	if got := int(y.unavailable.Load()); got > unavailable || y.accepted.Load() == 0 {
		t.Errorf("%d logins without a verdict, want at most %d", got, unavailable)
	}
	in.uncounted(t, auth)
}
