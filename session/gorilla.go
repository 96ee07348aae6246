package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gorilla/sessions"
)

// maxSaves bounds how often a Save meets another one and tries again. Each turn
// somebody else's save has succeeded, so it takes a storm to use them up.
const maxSaves = 8

var (
	errEnded     = errors.New("session: the session has ended meanwhile; its values were not saved")
	errAmbiguous = errors.New("session: two live session cookies were sent; values cannot be saved")
)

var _ sessions.Store = (*Manager)(nil)

// handed is what one gorilla session held when the application got it, for
// telling what the application has changed since.
type handed struct {
	session *sessions.Session
	name    string
	base    string // the values as they were stored
}

// Get returns the values called name of the session of r, the same object each
// time within a request. It implements the gorilla/sessions Store.
func (m *Manager) Get(r *http.Request, name string) (*sessions.Session, error) {
	m.own(r)
	return sessions.GetRegistry(r).Get(m, name)
}

// New returns the values called name of the session of r, never nil: IsNew
// where there are none. It returns them empty, with an error, where the store
// did not answer or the values cannot be decoded. Applications call Get.
func (m *Manager) New(r *http.Request, name string) (*sessions.Session, error) {
	s := m.own(r)
	g := sessions.NewSession(m, name)
	g.Options = &sessions.Options{
		Path: m.path, Domain: m.domain, HttpOnly: true,
		Secure: m.secure || scheme(r) == "https", SameSite: http.SameSiteLaxMode,
	}
	// Applications log it, and stores in the gorilla manner would look the
	// session up by it: the hash serves the first and is useless for the second.
	g.ID = s.Hash()
	s.mu.Lock()
	defer s.mu.Unlock()
	h := handed{session: g, name: name}
	if s.cur != nil {
		// The values came with the session at no cost but these bytes;
		// an application that asks for none never decodes any.
		h.base = valuesOf(s.cur.data().values, name)
	}
	g.IsNew = h.base == ""
	s.given = append(s.given, h)
	if g.IsNew {
		return g, s.err
	}
	values, err := decodeValues(h.base)
	if err != nil {
		return g, fmt.Errorf("session: values %q: %w", name, err)
	}
	g.Values = values
	return g, nil
}

// Save stores what the application has changed in g since it got it, and
// nothing when nothing was changed. A visitor without a session gets an
// anonymous one by it, with a cookie. Where another request has saved
// meanwhile, its changes stay but for the keys that this one has changed too.
// A negative MaxAge in g.Options deletes the values of g's name; the other
// options do nothing, since all names share the one session cookie.
//
// Save must be called before the response is written. It returns an error,
// and stores nothing, when the session has ended meanwhile.
func (m *Manager) Save(r *http.Request, w http.ResponseWriter, g *sessions.Session) error {
	s := m.own(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.handedOf(g)
	edit, err := editOf(h.base, g)
	if err != nil || edit.empty() {
		return err
	}
	if s.cur == nil {
		return s.saveFirst(w, r, h, edit)
	}
	return s.saveAgain(r.Context(), h, edit)
}

// saveFirst begins an anonymous session that holds the values.
func (s *Session) saveFirst(w http.ResponseWriter, r *http.Request, h *handed, e edit) error {
	// A cookie over one that may be live would log somebody out, and beside a
	// planted one would make one more session with every request.
	switch {
	case s.blocked && s.err != nil:
		return s.err
	case s.blocked:
		return errAmbiguous
	}
	base, err := e.apply("")
	if err != nil {
		return err
	}
	values, err := withValues("", h.name, base)
	if err != nil || values == "" {
		return err
	}
	token, t, err := s.m.create(r.Context(), Principal{}, originOf(r), values)
	if err != nil {
		return err
	}
	s.cur = t
	h.base = base
	s.m.setCookie(w, r, token)
	return nil
}

// saveAgain changes the values of a session that is there. Each turn but the
// first begins with what another request has saved.
func (s *Session) saveAgain(ctx context.Context, h *handed, e edit) error {
	for range maxSaves {
		d := s.cur.data()
		base, err := e.apply(valuesOf(d.values, h.name))
		if err != nil {
			return err
		}
		if d.values, err = withValues(d.values, h.name, base); err != nil {
			return err
		}
		err = s.store(ctx, d)
		if err == nil {
			h.base = base
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if err := s.reload(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("session: save: %w", ErrConflict)
}

// store replaces the data of the current session. The record keeps its expiry:
// saving values is use, and no use prolongs a session past its lifetime.
func (s *Session) store(ctx context.Context, d data) error {
	rec := s.cur.rec
	rec.Data = d.encode()
	if err := s.m.store.Save(ctx, s.cur.key, rec); err != nil {
		return fmt.Errorf("session: save: %w", err)
	}
	rec.Version++
	s.cur = &ticket{key: s.cur.key, rec: rec, secret: s.cur.secret}
	return nil
}

// reload reads the current session anew. One that has ended is not begun
// again: a logout elsewhere must not be undone by a value, and a new anonymous
// cookie could overwrite that of a login which ended this one.
func (s *Session) reload(ctx context.Context) error {
	t, err := s.m.find(ctx, s.cur.key)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	if err != nil {
		return err
	}
	s.cur = &t
	return nil
}

// handedOf returns what g held when it was handed out. A session that this
// cell did not hand out held nothing: everything in it is a change.
func (s *Session) handedOf(g *sessions.Session) *handed {
	for i := range s.given {
		if s.given[i].session == g {
			return &s.given[i]
		}
	}
	s.given = append(s.given, handed{session: g, name: g.Name()})
	return &s.given[len(s.given)-1]
}

// emptyGiven empties the sessions handed out within this request: their values
// have died with the session, and a Save must not carry them into the next.
func (s *Session) emptyGiven() {
	for i := range s.given {
		clear(s.given[i].session.Values)
		s.given[i].base = ""
		s.given[i].session.IsNew = true
	}
}
