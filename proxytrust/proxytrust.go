// Package proxytrust tells which client sent a request that came through
// reverse proxies: its address, and the scheme and host it used.
//
// Only what a trusted proxy adds to a request can be believed; anybody can
// send the same header lines. So the decision starts at the TCP peer:
//
//   - The peer is not trusted: it is the client, and no forwarding header is
//     read.
//   - The peer is trusted: X-Forwarded-For, all its lines joined in order, is
//     walked from the right, and the first address that is not trusted is the
//     client. What stands to its left was written by that client and costs
//     nothing. An element that is not an address ends the walk at the nearest
//     address to its right. All trusted: the left-most one.
//   - X-Forwarded-Proto and X-Forwarded-Host are believed of a trusted peer
//     alone: https needs every value to say https, and the host is the
//     right-most value, unless that is malformed.
//
// The proxies must overwrite or append to the three headers; a proxy that
// passes X-Forwarded-Host on as the client sent it gives the host away.
//
// # Patterns
//
// A trusted proxy is written as
//
//	192.0.2.10  2001:db8::10       an address
//	192.168.*   192.168.*.*        IPv4 with whole octets left open at the end
//	10.44.22.1/16  2001:db8::/64   a prefix; bits after it are ignored
//	proxy.example.org              a hostname: every address bound to it
//
// and anything else is an error that names the entry, its position and the
// reason. IPv4-mapped IPv6 addresses (::ffff:192.0.2.10) are IPv4 everywhere,
// and 0.0.0.0/0 and ::/0 each cover one family only.
//
// Hostnames are looked up in the background and never on the way of a
// request. They are worth what the DNS of the network is worth: whoever can
// answer for the name can name itself a proxy.
package proxytrust

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A Config says whom to trust. The zero Config trusts nobody, which is right
// for a program that faces its clients without a proxy.
type Config struct {
	// Trusted holds the patterns of the proxies, see the package comment.
	// None: forwarding headers are never believed.
	Trusted []string

	// Resolver looks hostnames up. Nil means [net.DefaultResolver].
	Resolver Resolver

	// Refresh is the time between two look-ups of each hostname. Zero means
	// one minute; negative is an error. A name that has no address yet is
	// tried again after 5 seconds, if that is sooner.
	Refresh time.Duration

	// Logger receives patterns that trust everybody and names that change or
	// fail, never anything about a request. Nil means [slog.Default], as it
	// is when New is called.
	Logger *slog.Logger
}

// A Resolver turns a hostname into addresses. [net.Resolver] is one.
type Resolver interface {
	// LookupNetIP returns all addresses of host; network is always "ip". It
	// must return soon after ctx is done, or Close waits for it. It is called
	// for several names at once.
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// A Trust decides which client sent a request. All methods may be called
// from any number of goroutines. Make one with [New].
type Trust struct {
	resolver Resolver
	refresh  time.Duration
	logger   *slog.Logger

	table atomic.Pointer[table] // what requests read; never changed, only replaced

	ctx    context.Context // ends at Close, and with it every look-up
	cancel context.CancelFunc
	work   sync.WaitGroup // the refresher and all look-ups
	slots  chan struct{}  // one for each look-up that may run
	wake   chan struct{}  // tells the refresher that the names are others

	setting sync.Mutex // one Set at a time; held while it looks names up

	// mu guards what follows and is held for short; no request takes it.
	mu         sync.Mutex
	patterns   []pattern
	names      map[string]addresses // the hostnames among patterns
	refreshing bool                 // the refresher has been started
}

const (
	defaultRefresh = time.Minute
	// lookupSlots bounds the look-ups that run at once, also those of a
	// Resolver that does not keep to its context.
	lookupSlots = 16
)

// New returns a Trust for c. It reports all faults of c together, each bad
// pattern as a [*PatternError]. If there are hostnames, it waits up to 2
// seconds for their addresses; a name without an answer trusts nobody until
// it has one. Only with hostnames there is a goroutine, which [Trust.Close]
// ends.
func New(c Config) (*Trust, error) {
	patterns, err := parsePatterns(c.Trusted)
	if c.Refresh < 0 {
		err = errors.Join(err, fmt.Errorf("proxytrust: Config.Refresh is negative: %v", c.Refresh))
	}
	if err != nil {
		return nil, err
	}
	t := &Trust{
		resolver: c.Resolver,
		refresh:  c.Refresh,
		logger:   c.Logger,
		slots:    make(chan struct{}, lookupSlots),
		wake:     make(chan struct{}, 1),
	}
	if t.resolver == nil {
		t.resolver = net.DefaultResolver
	}
	if t.refresh == 0 {
		t.refresh = defaultRefresh
	}
	if t.logger == nil {
		t.logger = slog.Default()
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.install(patterns)
	return t, nil
}

// Set replaces the trusted proxies while requests go on: each request sees
// the old list or the new one, whole. On an error, which joins a
// [*PatternError] for each bad pattern, the old list stays in force. Like
// [New] it waits up to 2 seconds for names that the old list did not have.
// After Close it returns an error.
func (t *Trust) Set(patterns []string) error {
	parsed, err := parsePatterns(patterns)
	if err != nil {
		return err
	}
	t.setting.Lock()
	defer t.setting.Unlock()
	if t.ctx.Err() != nil {
		return errors.New("proxytrust: Set after Close")
	}
	t.install(parsed)
	return nil
}

// Close ends all look-ups and waits for them. Decisions go on with the last
// list and its last known addresses. Close may be called more than once and
// always returns nil.
func (t *Trust) Close() error {
	t.cancel()
	// Whoever holds setting may be about to start the refresher.
	t.setting.Lock()
	defer t.setting.Unlock()
	t.work.Wait()
	return nil
}

// Trusts reports whether a is the address of a trusted proxy. An address that
// is invalid or unspecified (0.0.0.0, ::) is never one.
func (t *Trust) Trusts(a netip.Addr) bool {
	return t.table.Load().holds(canonical(a))
}

// Resolve returns the client address for a TCP peer and the lines of the
// forwarding header in the order of the request. It allocates nothing, but for
// the error that net/netip makes of an element shaped like an address.
//
// The client is invalid when the peer is. Stopped is the client once more if
// it is an untrusted hop with elements to its left, and invalid otherwise: a
// forged header, or the proxy that somebody forgot to trust.
func (t *Trust) Resolve(peer netip.Addr, lines []string) (client, stopped netip.Addr) {
	peer = canonical(peer)
	table := t.table.Load()
	if !table.holds(peer) {
		return peer, netip.Addr{}
	}
	return table.walk(peer, lines)
}

// canonical returns a in the one form that is looked up and handed out:
// without zone, ::ffff:192.0.2.1 as 192.0.2.1, and an unspecified address,
// which no packet can come from, as no address.
func canonical(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
