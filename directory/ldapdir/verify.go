package ldapdir

import (
	"context"
	"crypto/rand"
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
// A server that refuses the account and says so, by a sub-code of Active
// Directory, the password policy control or the words of 389 and FreeIPA, is
// an [*directory.AccountError]. So is one that takes the password for nothing
// but a change of it, and the right password of an entry that is Disabled.
//
// The first password that a node takes is believed once the node has refused a
// made-up one of nobody, over the same connection: a server that says yes to
// every bind, as a proxy before nothing may, lets nobody in.
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
	if nobody && hasCode(err, ldap.LDAPResultNoSuchObject) {
		err = directory.ErrBadCredentials
	}
	if err != nil {
		return directory.Entry{}, loginError(err, nobody)
	}
	return e, nil
}

// loginError returns what the caller hears of a bind that did not let in. What
// a server says about the account of nobody is not said of anybody.
func loginError(err error, nobody bool) error {
	var refused *directory.AccountError
	switch {
	case errors.As(err, &refused) && !nobody:
		return refused
	case errors.Is(err, directory.ErrBadCredentials):
		return directory.ErrBadCredentials
	}
	return unavailable(err)
}

// nobodyDN returns the DN of an entry that cannot exist, below the base of the
// users so that the bind takes the same way through the server.
func (d *Dir) nobodyDN() string {
	if d.config.UserDNTemplate != "" {
		return expandDN(d.config.UserDNTemplate, d.nobody)
	}
	return "cn=" + d.nobody + "," + d.config.UserBaseDN
}

// verify binds on one node. Getting a connection has the node's share of the
// time; the bind, which cannot be repeated elsewhere, has all that is left.
func (d *Dir) verify(part, whole context.Context, n *node, e *directory.Entry, password string) (sent bool, err error) {
	return n.binds.useAt(part, e.Node, func(c *conn) (sent, keep bool, err error) {
		b := d.bindPerson(whole, n, c, *e, password)
		if b.verdict != nil {
			// After a refusal the connection is nobody's. After a success that
			// is none the server may have restricted it.
			return b.sent, !b.taken && errors.Is(b.verdict, directory.ErrBadCredentials), b.verdict
		}
		if d.config.UserDNTemplate == "" || e.Node != "" || e.ID == "" {
			if err := d.vet(whole, n, e.DN, c); err != nil {
				return true, false, err
			}
			if !n.is(e.Node) {
				e.Node, e.Attributes = n.nameOf(c.backend), nil // another node has read these
			}
			e.Notice = b.said.notice()
			return true, true, nil
		}
		read, err := d.read(whole, n, e.DN, c.read)
		if err == nil {
			err = verdictOnSuccess(read, b.said)
		}
		if err == nil { // the connection is nobody's after it, so not before the reading
			err = d.vet(whole, n, e.DN, c)
		}
		if err != nil {
			return true, false, err
		}
		read.Node, read.Notice = n.nameOf(c.backend), b.said.notice()
		*e = read
		return true, true, nil
	})
}

// errAnything means that a server takes every password.
var errAnything = errors.New("the server says yes to the bind of nobody, so its yes means nothing")

// vet makes sure that the node, which has just taken the password of dn, would
// not take any other: once, until the node fails.
func (d *Dir) vet(ctx context.Context, n *node, dn string, c *conn) error {
	if n.vetted.Load() && n.fits(c) {
		return nil
	}
	nobody := d.nobodyDN()
	if dn == nobody {
		return errAnything
	}
	began := time.Now()
	_, err := c.bind(ctx, nobody, rand.Text())
	d.report(ctx, Operation{Kind: "bind", Server: n.name, BaseDN: nobody, Detail: "must be refused", Took: time.Since(began), Err: err})
	switch _, answered := code(err); {
	case err == nil:
		return errAnything
	case !answered || judge(err, true) != healthy:
		return err
	}
	if n.fits(c) {
		n.vetted.Store(true)
	}
	return nil
}

// A bound is the outcome of the bind of a person.
type bound struct {
	sent    bool // the server may have seen it
	taken   bool // with success, whatever the verdict
	said    policy
	verdict error // see verdictOnBind
}

// bindPerson binds and reports it.
func (d *Dir) bindPerson(ctx context.Context, n *node, c *conn, e directory.Entry, password string) (b bound) {
	began := time.Now()
	var err error
	b.sent, err = c.bind(ctx, e.DN, password, askPolicy())
	b.taken, b.said = err == nil, c.guard.policy()
	b.verdict = verdictOnBind(e, err, b.said)
	d.report(ctx, Operation{Kind: "bind", Server: n.name, BaseDN: e.DN, Took: time.Since(began), Err: b.verdict})
	return b
}
