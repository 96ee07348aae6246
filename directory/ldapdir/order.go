package ldapdir

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
)

// sortEndpoints puts the preferred ones first: by rank, and within one rank
// the same on every machine, or where a machine is named by rendezvous hashing
// with its name. In the latter case each endpoint is the first of as many
// machines as its weight says, and one that goes away moves only those.
func sortEndpoints(all []endpoint, machine string) {
	slices.SortStableFunc(all, func(a, b endpoint) int {
		order := cmp.Compare(a.rank, b.rank)
		if machine != "" {
			order = cmp.Or(order, cmp.Compare(score(b, machine), score(a, machine)))
		}
		return cmp.Or(order, cmp.Compare(b.weight, a.weight), cmp.Compare(a.url, b.url), compareAddresses(a, b))
	})
}

// compareAddresses orders 192.0.2.9 before 192.0.2.10.
func compareAddresses(a, b endpoint) int {
	x, errX := netip.ParseAddrPort(a.address)
	y, errY := netip.ParseAddrPort(b.address)
	if errX != nil || errY != nil {
		return cmp.Compare(a.address, b.address)
	}
	return x.Compare(y)
}

// score is weight / -ln(h), where h is uniform in (0,1): the greatest of
// several is each with a chance in proportion to its weight. A weight of 0 has
// "a very small chance" (RFC 2782).
func score(e endpoint, machine string) float64 {
	sum := sha256.Sum256([]byte(machine + "\x00" + e.url + "\x00" + e.address))
	h := (float64(binary.BigEndian.Uint64(sum[:8])>>11) + 0.5) / (1 << 53)
	return max(float64(e.weight), 0.01) / -math.Log(h)
}
