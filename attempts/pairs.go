package attempts

import (
	"net/netip"
	"time"
)

// pairOf returns the pair of u and client, known or no longer; 0: none.
func (s *shard) pairOf(u *user, client netip.Addr) uint32 {
	if u.pairs == 0 || !client.IsValid() {
		return 0
	}
	want := client.As16()
	for i := u.pairs; i != 0; i = s.pairs.at(i).next {
		if s.pairs.at(i).client == want {
			return i
		}
	}
	return 0
}

// makeKnown makes client an address that u logs in from, or renews it. The
// list of pairs stays in the order of their latest successes, newest first.
func (s *shard) makeKnown(u *user, client [16]byte, now time.Duration) {
	link := &u.pairs
	for *link != 0 && s.pairs.at(*link).client != client {
		link = &s.pairs.at(*link).next
	}
	i := *link
	switch {
	case i != 0:
		*link = s.pairs.at(i).next
	case s.roomForPair(u):
		i = s.pairs.take()
		s.pairs.at(i).client = client
		u.pairCount++
	default:
		return
	}
	c := s.pairs.at(i)
	c.until, c.next = now+knownFor, u.pairs
	u.pairs = i
}

// roomForPair lets the oldest pair of u go where there are too many. A pair
// with a pending try stays, or that try would never be counted; if all 16
// have one, the new pair is not made known, which is the careful side.
func (s *shard) roomForPair(u *user) bool {
	if u.pairCount < mostPairs && s.pairs.used() < 2*s.size {
		return true
	}
	var oldest *uint32
	for link := &u.pairs; *link != 0; link = &s.pairs.at(*link).next {
		if s.pairs.at(*link).count == 0 {
			oldest = link
		}
	}
	if oldest == nil {
		return false
	}
	s.forgetPair(u, oldest)
	return true
}

// forgetPair frees the pair that link, a part of u's list, leads to. It has
// no pending try.
func (s *shard) forgetPair(u *user, link *uint32) {
	i := *link
	*link = s.pairs.at(i).next
	u.pairCount--
	s.pairs.give(i)
}

// addPairs completes a status with what the pairs of u hold.
func (s *shard) addPairs(st *Status, u *user, client netip.Addr, now time.Duration) {
	for i := u.pairs; i != 0; i = s.pairs.at(i).next {
		c := s.pairs.at(i)
		if !client.IsValid() || c.client != client.As16() {
			continue
		}
		st.Pending += int(c.count)
		if now < c.until {
			st.Known, st.PairFailures = true, c.current()
		}
	}
}
