package ldapdir

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
)

var errNoNode = errors.New("no server is known")

// setNodes takes the endpoints as the new list of nodes, the most preferred
// first. Nodes that were there keep their connections and their health; those
// that are gone end when their calls have. An empty list changes nothing:
// servers that work are worth more than what DNS says.
func (d *Dir) setNodes(endpoints []endpoint) {
	if len(endpoints) == 0 {
		return
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	old := d.nodes
	d.nodes = make([]*node, 0, len(endpoints))
	for _, e := range endpoints {
		i := slices.IndexFunc(old, func(n *node) bool { return n.url == e.url && n.address == e.address })
		if i >= 0 {
			d.nodes = append(d.nodes, old[i])
			continue
		}
		d.nodes = append(d.nodes, newNode(d, e))
	}
	var gone []*node
	for _, n := range old {
		if !slices.Contains(d.nodes, n) {
			gone = append(gone, n)
		}
	}
	d.mu.Unlock()
	for _, n := range gone {
		d.log.Info("directory node is no longer in the DNS", "server", n.name)
		d.wg.Go(func() { d.drain(n) })
	}
	d.choose(d.base)
	d.letIn()
	d.kick()
}

// drain closes a node that is no longer wanted once no call can be on it.
func (d *Dir) drain(n *node) {
	n.drain()
	select {
	case <-time.After(d.config.Timeout):
	case <-d.base.Done():
	}
	n.close()
}

// list returns the nodes, the most preferred first, and the one in use.
func (d *Dir) list() (nodes []*node, current *node) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nodes, d.current
}

// preferred reports whether n is the most preferred node.
func (d *Dir) preferred(n *node) bool {
	nodes, _ := d.list()
	return len(nodes) > 0 && nodes[0] == n
}

// order returns all nodes: the one of that name first, then the one in use,
// then the others as they are preferred.
func (d *Dir) order(first string) []*node {
	nodes, current := d.list()
	ordered := slices.Clone(nodes)
	place := func(n *node) int {
		switch {
		case n.is(first):
			return 0
		case n == current:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(ordered, func(a, b *node) int { return place(a) - place(b) })
	return ordered
}

// choose makes the most preferred node that is up the one in use, unless the
// one in use still works.
func (d *Dir) choose(ctx context.Context) {
	d.mu.Lock()
	old := d.current
	i := slices.IndexFunc(d.nodes, (*node).up)
	if i < 0 || old != nil && old.up() && slices.Contains(d.nodes, old) {
		d.mu.Unlock()
		return
	}
	next := d.nodes[i]
	d.current = next
	d.mu.Unlock()
	if old != nil {
		d.moved(ctx, "failover", old, next)
	}
}

// failBack goes back to the most preferred node that has been well for a
// while, if it is preferred to the one in use.
func (d *Dir) failBack(ctx context.Context) {
	d.mu.Lock()
	old := d.current
	i := slices.IndexFunc(d.nodes, (*node).trusted)
	if i < 0 || i >= slices.Index(d.nodes, old) {
		d.mu.Unlock()
		return
	}
	next := d.nodes[i]
	d.current = next
	d.mu.Unlock()
	d.moved(ctx, "failback", old, next)
	d.wg.Go(func() { d.leave(old) })
}

// leave closes the connections to a node that waits again, or each failover
// would leave some there for good. Logins that began on it end on it first.
func (d *Dir) leave(n *node) {
	select {
	case <-time.After(d.config.Timeout):
	case <-d.base.Done():
	}
	if _, current := d.list(); n != current {
		n.reset()
	}
}

// moved tells that another node is in use.
func (d *Dir) moved(ctx context.Context, kind string, from, to *node) {
	if from == to {
		return
	}
	d.log.Info("another directory node is in use", "why", kind, "server", to.name, "before", from.name)
	d.report(ctx, Operation{Kind: kind, Server: to.name, Detail: "before: " + from.name})
}

// An attempt asks one node. It has the time of ctx; again tells whether the
// next node may be asked after an error.
type attempt func(ctx context.Context, n *node) (again bool, err error)

// each makes attempts on the nodes that are up, in turn, until one does not
// fail or time is up. A node that hangs gets half of the time that is left
// while there is another, so that the others are still asked and all together
// take no longer than one.
func (d *Dir) each(ctx context.Context, nodes []*node, try attempt) error {
	if name, ok := onlyNode(ctx); ok {
		return d.eachOnly(ctx, nodes, name, try)
	}
	var last error
	for i, n := range nodes {
		if ctx.Err() != nil || !n.up() {
			continue
		}
		shares := 1
		if slices.ContainsFunc(nodes[i+1:], (*node).up) {
			shares = 2
		}
		again, err := d.attempt(ctx, n, shares, try)
		if err == nil {
			return nil
		}
		last = fmt.Errorf("%s: %w", n.name, err)
		if !again {
			return last
		}
	}
	if last == nil && ctx.Err() == nil && len(nodes) > 0 {
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
	v := judge(err, time.Since(began) >= d.config.Timeout/8)
	// One question can take for ever while the node answers all others. It
	// takes no node away, nor the next one by being asked there.
	slow := v == failing && errors.Is(err, context.DeadlineExceeded) && n.answeredSince(began)
	if slow {
		v = unclear
	}
	switch {
	case v == healthy && n.answer():
		d.kick()
	case v == failing:
		d.failed(ctx, n, err)
	case v == unclear && errors.Is(err, context.DeadlineExceeded) && n.doubt():
		// A caller in a hurry does not take a node away from the others; a
		// check, which has the time, finds out.
		d.kick()
	}
	// A node that has used up its share, or has failed or left the list while
	// the call waited for it, has not answered.
	silent := part.Err() != nil && !slow && !errors.Is(err, errSaturated) || !n.up() || errors.Is(err, errClosed)
	return again && v != healthy && (v == failing || silent) && ctx.Err() == nil, err
}

// failed books that a node has failed.
func (d *Dir) failed(ctx context.Context, n *node, err error) {
	if !n.fail(err) {
		return
	}
	d.lost(ctx, n, err)
}

// lost tells that a node has gone out of use, and goes on with another one.
func (d *Dir) lost(ctx context.Context, n *node, err error) {
	d.log.Warn("directory node does not answer", "server", n.name, "error", err)
	n.vetted.Store(false) // another server may be there when it comes back
	if errors.Is(err, context.DeadlineExceeded) {
		n.reset() // each connection would cost somebody the same wait again
	}
	d.choose(ctx)
	d.kick()
}

// noNode returns the error of a call that knows nobody to ask.
func (d *Dir) noNode() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.nodes) > 0 {
		return nil
	}
	return fmt.Errorf("%w: %w: %w", directory.ErrUnavailable, errNoNode, d.unresolved)
}
