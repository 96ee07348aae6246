package ldapdir

import (
	"context"
	"errors"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory"
)

// maxPassword is less than the 256 KiB message at which slapd hangs up: a
// stranger's password must not look like a broken server.
const maxPassword = 64 << 10

// Verify binds once with the DN of the entry and the password, on the node of
// the entry. An empty password, which many servers take for an anonymous bind
// and answer with success, is [directory.ErrBadCredentials] without asking,
// and so is one over 64 KiB. With Config.UserDNTemplate it then reads the
// entry over the same connection and returns its true name.
//
// An unknown user's bind goes to a DN that cannot exist, so that the number of
// operations tells nobody who exists. The time still can, where the server
// hashes slowly and for known users alone: allow fewer failed logins an
// address then, or choose a hash that is quick beside the network.
func (d *Dir) Verify(ctx context.Context, e directory.Entry, password string) (directory.Entry, error) {
	if password == "" || len(password) > maxPassword {
		return directory.Entry{}, directory.ErrBadCredentials
	}
	ctx, end, err := d.begin(ctx)
	if err != nil {
		return directory.Entry{}, err
	}
	defer end()
	nobody := e.DN == ""
	if nobody {
		e.DN = d.nobodyDN()
	}
	deadline := ctx
	err = d.each(ctx, d.order(e.Node), func(ctx context.Context, n *node) (bool, error) {
		sent, err := d.verify(ctx, deadline, n, &e, password)
		return !sent, err
	})
	switch {
	case hasCode(err, ldap.LDAPResultInvalidCredentials) && !errors.As(err, new(afterBind)):
		return directory.Entry{}, directory.ErrBadCredentials
	case nobody && (err == nil || hasCode(err, ldap.LDAPResultNoSuchObject)):
		return directory.Entry{}, directory.ErrBadCredentials
	case err != nil:
		return directory.Entry{}, unavailable(err)
	}
	return e, nil
}

// nobodyDN returns the DN of an entry that cannot exist, below the base of the
// users so that the bind takes the same way through the server.
func (d *Dir) nobodyDN() string {
	if d.config.UserDNTemplate != "" {
		return expandDN(d.config.UserDNTemplate, d.nobody)
	}
	return d.config.NameAttribute + "=" + d.nobody + "," + d.config.UserBaseDN
}

// verify binds on one node. Getting a connection has the node's share of the
// time; the bind, which cannot be repeated elsewhere, has all that is left.
func (d *Dir) verify(part, whole context.Context, n *node, e *directory.Entry, password string) (sent bool, err error) {
	return n.binds.use(part, func(c *conn) (sent, keep bool, err error) {
		began := time.Now()
		sent, err = c.bind(whole, e.DN, password)
		d.report(whole, Operation{Kind: "bind", Server: n.name, BaseDN: e.DN, Took: time.Since(began), Err: err})
		if err != nil {
			return sent, hasCode(err, ldap.LDAPResultInvalidCredentials), err
		}
		if d.config.UserDNTemplate == "" || e.Node != "" || e.ID == "" {
			e.Node = n.name
			return true, true, nil
		}
		read, err := d.read(whole, n, e.DN, c.read)
		if err != nil {
			return true, false, afterBind{err}
		}
		*e = read
		return true, true, nil
	})
}

// afterBind is an error of what followed a good bind. Whatever the server
// says then is not about the password.
type afterBind struct{ err error }

func (e afterBind) Error() string { return "after the bind: " + e.err.Error() }
func (e afterBind) Unwrap() error { return e.err }
