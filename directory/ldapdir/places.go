package ldapdir

import (
	"context"
	"sync/atomic"
)

// places bounds how many calls use a pool, and how many wait to.
type places struct {
	free    chan struct{} // holds one value for each call inside
	waiting atomic.Int64
	max     int64
}

func newPlaces(n, maxWaiting int) *places {
	return &places{free: make(chan struct{}, n), max: int64(maxWaiting)}
}

// take waits for a place and returns how to give it back.
func (p *places) take(ctx context.Context) (release func(), err error) {
	release = func() { <-p.free }
	select {
	case p.free <- struct{}{}:
		return release, nil
	default:
	}
	if p.waiting.Add(1) > p.max {
		p.waiting.Add(-1)
		return nil, errSaturated
	}
	defer p.waiting.Add(-1)
	select {
	case p.free <- struct{}{}:
		return release, nil
	case <-ctx.Done():
		return nil, saturatedError{ctx.Err()}
	}
}

// A saturatedError is an end of the caller's time in the queue.
type saturatedError struct{ cause error }

func (e saturatedError) Error() string   { return errSaturated.Error() + ": " + e.cause.Error() }
func (e saturatedError) Unwrap() []error { return []error{errSaturated, e.cause} }
