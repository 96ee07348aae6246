package ldapdir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory"
)

// A scene is a client of nodes a, b, c … whose checks the test answers, in a
// bubble of synthetic time.
type scene struct {
	*Dir
	began  time.Time
	broken map[string]error // by node; what its checks and calls say
	checks []string         // node and second of each check
}

func inScene(t *testing.T, nodes int, c Config, f func(t *testing.T, s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		for i := range nodes {
			c.URLs = append(c.URLs, fmt.Sprintf("ldaps://192.0.2.%d", i+1))
		}
		c.BaseDN = "dc=x"
		d, r, err := prepare(c)
		if err != nil {
			t.Fatal(err)
		}
		s := &scene{Dir: d, began: time.Now(), broken: make(map[string]error)}
		d.check = func(ctx context.Context, n *node) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			s.checks = append(s.checks, fmt.Sprintf("%s@%v", s.letter(n), time.Since(s.began)))
			return s.broken[s.letter(n)]
		}
		d.start(r)
		defer d.Close()
		f(t, s)
	})
}

// letter is a short name of the node.
func (s *scene) letter(n *node) string {
	return string(rune('a' + n.address[len("192.0.2.")] - '1'))
}

// set makes calls and checks on the node end so.
func (s *scene) set(letter string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[letter] = err
}

// taken returns the checks since it was asked last.
func (s *scene) taken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	checks := strings.Join(s.checks, " ")
	s.checks = nil
	return checks
}

// call makes one call and returns the nodes that it asked.
func (s *scene) call(t *testing.T, first string) (asked string, err error) {
	t.Helper()
	ctx, end, err := s.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	err = s.each(ctx, s.order(first), func(ctx context.Context, n *node) (bool, error) {
		asked += s.letter(n)
		s.mu.Lock()
		err := s.broken[s.letter(n)]
		s.mu.Unlock()
		if errors.Is(err, context.DeadlineExceeded) {
			<-ctx.Done()
		}
		return true, err
	})
	return asked, err
}

func (s *scene) mustAsk(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	if asked, _ := s.call(t, ""); asked != want {
		t.Errorf("after %v: asked %q, want %q", time.Since(s.began), asked, want)
	}
}

func TestOneNodeUntilItFails(t *testing.T) {
	inScene(t, 3, Config{}, func(t *testing.T, s *scene) {
		s.mustAsk(t, "a")
		s.mustAsk(t, "a")
		s.set("a", io.EOF)
		s.mustAsk(t, "ab")
		s.mustAsk(t, "b")
		s.set("a", nil)
		// It is well again within seconds, but not for long enough.
		time.Sleep(20 * time.Second)
		s.mustAsk(t, "b")
		s.set("b", io.EOF)
		s.mustAsk(t, "ba")
		s.mustAsk(t, "a")
	})
}

// A login that began on a node ends there, though others use another by now.
func TestALoginStaysOnItsNode(t *testing.T) {
	inScene(t, 3, Config{}, func(t *testing.T, s *scene) {
		if asked, err := s.call(t, s.nodes[2].name); asked != "c" || err != nil {
			t.Errorf("asked %q, %v", asked, err)
		}
		s.mustAsk(t, "a")
		s.set("c", io.EOF)
		if asked, err := s.call(t, s.nodes[2].name); asked != "ca" || err != nil {
			t.Errorf("its node has failed: asked %q, %v", asked, err)
		}
	})
}

// Which results take a node out of use: 51 and 52 alone, and never 49.
func TestResultsThatFailOver(t *testing.T) {
	result := func(code uint16) error { return ldap.NewError(code, errors.New("x")) }
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"lost connection", result(ldap.ErrorNetwork), "ab"}, {"51 busy", result(51), "ab"}, {"52 unavailable", result(52), "ab"},
		{"service account refused", serviceError{result(49)}, "ab"},
		{"49 invalid credentials", result(49), "a"}, {"53 unwilling", result(53), "a"}, {"1 operations error", result(1), "a"},
		{"32 no such object", result(32), "a"}, {"80 other", result(80), "a"}, {"no such user", directory.ErrNoUser, "a"},
	} {
		inScene(t, 2, Config{}, func(t *testing.T, s *scene) {
			s.set("a", tt.err)
			if asked, _ := s.call(t, ""); asked != tt.want || s.nodes[0].up() != (tt.want == "a") {
				t.Errorf("%s: asked %q, want %q", tt.name, asked, tt.want)
			}
		})
	}
}

// Pauses double up to their limit while there is another node.
func TestPausesGrow(t *testing.T) {
	inScene(t, 2, Config{MaxCoolDown: 8 * time.Second}, func(t *testing.T, s *scene) {
		s.set("a", io.EOF)
		s.mustAsk(t, "ab")
		s.taken()
		time.Sleep(25 * time.Second)
		if got, want := s.taken(), "a@1s a@3s a@7s a@15s a@23s"; got != want {
			t.Errorf("checks %q, want %q", got, want)
		}
		s.mustAsk(t, "b")
	})
}

// With nobody to turn to, a node that recovers is back within two seconds,
// however long it was away; until then every call fails at once.
func TestNoNodeWorks(t *testing.T) {
	inScene(t, 2, Config{}, func(t *testing.T, s *scene) {
		s.set("a", serviceError{ldap.NewError(49, errors.New("invalid credentials"))})
		s.set("b", io.EOF)
		s.mustAsk(t, "ab")
		// Pauses of up to 30 seconds would end after 601 and 631 seconds.
		time.Sleep(10*time.Minute + 10*time.Second + time.Millisecond)
		began := time.Now()
		asked, err := s.call(t, "")
		if asked != "" || err == nil || time.Since(began) > 0 {
			t.Errorf("in the pause: asked %q, %v after %v", asked, err, time.Since(began))
		}
		_, err = s.Verify(t.Context(), directory.Entry{ID: "x", DN: "uid=x"}, "x")
		if !errors.Is(err, directory.ErrUnavailable) || errors.Is(err, directory.ErrBadCredentials) || time.Since(began) > 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		s.set("b", nil)
		time.Sleep(alonePause)
		s.mustAsk(t, "b")
	})
}

// The preferred node serves again when it has been well for a while, three
// checks in a row at least; one bad check starts the wait anew.
func TestFailBack(t *testing.T) {
	inScene(t, 2, Config{FailBack: 30 * time.Second}, func(t *testing.T, s *scene) {
		s.set("a", io.EOF)
		s.mustAsk(t, "ab")
		s.set("a", nil)
		time.Sleep(time.Second) // the pause
		synctest.Wait()
		if !s.nodes[0].up() {
			t.Fatal("a is well and not up")
		}
		time.Sleep(29 * time.Second)
		s.mustAsk(t, "b")
		s.set("a", ldap.NewError(52, errors.New("x")))
		time.Sleep(2500 * time.Millisecond) // the checks after 31 and 32 seconds find it
		s.set("a", nil)
		s.mustAsk(t, "b")
		time.Sleep(31 * time.Second)
		s.mustAsk(t, "b")
		time.Sleep(12 * time.Second)
		s.mustAsk(t, "a")
	})
}

// A node that fails whenever it is used again is left alone for longer.
func TestANodeThatFailsAgainAndAgain(t *testing.T) {
	inScene(t, 1, Config{FailBack: time.Minute}, func(t *testing.T, s *scene) {
		for _, want := range []time.Duration{1, 2, 4, 8} {
			n := s.nodes[0]
			n.fail(io.EOF)
			if n.pause != want*time.Second {
				t.Errorf("pause %v, want %v s", n.pause, want)
			}
			time.Sleep(n.pause)
			n.endCheck(healthy, nil, 0)
		}
		time.Sleep(time.Minute)
		if s.nodes[0].fail(io.EOF); s.nodes[0].pause != time.Second {
			t.Errorf("after a good minute: %v, want 1 s", s.nodes[0].pause)
		}
	})
}

// A node in use is checked when it has been silent for a while, and only then,
// so that a hang shows before a person finds it; one that waits is not.
func TestNodeInUseIsChecked(t *testing.T) {
	inScene(t, 2, Config{}, func(t *testing.T, s *scene) {
		time.Sleep(time.Hour)
		if got := s.taken(); got != "" {
			t.Errorf("before the first call: checks %q", got)
		}
		s.mustAsk(t, "a")
		s.began = time.Now()
		time.Sleep(20 * time.Second)
		s.mustAsk(t, "a")
		time.Sleep(61 * time.Second)
		if got, want := s.taken(), "a@50s a@1m20s"; got != want {
			t.Errorf("checks %q, want %q", got, want)
		}
		s.set("a", fmt.Errorf("hangs: %w", context.DeadlineExceeded))
		time.Sleep(30 * time.Second)
		s.mustAsk(t, "b")
	})
}

// A node that hangs has half of the time while there is another one. Ten that
// hang cost no more than one, and the next call nothing.
func TestTimeIsShared(t *testing.T) {
	inScene(t, 10, Config{Timeout: 8 * time.Second}, func(t *testing.T, s *scene) {
		for l := range strings.SplitSeq("abcdefghij", "") {
			s.set(l, context.DeadlineExceeded)
		}
		s.set("d", nil)
		began := time.Now()
		if asked, err := s.call(t, ""); asked != "abcd" || err != nil || time.Since(began) != 7*time.Second {
			t.Errorf("asked %q after %v, %v", asked, time.Since(began), err)
		}
		s.mustAsk(t, "d")
		s.set("d", context.DeadlineExceeded)
		began = time.Now()
		if _, err := s.call(t, ""); err == nil || time.Since(began) > 8*time.Second {
			t.Errorf("all hang: %v after %v", err, time.Since(began))
		}
	})
}

// A question that is slow while the node answers others takes no node away,
// neither this one nor the next.
func TestOneSlowQuestion(t *testing.T) {
	inScene(t, 2, Config{Timeout: 8 * time.Second}, func(t *testing.T, s *scene) {
		s.mustAsk(t, "a")
		var asked string
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, end, err := s.begin(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer end()
			s.each(ctx, s.order(""), func(ctx context.Context, n *node) (bool, error) {
				asked += s.letter(n)
				<-ctx.Done()
				return true, ctx.Err()
			})
		})
		for range 9 {
			time.Sleep(time.Second)
			s.mustAsk(t, "a")
		}
		wg.Wait()
		if asked != "a" || !s.nodes[0].up() || !s.nodes[1].up() {
			t.Errorf("asked %q, up: %v, %v", asked, s.nodes[0].up(), s.nodes[1].up())
		}
		// One that answers nobody is another matter.
		s.set("a", context.DeadlineExceeded)
		s.mustAsk(t, "ab")
	})
}

// A caller who has no time takes no node away from the others. The check that
// follows does, if it is the node's fault.
func TestCallerInAHurry(t *testing.T) {
	inScene(t, 2, Config{}, func(t *testing.T, s *scene) {
		s.mustAsk(t, "a")
		hurry := func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			ctx, end, err := s.begin(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer end()
			s.each(ctx, s.order(""), func(ctx context.Context, n *node) (bool, error) {
				<-ctx.Done()
				return true, ctx.Err()
			})
		}
		hurry()
		// Both have kept the caller waiting. Looked at later, a node that was
		// taken out of use would be back already.
		if !s.nodes[0].up() || !s.nodes[1].up() {
			t.Error("a caller in a hurry has taken a node out of use")
		}
		time.Sleep(2 * time.Second)
		s.mustAsk(t, "a")
		if got := s.taken(); !strings.HasPrefix(got, "a@") {
			t.Errorf("checks %q", got)
		}
		s.set("a", context.DeadlineExceeded)
		hurry()
		time.Sleep(2 * time.Second)
		s.mustAsk(t, "b")
	})
}

// Nodes that stay keep their health; one that leaves the list is not asked
// again, and an empty list changes nothing.
func TestNodesChange(t *testing.T) {
	inScene(t, 3, Config{}, func(t *testing.T, s *scene) {
		s.set("a", io.EOF)
		s.mustAsk(t, "ab")
		all := make([]endpoint, 0, len(s.nodes))
		for _, n := range s.nodes {
			all = append(all, n.endpoint)
		}
		b := s.nodes[1]
		s.setNodes(all[:2])
		if s.nodes[1] != b || s.nodes[0].up() {
			t.Error("a node that stays has begun anew")
		}
		s.setNodes([]endpoint{all[0], all[2]})
		s.mustAsk(t, "c")
		s.setNodes(nil)
		s.mustAsk(t, "c")
		time.Sleep(s.config.Timeout)
		synctest.Wait()
		if _, _, _, err := b.binds.take(t.Context()); !errors.Is(err, errClosed) {
			t.Errorf("a node that is gone takes calls: %v", err)
		}
	})
}

func TestOnlyAsksOneNode(t *testing.T) {
	inScene(t, 3, Config{}, func(t *testing.T, s *scene) {
		s.set("b", io.EOF)
		ask := func(name string) (asked string, err error) {
			ctx, end, err := s.begin(only{s.Dir, name}.context(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			defer end()
			err = s.each(ctx, s.order(""), func(_ context.Context, n *node) (bool, error) {
				asked += s.letter(n)
				return true, s.broken[s.letter(n)]
			})
			return asked, err
		}
		if asked, err := ask(s.nodes[1].name); asked != "b" || !errors.Is(err, io.EOF) || !s.nodes[1].up() {
			t.Errorf("asked %q, %v", asked, err)
		}
		s.nodes[2].fail(io.EOF)
		if asked, err := ask(s.nodes[2].name); asked != "c" || err != nil || s.nodes[2].up() {
			t.Errorf("in its pause: asked %q, %v", asked, err)
		}
		if asked, err := ask("ldaps://elsewhere"); asked != "" || !errors.Is(err, errNoNode) {
			t.Errorf("unknown: asked %q, %v", asked, err)
		}
	})
}

func TestNodesTellTheirState(t *testing.T) {
	inScene(t, 2, Config{}, func(t *testing.T, s *scene) {
		s.set("a", io.EOF)
		s.mustAsk(t, "ab")
		got := s.Nodes()
		want := []directory.NodeState{
			{Name: "ldaps://192.0.2.1:636", Address: "192.0.2.1:636", Preferred: true, Error: "EOF",
				Retry: s.began.Add(time.Second), Since: s.began},
			{Name: "ldaps://192.0.2.2:636", Address: "192.0.2.2:636", Current: true, Up: true},
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
}
