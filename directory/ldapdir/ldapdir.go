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
// Result 49 to the bind of the person is [directory.ErrBadCredentials]. So is,
// as a [*directory.AccountError] that says why, what a server tells of the
// account: with 49 by a sub-code of Active Directory or the password policy
// control, with 19 and 53 by the words of 389 and FreeIPA, with 53 of an entry
// that shows to be disabled, and by a success that is good for a change of the
// password alone. No entry, or more than one, is [directory.ErrNoUser].
// Everything else, an unreachable server, a deadline, any other result, a
// list that was cut short, is [directory.ErrUnavailable], which wraps the
// detail. Referrals and continuation references are followed in group searches,
// with Config.FollowReferrals, and else mean that the answer is not whole.
//
// # Nodes
//
// Each address of each server is a node, and one node serves all calls until
// it fails: the most preferred that works, the same one on every machine
// unless Config.SpreadByHost. A node fails by transport errors, time-outs and
// the results 51 and 52. Then the next one takes over, and the failed one is
// checked in the background by a real search, after growing pauses; no call
// waits for it. When a more preferred node has been well for Config.FailBack,
// it serves again. DNS is asked in the background alone.
//
// A search that fails goes on to the next node; a bind only if this one
// provably has not seen it. What one login asks goes to the node in
// [directory.Entry.Node] as long as that one works. [Dir.Nodes] shows all this,
// and [Dir.Only] asks one node alone.
//
// # Load balancers
//
// Behind one address there may be several servers with data of their own. That
// shows when the rootDSE of two connections has different names, when a
// certificate comes back that another had replaced, or when the last change of
// the base goes back. It is logged once, and stands in
// [directory.NodeState.Balanced]. From then on all searches share one
// connection, and those on which passwords are checked lead to the same server
// where it can be told, after up to five tries each. The name of that server is
// then a part of [directory.Entry.Node] and [directory.GroupSet.Node], so that
// a second opinion, for which another one is sought, counts as another's.
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
	"os"
	"sync"
	"sync/atomic"

	"github.com/seed-244866eb/gatehouse/directory"
)

var errClosed = errors.New("the directory client is closed")

// A Dir asks the servers of a Config. It is safe for concurrent use.
type Dir struct {
	config Config
	log    *slog.Logger
	// nobody is the name in the bind for a user who was not found: a bind
	// like every other, to an entry that cannot exist.
	nobody       string
	bindPassword func() string // package fmt, which prints unexported fields, calls none
	check        func(context.Context, *node) error

	schema atomic.Pointer[schema] // nil: not known yet
	names  atomic.Bool            // the servers tell their names, in the rootDSE
	sids   sidCache

	base   context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // every call and every goroutine
	kicked chan struct{}  // wakes the checks

	open       chan struct{} // closed when there are nodes, or no hope of any
	openOnce   sync.Once
	looked     chan struct{} // closed when all names have been looked up once
	lookedOnce sync.Once

	mu         sync.Mutex
	closed     bool
	nodes      []*node // the most preferred first; never modified in place
	current    *node   // has all calls; nil before there are nodes
	unresolved error   // how the last look at the DNS failed
}

var _ directory.Source = (*Dir)(nil)

// New returns a client of the servers of c. It does not dial and does not wait
// for DNS, so a server that is down does not keep a program from starting. The
// error names every bad field.
func New(c Config) (*Dir, error) {
	d, r, err := prepare(c)
	if err != nil {
		return nil, err
	}
	d.start(r)
	return d, nil
}

// prepare returns a client that does nothing yet.
func prepare(c Config) (*Dir, *discovery, error) {
	c = c.withDefaults()
	servers, errs := c.servers()
	errs = append(errs, c.check()...)
	machine := ""
	if c.SpreadByHost {
		var err error
		if machine, err = os.Hostname(); err != nil {
			errs = append(errs, fmt.Errorf("ldapdir: Config.SpreadByHost: %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	d := &Dir{
		config: c, log: c.Logger.With("component", "ldapdir"), nobody: "nobody-" + rand.Text(),
		bindPassword: func() string { return c.BindPassword },
		kicked:       make(chan struct{}, 1), open: make(chan struct{}), looked: make(chan struct{}),
	}
	d.check = d.probe
	d.names.Store(c.Schema == kindAD)
	d.base, d.cancel = context.WithCancel(context.Background())
	r := &discovery{
		config: c, servers: servers, machine: machine, patience: c.Timeout / 2,
		report: func(o Operation) { d.report(d.base, o) },
	}
	// Functions and servers have the secrets. In a field here a careless print
	// shows them.
	d.config.BindPassword, d.config.Certificates = "", nil
	return d, r, nil
}

// start starts the goroutines. Where nothing has to be looked up, the nodes
// are there when it returns.
func (d *Dir) start(r *discovery) {
	if r.fixed() {
		d.setNodes(r.endpoints())
		d.resolved(nil)
	} else {
		d.wg.Go(func() { d.resolve(r) })
	}
	d.wg.Go(d.watch)
}

// Close ends all connections and calls, and returns when no goroutine of the
// client is left. Calls after it return [directory.ErrUnavailable]. It may be
// called twice.
func (d *Dir) Close() error {
	d.mu.Lock()
	d.closed = true
	nodes := d.nodes
	d.mu.Unlock()
	d.cancel()
	for _, n := range nodes {
		n.close()
	}
	d.wg.Wait()
	return nil
}

// begin opens a call: bounded by Config.Timeout, ended by Close. It waits until
// the nodes are known.
func (d *Dir) begin(ctx context.Context) (context.Context, func(), error) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil, nil, unavailable(errClosed)
	}
	d.wg.Add(1)
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	stop := context.AfterFunc(d.base, cancel)
	end := func() {
		stop()
		cancel()
		d.wg.Done()
	}
	var err error
	select {
	case <-d.open:
		err = d.noNode()
	case <-ctx.Done():
		err = unavailable(fmt.Errorf("the names of the servers are being looked up: %w", ctx.Err()))
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return ctx, end, nil
}
