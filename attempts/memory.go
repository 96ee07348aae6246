package attempts

import (
	"context"
	"errors"
	"hash/maphash"
	"net/netip"
	"time"
)

const (
	defaultUsers = 1 << 18 // at 90 bytes each, measured by BenchmarkMemoryBytesPerKey
	usersPerLock = 1 << 12 // copying a full table of one lock stays far under 1 ms
	allBuckets   = 1 << 12
)

// errOutcome is returned for an [Outcome] that is none. The try stays
// reserved and so becomes a failure.
var errOutcome = errors.New("attempts: no such outcome")

// A MemoryConfig sets the bounds of a [Memory].
type MemoryConfig struct {
	// Max is the number of users that are remembered, names that strangers
	// invented included. 0 or less means 262,144, which is about 24 MiB. Who
	// has logged in costs 40 bytes more, and 64 for each known address, of
	// which there are at most 2 Max in all.
	Max int
}

// Memory is the [Store] of one process. It forgets everything at a restart.
//
// It is bounded: when it is full, the names that nobody ever logged in under
// go first, the least recently tried one before others. Who has logged in is
// never forgotten for a stranger's sake; and no record that has reached the
// maximum or has pending tries is forgotten at all. When only such remain,
// new names share 4,096 buckets, chosen by a keyed hash: a count shared with
// strangers may ask for a CAPTCHA too early, but never too late.
//
// Names are kept as a keyed hash of 64 bits, not as text. It is safe for
// concurrent use, has no goroutine and nothing to close: records expire when
// they are met, and every call looks at a few others on its way.
type Memory struct {
	seed   maphash.Seed
	epoch  time.Time
	shards []shard
}

// NewMemory returns an empty store.
func NewMemory(c MemoryConfig) *Memory {
	if c.Max <= 0 {
		c.Max = defaultUsers
	}
	n := 1
	for n*usersPerLock < c.Max {
		n *= 2
	}
	m := &Memory{seed: maphash.MakeSeed(), epoch: time.Now(), shards: make([]shard, n)}
	for i := range m.shards {
		m.shards[i].init(max(c.Max/n, 1), max(allBuckets/n, 1))
	}
	return m
}

// now is the store's clock: monotonic, so that a step of the wall clock
// changes no decision. It starts at 1, which leaves 0 to mean never.
func (m *Memory) now() time.Duration { return time.Since(m.epoch) + 1 }

// date turns a time of the store's clock into a date.
func (m *Memory) date(at time.Duration) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return m.epoch.Add(at - 1)
}

// locate returns the key of a user and the shard that holds it.
func (m *Memory) locate(user string) (uint64, *shard) {
	key := maphash.String(m.seed, user)
	return key, &m.shards[key&uint64(len(m.shards)-1)]
}

// Begin implements [Store].
func (m *Memory) Begin(_ context.Context, a Attempt) (Decision, error) {
	key, s := m.locate(a.User)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begin(key, &a, m.now()), nil
}

// End implements [Store].
func (m *Memory) End(_ context.Context, l Lease, o Outcome, p Policy) (Status, error) {
	if o < Failed || o > Abandoned {
		return Status{}, errOutcome
	}
	key, s := m.locate(l.User)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	i := s.end(key, &l, o, &p, now)
	return m.status(s, i, key, l.Client, p, now), nil
}

// Status implements [Store].
func (m *Memory) Status(_ context.Context, user string, client netip.Addr, p Policy) (Status, error) {
	key, s := m.locate(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := m.now()
	return m.status(s, s.find(key, p.Window, now), key, client, p, now), nil
}

// Reset implements [Store].
func (m *Memory) Reset(_ context.Context, user string) error {
	key, s := m.locate(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reset(key, m.now())
	return nil
}

// status reads what s holds about a user, whose settled record is i.
func (m *Memory) status(s *shard, i uint32, key uint64, client netip.Addr, p Policy, now time.Duration) Status {
	if i == 0 {
		if b := s.bucket(key, p.Window, now); b != nil {
			return Status{Failures: b.current(), Pending: int(b.count)}
		}
		return Status{}
	}
	u := s.users.at(i)
	st := Status{
		Failures:     u.current(),
		Pending:      int(u.count),
		FailedLogins: u.failures,
		LastFailed:   m.date(u.last),
	}
	s.addPairs(&st, u, client, now)
	if u.person != 0 {
		h := s.people.at(u.person)
		st.Logins, st.FailedLogins = h.logins, h.failed
		st.LastLogin, st.PrevLogin, st.LastFailed = m.date(h.login), m.date(h.before), m.date(h.failure)
	}
	return st
}
