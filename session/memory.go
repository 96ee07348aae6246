package session

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	memoryShards        = 256 // by the high byte of Key.Shard
	defaultMax          = 1 << 20
	defaultMaxAnonymous = 1 << 16
)

// A MemoryConfig bounds a Memory. The zero MemoryConfig is valid.
type MemoryConfig struct {
	// Max is how many sessions of users are held, remember-me series
	// included. Past it the one goes that has not been used for the longest
	// in the same 256th of the store, which holds all of the user who logs
	// in: so who logs in without end pushes out mostly himself. Zero or less
	// means 1,048,576.
	Max int

	// MaxAnonymous is the same for sessions of visitors, which are counted
	// apart: strangers, who can make as many as they like, push out each
	// other and never a user. Zero or less means 65,536.
	MaxAnonymous int
}

// Memory is a Store in the memory of one process. It is bounded in number and,
// at 1 KiB of data a session on average (at least 16 MiB in all), in bytes.
// Ended sessions go on use and by a few with every Save, so there is no
// goroutine and nothing to close, and no lock is held for long.
type Memory struct {
	classes [2]class // users, anonymous
	shards  [memoryShards]shard
}

var _ Store = (*Memory)(nil)

// A class is what is bounded together. Its counters are shared by all shards:
// bounds of each shard would push out people while other shards stand empty.
type class struct {
	max, maxBytes int64
	count, bytes  atomic.Int64
}

func (c *class) full() bool { return c.count.Load() > c.max || c.bytes.Load() > c.maxBytes }

// classOf returns the place of a user's sessions in arrays of classes.
func classOf(user string) int {
	if user == "" {
		return 1
	}
	return 0
}

// NewMemory returns an empty store with the bounds of c.
func NewMemory(c MemoryConfig) *Memory {
	m := new(Memory)
	m.classes[0].bound(c.Max, defaultMax)
	m.classes[1].bound(c.MaxAnonymous, defaultMaxAnonymous)
	for i := range m.shards {
		m.shards[i].classes = &m.classes
	}
	return m
}

// Format writes how many sessions are held. Printing a struct goes into all it
// holds, and here that is everybody's secret.
func (m *Memory) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "session memory of %d users' and %d anonymous sessions", m.classes[0].count.Load(), m.classes[1].count.Load())
}

func (c *class) bound(n, byDefault int) {
	if n <= 0 {
		n = byDefault
	}
	c.max = int64(n)
	// A visitor whose input an application keeps could otherwise store 64 KiB
	// in each of many sessions.
	c.maxBytes = max(16<<20, c.max<<10)
}

// shard returns the part that holds key. Since all sessions of a user have the
// same shard they lie in one part, so one lock makes a Save and the user's
// list change together.
func (m *Memory) shard(key Key) *shard { return &m.shards[key.Shard>>8] }

// Load implements [Store]. It allocates nothing.
func (m *Memory) Load(_ context.Context, key Key) (Record, error) {
	s := m.shard(key)
	now := time.Now().UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(key)
	if i == 0 {
		return Record{}, ErrNotFound
	}
	e := s.at(i)
	if e.ended(now) {
		s.remove(i)
		return Record{}, ErrNotFound
	}
	// The sixteenth that the contract allows keeps most loads from moving the
	// slot in its list, which would fetch two others from memory.
	if now-e.used >= e.idle/16 {
		e.used = now
		s.toFront(i)
		s.sweep(now, 1)
	}
	return e.record(), nil
}

// Save implements [Store].
func (m *Memory) Save(_ context.Context, key Key, r Record) error {
	s := m.shard(key)
	now := time.Now().UnixNano()
	if err := s.save(key, r, now); err != nil {
		return err
	}
	// Afterwards, and not under the lock: for a moment there is one too many.
	m.evict(s, classOf(r.User), key)
	return nil
}

// Delete implements [Store].
func (m *Memory) Delete(_ context.Context, key Key) error {
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(key); i != 0 {
		s.remove(i)
	}
	return nil
}

// List implements [Store].
func (m *Memory) List(_ context.Context, shard uint16, user string) (map[Key]Record, error) {
	s := m.shard(Key{Shard: shard})
	now := time.Now().UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list(shard, user, now), nil
}

// evict makes room after a Save of key: the least recently used of the same
// class goes, of the same shard first and of the others in turn. It holds one
// lock at a time. The one just saved stays, or a login would be dead at once.
func (m *Memory) evict(from *shard, class int, key Key) {
	c := &m.classes[class]
	at := int(key.Shard >> 8)
	for n := 0; n < memoryShards && c.full(); {
		if !m.shards[(at+n)%memoryShards].evict(class, key) {
			n++
		}
	}
}
