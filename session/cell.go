package session

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// A State tells what a request's session cookie was worth.
type State uint8

// The states. Only in Live is the request anybody's. Cookies ignore ports and
// cross subdomains, so a neighbour can plant a session of its own beside the
// user's: which of two live ones is meant cannot be known.
const (
	None      State = iota // no session cookie was sent
	Live                   // it is a live session, of a user or anonymous
	Dead                   // one was sent, malformed or not, and none is live
	Ambiguous              // two different live ones, or over eight different ones: nobody
	Unknown                // the store did not answer; see Session.Err
)

// String returns the lower-case name of the state, for logs.
func (s State) String() string {
	switch s {
	case None:
		return "none"
	case Live:
		return "live"
	case Dead:
		return "dead"
	case Ambiguous:
		return "ambiguous"
	case Unknown:
		return "unknown"
	}
	return "state " + strconv.Itoa(int(s))
}

// A Session is the cell of one request: what the request was sent with, and
// what has become of it since. State, Err and User tell the former and never
// change. Secret, Hash, Created, Expires, Address and Agent tell of the
// session that the next request will have, and so follow a login or logout
// within this one.
// It is safe for concurrent use.
type Session struct {
	m     *Manager
	outer *Session // the cell of another Manager in the same request
	err   error
	state State
	first ticket // what was sent; empty unless Live

	// An application may serve parallel sub-requests on copies of one
	// request; what a login among them changes is changed under mu.
	mu      sync.Mutex
	blocked bool    // ambiguous or unknown, and nothing settled it yet
	cur     *ticket // what holds now; nil: no session
	given   []handed
}

// A ticket is one loaded session. It is never changed, only replaced, so a
// secret that somebody still holds stays the secret it was. The first one of a
// request lies within the cell, which makes both one allocation.
type ticket struct {
	key    Key
	rec    Record
	secret [secretSize]byte // a copy, for callers that want bytes
}

// State returns what the session cookie of the request was worth.
func (s *Session) State() State { return s.state }

// Err returns why the state is Unknown, and nil in every other state.
func (s *Session) Err() error { return s.err }

// User returns the user who sent the request; the zero Principal unless the
// state is Live and the session is a user's.
func (s *Session) User() Principal {
	if s.state != Live {
		return Principal{}
	}
	return s.first.principal()
}

// Created returns when the session began, to the second; zero without one.
func (s *Session) Created() time.Time {
	if t := s.current(); t != nil {
		return time.Unix(t.data().created, 0)
	}
	return time.Time{}
}

// Expires returns the absolute end of the session; zero without one.
func (s *Session) Expires() time.Time {
	if t := s.current(); t != nil {
		return t.rec.Expires
	}
	return time.Time{}
}

// Address returns the client address at login, or an invalid one where it was
// not known.
func (s *Session) Address() netip.Addr {
	if t := s.current(); t != nil {
		return t.data().address
	}
	return netip.Addr{}
}

// Agent returns the user agent at login, printable ASCII of at most 200 bytes.
func (s *Session) Agent() string {
	if t := s.current(); t != nil {
		return unpackAgent(t.data().agent)
	}
	return ""
}

// Secret returns the 16 random bytes of the session that form tokens are made
// from, or nil without a session. Anonymous sessions have one too. The caller
// must not change it.
func (s *Session) Secret() []byte {
	if t := s.current(); t != nil {
		return t.secret[:]
	}
	return nil
}

// Hash returns a short base-36 hash of the session's identifier, safe to log
// and to send (X-ASESSIONID), or "" without a session.
func (s *Session) Hash() string {
	var b [16]byte
	return string(s.AppendHash(b[:0]))
}

// AppendHash appends what [Session.Hash] returns to b.
func (s *Session) AppendHash(b []byte) []byte {
	t := s.current()
	if t == nil {
		return b
	}
	// 40 of the 256 bits of a hash of random bytes: enough to tell sessions
	// apart in a log, useless for finding one.
	n := binary.BigEndian.Uint64(t.key.Hash[24:]) >> 24
	return strconv.AppendUint(b, n, 36)
}

// Format writes state and hash: a Session that ends in a log line must not
// take its secret along.
func (s *Session) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "session %v %s", s.state, s.Hash())
}

// current returns what holds now, nil without a session.
func (s *Session) current() *ticket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cur
}

// principal returns whose the session is. The identifier of an anonymous one
// would be a mistake of the store and is not believed.
func (t *ticket) principal() Principal {
	if t.rec.User == "" {
		return Principal{}
	}
	return Principal{User: t.rec.User, ID: t.data().id}
}

// data decodes what newTicket has checked already. Decoding cuts a few strings
// and costs less than the memory to keep them in.
func (t *ticket) data() data {
	d, _ := decode(t.rec.Data)
	return d
}

// newTicket returns the session that rec is, and false when rec is no session
// of this version: garbage, or a remember-me series, must not authenticate.
func newTicket(key Key, rec Record) (ticket, bool) {
	d, ok := decode(rec.Data)
	if !ok || rec.Kind != KindSession {
		return ticket{}, false
	}
	t := ticket{key: key, rec: rec}
	copy(t.secret[:], d.secret)
	return t, true
}
