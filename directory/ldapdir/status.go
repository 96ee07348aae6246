package ldapdir

import "github.com/seed-244866eb/gatehouse/directory"

var _ directory.Reporter = (*Dir)(nil)

// Nodes returns the nodes in the order of preference; none before the names of
// the servers have been looked up, see [Dir.Resolve].
func (d *Dir) Nodes() []directory.NodeState {
	nodes, current := d.list()
	states := make([]directory.NodeState, len(nodes))
	for i, n := range nodes {
		states[i] = n.state()
		states[i].Preferred, states[i].Current = i == 0, n == current
	}
	return states
}

// state returns what is known of the node.
func (n *node) state() directory.NodeState {
	server, sign := n.balance.state()
	h := &n.health
	h.mu.Lock()
	defer h.mu.Unlock()
	s := directory.NodeState{
		Name: n.name, Address: n.address, Server: server, Balanced: sign, Up: !h.down, Since: h.since, Latency: h.latency,
	}
	if h.down {
		s.Error, s.Retry = h.err.Error(), h.retry
	}
	return s
}
