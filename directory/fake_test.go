package directory

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// A fake is a source that fails and waits as a test says, which a Static
// cannot.
type fake struct {
	mu     sync.Mutex
	id     string   // of everybody; "" is nobody there
	groups []string // of everybody
	shown  string   // the canonical name of everybody; "" is the one asked for
	err    error    // of Find and Groups
	delay  time.Duration
	finds  int
	reads  int
	most   int // reads at once
	now    int
	ctx    context.Context // of the last read
}

func (f *fake) set(change func(*fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fake) counts() (finds, reads int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.finds, f.reads
}

func (f *fake) Find(ctx context.Context, name string) (Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finds++
	switch {
	case f.err != nil:
		return Entry{}, f.err
	case f.id == "":
		return Entry{Node: "n1"}, ErrNoUser
	}
	return f.entry(name), nil
}

func (f *fake) entry(name string) Entry {
	if f.shown != "" {
		name = f.shown
	}
	return Entry{ID: f.id, Name: name, DisplayName: "D " + name, Node: "n1"}
}

func (f *fake) Verify(ctx context.Context, e Entry, password string) (Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return e, f.err
}

func (f *fake) Groups(ctx context.Context, e Entry, asked ...string) (GroupSet, error) {
	f.mu.Lock()
	f.reads++
	f.now++
	f.most = max(f.most, f.now)
	f.ctx = ctx
	delay := f.delay
	f.mu.Unlock()

	var late error
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			late = fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now--
	if late != nil {
		return GroupSet{}, late
	}
	if f.err != nil {
		return GroupSet{Node: "n1", Preferred: true}, f.err
	}
	if len(asked) > 0 && e.ID != f.id {
		return GroupSet{Node: "n1", Preferred: true}, ErrNoUser // a second opinion looks at the entry
	}
	return GroupSet{Names: f.groups, Node: "n1", Preferred: true, Read: time.Now()}, nil
}

// newTest returns a Directory in front of a fake that knows everybody.
func newTest(t testing.TB, c Config) (*Directory, *fake) {
	t.Helper()
	f := &fake{id: "id-1", groups: []string{"a", "b"}}
	if c.Source == nil {
		c.Source = f
	}
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, f
}
