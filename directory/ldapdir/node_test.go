package ldapdir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory"
)

func testNode() *node {
	return &node{coolDown: time.Second, log: slog.New(slog.DiscardHandler)}
}

func TestCoolDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testNode()
		step := func(what string, got, want bool) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %v", what, got)
			}
		}
		step("healthy", n.enter(), true)
		step("and open to everybody", n.enter(), true)
		n.leave(unclear, context.Canceled)
		step("a caller who left changes nothing", n.enter(), true)
		n.leave(failing, io.EOF)
		step("failed", n.enter(), false)
		time.Sleep(999 * time.Millisecond)
		step("in the pause", n.available() || n.enter(), false)
		time.Sleep(time.Millisecond)
		step("after it one may try", n.available() && n.enter(), true)
		step("and nobody else", n.available() || n.enter(), false)
		n.leave(unclear, context.Canceled)
		step("the one gave up, the next may try", n.enter(), true)
		n.leave(failing, io.EOF)
		step("failed again", n.enter(), false)
		time.Sleep(time.Second)
		step("second try", n.enter(), true)
		n.leave(healthy, nil)
		step("it answers", n.enter(), true)
		step("and is open to everybody again", n.enter(), true)
	})
}

func TestJudge(t *testing.T) {
	result := func(code uint16) error { return fmt.Errorf("wrapped: %w", ldap.NewError(code, errors.New("x"))) }
	late := context.DeadlineExceeded
	for _, tt := range []struct {
		name   string
		err    error
		enough bool
		want   verdict
	}{
		{"success", nil, true, healthy},
		{"wrong password", result(49), true, healthy},
		{"operations error", result(1), true, healthy},
		{"busy", result(51), false, failing},
		{"unavailable", result(52), false, failing},
		{"lost connection", result(ldap.ErrorNetwork), false, failing},
		{"dial", io.EOF, false, failing},
		{"deadline after a fair wait", late, true, failing},
		{"deadline of somebody in a hurry", late, false, unclear},
		{"the caller left", context.Canceled, true, unclear},
		{"the bind was lost because the caller left", errors.Join(context.Canceled, result(ldap.ErrorNetwork)), true, unclear},
		{"queue", saturatedError{late}, true, unclear},
		{"no such user", fmt.Errorf("x: %w", directory.ErrNoUser), true, healthy},
		{"entry that cannot be used", badAnswer("x"), true, healthy},
		{"too many groups", ldap.ErrSizeLimitExceeded, true, healthy},
		{"service account refused", serviceError{result(49)}, true, failing},
	} {
		if got := judge(tt.err, tt.enough); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// A server that hangs gets its share of the time, and one call alone tries it
// again.
func TestTimeIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := New(Config{URLs: []string{"ldaps://a", "ldaps://b", "ldaps://c"}, BaseDN: "dc=x", CoolDown: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		ctx, end, err := d.begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		var asked []string
		began := time.Now()
		err = d.each(ctx, d.nodes, func(ctx context.Context, n *node) (bool, error) {
			asked = append(asked, fmt.Sprint(n.address, " ", time.Since(began)))
			if n == d.nodes[2] {
				return true, nil
			}
			<-ctx.Done()
			return true, ctx.Err()
		})
		want := "[a:636 0s b:636 1.666666666s c:636 3.333333333s]"
		if err != nil || fmt.Sprint(asked) != want {
			t.Errorf("%v, %v, want %s", asked, err, want)
		}
		if d.nodes[0].enter() || d.nodes[1].enter() || !d.nodes[2].enter() {
			t.Error("the servers that hung are asked again at once")
		}
	})
}

func TestEveryServerInItsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := New(Config{URLs: []string{"ldaps://a"}, BaseDN: "dc=x"})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		d.nodes[0].leave(failing, serviceError{ldap.NewError(49, errors.New("invalid credentials"))})
		began := time.Now()
		_, err = d.Verify(t.Context(), directory.Entry{ID: "x", DN: "uid=x"}, "x")
		if !errors.Is(err, directory.ErrUnavailable) || errors.Is(err, directory.ErrBadCredentials) || time.Since(began) > 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
