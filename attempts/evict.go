package attempts

import "time"

// A class says what may happen to a record when room is needed.
type class uint8

const (
	unfiled   class = iota
	strangers       // nobody ever logged in: goes first
	familiar        // somebody has logged in: goes only for another one
	held            // at the maximum or with pending tries: stays
	classes         // the number of classes
)

// A list holds the records of one class, the least recently used first.
type list struct{ head, tail uint32 }

// file moves record i to the end of the list of its present class.
func (s *shard) file(i uint32, most int) {
	if i == 0 {
		return
	}
	u := s.users.at(i)
	c := s.classify(u, most)
	l := &s.lists[c]
	if u.class == c && l.tail == i {
		return
	}
	s.unfile(i)
	u.class = c
	u.prev = l.tail
	if l.tail != 0 {
		s.users.at(l.tail).next = i
	} else {
		l.head = i
	}
	l.tail = i
}

// fileFirst moves record i to the front of the list of class c: its time is
// over, so it goes before those that are in use.
func (s *shard) fileFirst(i uint32, c class) {
	s.unfile(i)
	u, l := s.users.at(i), &s.lists[c]
	u.class, u.next = c, l.head
	if l.head != 0 {
		s.users.at(l.head).prev = i
	} else {
		l.tail = i
	}
	l.head = i
}

// unfile takes record i out of its list.
func (s *shard) unfile(i uint32) {
	u := s.users.at(i)
	l := &s.lists[u.class]
	if u.prev != 0 {
		s.users.at(u.prev).next = u.next
	} else if l.head == i {
		l.head = u.next
	}
	if u.next != 0 {
		s.users.at(u.next).prev = u.prev
	} else if l.tail == i {
		l.tail = u.prev
	}
	u.class, u.prev, u.next = unfiled, 0, 0
}

// classify returns the class of a settled user.
func (s *shard) classify(u *user, most int) class {
	if u.held(most) {
		return held
	}
	for i := u.pairs; i != 0; i = s.pairs.at(i).next {
		if s.pairs.at(i).held(most) {
			return held
		}
	}
	if u.person != 0 {
		return familiar
	}
	return strangers
}

// drop forgets record i, which has no pending try.
func (s *shard) drop(i uint32) {
	s.unfile(i)
	u := s.users.at(i)
	for u.pairs != 0 {
		s.forgetPair(u, &u.pairs)
	}
	if u.person != 0 {
		s.people.give(u.person)
	}
	delete(s.index, u.key)
	s.users.give(i)
}

// sweep looks at a few records in turn and drops or refiles those whose time
// is over, so that expiry never holds the lock for long.
func (s *shard) sweep(p *Policy, now time.Duration) {
	for range min(sweepsATime, len(s.users.items)) {
		s.cursor = (s.cursor + 1) % len(s.users.items)
		s.refresh(uint32(s.cursor+1), p, now)
	}
}

// refresh settles record i, drops it when it is dead, and lets it go first
// when it was held and need not be any longer.
func (s *shard) refresh(i uint32, p *Policy, now time.Duration) {
	if !s.users.at(i).live || s.refreshed(i, p.Window, now) == 0 {
		return
	}
	u := s.users.at(i)
	if u.class != held {
		return
	}
	if c := s.classify(u, p.Max); c != held {
		s.fileFirst(i, c)
	}
}

// stranger returns a new record for a name nobody has logged in under, or 0
// when there is no room. An eighth of the room is kept for those who log in,
// so that they are told from strangers even in the middle of a flood.
func (s *shard) stranger(key uint64, p *Policy, now time.Duration) uint32 {
	most := s.size - s.size/8
	if s.users.used() >= s.size || s.users.used()-s.people.used() >= most {
		if !s.evict(strangers, p, now) {
			return 0
		}
	}
	return s.add(key)
}

// promote returns a new record for somebody who has just logged in without
// one, or 0 when there is no room.
func (s *shard) promote(key uint64, p *Policy, now time.Duration) uint32 {
	if s.users.used() >= s.size && !s.evict(strangers, p, now) && !s.evict(familiar, p, now) {
		return 0
	}
	return s.add(key)
}

// evict forgets the least recently used record of class c, and reports
// whether there was one. The longest held record is looked at first: its time
// may be over without anybody having met it.
func (s *shard) evict(c class, p *Policy, now time.Duration) bool {
	if i := s.lists[held].head; i != 0 {
		s.refresh(i, p, now)
	}
	i := s.lists[c].head
	if i == 0 {
		return false
	}
	s.drop(i)
	return true
}

// add makes a fresh record.
func (s *shard) add(key uint64) uint32 {
	i := s.users.take()
	u := s.users.at(i)
	u.key, u.live = key, true
	s.index[key] = i
	return i
}

// bucket returns the settled bucket of a name without a record, as long as
// failures or pending tries count there; else nil. A name stays in its bucket
// that long even if room has come free, or the room would be a fresh budget.
func (s *shard) bucket(key uint64, window, now time.Duration) *tally {
	if s.buckets == nil {
		return nil
	}
	b := s.share(key)
	s.settle(b, window, now)
	if b.count == 0 && b.current() == 0 {
		return nil
	}
	return b
}

// share returns the bucket of a name. The upper half of the keyed hash picks
// it: the lower half has picked the shard.
func (s *shard) share(key uint64) *tally {
	if s.buckets == nil {
		s.buckets = make([]tally, s.nBucket)
	}
	return &s.buckets[key>>32%uint64(s.nBucket)]
}
