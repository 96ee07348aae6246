// Package request holds the one record that every handler of gatehouse reads
// and fills on the way of a request, behind one context value.
//
// [Fork] makes the record and the only copy of the request. A record is
// written only before the next handler is called and never after: an
// application may run sub-requests in parallel on copies of one request.
package request

import (
	"context"
	"net/http"
	"net/netip"
)

// A Record is what has been learnt about one request. It is itself the
// context of the request, so that record and context cost one allocation.
// The slots of type any hold pointers to types of the packages named beside
// them, which keeps this package below all of them.
type Record struct {
	context.Context

	// Peer is the address of the TCP peer; invalid when it is not known.
	Peer netip.Addr
	// Client is the address of the client: Peer, or what trusted proxies say.
	Client netip.Addr
	// Stopped is the untrusted hop at which the walk over the forwarding
	// header ended while more hops stood to its left; invalid otherwise.
	Stopped netip.Addr
	// Scheme is "http" or "https", as the client sees it.
	Scheme string
	// Host is the host, with port if any, as the client sees it.
	Host string
	// HeaderIgnored reports a forwarding header sent by an untrusted peer.
	HeaderIgnored bool
	// Resolved reports that a proxytrust.Trust (or NewContext) has filled
	// the fields above; otherwise they are the peer, r.TLS and r.Host.
	Resolved bool

	Session  any // *session.Session, whatever its state
	Token    any // *formtoken.Guard that has checked the request
	Auth     any // *middleware.Auth that has resolved the identity
	Identity any // *middleware.Identity; set before Auth by authtest

	// Values are cut into the response header without allocation.
	Values [4]string
}

type contextKey struct{}

// Value returns the record itself for the private key of this package, and
// else what the parent context holds.
func (c *Record) Value(key any) any {
	if key == (contextKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// From returns the record of ctx, or nil when no handler of gatehouse has
// seen the request.
func From(ctx context.Context) *Record {
	c, _ := ctx.Value(contextKey{}).(*Record)
	return c
}

// Fork returns a fresh record, filled from the record that r already carries
// or else from the connection, and a shallow copy of r that carries it.
func Fork(r *http.Request) (*Record, *http.Request) {
	c := new(Record)
	return c, c.Attach(r)
}

// Attach fills the empty record c as [Fork] does and returns the shallow copy
// of r that carries it. It serves callers that embed a Record in a larger
// value, to pay one allocation for both.
func (c *Record) Attach(r *http.Request) *http.Request {
	if old := From(r.Context()); old != nil {
		*c = *old
	} else {
		c.Peer = Peer(r)
		c.Client = c.Peer
	}
	c.Context = r.Context()
	c.complete(r)
	return r.WithContext(c)
}

// complete takes scheme and host from the connection where nobody has told
// them: an empty scheme would cost cookies their Secure.
func (c *Record) complete(r *http.Request) {
	if c.Scheme == "" {
		c.Scheme = "http"
		if r.TLS != nil {
			c.Scheme = "https"
		}
	}
	if c.Host == "" {
		c.Host = r.Host
	}
}

// Peer returns the address of r's TCP peer, without port and zone, or an
// invalid address when RemoteAddr holds none (a unix socket, a test, "::").
// ::ffff:192.0.2.1 is folded to 192.0.2.1, or a client could pick a second
// spelling of its address.
func Peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	a := ap.Addr()
	if err != nil {
		if a, err = netip.ParseAddr(r.RemoteAddr); err != nil {
			return netip.Addr{}
		}
	}
	if a = a.Unmap().WithZone(""); a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
