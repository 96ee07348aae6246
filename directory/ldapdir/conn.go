package ldapdir

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// An endpoint is where a node listens and how to speak to it.
type endpoint struct {
	name     string // the URL in full, for logs and Entry.Node
	address  string
	tls      *tls.Config // nil: plain
	startTLS bool
}

// A conn is one connection to a node.
type conn struct {
	ldap  *ldap.Conn
	guard *guard
	since time.Time // last use, of bind connections
}

// dial opens a connection within ctx. StartTLS is done here and not by the
// library, whose wait for the answer has no deadline.
func (e endpoint) dial(ctx context.Context, writeTimeout time.Duration) (*conn, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", e.address)
	if err != nil {
		return nil, err
	}
	// Whatever waits on the socket below ends with ctx.
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	secured, err := e.secure(ctx, raw)
	if !stop() || err != nil {
		raw.Close()
		return nil, errors.Join(err, ctx.Err())
	}
	g := newGuard(secured, writeTimeout)
	c := &conn{ldap: ldap.NewConn(g, e.tls != nil), guard: g}
	c.ldap.Start()
	return c, nil
}

func (e endpoint) secure(ctx context.Context, raw net.Conn) (net.Conn, error) {
	if e.tls == nil {
		return raw, nil
	}
	if e.startTLS {
		if err := startTLS(raw); err != nil {
			return nil, fmt.Errorf("StartTLS: %w", err)
		}
	}
	c := tls.Client(raw, e.tls)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return c, nil
}

// startTLSRequest is message 1, an ExtendedRequest with the name
// 1.3.6.1.4.1.1466.20037 (RFC 4511 section 4.14.1).
const startTLSRequest = "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"

// startTLS asks for TLS and reads exactly the answer. What an attacker has put
// behind it is left to the handshake, which fails; a buffer would carry it
// over into the encrypted stream.
func startTLS(raw net.Conn) error {
	g := newGuard(raw, time.Minute) // the caller's AfterFunc is the deadline
	if _, err := g.Write([]byte(startTLSRequest)); err != nil {
		return err
	}
	message, err := readMessage(raw)
	if err != nil {
		return err
	}
	answer, err := g.admit(message)
	if err != nil {
		return err
	}
	return resultOf(answer)
}

// close ends the connection at once. The socket goes first: the library would
// wait for its writer, and the writer for a server that hangs.
func (c *conn) close() {
	c.guard.Close()
	c.ldap.Close()
}

// broken reports whether the connection has ended.
func (c *conn) broken() bool { return c.ldap.IsClosing() }

// alone runs f, which uses the connection that nobody else uses, within ctx.
// At the end of ctx the connection is closed, so that f returns.
func (c *conn) alone(ctx context.Context, f func() error) error {
	stop := context.AfterFunc(ctx, func() { c.guard.Close() })
	err := f()
	if !stop() {
		return errors.Join(ctx.Err(), err)
	}
	return err
}

// bind sends one simple bind. It reports whether the server may have seen it:
// false is a proof that it has not.
func (c *conn) bind(ctx context.Context, dn, password string, controls ...ldap.Control) (sent bool, err error) {
	before := c.guard.written.Load()
	err = c.alone(ctx, func() error {
		_, err := c.ldap.SimpleBind(ldap.NewSimpleBindRequest(dn, password, controls))
		return err
	})
	return c.guard.written.Load() != before, err
}

// read returns the entry dn over a connection that nobody else uses.
func (c *conn) read(ctx context.Context, request *ldap.SearchRequest) (result *ldap.SearchResult, err error) {
	err = c.alone(ctx, func() error {
		result, err = c.ldap.Search(request)
		return err
	})
	return result, err
}
