package proxytrust

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// A table answers whether an address is trusted, and by which pattern. Its
// cost does not grow with the number of prefixes. It is never changed once
// it is built, so requests read it without a lock.
type table struct {
	prefixes bart.Table[string] // the value is the pattern as it was written
}

// newTable returns the table of patterns, with names as the addresses that
// are known of the hostnames. Of two patterns for one prefix the first, and
// before any name the written address, is the one that is shown.
func newTable(patterns []pattern, names map[string]addresses) *table {
	t := new(table)
	for _, p := range patterns {
		if p.name == "" {
			t.add(p.prefix, p.text)
		}
	}
	for _, p := range patterns {
		for _, a := range names[p.name].known {
			t.add(netip.PrefixFrom(a, a.BitLen()), p.text)
		}
	}
	return t
}

// add enters p unless it is there already.
func (t *table) add(p netip.Prefix, text string) {
	if _, ok := t.prefixes.Get(p); !ok {
		t.prefixes.Insert(p, text)
	}
}

// holds reports whether the canonical address a is trusted; an invalid one
// never is.
func (t *table) holds(a netip.Addr) bool {
	return t.prefixes.Contains(a)
}

// pattern returns the most specific pattern that trusts a.
func (t *table) pattern(a netip.Addr) (text string, ok bool) {
	return t.prefixes.Lookup(a)
}

// walk follows the lines of a forwarding header from the right, starting at
// the trusted peer, and returns as [Trust.Resolve] does.
func (t *table) walk(peer netip.Addr, lines []string) (client, stopped netip.Addr) {
	client = peer
	rest := elements{lines: lines}
	for {
		text, ok := rest.next()
		if !ok {
			return client, netip.Addr{}
		}
		hop, ok := parseHop(text)
		if !ok {
			// Nobody vouches for what stands left of a hop that cannot be
			// named, so skipping it would hand the choice to the client.
			return client, netip.Addr{}
		}
		client = hop
		if t.holds(hop) {
			continue
		}
		if _, more := rest.next(); more {
			stopped = hop
		}
		return client, stopped
	}
}
