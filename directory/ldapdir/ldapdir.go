// Package ldapdir is the [directory.Source] that asks LDAP servers.
//
// One login is three operations and no dialling: a search for the entry, a
// bind with its DN and the password, a search for its groups; two where the
// DN is made from a template or the groups come with the entry, and some more
// where groups of groups are searched level by level. Searches
// share a few service connections; binds have their own, on which nothing of
// the service is ever asked.
//
// # Verdicts
//
// Result 49 to the bind of the person is [directory.ErrBadCredentials], and
// nothing else is. No entry, or more than one, is [directory.ErrNoUser].
// Everything else, an unreachable server, a deadline, any other result, a
// list that was cut short, is [directory.ErrUnavailable], which wraps the
// detail. Referrals and continuation references are followed in group searches,
// with Config.FollowReferrals, and else mean that the answer is not whole.
//
// # Servers
//
// The URLs are in order of preference: the first that works gets everything.
// One that fails is left alone for Config.CoolDown, then one call tries it. A
// search goes on to the next server; a bind only if this one provably has not
// seen it. What one login asks goes to the server in [directory.Entry.Node]
// as long as that one answers.
//
// # Names
//
// A person logs in with one of Config.LoginAttributes, with or without one of
// Config.Domains. [directory.Entry.Name] is the name attribute of the entry
// that was found, and the ID stays when that changes, so all spellings that
// the directory takes for one person are one user.
//
// # Groups
//
// A user's groups are what Config.Schema says: the entries below the base
// whose member or uniqueMember is the user's DN or whose memberUid is the
// name, the memberOf values that came with the entry, or Active Directory's
// tokenGroups; with the primary group where there is such a thing, and with
// the groups of these groups as Config.Nested says. Where they come with the
// entry, it serves for one reading: find it anew to read them later.
//
// A list that the server limits is read page by page, values that it cuts
// range by range. What is still missing then is an error.
package ldapdir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
)

var errClosed = errors.New("the directory client is closed")

// A Dir asks the servers of a Config. It is safe for concurrent use.
type Dir struct {
	config Config
	log    *slog.Logger
	nodes  []*node
	// nobody is the name in the bind for a user who was not found: a bind
	// like every other, to an entry that cannot exist.
	nobody string

	schema atomic.Pointer[schema] // nil: not known yet
	sids   sidCache

	base   context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // every call and every goroutine

	mu     sync.Mutex
	closed bool
}

var _ directory.Source = (*Dir)(nil)

// New returns a client of the servers of c. It does not dial, so a server
// that is down does not keep a program from starting. The error names every
// bad field.
func New(c Config) (*Dir, error) {
	c = c.withDefaults()
	endpoints, errs := c.endpoints()
	if err := errors.Join(append(errs, c.check()...)...); err != nil {
		return nil, err
	}
	d := &Dir{config: c, log: c.Logger.With("component", "ldapdir"), nobody: "nobody-" + rand.Text()}
	d.base, d.cancel = context.WithCancel(context.Background())
	for _, e := range endpoints {
		d.nodes = append(d.nodes, newNode(d, e))
	}
	// The nodes have the secrets. In a field here a careless print shows them.
	d.config.BindPassword, d.config.Certificates = "", nil
	return d, nil
}

// Close ends all connections and calls, and returns when no goroutine of the
// client is left. Calls after it return [directory.ErrUnavailable]. It may be
// called twice.
func (d *Dir) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	for _, n := range d.nodes {
		n.close()
	}
	d.wg.Wait()
	return nil
}

// begin opens a call: bounded by Config.Timeout, ended by Close.
func (d *Dir) begin(ctx context.Context) (context.Context, func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, nil, unavailable(errClosed)
	}
	d.wg.Add(1)
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	stop := context.AfterFunc(d.base, cancel)
	return ctx, func() {
		stop()
		cancel()
		d.wg.Done()
	}, nil
}

// An attempt asks one node. It has the time of ctx; again tells whether the
// next node may be asked after an error.
type attempt func(ctx context.Context, n *node) (again bool, err error)

// each makes attempts, first on the node of that name, then on the others in
// order, until one does not fail or time is up. A node that hangs gets its
// share of the time only, so that the others are still asked.
func (d *Dir) each(ctx context.Context, nodes []*node, try attempt) error {
	var last error
	for i, n := range nodes {
		if ctx.Err() != nil || !n.enter() {
			continue
		}
		again, err := d.attempt(ctx, n, 1+countAvailable(nodes[i+1:]), try)
		if err == nil {
			return nil
		}
		last = fmt.Errorf("%s: %w", n.name, err)
		if !again {
			return last
		}
	}
	if last == nil && ctx.Err() == nil {
		return coolingError{nodes[0].lastError()}
	}
	return errors.Join(last, ctx.Err())
}

// A coolingError says that every node is left alone, and why. It hides the
// result code.
type coolingError struct{ err error }

func (e coolingError) Error() string {
	return fmt.Sprintf("every server is in its pause; the first because of: %v", e.err)
}

// attempt makes one attempt with one of shares of the time that is left.
func (d *Dir) attempt(ctx context.Context, n *node, shares int, try attempt) (again bool, err error) {
	began := time.Now()
	end, _ := ctx.Deadline()
	part, cancel := context.WithDeadline(ctx, began.Add(time.Until(end)/time.Duration(shares)))
	defer cancel()
	again, err = try(part, n)
	// A caller in a hurry does not take a node away from the others, but a
	// node that has used up its share is not asked again soon.
	enough := time.Since(began) >= d.config.Timeout/8 || part.Err() != nil && ctx.Err() == nil
	v := judge(err, enough)
	if v == failing && errors.Is(err, context.DeadlineExceeded) {
		n.hung()
	}
	n.leave(v, err)
	return again && v == failing && ctx.Err() == nil, err
}

func countAvailable(nodes []*node) (count int) {
	for _, n := range nodes {
		if n.available() {
			count++
		}
	}
	return count
}

// order returns all nodes, the one of that name first.
func (d *Dir) order(first string) []*node {
	ordered := make([]*node, 0, len(d.nodes))
	for _, n := range d.nodes {
		if n.name == first {
			ordered = append(ordered, n)
		}
	}
	for _, n := range d.nodes {
		if n.name != first {
			ordered = append(ordered, n)
		}
	}
	return ordered
}
