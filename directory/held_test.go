package directory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, Config{})
		s.run("login=a,b,c")
		began := time.Now()
		s.run("10s n1=a login=a,b,c 15m n2=a,b login=a") // two agree about c, and b goes by the preferred node's word
		held := s.d.Held()
		if len(held) != 1 {
			t.Fatalf("held: %+v", held)
		}
		h := held[0]
		got := fmt.Sprint(h.User, h.Since.Sub(began), h.Groups, h.Gone, h.Refused, len(h.Nodes))
		if want := fmt.Sprint("fred", 10*time.Second, []string(nil), false, []string{"b"}, 2); got != want {
			t.Errorf("held %s, want %s", got, want)
		}
		for _, n := range h.Nodes {
			if want := map[string]string{"n1": "b", "n2": ""}[n.Node]; strings.Join(n.Missing, " ") != want || n.Gone || time.Since(n.Read) != 0 {
				t.Errorf("node %+v, want %q missing", n, want)
			}
		}
		s.run("1m login=a asked=n1")
		if n := s.d.Held()[0].Nodes; len(n) != 2 || time.Since(n[0].Read) != 0 || time.Since(n[1].Read) != time.Minute {
			t.Errorf("a minute later: %+v", n)
		}
	})
}

// The age of held groups is that of the last node that has shown them all.
func TestAgeOfHeldGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, Config{})
		age := func(want time.Duration, node string) {
			t.Helper()
			u, err := s.d.User(t.Context(), "fred", "id-1")
			if err != nil || time.Since(u.GroupsRead) != want || u.Node != node {
				t.Errorf("groups of %s, %v old, %v; want %s, %v", u.Node, time.Since(u.GroupsRead), err, node, want)
			}
		}
		s.run("login=a,b,c 1m n1=a,b login=a,b,c")
		age(0, "n2")
		s.run("n1=a,b,c login=a,b,c n1=down n2=a,b n3=a 6m user=a,b,c 1m")
		age(7*time.Minute, "n1") // its word still, though others were read since
		s.run("6m user=a,b,c")
		age(13*time.Minute, "n1")
		s.run("n1=a,b,c 6m user=a,b,c")
		age(0, "n1")
	})
}

// Config.Lost learns who has lost what, when User shows it already, and may
// use the Directory.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var losses []Loss
		var d *Directory
		d, f := newTest(t, Config{Lost: func(l Loss) {
			losses = append(losses, l)
			if u, err := d.User(t.Context(), l.User, l.ID); l.Gone != errors.Is(err, ErrNoUser) || !l.Gone && u.In(l.Groups...) {
				t.Errorf("User while told of %+v: %+v, %v", l, u, err)
			}
			d.Forget(l.User)
		}})
		login(t, d)
		f.set(func(f *fake) { f.groups = []string{"b", "c"} })
		for range 2 {
			if u, err := d.Login(t.Context(), Entry{ID: "id-1", Name: "fred"}); err != nil || u.In("a") {
				t.Errorf("%+v, %v", u, err)
			}
			synctest.Wait()
		}
		f.set(func(f *fake) { f.id = "" })
		time.Sleep(time.Hour)
		if _, err := d.User(t.Context(), "fred", "id-1"); !errors.Is(err, ErrNoUser) {
			t.Errorf("gone: %v", err)
		}
		synctest.Wait()
		want := "[{User:fred ID:id-1 Groups:[a] Gone:false} {User:fred ID:id-1 Groups:[b c] Gone:true}]"
		if got := fmt.Sprintf("%+v", losses); got != want {
			t.Errorf("told of %s, want %s", got, want)
		}
	})
}

// Whose name is spelled otherwise by now is told of by the one that sessions
// have.
func TestLostOfARenamedUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var losses []Loss
		d, f := newTest(t, Config{Lost: func(l Loss) { losses = append(losses, l) }})
		login(t, d)
		f.set(func(f *fake) { f.shown = "Fred" })
		time.Sleep(time.Hour)
		if u, err := d.User(t.Context(), "fred", "id-1"); err != nil || u.Name != "Fred" {
			t.Errorf("%+v, %v", u, err)
		}
		f.set(func(f *fake) { f.id = "" })
		time.Sleep(time.Hour)
		d.User(t.Context(), "fred", "id-1")
		synctest.Wait()
		if len(losses) != 1 || losses[0].User != "fred" || !losses[0].Gone {
			t.Errorf("told of %+v", losses)
		}
	})
}

// While nodes disagree whose the name is, neither loses a session.
func TestNamesakeOnOneNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, Config{})
		s.run("login=a,b,c n1=other 6m")
		if u, err := s.d.User(t.Context(), "fred", "id-2"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNoUser) || u.GroupsKnown() {
			t.Errorf("the new fred: %+v, %v", u, err)
		}
		s.run("user=a,b,c lost= n2=other 6m")
		for _, m := range s.c.nodes {
			m.groups = []string{"a"}
		}
		s.run("user=gone lost=") // another's groups are no loss
		if u, err := s.d.User(t.Context(), "fred", "id-2"); err != nil || !u.In("a") {
			t.Errorf("the new fred, known to all: %+v, %v", u, err)
		}
	})
}

// What is held is as bounded as what is known, and costs no request anything.
func TestHeldIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, Config{Max: 10})
		for i := range 100 {
			e := Entry{ID: "id-1", Name: strconv.Itoa(i), Node: "n1"}
			s.c.nodes[0].groups = []string{"a", "b", "c"}
			s.d.Login(t.Context(), e)
			s.c.nodes[0].groups = []string{"a"}
			s.d.Login(t.Context(), e)
		}
		if n := len(s.d.Held()); n != 10 || len(s.d.held) != 10 {
			t.Errorf("%d held, want the 10 that are known", n)
		}
		if n := testing.AllocsPerRun(100, func() { s.d.User(t.Context(), "99", "id-1") }); n != 0 {
			t.Errorf("%v allocations for one whose groups are held", n)
		}
		s.d.Forget("99")
		if n := len(s.d.Held()); n != 9 {
			t.Errorf("%d held after one was forgotten", n)
		}
	})
}

// A login that shares the read of a request keeps its own notice.
func TestNoticeOfASharedRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := newTest(t, Config{})
		f.set(func(f *fake) { f.delay = time.Second })
		go d.User(t.Context(), "fred", "id-1")
		time.Sleep(time.Millisecond)
		e := Entry{ID: "id-1", Name: "fred", Notice: PasswordNotice{Expired: true, GraceLogins: 2}}
		if u, err := d.Login(t.Context(), e); err != nil || u.Notice != e.Notice {
			t.Errorf("%+v, %v", u, err)
		}
		if u, err := d.User(t.Context(), "fred", "id-1"); err != nil || u.Notice != e.Notice {
			t.Errorf("a moment later: %+v, %v", u, err)
		}
		if _, reads := f.counts(); reads != 1 {
			t.Errorf("%d reads", reads)
		}
	})
}

// A login that needs a group does not take the answer of a read that did not
// ask for it.
func TestNeedIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, Config{})
		s.c.nodes[0].groups, s.c.nodes[1].groups = []string{"a"}, []string{"a", "c"}
		s.c.delay = 100 * time.Millisecond
		var wg sync.WaitGroup
		for _, need := range []string{"", "b", "c", "b"} {
			wg.Go(func() {
				u, err := s.d.Login(t.Context(), Entry{ID: "id-1", Name: "fred", Node: "n1"}, strings.Fields(need)...)
				if err != nil || need != "" && !u.In(need) {
					t.Errorf("who needs %q got %+v, %v", need, u, err)
				}
			})
			time.Sleep(time.Millisecond) // the first read needs nothing, and the rest meet it
		}
		wg.Wait()
	})
}

// Every call at once while nodes disagree; the race detector judges, and the
// books about who is held.
func TestConcurrentVotes(t *testing.T) {
	s := newScript(t, Config{Max: 4, TTL: time.Millisecond, Hold: 2 * time.Millisecond, StaleMax: 5 * time.Millisecond})
	change := func() {
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		m := s.c.nodes[rand.IntN(3)]
		m.groups = []string{"a", "b", "c"}[:rand.IntN(4)]
		m.fall(rand.IntN(8) == 0)
		m.id = []string{"id-1", "id-1", "id-1", "id-2", ""}[rand.IntN(5)]
	}
	s.d.config.Lost = func(l Loss) { s.d.Forget(l.User) }
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				name := "u" + strconv.Itoa(rand.IntN(8))
				switch rand.IntN(6) {
				case 0:
					change()
				case 1:
					s.d.Held()
				case 2, 3:
					notice := PasswordNotice{GraceLogins: rand.IntN(3)}
					u, err := s.d.Login(t.Context(), Entry{ID: "id-1", Name: name, Node: "n1", Notice: notice}, "a")
					if err == nil && (u.ID != "id-1" || u.Notice != notice) {
						t.Errorf("login: %+v", u)
					}
				default:
					u, err := s.d.User(t.Context(), name, "id-1", "a")
					if err == nil && u.ID != "id-1" || errors.Is(err, ErrUnavailable) && u == nil {
						t.Errorf("%+v, %v", u, err)
					}
				}
			}
		})
	}
	wg.Wait()
	s.d.Close()
	for slot, h := range s.d.held {
		if slot.gone || s.d.cached(slot.name) != slot || slot.known.Load().held != h {
			t.Errorf("held without being known: %+v", slot)
		}
	}
}
