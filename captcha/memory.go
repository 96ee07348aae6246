package captcha

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// MemoryConfig configures a [Memory].
type MemoryConfig struct {
	// Max is how many challenges may be open at once, at about 200 bytes
	// each. Zero and less mean 100,000.
	Max int
}

const defaultMax = 100_000

// A Memory is a [Store] in the memory of one process. It has no goroutine:
// what has expired makes room when something is put. It is safe for
// concurrent use.
type Memory struct {
	max int

	mu   sync.Mutex
	open map[string]*challenge
	next expiries
}

// NewMemory returns an empty Memory.
func NewMemory(c MemoryConfig) *Memory {
	if c.Max <= 0 {
		c.Max = defaultMax
	}
	return &Memory{max: c.Max, open: make(map[string]*challenge)}
}

// A challenge holds its data as a string, so that nobody can modify it.
type challenge struct {
	id, data string
	expires  time.Time
	index    int // in expiries
}

// Put implements [Store].
func (m *Memory) Put(_ context.Context, id string, data []byte, ttl time.Duration) error {
	now := time.Now()
	c := &challenge{id: id, data: string(data), expires: now.Add(ttl)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	if old := m.open[id]; old != nil {
		m.remove(old)
	}
	if len(m.open) >= m.max {
		return ErrFull
	}
	m.open[id] = c
	heap.Push(&m.next, c)
	return nil
}

// sweep is how many expired challenges one Put removes at most: more than the
// one it adds, and few enough that nobody waits for the lock.
const sweep = 16

func (m *Memory) expire(now time.Time) {
	for range sweep {
		if len(m.next) == 0 || now.Before(m.next[0].expires) {
			return
		}
		m.remove(m.next[0])
	}
}

func (m *Memory) remove(c *challenge) {
	heap.Remove(&m.next, c.index)
	delete(m.open, c.id)
}

// Peek implements [Store].
func (m *Memory) Peek(_ context.Context, id string) ([]byte, error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.open[id]
	if c == nil || !now.Before(c.expires) {
		return nil, ErrNotFound
	}
	return []byte(c.data), nil
}

// Take implements [Store].
func (m *Memory) Take(_ context.Context, id string) ([]byte, error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.open[id]
	if c == nil {
		return nil, ErrNotFound
	}
	m.remove(c)
	if !now.Before(c.expires) {
		return nil, ErrNotFound
	}
	return []byte(c.data), nil
}

// expiries is a heap with the earliest end at the top.
type expiries []*challenge

// The methods of [heap.Interface].
func (h expiries) Len() int           { return len(h) }
func (h expiries) Less(i, j int) bool { return h[i].expires.Before(h[j].expires) }

func (h expiries) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *expiries) Push(x any) {
	c := x.(*challenge)
	c.index = len(*h)
	*h = append(*h, c)
}

func (h *expiries) Pop() any {
	old := *h
	c := old[len(old)-1]
	old[len(old)-1] = nil // or the array would keep it alive
	*h = old[:len(old)-1]
	return c
}
