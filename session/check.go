package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/seed-244866eb/gatehouse/internal/request"
)

// Check returns the session of r, never nil: the cell that a handler put into
// r's record, or else what the store says about the cookies of r. It writes
// nothing; what it found is in State.
func (m *Manager) Check(r *http.Request) *Session {
	if s := m.inContext(r.Context()); s != nil {
		return s
	}
	return m.newCell(r)
}

// Handler returns a handler that checks each request, makes the session known
// to [FromContext] and calls next. It refuses nothing.
func (m *Manager) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, r = m.cell(r)
		next.ServeHTTP(w, r)
	})
}

// FromContext returns the session of the request that ctx belongs to, and
// false when no handler of a Manager has seen it.
func FromContext(ctx context.Context) (*Session, bool) {
	c := request.From(ctx)
	if c == nil {
		return nil, false
	}
	s, ok := c.Session.(*Session)
	return s, ok
}

// inContext returns the cell that belongs to m, or nil.
func (m *Manager) inContext(ctx context.Context) *Session {
	s, _ := FromContext(ctx)
	for s != nil && s.m != m {
		s = s.outer
	}
	return s
}

// cell returns the one cell of r, and r. Where none is known yet it makes one
// and returns a copy of r that carries it.
func (m *Manager) cell(r *http.Request) (*Session, *http.Request) {
	if s := m.inContext(r.Context()); s != nil {
		return s, r
	}
	c, forked := request.Fork(r)
	s := m.newCell(forked)
	c.Session = s
	return s, forked
}

// own returns the one cell of r for methods whose caller keeps r, where no
// Handler has been before: it changes r in place, as gorilla/sessions does to
// attach its registry, so that a later call with the same r meets the same cell.
func (m *Manager) own(r *http.Request) *Session {
	s, carrier := m.cell(r)
	if carrier != r {
		*r = *carrier
	}
	return s
}

// newCell returns a cell filled from the cookies of r, linked to the cell of
// another Manager where r carries one.
func (m *Manager) newCell(r *http.Request) *Session {
	s := &Session{m: m}
	s.outer, _ = FromContext(r.Context())
	var c candidates
	c.scan(r.Header["Cookie"], m.name)
	s.state, s.err = m.judge(r.Context(), &c, &s.first)
	if s.state == Live {
		s.cur = &s.first
	}
	s.blocked = s.state == Ambiguous || s.state == Unknown
	return s
}

// judge loads the candidates and puts the one that is live into t. All are
// loaded, also after a live one: cookies ignore ports and a neighbour can plant
// one of the same name, and if the first won, its order would choose the user.
func (m *Manager) judge(ctx context.Context, c *candidates, t *ticket) (State, error) {
	switch {
	case !c.sent:
		return None, nil
	case c.over:
		// Nobody comes by so many honestly, and loading only some of them
		// would let the rest push the own one out of sight.
		return Ambiguous, nil
	}
	state := Dead
	for _, key := range c.keys[:c.n] {
		found, err := m.find(ctx, key)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			// Also beside a live one: whether that is the only live one
			// cannot be said, and the order must not decide.
			*t = ticket{}
			return Unknown, err
		case state == Live:
			*t = ticket{}
			return Ambiguous, nil
		default:
			// A dead one beside it does not hurt: clients that log in
			// again under another path send both for ever.
			state, *t = Live, found
		}
	}
	return state, nil
}

// find loads one session. A record that this version cannot read, or that is
// not a session, is not found.
func (m *Manager) find(ctx context.Context, key Key) (ticket, error) {
	rec, err := m.store.Load(ctx, key)
	if err != nil {
		return ticket{}, fmt.Errorf("session: load: %w", err)
	}
	t, ok := newTicket(key, rec)
	if !ok {
		return ticket{}, ErrNotFound
	}
	return t, nil
}
