package ldapdir

import (
	"context"
	"log/slog"
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

	balance     balance
	log         *slog.Logger
	names       *atomic.Bool // whether servers of the directory tell theirs; nil: nobody wants to know
	changesBase string       // the entry that has contextCSN; empty: it may not be read
	changeless  atomic.Bool  // it has none
}

func newNode(d *Dir, e endpoint) *node {
	n := &node{
		endpoint: e, bindDN: d.config.BindDN, bindPassword: d.bindPassword,
		timeout: d.config.Timeout, report: d.report, log: d.log, names: &d.names, changesBase: d.changesBase(),
		health: health{coolDown: d.config.CoolDown, maxCoolDown: d.config.MaxCoolDown, failBack: d.config.FailBack},
	}
	n.searches = newSearchPool(d, n)
	n.binds = newBindPool(n, d.config.BindConns, d.config.MaxWaiting)
	return n
}

// bindService binds the service account.
func (n *node) bindService(ctx context.Context, c *conn) error {
	if n.bindDN == "" {
		return nil
	}
	began := time.Now()
	_, err := c.bind(ctx, n.bindDN, n.bindPassword())
	n.report(ctx, Operation{Kind: "bind", Server: n.name, BaseDN: n.bindDN, Detail: "service account", Took: time.Since(began), Err: err})
	if err != nil {
		return serviceError{err}
	}
	return nil
}

// A serviceError is a refused bind of the service account. It hides the result
// code: 49 here is a fault of the set-up or of this node, and must not be
// taken for the password of the person.
type serviceError struct{ err error }

func (e serviceError) Error() string { return "bind of the service account: " + e.err.Error() }

// search runs an idempotent search over a service connection.
func (n *node) search(ctx context.Context, request *ldap.SearchRequest) (*ldap.SearchResult, error) {
	result, _, err := n.searchOver(ctx, request)
	return result, err
}

// searchOver runs an idempotent search over a service connection, and returns
// that if it was answered there. One that was lost is replaced and the search
// repeated, once; the last time alone, since what others ask can have ended the
// connections: an answer that is too large does.
func (n *node) searchOver(ctx context.Context, request *ldap.SearchRequest) (*ldap.SearchResult, *conn, error) {
	release, err := n.searches.place(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	for attempt := 0; ; attempt++ {
		s, fresh, err := n.searches.get(ctx)
		if err != nil {
			return nil, nil, err
		}
		result, err := n.searches.run(ctx, s, request)
		switch {
		case !lost(err):
			return result, s.conn, err
		case ctx.Err() != nil:
			return result, nil, err
		}
		n.searches.discard(s)
		if fresh || attempt == 1 {
			return n.searchAlone(ctx, request)
		}
	}
}

// searchAlone runs a search over a connection of its own.
func (n *node) searchAlone(ctx context.Context, request *ldap.SearchRequest) (*ldap.SearchResult, *conn, error) {
	c, err := n.dialService(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer c.close()
	result, err := c.read(ctx, request)
	return result, c, err
}

// reset takes all connections out of use. They end when their calls have.
func (n *node) reset() {
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
