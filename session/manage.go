package session

import (
	"context"
	"errors"
	"fmt"
)

// Create begins a session of p below the cookie, for callers that carry the
// token themselves, and returns the token and the session.
func (m *Manager) Create(ctx context.Context, p Principal, o Origin) (string, *Session, error) {
	if p.User == "" {
		return "", nil, errNoUser
	}
	token, t, err := m.create(ctx, p, o, "")
	if err != nil {
		return "", nil, err
	}
	return token, m.cellOf(*t), nil
}

// Find returns the live session of token and counts as a use of it. It
// returns ErrNotFound for a token that is malformed or unknown and for a
// session that has ended; any other error means that the store did not answer.
// The session of an anonymous visitor has no User.
func (m *Manager) Find(ctx context.Context, token string) (*Session, error) {
	key, ok := parseToken(token)
	if !ok {
		return nil, ErrNotFound
	}
	t, err := m.find(ctx, key)
	if err != nil {
		return nil, err
	}
	return m.cellOf(t), nil
}

// Revoke ends the session of token; nil when there is none. The next request
// with it finds it dead, on any node.
func (m *Manager) Revoke(ctx context.Context, token string) error {
	key, ok := parseToken(token)
	if !ok {
		return nil
	}
	return m.delete(ctx, key)
}

// cellOf returns a cell of no request, for what has no cookie.
func (m *Manager) cellOf(t ticket) *Session {
	s := &Session{m: m, state: Live, first: t}
	s.cur = &s.first
	return s
}

// RevokeUser ends all sessions of user, the canonical name. It asks for the
// sessions of this user alone, however many others there are, and goes on
// past one that cannot be deleted; the error then joins what failed.
func (m *Manager) RevokeUser(ctx context.Context, user string) error {
	if m.revoked != nil {
		m.revoked(user)
	}
	records, err := m.store.List(ctx, shardOf(user), user)
	if err != nil {
		return fmt.Errorf("session: list: %w", err)
	}
	// The remember-me series are among them, or the next request would
	// bring a session back.
	var errs []error
	for key := range records {
		errs = append(errs, m.delete(ctx, key))
	}
	return errors.Join(errs...)
}
