// Package ldapserver is a small LDAP v3 server that runs inside a process: the
// directory of the demo program, and the one that tests make slow, stale,
// silent or hostile. It holds its entries in memory and changes them only as
// a whole; clients can bind, search and compare, and change nothing but, where
// the Config says so, a password.
//
// Filters are evaluated as RFC 4511 says, with the matching rules of the
// attribute (case, spaces, distinguished names, integers) and with Undefined
// as third value, so that a client which escapes wrongly is found out. What a
// real server does and this one does not: Unicode normalisation (a composed
// and a decomposed ë differ), aliases, schema checks, access rules beyond
// hiding passwords.
//
// # Faults
//
// [Server.SetFault] changes how all connections are answered from the next
// request on. [Server.SetEntries] swaps the data, which is how a node lags.
package ldapserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxConns bounds what one stranger can open; slapd's usual limit is the
// number of descriptors, 1,024.
const maxConns = 1024

// An Entry is one object of the directory.
type Entry struct {
	DN string // RFC 4514
	// Attributes holds the values by attribute type. The naming attribute is
	// added when absent. The values of userPassword are plain or {SSHA}; they
	// serve for binds alone and are never returned or matched.
	Attributes map[string][]string
	// Bind changes how binds to the entry end; nil: in nothing.
	Bind *BindRule
}

// A Config says what a [Server] holds and how it answers. The zero Config is
// an empty directory.
type Config struct {
	// Entries is the content. Parents need not exist: a DN that has only
	// descendants can be searched from, as a glue entry of slapd.
	Entries []Entry
	// TLS serves [Server.StartSecure] and the StartTLS operation; nil: neither.
	TLS *tls.Config
	// SizeLimit is the most entries that one search returns before result 4;
	// a page of a paged search is cut to it instead, as by the MaxPageSize of
	// Active Directory. Zero means no limit.
	SizeLimit int
	// RangeLimit is the most values of an attribute that one entry shows, the
	// MaxValRange of Active Directory; clients ask for the rest by the range
	// option. Zero means no limit, and no range option.
	RangeLimit int
	// ActiveDirectory answers as a domain controller: binds by user principal
	// name and DOMAIN\user, sub-codes in the message of result 49, success as
	// anonymous without a password, nothing but the rootDSE for anonymous
	// clients, objectGUID, objectSid and tokenGroups. See also [RootDSE].
	ActiveDirectory bool
	// ChangePasswords lets people who have bound change their own password by
	// the operation of RFC 3062, and with ActiveDirectory whoever has bound
	// that of everybody whose old one they give, by unicodePwd over TLS. A new
	// password is good until the next SetEntries; nothing else is ever written.
	ChangePasswords bool
	// PasswordAdmins are the DNs of those who, once bound, set the password of
	// anybody without the old one.
	PasswordAdmins []string
	// MinPassword is the fewest characters of a new password; fewer are
	// answered by 19, constraintViolation.
	MinPassword int
	// KeepBinds is the number of binds that [Server.Binds] knows.
	KeepBinds int
	// IdleTimeout closes a connection that sent nothing for so long. Zero
	// means never.
	IdleTimeout time.Duration
	// DenyAnonymous answers 50 to searches and comparisons of a client that
	// has not bound.
	DenyAnonymous bool
	// MemberOf gives every entry the operational attribute memberOf, from the
	// member and uniqueMember values that name it.
	MemberOf bool
	// RootDSE adds attributes to the rootDSE or replaces them.
	RootDSE map[string][]string
}

// New returns a server that does not listen yet. The error names every entry
// whose DN cannot be parsed or occurs twice, every negative limit, and every
// administrator that is no DN.
func New(c Config) (*Server, error) {
	c.RootDSE = maps.Clone(c.RootDSE)
	for name, values := range c.RootDSE {
		c.RootDSE[name] = slices.Clone(values)
	}
	if c.TLS != nil {
		c.TLS = c.TLS.Clone()
	}
	c.PasswordAdmins = slices.Clone(c.PasswordAdmins)
	s := &Server{config: c, conns: map[*conn]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.fault.Store(&faultState{changed: make(chan struct{})})
	if err := errors.Join(s.SetEntries(c.Entries), c.check()); err != nil {
		s.cancel()
		return nil, err
	}
	s.config.Entries = nil // the tree has its own copy
	return s, nil
}

// check names everything that is out of range.
func (c *Config) check() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value int
	}{
		{"SizeLimit", c.SizeLimit},
		{"RangeLimit", c.RangeLimit},
		{"KeepBinds", c.KeepBinds},
		{"MinPassword", c.MinPassword},
	} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("ldapserver: Config.%s is negative: %d", f.name, f.value))
		}
	}
	if c.IdleTimeout < 0 {
		errs = append(errs, fmt.Errorf("ldapserver: Config.IdleTimeout is negative: %v", c.IdleTimeout))
	}
	for _, name := range c.PasswordAdmins {
		if _, ok := parseDN(name); !ok {
			errs = append(errs, fmt.Errorf("ldapserver: Config.PasswordAdmins %q is not a name", name))
		}
	}
	return errors.Join(errs...)
}

// A Server answers LDAP on any number of addresses. Its methods are safe for
// concurrent use.
type Server struct {
	config Config
	tree   atomic.Pointer[tree]
	fault  atomic.Pointer[faultState]
	stats  counters

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // listeners, connections and their operations

	mu        sync.Mutex
	closed    bool
	listeners []net.Listener
	conns     map[*conn]bool
	binds     []Bind
	plain     string // first address of each kind
	secure    string
}

// Start listens on addr for ldap://. Port 0 picks a free one; see [Server.URL].
func (s *Server) Start(addr string) error {
	return s.listen(addr, false)
}

// StartSecure listens on addr for ldaps://. It needs Config.TLS.
func (s *Server) StartSecure(addr string) error {
	if s.config.TLS == nil {
		return errors.New("ldapserver: StartSecure without Config.TLS")
	}
	return s.listen(addr, true)
}

func (s *Server) listen(addr string, secure bool) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("ldapserver: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.Join(errors.New("ldapserver: closed"), l.Close())
	}
	s.listeners = append(s.listeners, l)
	if first := s.address(secure); *first == "" {
		*first = l.Addr().String()
	}
	s.wg.Go(func() { s.accept(l, secure) })
	return nil
}

func (s *Server) address(secure bool) *string {
	if secure {
		return &s.secure
	}
	return &s.plain
}

// URL returns ldap://HOST:PORT of the first plain listener, or "" before one.
func (s *Server) URL() string { return s.url("ldap://", false) }

// SecureURL returns ldaps://HOST:PORT of the first TLS listener, or "".
func (s *Server) SecureURL() string { return s.url("ldaps://", true) }

func (s *Server) url(scheme string, secure bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := *s.address(secure); a != "" {
		return scheme + a
	}
	return ""
}

// SetEntries replaces the whole content at once; searches that run finish on
// the old one. On an error, which names every bad entry, nothing changes.
func (s *Server) SetEntries(entries []Entry) error {
	t, err := newTree(entries, s.config.MemberOf, s.config.ActiveDirectory)
	if err != nil {
		return err
	}
	s.tree.Store(t)
	return nil
}

// DropConnections closes all connections without a word, as a restart or an
// idle timeout of a firewall does. The listeners stay.
func (s *Server) DropConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.drop()
	}
}

// Close stops listening, closes all connections and returns when no goroutine
// of the server is left. It may be called twice.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()

	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	s.cancel()
	s.DropConnections()
	s.wg.Wait()
	return errors.Join(errs...)
}

func (s *Server) accept(l net.Listener, secure bool) {
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !s.pause(100*time.Millisecond) {
				return
			}
			continue // out of descriptors, most likely: they come back
		}
		s.serve(nc, secure)
	}
}

// pause waits and reports whether the server is still open.
func (s *Server) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// serve starts the goroutine of one connection, unless the server is closed
// or full.
func (s *Server) serve(nc net.Conn, secure bool) {
	c := newConn(s, nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= maxConns {
		c.drop()
		return
	}
	s.conns[c] = true
	s.stats.connections.Add(1)
	s.wg.Go(func() {
		defer s.forget(c)
		c.serve(secure)
	})
}

func (s *Server) forget(c *conn) {
	c.drop()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// attributes returns the keys of m in order, so that answers are the same
// every time.
func attributes(m map[string][]string) []string {
	return slices.Sorted(maps.Keys(m))
}
