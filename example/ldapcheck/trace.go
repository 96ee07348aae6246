package main

import (
	"context"
	"sync"
	"time"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/example/cli"
)

// serviceAccount is how a trace tells the bind of the service from that of a
// person.
const serviceAccount = "service account"

// A tracer keeps what one call has asked of the directory.
type tracer struct {
	mu  sync.Mutex
	all []ldapdir.Operation
}

// trace returns a context whose operations the tracer keeps.
func trace(ctx context.Context) (context.Context, *tracer) {
	t := new(tracer)
	return ldapdir.WithTrace(ctx, &ldapdir.Trace{Operation: t.keep}), t
}

func (t *tracer) keep(o ldapdir.Operation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, o)
}

func (t *tracer) operations() []ldapdir.Operation {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[:len(t.all):len(t.all)]
}

// entries returns how many the last search has found.
func (t *tracer) entries() (n int) {
	for _, o := range t.operations() {
		if o.Kind == "search" {
			n = o.Results
		}
	}
	return n
}

// step returns the step of that name that the operations are part of, but for
// those that an inspection has shown before: what it takes to have a
// connection, and a look at the rootDSE.
func (t *tracer) step(name string) Step {
	s := Step{Name: name}
	for _, o := range t.operations() {
		switch o.Kind {
		case "bind":
			if o.Detail != serviceAccount {
				s.take(o)
			}
		case "search", "read":
			if o.BaseDN != "" {
				s.take(o)
			}
		}
	}
	return s
}

// steps returns a step for each operation of an inspection.
func (t *tracer) steps() (all []Step) {
	for _, o := range t.operations() {
		s := Step{Name: o.Kind, Detail: o.Detail}
		switch {
		case o.Kind == "dial":
			s.Name = "connect"
		case o.Kind == "bind":
			s.Detail = o.BaseDN
		case o.Kind == "read" && o.BaseDN == "":
			s.Name = "server"
		case o.Kind == "read":
			s.Name, s.Detail = "base", o.BaseDN
		}
		s.take(o)
		s.OK = o.Err == nil
		if o.Err != nil {
			s.Error = cli.OneLine(o.Err)
		}
		all = append(all, s)
	}
	return all
}

// take adds an operation to the step.
func (s *Step) take(o ldapdir.Operation) {
	ms := milliseconds(o.Took)
	shown := Operation{Kind: o.Kind, Base: o.BaseDN, Filter: o.Filter, Results: o.Results, Milliseconds: ms}
	if o.Err != nil {
		shown.Error = cli.OneLine(o.Err)
	}
	s.Operations = append(s.Operations, shown)
	s.Milliseconds += ms
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
