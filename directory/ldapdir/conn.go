package ldapdir

import (
	"context"
	"errors"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// A conn is one connection to a node.
type conn struct {
	ldap  *ldap.Conn
	guard *guard
	since time.Time // last use, of bind connections

	backend      // who answers, as far as it was asked
	named   bool // it was
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
