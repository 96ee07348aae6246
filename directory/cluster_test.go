package directory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A cluster is a source with nodes that show different data: here their
// disagreement is the input, which a scripted source alone gives exactly.
// The first node is the preferred one.
type cluster struct {
	mu    sync.Mutex
	nodes []*member
	first int           // the node in use, unless it is down
	asked []string      // the nodes that were asked for groups
	delay time.Duration // of each answer about groups
}

type member struct {
	name     string
	groups   []string
	id       string // of fred's entry; "": it is not there
	disabled bool
	down     bool
	fell     time.Time // when it went down
	hangs    bool      // answers no question for groups
}

// fall takes the node down, or brings it back.
func (m *member) fall(down bool) {
	if down && !m.down {
		m.fell = time.Now()
	}
	m.down = down
}

func (c *cluster) node(name string) *member {
	for _, m := range c.nodes {
		if m.name == name {
			return m
		}
	}
	return nil
}

// order returns the nodes that answer: those that were not asked, the pinned
// one and the one in use first, then those that were.
func (c *cluster) order(pinned string, asked []string) []*member {
	var fresh, again []*member
	use := c.nodes[c.first]
	for _, m := range slices.Concat([]*member{c.node(pinned), use}, c.nodes) {
		switch {
		case m == nil || m.down || slices.Contains(fresh, m) || slices.Contains(again, m):
		case slices.Contains(asked, m.name):
			again = append(again, m)
		default:
			fresh = append(fresh, m)
		}
	}
	return append(fresh, again...)
}

func (c *cluster) Find(ctx context.Context, name string) (Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	up := c.order("", nil)
	switch {
	case len(up) == 0:
		return Entry{}, errDown
	case up[0].id == "":
		return Entry{Node: up[0].name}, ErrNoUser
	}
	return Entry{ID: up[0].id, Name: name, DN: "uid=" + name, Node: up[0].name, Disabled: up[0].disabled}, nil
}

func (c *cluster) Verify(ctx context.Context, e Entry, password string) (Entry, error) {
	return e, nil
}

func (c *cluster) Groups(ctx context.Context, e Entry, asked ...string) (GroupSet, error) {
	time.Sleep(c.delay)
	c.mu.Lock()
	defer c.mu.Unlock()
	up := c.order(e.Node, asked)
	if len(up) == 0 {
		return GroupSet{}, errDown
	}
	m := up[0]
	c.asked = append(c.asked, m.name)
	if m.hangs {
		c.mu.Unlock()
		<-ctx.Done()
		c.mu.Lock()
		return GroupSet{}, ctx.Err()
	}
	set := GroupSet{Node: m.name, Preferred: m == c.nodes[0]}
	for _, n := range c.nodes {
		if n.down && !slices.Contains(asked, n.name) && n.fell.After(set.Unheard) {
			set.Unheard = n.fell
		}
	}
	if m.id != e.ID || len(asked) > 0 && m.disabled {
		return set, ErrNoUser
	}
	set.Names, set.Read = m.groups, time.Now()
	return set, nil
}

// A script is a Directory before a cluster, and the steps of a test.
type script struct {
	t      *testing.T
	c      *cluster
	d      *Directory
	log    bytes.Buffer
	took   time.Duration
	losses []string // that Config.Lost was told; read when no goroutine runs
}

// newScript makes three nodes with fred in a, b and c.
func newScript(t *testing.T, config Config) *script {
	t.Helper()
	s := &script{t: t, c: &cluster{}}
	for _, name := range []string{"n1", "n2", "n3"} {
		s.c.nodes = append(s.c.nodes, &member{name: name, id: "id-1", groups: []string{"a", "b", "c"}})
	}
	config.Source = s.c
	config.Logger = slog.New(slog.NewTextHandler(&s.log, nil))
	config.Lost = func(l Loss) {
		what := strings.Join(l.Groups, ",")
		if l.Gone {
			what = "gone"
		}
		s.losses = append(s.losses, what)
	}
	var err error
	if s.d, err = New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.d.Close() })
	return s
}

// run does the steps, each a word and what it expects:
//
//	n1=a,b     node n1 shows these groups; "gone", "down", "up", "disabled",
//	           "other" (the name is another entry's), "hangs" are states
//	first=n2   the node in use
//	1m         time passes
//	user=a,b   what User returns: groups, "unknown" or "gone"
//	find=n1    the node on which Find finds fred, "unknown" or "gone"
//	login=a,b  what Login returns; "login/x=" needs x, and "refused" is a user
//	           without it, for the caller to refuse
//	asked=n1   the nodes that were asked for groups since the last login or user
//	took=1s    how long the last login or user took
//	held=b     the groups that are held; "gone" the entry; "-b" refused
//	lost=b     what Config.Lost was told since it was looked at last
func (s *script) run(steps string) {
	s.t.Helper()
	for step := range strings.FieldsSeq(steps) {
		synctest.Wait() // for reads behind
		what, want, _ := strings.Cut(step, "=")
		if got := s.step(what, want); got != want {
			s.t.Errorf("step %s in %s: got %q\n%s", step, steps, got, s.log.String())
		}
	}
}

func (s *script) step(what, want string) (got string) {
	name, need, _ := strings.Cut(what, "/")
	m := s.c.node(name)
	switch {
	case m != nil:
		s.set(m, want)
	case name == "first":
		s.c.first = slices.Index(s.c.nodes, s.c.node(want))
	case name == "took":
		return s.took.String()
	case name == "user":
		defer s.clock()()
		u, err := s.d.User(s.t.Context(), "fred", "id-1", strings.Fields(need)...)
		return s.answer(u, err, "")
	case name == "find":
		return s.find()
	case name == "login":
		defer s.clock()()
		e := Entry{ID: "id-1", Name: "fred", DN: "uid=fred", Node: s.c.order("", nil)[0].name}
		u, err := s.d.Login(s.t.Context(), e, strings.Fields(need)...)
		return s.answer(u, err, need)
	case name == "asked":
		return strings.Join(s.c.asked, ",")
	case name == "held":
		return s.held()
	case name == "lost":
		got, s.losses = strings.Join(s.losses, ";"), nil
		return got
	default:
		pause, err := time.ParseDuration(what)
		if err != nil {
			s.t.Fatalf("step %s: %v", what, err)
		}
		time.Sleep(pause)
	}
	return want
}

// clock starts a step that reads.
func (s *script) clock() func() {
	began := time.Now()
	s.c.asked = nil
	return func() { s.took = time.Since(began) }
}

func (s *script) set(m *member, state string) {
	switch state {
	case "down", "up":
		m.fall(state == "down")
	case "gone":
		m.id = ""
	case "other":
		m.id = "id-2"
	case "disabled":
		m.disabled = true
	case "hangs":
		m.hangs = true
	default:
		m.id, m.disabled, m.down = "id-1", false, false
		m.groups = strings.FieldsFunc(state, func(r rune) bool { return r == ',' })
	}
}

func (s *script) find() string {
	e, err := s.d.Find(s.t.Context(), "fred")
	switch {
	case errors.Is(err, ErrUnavailable):
		return "unknown"
	case errors.Is(err, ErrNoUser):
		return "gone"
	case err != nil || e.ID != "id-1" || e.Name != "fred" || e.DN != "uid=fred":
		return fmt.Sprintf("%+v, %v", e, err)
	}
	return e.Node
}

func (s *script) answer(u *User, err error, need string) string {
	switch {
	case errors.Is(err, ErrUnavailable) && u != nil && !u.GroupsKnown():
		return "unknown"
	case errors.Is(err, ErrNoUser) && u == nil:
		return "gone"
	case err != nil || !u.GroupsKnown():
		return fmt.Sprintf("%+v, %v", u, err)
	case need != "" && !u.In(need):
		return "refused"
	}
	return strings.Join(u.Groups, ",")
}

func (s *script) held() string {
	var all []string
	for _, h := range s.d.Held() {
		if h.Gone {
			all = append(all, "gone")
		}
		all = append(all, h.Groups...)
		for _, g := range h.Refused {
			all = append(all, "-"+g)
		}
	}
	return strings.Join(all, ",")
}
