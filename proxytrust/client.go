package proxytrust

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/seed-244866eb/gatehouse/internal/request"
)

// Header names in the canonical form of net/http, which is the only one that
// is looked at: X_Forwarded_For and the like, which some gateways fold to the
// same name, are other headers and never read.
const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
	forwardedHost  = "X-Forwarded-Host"
)

// A Client is what is known of the sender of a request.
type Client struct {
	// Addr is the address of the client. It is invalid when that of the peer
	// is not known, and then no header has been read.
	Addr netip.Addr

	// Peer is the address of the TCP peer: the nearest proxy, or the client.
	Peer netip.Addr

	// Stopped is Addr once more if that is a hop which is not trusted, while
	// more hops stand to its left; invalid otherwise. Either the client sent
	// a forwarding header of its own, or a proxy is missing in the list.
	Stopped netip.Addr

	// Scheme is "https" or "http", as the client used it.
	Scheme string

	// Host is the host the client asked for, with a port if it gave one.
	Host string

	// HeaderIgnored reports that a peer which is not trusted sent a
	// forwarding header. Many clients may then stand behind Addr.
	HeaderIgnored bool
}

// Check decides which client sent r. It reads r and changes nothing, and it
// allocates no more than [Trust.Resolve] does.
func (t *Trust) Check(r *http.Request) Client {
	return t.table.Load().check(r)
}

// check is Check on one and the same list.
func (t *table) check(r *http.Request) Client {
	peer := canonical(request.Peer(r))
	c := Client{Addr: peer, Peer: peer, Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		c.Scheme = "https"
	}
	if !t.holds(peer) {
		c.HeaderIgnored = anyElement(r.Header[forwardedFor])
		return c
	}
	c.Addr, c.Stopped = t.walk(peer, r.Header[forwardedFor])
	if scheme, ok := parseProto(r.Header[forwardedProto]); ok {
		c.Scheme = scheme
	}
	if host, ok := parseHost(r.Header[forwardedHost]); ok {
		c.Host = host
	}
	return c
}

// Handler returns a handler that gives next a copy of the request whose
// context carries what [Trust.Check] decided, for [FromContext]. It answers
// nothing itself and passes the ResponseWriter on untouched.
func (t *Trust) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := t.Check(r)
		record, r := request.Fork(r)
		c.store(record)
		next.ServeHTTP(w, r)
	})
}

// FromContext returns the client of the request that ctx belongs to. Where no
// [Trust] was asked it is the connection's own address, scheme and host; ok is
// false where no handler of this module has seen the request.
func FromContext(ctx context.Context) (c Client, ok bool) {
	record := request.From(ctx)
	if record == nil {
		return Client{}, false
	}
	return Client{
		Addr:          record.Client,
		Peer:          record.Peer,
		Stopped:       record.Stopped,
		Scheme:        record.Scheme,
		Host:          record.Host,
		HeaderIgnored: record.HeaderIgnored,
	}, true
}

// NewContext returns a copy of ctx that carries c, for applications that find
// out about their clients in another way and want the handlers inside to
// believe it. An empty Scheme or Host means that of the connection; set them
// where a proxy ends TLS, or session cookies lack Secure.
func NewContext(ctx context.Context, c Client) context.Context {
	record := new(request.Record)
	if old := request.From(ctx); old != nil {
		*record = *old
	}
	record.Context = ctx
	c.store(record)
	return record
}

// store puts c into the record of a request, in the form Check uses.
func (c *Client) store(record *request.Record) {
	record.Client = canonical(c.Addr)
	record.Peer = canonical(c.Peer)
	record.Stopped = canonical(c.Stopped)
	record.Scheme = c.Scheme
	record.Host = c.Host
	record.HeaderIgnored = c.HeaderIgnored
	record.Resolved = true
}
