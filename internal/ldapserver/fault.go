package ldapserver

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// An Op is a kind of LDAP operation.
type Op string

// The operations that a [Fault] can answer for.
const (
	OpBind     Op = "bind"
	OpSearch   Op = "search"
	OpCompare  Op = "compare"
	OpExtended Op = "extended"
	OpModify   Op = "modify" // and add, delete, rename: never done
)

// A Result is the outcome of an operation, as LDAPResult of RFC 4511.
type Result struct {
	Code      int      // 0 is success
	Matched   string   // DN
	Message   string   // diagnostic message
	Referrals []string // URLs, with code 10
	// Partial sends the entries that a search finds before this result. Only
	// in a [Fault].
	Partial bool
}

// A Fault says how the server misbehaves; the zero Fault is a healthy server.
type Fault struct {
	// Delay passes before each operation is looked at.
	Delay time.Duration
	// Silent accepts connections and never answers, not even a TLS handshake,
	// as a stopped process. When it is lifted, what has waited is answered.
	Silent bool
	// Hangup closes the connection in place of an answer.
	Hangup bool
	// Raw is sent in place of an answer: garbage, a length of 2^31.
	Raw []byte
	// Answer returns what is sent in place of an answer to the message with
	// the ID, or nil for the usual one: what fits the question and is hostile
	// all the same. It may be called from several goroutines.
	Answer func(op Op, id int64) []byte
	// Repeat sends Raw, or what Answer returns each time, until the client
	// leaves.
	Repeat bool
	// Endless sends the first entry that a search finds again and again until
	// the client leaves.
	Endless bool
	// References are sent as continuation references with each search.
	References []string
	// Results is answered in place of doing the operation. Code 0 for
	// [OpBind] is a server that says yes to every password.
	Results map[Op]Result
}

// SetFault makes the server misbehave from the next request on, and requests
// that wait for the end of Silent go on when f is not silent.
func (s *Server) SetFault(f Fault) {
	f.Raw = slices.Clone(f.Raw)
	f.References = slices.Clone(f.References)
	f.Results = maps.Clone(f.Results)
	old := s.fault.Swap(&faultState{Fault: f, changed: make(chan struct{})})
	close(old.changed)
}

// raw returns the bytes that are sent in place of an answer, if any are.
func (f *Fault) raw(op Op, id int64) []byte {
	if f.Answer == nil {
		return f.Raw
	}
	return f.Answer(op, id)
}

// A faultState is the fault in force until changed is closed.
type faultState struct {
	Fault
	changed chan struct{}
}

// current waits out Silent and returns the fault in force; false when ctx
// ended first.
func (s *Server) current(ctx context.Context) (*Fault, bool) {
	for {
		f := s.fault.Load()
		if !f.Silent {
			return &f.Fault, ctx.Err() == nil
		}
		select {
		case <-f.changed:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// A Stats counts what clients did since New. Operations count when they
// arrive, whatever the answer.
type Stats struct {
	Connections int // accepted
	Open        int // of these, not closed yet
	Binds       int // anonymous ones included
	Searches    int
	Compares    int
	Extended    int // StartTLS included
	Abandons    int
}

// Stats returns the counts of this moment.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	open := len(s.conns)
	s.mu.Unlock()
	return Stats{
		Connections: int(s.stats.connections.Load()),
		Open:        open,
		Binds:       int(s.stats.binds.Load()),
		Searches:    int(s.stats.searches.Load()),
		Compares:    int(s.stats.compares.Load()),
		Extended:    int(s.stats.extended.Load()),
		Abandons:    int(s.stats.abandons.Load()),
	}
}

type counters struct {
	connections, binds, searches, compares, extended, abandons atomic.Int64
}
