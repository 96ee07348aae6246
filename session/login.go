package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/seed-244866eb/gatehouse/internal/request"
)

var errNoUser = errors.New("session: a login needs a user name")

// An Origin tells where a session was begun, for lists of sessions.
type Origin struct {
	Address netip.Addr // the client; invalid where it is not known
	Agent   string     // the user agent; kept to 200 bytes of printable ASCII
}

// Login begins a session of p, answers with its cookie and returns the value
// of the cookie. The identifier and the secret are new, and what the request
// was sent with is dead: it is deleted first, so that a crash in between logs
// out and leaves nothing half valid. Values that the same visitor saved
// through gorilla/sessions before move along; those of another user never do.
//
// On an error nothing was answered and nobody is logged in. Login is carried
// through when the client hangs up. It must be called before the response is
// written; without a handler of m before it, it attaches the cell to r.
func (m *Manager) Login(w http.ResponseWriter, r *http.Request, p Principal) (string, error) {
	if p.User == "" {
		return "", errNoUser
	}
	s := m.own(r)
	// Who hangs up between the two store operations decides nothing.
	ctx := context.WithoutCancel(r.Context())
	s.mu.Lock()
	defer s.mu.Unlock()
	values, moves, err := s.inheritance(ctx, p)
	if err != nil {
		return "", err
	}
	if err := s.end(ctx, r); err != nil {
		return "", err
	}
	if !moves {
		s.emptyGiven()
	}
	token, t, err := m.create(ctx, p, originOf(r), values)
	if err != nil {
		return "", err
	}
	s.cur = t
	// Last, so that an answer which refuses a login sets no cookie.
	m.setCookie(w, r, token)
	return token, nil
}

// Logout ends the session of r, with the values that gorilla/sessions kept in
// it, and clears the cookie. On an error the session may still be live, and
// the cookie is kept so that a second try can end it. Without a session it
// clears the cookie alone. Like Login it outlives the client's hanging up.
func (m *Manager) Logout(w http.ResponseWriter, r *http.Request) error {
	s := m.own(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.end(context.WithoutCancel(r.Context()), r); err != nil {
		return err
	}
	s.emptyGiven()
	m.setCookie(w, r, "")
	return nil
}

// inheritance returns the values that move into a session of p: those of an
// anonymous session, or of p's own; false when what the application holds must
// not move either. They are read anew, since a login takes long enough for
// another request to have saved some.
func (s *Session) inheritance(ctx context.Context, p Principal) (values string, moves bool, err error) {
	if s.cur == nil {
		return "", true, nil
	}
	if old := s.cur.principal(); old.User != "" && old != p {
		return "", false, nil
	}
	t, err := s.m.find(ctx, s.cur.key)
	if errors.Is(err, ErrNotFound) {
		return "", false, nil // it was ended elsewhere, and they with it
	}
	return t.data().values, true, err
}

// end deletes the session of the request. Where it was never settled which
// one that is, it deletes each that was sent: whoever presents an identifier
// may end it, and a planted one would otherwise stand beside the next for ever.
func (s *Session) end(ctx context.Context, r *http.Request) error {
	if s.cur != nil {
		if err := s.m.delete(ctx, s.cur.key); err != nil {
			return err
		}
		s.cur = nil
	}
	if !s.blocked {
		return nil
	}
	var c candidates
	c.scan(r.Header["Cookie"], s.m.name)
	for _, key := range c.keys[:c.n] {
		if err := s.m.delete(ctx, key); err != nil {
			return err
		}
	}
	s.blocked = false
	return nil
}

// delete ends one session; that there is none is no error.
func (m *Manager) delete(ctx context.Context, key Key) error {
	if err := m.store.Delete(ctx, key); err != nil {
		return fmt.Errorf("session: delete: %w", err)
	}
	return nil
}

// create saves a new session and returns its cookie value. The secret is new
// with every one: a form token from before a login is worth nothing after it
// (the attacker's page may have read that one).
func (m *Manager) create(ctx context.Context, p Principal, o Origin, values string) (string, *ticket, error) {
	token, key := newToken(p.User)
	now := time.Now()
	d := data{
		secret:  newSecret(),
		created: now.Unix(),
		address: o.Address,
		id:      p.ID,
		agent:   packAgent(o.Agent),
		values:  values,
	}
	rec := Record{
		// A clone: the name may be a piece of a large request body.
		User:    strings.Clone(p.User),
		Kind:    KindSession,
		Expires: now.Add(m.lifetime),
		Idle:    m.idle,
		Data:    d.encode(),
	}
	t, ok := newTicket(key, rec)
	if !ok {
		return "", nil, fmt.Errorf("session: the identifier of %q is too long: %d bytes", p.User, len(p.ID))
	}
	if err := m.store.Save(ctx, key, rec); err != nil {
		return "", nil, fmt.Errorf("session: save: %w", err)
	}
	t.rec.Version++
	return token, &t, nil
}

// originOf takes the client address from the record, where a trusted proxy may
// have told it, or else from the connection.
func originOf(r *http.Request) Origin {
	if c := request.From(r.Context()); c != nil {
		return Origin{Address: c.Client, Agent: r.UserAgent()}
	}
	return Origin{Address: request.Peer(r), Agent: r.UserAgent()}
}
