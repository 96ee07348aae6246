package session

import (
	"encoding/binary"
	"sync"
	"time"
)

// A shard holds its part of a Memory: slots in pages, an index by hash, a list
// of each user's and a list of each class by use. Slots name each other by
// number instead of by pointer, which halves their size and leaves the garbage
// collector two pointers a session to look at. Number 0 is none.
type shard struct {
	mu      sync.Mutex
	classes *[2]class
	pages   [][]slot
	size    uint32       // numbers handed out so far
	free    uint32       // first of the slots given back, linked by next
	count   uint32       // slots in use
	index   []uint32     // by hash, a power of two
	users   *[256]uint32 // by the low byte of Key.Shard
	ends    [2]struct{ newest, oldest uint32 }
	cursor  uint32 // where the sweep goes on
}

// pageSlots makes a page fill a size class of the allocator, 2,048 bytes.
const pageSlots = 17

// A slot is one session, 120 bytes.
type slot struct {
	hash         [32]byte
	user         string
	data         string
	expires      int64 // Unix nanoseconds
	used         int64
	idle         int64
	version      uint64
	next         uint32 // of the same place in the index, or of the free
	newer, older uint32 // of the same class, by use
	left, right  uint32 // of the same place in users
	shard        uint16
	kind         Kind
	live         bool // false: the slot is free
}

// ended reports that nobody may have e any more. A clock that was set back makes
// a session live longer and never shorter than its idle time.
func (e *slot) ended(now int64) bool {
	return now >= e.expires || (e.idle > 0 && now-e.used >= e.idle)
}

// record returns e as it was saved; the strings are shared.
func (e *slot) record() Record {
	return Record{
		User: e.user, Kind: e.kind, Expires: time.Unix(0, e.expires),
		Idle: time.Duration(e.idle), Version: e.version, Data: e.data,
	}
}

// bytes is what counts for the bound; a slot itself is bounded by number.
func (e *slot) bytes() int64 { return int64(len(e.user) + len(e.data)) }

// at returns slot i. Pages never move, so that growing copies no slot.
func (s *shard) at(i uint32) *slot { return &s.pages[(i-1)/pageSlots][(i-1)%pageSlots] }

// bucket returns the head of the chain that hash belongs to. The hash is a
// SHA-256 of bytes that the server made: no stranger can make chains long.
func (s *shard) bucket(hash *[32]byte) *uint32 {
	return &s.index[binary.LittleEndian.Uint32(hash[:])&uint32(len(s.index)-1)]
}

// find returns the slot of key, ended or not, or 0.
func (s *shard) find(key Key) uint32 {
	if s.count == 0 {
		return 0
	}
	i := *s.bucket(&key.Hash)
	for i != 0 {
		e := s.at(i)
		if e.hash == key.Hash && e.shard == key.Shard {
			return i
		}
		i = e.next
	}
	return 0
}

// save stores r under key when the versions agree.
func (s *shard) save(key Key, r Record, now int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	// More than the one slot that a Save adds, so ended sessions go faster
	// than new ones come.
	s.sweep(now, 4)
	i := s.find(key)
	// An ended record is none: its version must not let a late save revive it.
	if i != 0 && s.at(i).ended(now) {
		s.remove(i)
		i = 0
	}
	var version uint64
	if i != 0 {
		version = s.at(i).version
	}
	if version != r.Version {
		return ErrConflict
	}
	// Out and in again, since user, class and size may all have changed.
	if i != 0 {
		s.remove(i)
	}
	s.insert(key, r, now)
	return nil
}

// insert puts r into a free slot and every list.
func (s *shard) insert(key Key, r Record, now int64) {
	s.grow()
	i := s.take()
	e := s.at(i)
	*e = slot{
		hash: key.Hash, shard: key.Shard, kind: r.Kind, live: true, user: r.User, data: r.Data,
		expires: r.Expires.UnixNano(), used: now, idle: int64(r.Idle), version: r.Version + 1,
	}
	b := s.bucket(&e.hash)
	e.next, *b = *b, i
	s.count++
	s.push(i)
	if e.user != "" {
		s.linkUser(i)
	}
	c := &s.classes[classOf(e.user)]
	c.count.Add(1)
	c.bytes.Add(e.bytes())
}

// remove takes slot i out of every list and gives it back.
func (s *shard) remove(i uint32) {
	e := s.at(i)
	p := s.bucket(&e.hash)
	for *p != i {
		p = &s.at(*p).next
	}
	*p = e.next
	s.pull(i)
	if e.user != "" {
		s.unlinkUser(i)
	}
	c := &s.classes[classOf(e.user)]
	c.count.Add(-1)
	c.bytes.Add(-e.bytes())
	s.count--
	// Emptied, or user and data would stay in memory until the slot is used.
	*e = slot{next: s.free}
	s.free = i
}

// take returns the number of a free slot.
func (s *shard) take() uint32 {
	if i := s.free; i != 0 {
		s.free = s.at(i).next
		return i
	}
	if s.size%pageSlots == 0 {
		s.pages = append(s.pages, make([]slot, pageSlots))
	}
	s.size++
	return s.size
}

// grow doubles the index before it has more slots than places. At a million
// sessions a shard has 4,096, which takes some ten microseconds.
func (s *shard) grow() {
	if int(s.count) < len(s.index) {
		return
	}
	s.index = make([]uint32, max(16, 2*len(s.index)))
	for i := uint32(1); i <= s.size; i++ {
		if e := s.at(i); e.live {
			b := s.bucket(&e.hash)
			e.next, *b = *b, i
		}
	}
}
