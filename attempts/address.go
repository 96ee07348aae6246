package attempts

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	mostAddresses  = 1 << 16
	addressShards  = 1 << 6
	sharedLimiters = 1 << 4 // a shard: 1,024 in all
	looks          = 8      // limiters looked at to find one that can go
)

// network returns what addr is counted as: itself, or its /64 for IPv6, of
// which every subscriber has at least one to pick addresses from.
func network(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	if !addr.Is6() {
		return addr
	}
	p, _ := addr.WithZone("").Prefix(64)
	return p.Addr()
}

// addresses limits the wrong passwords of each client address.
type addresses struct {
	seed   maphash.Seed
	limit  rate.Limit
	burst  int
	shards [addressShards]addressShard
}

// An addressShard holds the limiters of some addresses. It is a ring: when it
// is full, a limiter that has tokens left gives way. Where none has, the new
// address shares a limiter, so that filling the table never gives an address
// that has used its tokens up new ones.
type addressShard struct {
	mu     sync.Mutex
	index  map[netip.Addr]*limiter
	ring   []*limiter
	hand   int
	shared [sharedLimiters]*rate.Limiter
}

// A limiter is that of one address.
type limiter struct {
	*rate.Limiter
	addr netip.Addr
}

// newAddresses returns limiters for burst tries and one more every so often.
func newAddresses(burst int, every time.Duration) *addresses {
	return &addresses{seed: maphash.MakeSeed(), limit: rate.Every(every), burst: burst}
}

// Take takes the right to one more wrong password from client's address, and
// reports whether there was one. It is asked before the directory is. Who
// took and did not fail calls [Counter.Return]. The limit is that of this
// process. Clients of unknown address share one limit.
func (c *Counter) Take(client netip.Addr) bool {
	return c.addresses == nil || c.addresses.of(network(client)).AllowN(time.Now(), 1)
}

// Return gives back what Take took, for a try that was not a wrong password.
func (c *Counter) Return(client netip.Addr) {
	if c.addresses != nil {
		// Reservation.Cancel would refund nothing: its time to act is past.
		// A bucket above its burst is cut back at its next use.
		c.addresses.of(network(client)).AllowN(time.Now(), -1)
	}
}

// TakeChallenge takes the right to have one more CAPTCHA made for client's
// address, and reports whether there was one. It is a limit of its own, with
// the same burst and pace: what a stranger asks for must not use up the tries
// of others at that address.
func (c *Counter) TakeChallenge(client netip.Addr) bool {
	return c.challenges == nil || c.challenges.of(network(client)).AllowN(time.Now(), 1)
}

// of returns the limiter of an address.
func (a *addresses) of(addr netip.Addr) *rate.Limiter {
	h := maphash.Comparable(a.seed, addr)
	s := &a.shards[h%addressShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.index[addr]; l != nil {
		return l.Limiter
	}
	l := s.place()
	if l == nil {
		return s.share(h/addressShards, a)
	}
	l.addr, l.Limiter = addr, rate.NewLimiter(a.limit, a.burst)
	if s.index == nil {
		s.index = make(map[netip.Addr]*limiter)
	}
	s.index[addr] = l
	return l.Limiter
}

// place returns a free place in the ring, or nil when the next few limiters
// are all used up. The fullest of them goes.
func (s *addressShard) place() *limiter {
	if len(s.ring) < mostAddresses/addressShards {
		s.ring = append(s.ring, new(limiter))
		return s.ring[len(s.ring)-1]
	}
	var best *limiter
	most, now := 1.0, time.Now()
	for range looks {
		s.hand = (s.hand + 1) % len(s.ring)
		if n := s.ring[s.hand].TokensAt(now); n >= most {
			best, most = s.ring[s.hand], n
		}
	}
	if best != nil {
		delete(s.index, best.addr)
	}
	return best
}

// share returns a limiter that several addresses share.
func (s *addressShard) share(h uint64, a *addresses) *rate.Limiter {
	l := &s.shared[h%sharedLimiters]
	if *l == nil {
		*l = rate.NewLimiter(a.limit, a.burst)
	}
	return *l
}
