package directory

import "time"

// A Reporter is a [Source] that can tell about its servers, for operators.
type Reporter interface {
	// Nodes returns the nodes in the order of preference. It asks nobody.
	Nodes() []NodeState
}

// A NodeState is what a source knows about one of its servers.
type NodeState struct {
	// Name is that of Entry.Node and GroupSet.Node, where the server's may
	// follow it in brackets if Balanced.
	Name    string
	Address string // host and port that is dialled
	// Server is what the server calls itself, where it tells.
	Server string
	// Preferred is the first in the order, Current the one that serves now.
	Preferred, Current bool
	// Up reports that the node may be used. Error is why it may not, and Retry
	// when it is tried again.
	Up    bool
	Error string
	Retry time.Time
	// Since is when Up changed last; zero: never.
	Since time.Time
	// Latency is the time of the last health check; zero: there was none.
	Latency time.Duration
	// Balanced says how it was seen that more than one server answers at the
	// address; empty: it was not.
	Balanced string
}
