package ldapdir

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// A node is one address of a directory server, with its connections and its
// health.
type node struct {
	endpoint
	health
	bindDN       string
	bindPassword func() string // package fmt, which prints unexported fields, calls none
	timeout      time.Duration
	report       func(context.Context, Operation)
	searches     *searchPool
	binds        *bindPool
	vetted       atomic.Bool // refuses a made-up password
}

func newNode(d *Dir, e endpoint) *node {
	n := &node{
		endpoint: e, bindDN: d.config.BindDN, bindPassword: d.bindPassword,
		timeout: d.config.Timeout, report: d.report,
		health: health{coolDown: d.config.CoolDown, maxCoolDown: d.config.MaxCoolDown, failBack: d.config.FailBack},
	}
	n.searches = newSearchPool(d, n)
	n.binds = newBindPool(n, d.config.BindConns, d.config.MaxWaiting)
	return n
}

// connect opens a connection to the node.
func (n *node) connect(ctx context.Context) (*conn, error) {
	return n.dial(ctx, n.timeout, func(o Operation) { n.report(ctx, o) })
}

// dialService opens a connection and binds the service account.
func (n *node) dialService(ctx context.Context) (*conn, error) {
	c, err := n.connect(ctx)
	if err != nil || n.bindDN == "" {
		return c, err
	}
	began := time.Now()
	_, err = c.bind(ctx, n.bindDN, n.bindPassword())
	n.report(ctx, Operation{Kind: "bind", Server: n.name, BaseDN: n.bindDN, Detail: "service account", Took: time.Since(began), Err: err})
	if err != nil {
		c.close()
		return nil, serviceError{err}
	}
	return c, nil
}

// A serviceError is a refused bind of the service account. It hides the result
// code: 49 here is a fault of the set-up or of this node, and must not be
// taken for the password of the person.
type serviceError struct{ err error }

func (e serviceError) Error() string { return "bind of the service account: " + e.err.Error() }

// search runs an idempotent search over a service connection. One that was
// lost is replaced and the search repeated, once.
func (n *node) search(ctx context.Context, request *ldap.SearchRequest) (*ldap.SearchResult, error) {
	release, err := n.searches.places.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	for attempt := 0; ; attempt++ {
		s, fresh, err := n.searches.get(ctx)
		if err != nil {
			return nil, err
		}
		result, err := n.searches.run(ctx, s, request)
		if !lost(err) || ctx.Err() != nil {
			return result, err
		}
		n.searches.discard(s)
		if fresh || attempt == 1 {
			return nil, err
		}
	}
}

// searchFresh runs a search over a connection of its own: behind a load
// balancer that may be another server, and another opinion.
func (n *node) searchFresh(ctx context.Context, request *ldap.SearchRequest) (*ldap.SearchResult, error) {
	c, err := n.dialService(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	return c.read(ctx, request)
}

// hung throws away all connections to a server that did not answer in time:
// each of them would cost somebody the same wait again.
func (n *node) hung() {
	n.searches.reset()
	n.binds.reset()
}

// drain ends the connections when their calls have, and takes no new calls.
func (n *node) drain() {
	n.searches.drain()
	n.binds.close()
}

func (n *node) close() {
	n.searches.close()
	n.binds.close()
}
