package middleware

import (
	"context"
	"net/netip"
	"sync"

	"github.com/seed-244866eb/gatehouse/directory"
)

// flights lets equal login tries that run at once share one: fifty parallel
// requests of one integration are one bind. The zero value is ready.
type flights struct {
	mu      sync.Mutex
	running map[tryKey]*flight
}

// A tryKey tells which tries are equal. The password is in memory for the
// time of the login anyway; the key goes when the flight ends. The address is
// part of it, or a stranger's guess could be counted under somebody else's.
type tryKey struct {
	name, password string
	newPassword    string // a double click is one change
	client         netip.Addr
	uncertain      bool
}

type flight struct {
	done   chan struct{}
	result Accepted
	err    error
}

// do runs try, or waits for an equal one that runs already and returns its
// result.
func (f *flights) do(ctx context.Context, k tryKey, try func() (Accepted, error)) (Accepted, error) {
	f.mu.Lock()
	if fl := f.running[k]; fl != nil {
		f.mu.Unlock()
		select {
		case <-fl.done:
			return fl.result, fl.err
		case <-ctx.Done():
			return Accepted{}, unavailable(ctx.Err())
		}
	}
	fl := &flight{done: make(chan struct{}), err: directory.ErrUnavailable} // what a panic leaves behind
	if f.running == nil {
		f.running = make(map[tryKey]*flight)
	}
	f.running[k] = fl
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.running, k)
		f.mu.Unlock()
		close(fl.done)
	}()
	fl.result, fl.err = try()
	return fl.result, fl.err
}
