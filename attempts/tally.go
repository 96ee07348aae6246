package attempts

import "time"

const (
	// deniedAt is the number of consecutive failures after which nothing
	// but time helps (NIST SP 800-63B-4, section 3.2.2: no more than 100).
	deniedAt = 100
	// longestDelay caps the growing delay, so that a stranger can slow an
	// owner down but never lock the account.
	longestDelay = 15 * time.Minute
	// shortestRetry is what a client is told when the only obstacle is a
	// try that somebody else is still making.
	shortestRetry = time.Second
)

// A tally is one counter of the package comment: of a user, of a user
// and an address, or of a shared bucket. Times are offsets from the start of
// the store on its monotonic clock, so that a step of the wall clock neither
// forgives nor prolongs anything.
type tally struct {
	failures uint64        // F, failures ever
	forgiven uint64        // W, forgiven up to
	last     time.Duration // time of the last failure; meaningless while F is 0
	pending  uint32        // P, a list in the leases of the shard; 0: empty
	count    uint32        // |P|
}

// current returns f, the failures that count.
func (t *tally) current() int { return int(t.failures - t.forgiven) }

// held reports that the tally must not be forgotten to save memory.
func (t *tally) held(most int) bool {
	return t.count > 0 || most > 0 && t.current() >= most
}

// judge answers a try on a settled tally, and says when the next is worth
// making. It changes nothing, so a refusal cannot lengthen a window or a
// delay.
func (t *tally) judge(p *Policy, solved bool, now time.Duration) (Verdict, time.Duration) {
	f := t.current()
	switch {
	case p.Max == 0:
		return Granted, 0
	case f >= deniedAt:
		return Denied, max(t.last+p.Window-now, shortestRetry)
	case f >= p.Max && p.Challenge && !solved:
		return Armed, 0
	case f >= p.Max && p.Challenge && t.count > 0:
		return Busy, 0
	case f >= p.Max && !p.Challenge:
		if left := t.wait(f-p.Max, now); left > 0 {
			return Delayed, left
		}
	case f < p.Max && f+int(t.count) >= p.Max:
		return Busy, 0
	}
	return Granted, 0
}

// wait returns how long the next try is still off, excess failures past the
// maximum; 0 when it may be made.
func (t *tally) wait(excess int, now time.Duration) time.Duration {
	delay := longestDelay
	if excess < 10 { // 2^10 s is past the cap
		delay = min(delay, time.Second<<excess)
	}
	left := t.last + delay - now
	if t.count > 0 {
		return max(left, shortestRetry)
	}
	return max(left, 0)
}

// fail counts n failures, the latest at the time at.
func (t *tally) fail(n int, at time.Duration) {
	if t.failures == 0 || at > t.last {
		t.last = at
	}
	t.failures += uint64(n)
}

// forgive forgives the failures up to f0. Those that came after the try was
// reserved stay: a guesser may have made them while the owner was logging in.
func (t *tally) forgive(f0 uint64) {
	t.forgiven = max(t.forgiven, min(f0, t.failures))
}

// A lease is one pending try in the list of a tally.
type lease struct {
	id   uint64
	ends time.Duration
	next uint32
}

// reserve adds a pending try to t.
func (s *shard) reserve(t *tally, ends time.Duration) uint64 {
	s.lastID++
	i := s.leases.take()
	*s.leases.at(i) = lease{id: s.lastID, ends: ends, next: t.pending}
	t.pending = i
	t.count++
	return s.lastID
}

// release takes the try id out of t, and reports whether it was there.
func (s *shard) release(t *tally, id uint64) bool {
	for link := &t.pending; *link != 0; {
		i := *link
		if l := s.leases.at(i); l.id != id {
			link = &l.next
			continue
		}
		s.unlink(t, link)
		return true
	}
	return false
}

// unlink frees the lease that link, a part of t's list, leads to.
func (s *shard) unlink(t *tally, link *uint32) {
	i := *link
	*link = s.leases.at(i).next
	t.count--
	s.leases.give(i)
}

// settle brings t up to date: overdue tries become failures at the end of
// their lease, and failures past the window are forgiven, though never while
// a try is pending. A window of 0 forgives nothing. It returns the number of
// tries that became failures.
func (s *shard) settle(t *tally, window, now time.Duration) int {
	n := 0
	for link := &t.pending; *link != 0; {
		l := s.leases.at(*link)
		if now < l.ends {
			link = &l.next
			continue
		}
		t.fail(1, l.ends)
		s.unlink(t, link)
		n++
	}
	if t.count == 0 && window > 0 && now-t.last >= window {
		t.forgiven = t.failures
	}
	return n
}
