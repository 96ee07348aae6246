package ldapserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

const (
	maxParallel  = 64               // operations at once on one connection
	stallTimeout = 30 * time.Second // for the rest of a message, a handshake, a write
)

// A conn is one connection. Its own goroutine reads, binds and starts TLS;
// every other operation has a goroutine, so that a client can have many
// searches under way and abandon them.
type conn struct {
	server *Server
	raw    net.Conn // what drop closes
	nc     net.Conn // raw, or TLS over it
	r      *bufio.Reader
	ctx    context.Context
	cancel context.CancelFunc
	slots  chan struct{}
	ops    sync.WaitGroup

	// who is the entry that has bound, nil for anonymous. It changes only
	// while no operation runs.
	who *entry

	writing sync.Mutex

	mu      sync.Mutex
	running map[int64]context.CancelFunc // nil: abandoned
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{
		server:  s,
		raw:     nc,
		nc:      nc,
		r:       bufio.NewReader(nc),
		slots:   make(chan struct{}, maxParallel),
		running: map[int64]context.CancelFunc{},
	}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	return c
}

// drop closes the connection without a word. It closes the socket below TLS,
// because a TLS close waits for a write that a stuck client never takes. It
// may be called many times.
func (c *conn) drop() {
	c.cancel()
	c.raw.Close()
}

// serve reads until the connection ends, and waits for its operations.
func (c *conn) serve(secure bool) {
	defer c.ops.Wait()
	defer c.drop()
	if _, ok := c.server.current(c.ctx); !ok || secure && !c.secure() {
		return
	}
	for {
		m, err := c.read()
		if errors.Is(err, errMalformed) {
			c.send(notice(Result{Code: ldap.LDAPResultProtocolError, Message: "malformed message"}))
		}
		if err != nil || !c.handle(m) {
			return
		}
	}
}

// secure runs the TLS handshake.
func (c *conn) secure() bool {
	t := tls.Server(c.raw, c.server.config.TLS)
	ctx, cancel := context.WithTimeout(c.ctx, stallTimeout)
	defer cancel()
	if t.HandshakeContext(ctx) != nil {
		return false
	}
	c.nc = t
	c.r.Reset(t)
	return true
}

func (c *conn) read() (*message, error) {
	var idle time.Time
	if d := c.server.config.IdleTimeout; d > 0 {
		idle = time.Now().Add(d)
	}
	c.nc.SetReadDeadline(idle) // the zero time is none
	if _, err := c.r.Peek(1); err != nil {
		return nil, err
	}
	// Who has begun a message must go on with it: a slow trickle would hold
	// the connection, and the buffer, for as long as it likes.
	c.nc.SetReadDeadline(time.Now().Add(stallTimeout))
	return readMessage(c.r)
}

// send writes whole messages. It returns false, and ends the connection, when
// the client does not take them.
func (c *conn) send(b []byte) bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.nc.SetWriteDeadline(time.Now().Add(stallTimeout))
	if _, err := c.nc.Write(b); err != nil {
		c.drop()
		return false
	}
	return true
}

// handle starts or does one operation. It returns false when the connection
// is to be closed.
func (c *conn) handle(m *message) bool {
	switch m.op.Tag {
	case ldap.ApplicationUnbindRequest:
		return false
	case ldap.ApplicationAbandonRequest:
		c.abandon(m.op)
		return true
	case ldap.ApplicationBindRequest:
		c.server.stats.binds.Add(1)
		// RFC 4511, section 4.2.1: what runs is finished first, or it would
		// end under another identity than it began with.
		c.ops.Wait()
		return c.alone(m, OpBind, func(f *Fault) bool { c.bind(m, f); return true })
	case ldap.ApplicationExtendedRequest:
		c.server.stats.extended.Add(1)
		if extendedName(m.op) == oidStartTLS {
			c.ops.Wait() // no answer may be written while the handshake runs
			return c.alone(m, OpExtended, func(*Fault) bool { return c.startTLS(m) })
		}
		return c.spawn(m, OpExtended, func(context.Context, *Fault) { c.extended(m) })
	case ldap.ApplicationSearchRequest:
		c.server.stats.searches.Add(1)
		return c.spawn(m, OpSearch, func(ctx context.Context, f *Fault) { c.search(ctx, m, f) })
	case ldap.ApplicationCompareRequest:
		c.server.stats.compares.Add(1)
		return c.spawn(m, OpCompare, func(context.Context, *Fault) { c.compare(m) })
	case ldap.ApplicationModifyRequest:
		return c.spawn(m, OpModify, func(context.Context, *Fault) { c.modify(m) })
	case ldap.ApplicationAddRequest, ldap.ApplicationDelRequest, ldap.ApplicationModifyDNRequest:
		return c.spawn(m, OpModify, func(context.Context, *Fault) { c.refuse(m) })
	}
	c.send(notice(Result{Code: ldap.LDAPResultProtocolError, Message: "unknown operation"}))
	return false
}

// refuse answers an operation that would change the directory. In LDAP the
// tag of a response is that of its request plus one, but for search and
// extended.
func (c *conn) refuse(m *message) {
	c.send(envelope(m.id, response(m.op.Tag+1, Result{Code: ldap.LDAPResultUnwillingToPerform, Message: "read only"})))
}

// alone does an operation in the goroutine of the connection, so that nothing
// is read meanwhile.
func (c *conn) alone(m *message, op Op, do func(*Fault) bool) bool {
	f, ok := c.ready(c.ctx, m, op)
	if !ok {
		return c.ctx.Err() == nil
	}
	return do(f)
}

// spawn does an operation in a goroutine of its own. At maxParallel it stops
// reading: TCP then slows the client down.
func (c *conn) spawn(m *message, op Op, do func(context.Context, *Fault)) bool {
	select {
	case c.slots <- struct{}{}:
	case <-c.ctx.Done():
		return false
	}
	ctx, ok := c.register(m.id)
	if !ok {
		<-c.slots
		return true // a message id in use: RFC 4511 leaves the answer open
	}
	c.ops.Go(func() {
		defer func() { <-c.slots }()
		defer c.unregister(m.id)
		if f, ok := c.ready(ctx, m, op); ok {
			do(ctx, f)
		}
	})
	return true
}

// ready waits as the fault says and answers what needs no look at the
// operation. It returns false when there is nothing left to do.
func (c *conn) ready(ctx context.Context, m *message, op Op) (*Fault, bool) {
	f, ok := c.server.current(ctx)
	if ok && f.Delay > 0 {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, false
		}
	}
	switch {
	case !ok:
		return nil, false
	case f.Hangup:
		c.drop()
		return nil, false
	}
	if raw := f.raw(op, m.id); len(raw) > 0 {
		for c.send(raw) && f.Repeat && ctx.Err() == nil {
			raw = f.raw(op, m.id)
		}
		return nil, false
	}
	if unknownCritical(m.controls) {
		c.answer(m, op, Result{Code: ldap.LDAPResultUnavailableCriticalExtension, Message: "unknown critical control"})
		return nil, false
	}
	if r, ok := f.Results[op]; ok && op != OpBind && !(op == OpSearch && r.Partial) {
		c.answer(m, op, r)
		return nil, false
	}
	return f, true
}

// answer sends the response of the kind of op.
func (c *conn) answer(m *message, op Op, r Result) {
	tag := m.op.Tag + 1
	switch op {
	case OpSearch:
		tag = ldap.ApplicationSearchResultDone
	case OpExtended:
		tag = ldap.ApplicationExtendedResponse
	}
	c.send(envelope(m.id, response(tag, r)))
}

func unknownCritical(list []control) bool {
	for _, ctl := range list {
		if ctl.critical && ctl.oid != oidPaging && ctl.oid != PolicyOID {
			return true
		}
	}
	return false
}

func (c *conn) register(id int64) (context.Context, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, used := c.running[id]; used {
		return nil, false
	}
	ctx, cancel := context.WithCancel(c.ctx)
	c.running[id] = cancel
	return ctx, true
}

func (c *conn) unregister(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel := c.running[id]; cancel != nil {
		cancel()
	}
	delete(c.running, id)
}

// abandon ends the operation that op names, which then sends nothing more.
func (c *conn) abandon(op *ber.Packet) {
	c.server.stats.abandons.Add(1)
	id, err := ber.ParseInt64(op.Data.Bytes())
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel := c.running[id]; cancel != nil {
		cancel()
		c.running[id] = nil // until it has noticed: its id is still in use
	}
}

func (c *conn) abandoned(id int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	cancel, ok := c.running[id]
	return ok && cancel == nil
}
