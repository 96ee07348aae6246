package directory

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// maxFirst bounds the users that are remembered only because their first
	// read failed. Their names come from sessions, not from strangers.
	maxFirst = 1024
	// maxSteps bounds the search for a slot to evict, which holds the lock.
	maxSteps = 64

	firstPause = time.Second
	lastPause  = time.Minute
)

// A slot is what is known of one user.
type slot struct {
	name string
	// known has the groups last known; nil before the first read, then never.
	known atomic.Pointer[known]
	used  atomic.Bool // since the hand of the ring came by
	// quiet is the time, in Unix nanoseconds, before which no read begins:
	// the end of a pause after a failure, or never while one runs.
	quiet atomic.Int64
	// former is who had the name before, asked about lately.
	former atomic.Pointer[former]

	// Guarded by Directory.mu.
	flight *flight
	absent *flight // the read that found no entry; nil when there was none such
	fails  int
	index  int  // in the ring; -1 outside
	gone   bool // evicted or forgotten: a read that runs is not kept
}

// A former is an entry that has gone while its name lives on, known to have
// gone until a time, or its old cookies would cost one search a request.
type former struct {
	id    string
	until time.Time
}

// touch marks the slot as used; the load spares the cache line of others.
func (s *slot) touch() {
	if !s.used.Load() {
		s.used.Store(true)
	}
}

// due reports whether a read may begin.
func (s *slot) due(now time.Time) bool {
	return now.UnixNano() >= s.quiet.Load()
}

// fly marks that a read runs.
func (s *slot) fly() *flight {
	s.flight, s.absent = &flight{done: make(chan struct{})}, nil
	s.quiet.Store(math.MaxInt64)
	return s.flight
}

// pause sets when the next read may begin after one that failed: after a
// second, then twice as long each time, at most a minute or the TTL.
func (s *slot) pause(now time.Time, ttl time.Duration) {
	p := min(firstPause<<min(s.fails, 10), lastPause, ttl)
	s.fails++
	s.quiet.Store(now.Add(p).UnixNano())
}

// cached returns the slot of a user whose groups were read, or nil. It takes
// no lock of the Directory and does not allocate.
func (d *Directory) cached(name string) *slot {
	v, ok := d.cache.Get(name)
	if !ok {
		return nil
	}
	return v.(*slot)
}

// slot returns the slot of name, or nil. The caller holds mu.
func (d *Directory) slot(name string) *slot {
	if s := d.cached(name); s != nil {
		return s
	}
	return d.first[name]
}

// add makes a slot for a first read. The caller holds mu.
func (d *Directory) add(name string) *slot {
	if len(d.first) >= maxFirst {
		d.thin()
	}
	s := &slot{name: name, index: -1}
	d.first[name] = s
	return s
}

// thin drops slots whose pause is over, or else any one that only waits, so
// that first grows beyond its bound by running reads alone.
func (d *Directory) thin() {
	now := time.Now()
	var waiting *slot
	dropped := false
	for _, s := range d.first {
		switch {
		case s.flight != nil:
		case s.due(now):
			d.drop(s)
			dropped = true
		default:
			waiting = s
		}
	}
	if !dropped && waiting != nil {
		d.drop(waiting)
	}
}

// keep moves a slot whose first read succeeded to the cache, in place of
// another when that is full. The caller holds mu.
func (d *Directory) keep(s *slot) {
	if s.index >= 0 {
		return
	}
	delete(d.first, s.name)
	if len(d.ring) >= d.config.Max {
		d.drop(d.victim())
	}
	s.index = len(d.ring)
	s.used.Store(true)
	d.ring = append(d.ring, s)
	d.cache.SetDefault(s.name, s)
}

// victim returns a slot that was not used since the hand came by last, or the
// one where the hand gets tired.
func (d *Directory) victim() *slot {
	for range maxSteps {
		d.hand = (d.hand + 1) % len(d.ring)
		if !d.ring[d.hand].used.Swap(false) {
			break
		}
	}
	return d.ring[d.hand]
}

// drop takes a slot out of everything. The caller holds mu.
func (d *Directory) drop(s *slot) {
	s.gone = true
	delete(d.held, s)
	if s.index < 0 {
		delete(d.first, s.name)
		return
	}
	d.cache.Delete(s.name)
	last := len(d.ring) - 1
	d.ring[s.index] = d.ring[last]
	d.ring[s.index].index = s.index
	d.ring[last] = nil
	d.ring = d.ring[:last]
	s.index = -1
}
