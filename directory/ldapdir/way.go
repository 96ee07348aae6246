package ldapdir

import (
	"cmp"
	"context"
	"errors"

	"github.com/go-ldap/ldap/v3"
)

// A way is how the searches of one call reach a node: over the service
// connections, or over one of its own. All of them must lead to one server;
// one call uses it.
type way struct {
	node *node
	own  *conn // nil: the service connections
	// from is the name of the node that the entry in hand came from; empty: it
	// does not matter.
	from string
	met  *backend // nil: nobody has answered yet
}

// errMoved means that another server behind the address of the node has
// answered a part of the questions. All of them may be asked anew.
var errMoved error = answerError{"another server behind the same address has gone on to answer"}

// shared returns a way over the service connections.
func (n *node) shared() *way { return &way{node: n} }

// once runs f with a way over the service connections, and once more if that
// has led to two servers.
func (n *node) once(f func(*way) error) error {
	err := f(n.shared())
	if errors.Is(err, errMoved) {
		err = f(n.shared())
	}
	return err
}

// opinion returns a way over a connection of its own: behind a load balancer
// that may be another server, and another opinion. One that is not among those
// of a name is preferred.
func (n *node) opinion(ctx context.Context, names []string) (*way, error) {
	c, err := n.dialOther(ctx, names)
	if err != nil {
		return nil, err
	}
	return &way{node: n, own: c}, nil
}

// wayTo returns a way over a connection of its own to the server of that name,
// or nil if that is not reached.
func (n *node) wayTo(ctx context.Context, name string) (*way, error) {
	c, err := n.seek(ctx, name)
	if err != nil || c == nil {
		return nil, err
	}
	if c, err = n.serve(ctx, c); err != nil {
		return nil, err
	}
	return &way{node: n, own: c}, nil
}

// close ends the connection if it is the way's own.
func (w *way) close() {
	if w.own != nil {
		w.own.close()
	}
}

func (w *way) search(ctx context.Context, request *ldap.SearchRequest) (*ldap.SearchResult, error) {
	if w.own != nil {
		return w.own.read(ctx, request)
	}
	result, c, err := w.node.searchOver(ctx, request)
	if c != nil {
		if moved := w.meet(c.backend); moved != nil {
			return nil, moved
		}
	}
	return result, err
}

// alone returns a connection that nobody else uses, and how to give it back.
func (w *way) alone(ctx context.Context) (c *conn, done func(), err error) {
	if w.own != nil {
		return w.own, func() {}, nil
	}
	if c, err = w.node.dialService(ctx); err != nil {
		return nil, nil, err
	}
	if err = w.meet(c.backend); err != nil {
		c.close()
		return nil, nil, err
	}
	return c, c.close, nil
}

// meet notes who has answered; errMoved if that is another one than before.
func (w *way) meet(x backend) error {
	if w.met == nil {
		w.met = &x
		if w.from != "" && w.from != w.node.nameOf(x) {
			return errMoved
		}
	}
	if !w.met.alike(x) {
		return errMoved
	}
	return nil
}

// name returns the name of the node, with the server that has answered.
func (w *way) name() string {
	switch {
	case w.own != nil:
		return w.node.nameOf(w.own.backend)
	case w.met != nil:
		return w.node.nameOf(*w.met)
	}
	return cmp.Or(w.from, w.node.kept())
}

// compareChanges compares the last changes with those that were shown before;
// for a connection of its own dialling has done it.
func (w *way) compareChanges(ctx context.Context) error {
	if w.own != nil {
		return nil
	}
	return w.node.compareChanges(ctx, w.node.searchOver)
}
