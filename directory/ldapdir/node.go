package ldapdir

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// A node is one directory server with its connections and its health.
type node struct {
	endpoint
	bindDN       string
	bindPassword func() string // package fmt, which prints unexported fields, calls none
	timeout      time.Duration
	coolDown     time.Duration
	log          *slog.Logger
	searches     *searchPool
	binds        *bindPool

	mu      sync.Mutex
	down    time.Time // zero: healthy; else when to try again
	probing bool      // one call tries it
	last    error     // why it is down
}

func newNode(d *Dir, e endpoint) *node {
	password := d.config.BindPassword
	n := &node{
		endpoint: e, bindDN: d.config.BindDN, bindPassword: func() string { return password },
		timeout: d.config.Timeout, coolDown: d.config.CoolDown, log: d.log,
	}
	n.searches = newSearchPool(d, n)
	n.binds = newBindPool(n, d.config.BindConns, d.config.MaxWaiting)
	return n
}

// enter asks whether the node may be used now. After a cool-down it lets one
// call in to try; the others must not wait for a server that still hangs.
// Who was let in calls leave.
func (n *node) enter() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down.IsZero() {
		return true
	}
	if n.probing || time.Now().Before(n.down) {
		return false
	}
	n.probing = true
	return true
}

// available tells what enter would, without taking the place.
func (n *node) available() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.down.IsZero() || !n.probing && !time.Now().Before(n.down)
}

// leave books how a call went.
func (n *node) leave(v verdict, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.probing = false
	switch v {
	case healthy:
		if !n.down.IsZero() {
			n.log.Info("node answers again", "server", n.name)
		}
		n.down, n.last = time.Time{}, nil
	case failing:
		if n.down.IsZero() {
			n.log.Warn("node does not answer", "server", n.name, "error", err, "pause", n.coolDown)
		}
		n.down, n.last = time.Now().Add(n.coolDown), err
	}
}

func (n *node) lastError() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// dialService opens a connection and binds the service account.
func (n *node) dialService(ctx context.Context) (*conn, error) {
	c, err := n.dial(ctx, n.timeout)
	if err != nil || n.bindDN == "" {
		return c, err
	}
	if _, err := c.bind(ctx, n.bindDN, n.bindPassword()); err != nil {
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

func (n *node) close() {
	n.searches.close()
	n.binds.close()
}
