package attempts

import (
	"net/netip"
	"sync"
	"time"
)

const (
	knownFor    = 30 * 24 * time.Hour  // a pair after its latest success
	mostPairs   = 16                   // a user
	historyFor  = 400 * 24 * time.Hour // the login history after the latest event
	sweepsATime = 2                    // records looked at by each Begin, besides its own
)

// A user is the record of one name, or of one stranger's invention. As long
// as nobody has logged in under it, the tally is all its history.
type user struct {
	tally
	key        uint64
	pairs      uint32 // list of known pairs
	person     uint32 // the login history, 0: nobody ever logged in
	prev, next uint32 // neighbours in the list of its class
	class      class
	pairCount  uint8
	live       bool // false: a free place of the pool
}

// A person is the login history of a user who has logged in at least once.
type person struct {
	logins, failed         uint64
	login, before, failure time.Duration // latest login, the one before, latest failure
}

// A pair is the tally of a user at one known address.
type pair struct {
	tally
	client [16]byte
	until  time.Duration // known until then
	next   uint32
}

// A shard is the part of a [Memory] under one lock.
type shard struct {
	mu      sync.Mutex
	index   map[uint64]uint32
	users   pool[user]
	people  pool[person]
	pairs   pool[pair]
	leases  pool[lease]
	lists   [classes]list
	buckets []tally // made when the first is needed
	nBucket int
	size    int    // most users
	lastID  uint64 // of a lease
	cursor  int    // of the sweep
	_       [64]byte
}

// init prepares an empty shard.
func (s *shard) init(size, buckets int) {
	s.index = make(map[uint64]uint32)
	s.size, s.nBucket = size, buckets
}

// begin decides about a try and reserves it.
func (s *shard) begin(key uint64, a *Attempt, now time.Duration) (d Decision) {
	s.sweep(&a.Policy, now)
	i := s.find(key, a.Policy.Window, now)
	t, known := s.choose(i, key, a, now)
	if t == nil {
		i, t = s.newcomer(key, &a.Policy, now)
	}
	d.Failures = t.current()
	d.Verdict, d.RetryAfter = t.judge(&a.Policy, a.Solved, now)
	if d.Verdict == Granted {
		d.Lease = Lease{User: a.User, Client: a.Client, Pair: known, Failures: t.failures}
		d.Lease.ID = s.reserve(t, now+a.Policy.Lease)
		s.file(i, a.Policy.Max)
	}
	return d
}

// newcomer returns a new record and its tally, or 0 and the bucket of the name
// when there is no room.
func (s *shard) newcomer(key uint64, p *Policy, now time.Duration) (uint32, *tally) {
	i := s.stranger(key, p, now)
	if i == 0 {
		return 0, s.share(key)
	}
	return i, &s.users.at(i).tally
}

// choose returns the settled tally that a try is judged by, and whether it is
// that of a known pair; nil when nothing is counted under the name yet.
func (s *shard) choose(i uint32, key uint64, a *Attempt, now time.Duration) (*tally, bool) {
	if i == 0 {
		return s.bucket(key, a.Policy.Window, now), false
	}
	u := s.users.at(i)
	if c := s.pairOf(u, a.Client); c != 0 && now < s.pairs.at(c).until {
		return &s.pairs.at(c).tally, true
	}
	return &u.tally, false
}

// end ends the try l, unless it has ended before or its lease is over. It
// returns the record of the user.
func (s *shard) end(key uint64, l *Lease, o Outcome, p *Policy, now time.Duration) uint32 {
	i := s.find(key, p.Window, now)
	t := s.reserved(i, key, l, p.Window, now)
	if t == nil {
		return i
	}
	switch o {
	case Failed:
		t.fail(1, now)
		if i != 0 {
			s.recordFailures(s.users.at(i), 1, now)
		}
	case Succeeded, SucceededUnknown:
		t.forgive(l.Failures)
	}
	if o == Succeeded {
		i = s.succeed(i, key, l.Client, p, now)
	}
	// Once more: failures that only this try has kept from expiring go now.
	i = s.refreshed(i, p.Window, now)
	s.file(i, p.Max)
	return i
}

// reserved takes the try out of the tally it was reserved in and returns the
// tally; nil for a late or a second end.
func (s *shard) reserved(i uint32, key uint64, l *Lease, window, now time.Duration) *tally {
	if i != 0 {
		t := &s.users.at(i).tally
		if c := s.pairOf(s.users.at(i), l.Client); l.Pair && c != 0 {
			t = &s.pairs.at(c).tally
		}
		if s.release(t, l.ID) {
			return t
		}
	}
	// The name may have got a record of its own since the try began.
	if b := s.bucket(key, window, now); b != nil && s.release(b, l.ID) {
		return b
	}
	return nil
}

// succeed records a login in the history and makes the pair known. A name
// that shared a bucket gets a record now, if there is room.
func (s *shard) succeed(i uint32, key uint64, client netip.Addr, p *Policy, now time.Duration) uint32 {
	if i == 0 {
		if i = s.promote(key, p, now); i == 0 {
			return 0
		}
	}
	u := s.users.at(i)
	if u.person == 0 {
		u.person = s.people.take()
		*s.people.at(u.person) = person{failed: u.failures, failure: u.last}
	}
	h := s.people.at(u.person)
	h.logins++
	h.before, h.login = h.login, now
	if client.IsValid() {
		s.makeKnown(u, client.As16(), now)
	}
	return i
}

// recordFailures keeps n failed logins, the latest at the time at, in the
// history of a person; that of a stranger is the tally itself.
func (s *shard) recordFailures(u *user, n int, at time.Duration) {
	if u.person == 0 || n == 0 {
		return
	}
	h := s.people.at(u.person)
	h.failed += uint64(n)
	h.failure = max(h.failure, at)
}

// reset forgives all failures of a user, and those of the bucket when the
// user is counted there.
func (s *shard) reset(key uint64, now time.Duration) {
	i := s.find(key, 0, now)
	if i == 0 {
		if b := s.bucket(key, 0, now); b != nil {
			b.forgiven = b.failures
		}
		return
	}
	u := s.users.at(i)
	u.forgiven = u.failures
	for c := u.pairs; c != 0; c = s.pairs.at(c).next {
		t := s.pairs.at(c)
		t.forgiven = t.failures
	}
	// Without a policy the class is found with Max 0: pending tries alone.
	s.file(i, 0)
}

// find returns the settled record of a user, 0 when there is none.
func (s *shard) find(key uint64, window, now time.Duration) uint32 {
	return s.refreshed(s.index[key], window, now)
}

// refreshed settles record i and returns it, or 0 when it is no longer worth
// remembering and so was dropped.
func (s *shard) refreshed(i uint32, window, now time.Duration) uint32 {
	if i == 0 {
		return 0
	}
	u := s.users.at(i)
	s.settleUser(u, window, now)
	if s.dead(u, now) {
		s.drop(i)
		return 0
	}
	return i
}

// settleUser settles a user's tally and every pair.
func (s *shard) settleUser(u *user, window, now time.Duration) {
	s.recordFailures(u, s.settle(&u.tally, window, now), u.last)
	for link := &u.pairs; *link != 0; {
		c := s.pairs.at(*link)
		s.recordFailures(u, s.settle(&c.tally, window, now), c.last)
		if now >= c.until && c.count == 0 {
			s.forgetPair(u, link)
			continue
		}
		link = &c.next
	}
}

// dead reports that nothing is worth remembering about a settled user.
func (s *shard) dead(u *user, now time.Duration) bool {
	if u.count > 0 || u.pairs != 0 {
		return false
	}
	latest := u.last
	if u.person != 0 {
		h := s.people.at(u.person)
		latest = max(latest, h.login, h.failure)
	}
	return latest == 0 || now-latest >= historyFor
}
