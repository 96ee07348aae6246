package attempts

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	mostWaiters  = 16 // a user
	shortestPoll = 10 * time.Millisecond
	longestPoll  = 100 * time.Millisecond
)

// waiters counts the callers that wait for each user. It holds a name only
// while somebody waits, so its size is that of the crowd.
type waiters struct {
	mu    sync.Mutex
	users map[string]int
}

// enter reports whether one more may wait for user; if so, leave must follow.
// Without the bound, a stranger who holds a user busy could pile requests up.
func (w *waiters) enter(user string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users == nil {
		w.users = make(map[string]int)
	}
	if w.users[user] >= mostWaiters {
		return false
	}
	w.users[user]++
	return true
}

// leave ends the wait of one caller.
func (w *waiters) leave(user string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users[user]--; w.users[user] == 0 {
		delete(w.users, user)
	}
}

// wait asks the store again until it says something else than Busy, the
// deadline of a login has passed, or ctx is done. busy is its last answer.
func (c *Counter) wait(ctx context.Context, a Attempt, busy Decision) (Decision, error) {
	busy.RetryAfter = shortestRetry
	if !c.waiters.enter(a.User) {
		return busy, nil
	}
	defer c.waiters.leave(a.User)
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	for pause := shortestPoll; sleep(ctx, jitter(pause)); pause = min(2*pause, longestPoll) {
		d, err := c.store.Begin(ctx, a)
		if ctx.Err() != nil && err != nil {
			break // our own deadline, not an outage of the store
		}
		if err != nil || d.Verdict != Busy {
			return d, err
		}
		busy.Failures = d.Failures
	}
	return busy, nil
}

// jitter spreads the polls of a crowd: between 10 ms and d.
func jitter(d time.Duration) time.Duration {
	return shortestPoll + rand.N(d-shortestPoll+1)
}

// sleep reports whether d passed before ctx was done.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
