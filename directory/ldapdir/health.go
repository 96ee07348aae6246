package ldapdir

import (
	"sync"
	"time"
)

const (
	// alonePause bounds the pauses while no node works: then a quick recovery
	// is worth more than the peace of the server.
	alonePause = 2 * time.Second
	// keepAlive is how long the node in use may be silent before it is
	// checked: less than the idle time-outs of firewalls, and a hang in the
	// night is found before the morning.
	keepAlive = 30 * time.Second
	// minPause keeps checks apart, whatever the Config says.
	minPause = 10 * time.Millisecond
	// wellChecks is how many checks in a row must go well before a node is
	// trusted again.
	wellChecks = 3
)

// A health is what is known of a node's ability to serve. A node is up until
// it fails; then only a check, which is made in the background, brings it
// back. Its methods are safe for concurrent use.
type health struct {
	coolDown, maxCoolDown, failBack time.Duration

	mu       sync.Mutex
	down     bool
	err      error         // why it is down
	since    time.Time     // when down changed; zero: never
	pause    time.Duration // the last one
	retry    time.Time     // of a node that is down: the next check
	answered time.Time     // when it last did; zero: never
	checked  time.Time     // when the last check began
	checking bool
	suspect  bool // somebody in a hurry has waited in vain
	well     int  // checks in a row that went well
	latency  time.Duration
}

// up reports whether calls may go to the node.
func (h *health) up() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.down
}

// wellUntil returns until when the node was up: now, unless it is down.
func (h *health) wellUntil() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		return h.since
	}
	return time.Now()
}

// answer notes that the node has answered, and reports whether it is the first
// time.
func (h *health) answer() (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first = h.answered.IsZero()
	h.answered = time.Now()
	return first
}

// answeredSince reports whether the node has answered after a time.
func (h *health) answeredSince(t time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answered.After(t)
}

// fail takes the node out of use, and reports whether it was in use. The
// pause is a fresh one only if the node has been well for a while: one that
// fails again and again is left alone for longer and longer.
func (h *health) fail(err error) (news bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failLocked(err)
}

func (h *health) failLocked(err error) (news bool) {
	if h.down {
		return false
	}
	now := time.Now()
	pause := 2 * h.pause
	if now.Sub(h.since) >= max(h.failBack, h.pause) {
		pause = h.coolDown
	}
	h.down, h.err, h.since, h.well = true, err, now, 0
	h.rest(now, pause)
	return true
}

// rest sets the next pause. The caller holds mu.
func (h *health) rest(now time.Time, pause time.Duration) {
	h.pause = min(max(pause, h.coolDown, minPause), max(h.maxCoolDown, minPause))
	h.retry = now.Add(h.pause)
}

// doubt has the node checked soon, and reports whether that is news.
func (h *health) doubt() (news bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	news = !h.suspect && !h.down
	h.suspect = true
	return news
}

// A role is what a node is to the others.
type role int

const (
	standby role = iota // waits for the others to fail
	serving             // has all calls
	better              // is preferred to the one that serves
)

// due returns when the node is to be checked; false: there is no need to.
// With alone no node is up.
func (h *health) due(r role, alone bool) (at time.Time, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.checking:
		return time.Time{}, false
	case h.down && alone:
		return h.retry.Add(min(h.pause, alonePause) - h.pause), true
	case h.down:
		return h.retry, true
	case h.suspect:
		return h.checked.Add(time.Second), true
	case r == better:
		return h.checked.Add(max(h.failBack/wellChecks, minPause)), true
	case r == serving && !h.answered.IsZero():
		return h.answered.Add(keepAlive), true
	}
	return time.Time{}, false
}

// beginCheck takes the right to check the node; endCheck gives it back.
func (h *health) beginCheck() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checking, h.suspect, h.checked = true, false, time.Now()
}

// endCheck books how a check went. It reports whether the node is back, or
// has failed just now.
func (h *health) endCheck(v verdict, err error, took time.Duration) (back, failed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checking = false
	now := time.Now()
	switch {
	case v == healthy:
		h.answered, h.latency = now, took
		h.well++
		if back = h.down; back {
			h.down, h.err, h.since = false, nil, now
		}
	case h.down:
		if v == failing {
			h.err = err
		}
		h.rest(now, 2*h.pause)
	case v == failing:
		return false, h.failLocked(err)
	default:
		h.answered = now // tried again after the usual time
	}
	return back, false
}

// trusted reports whether the node has been well for long enough to be
// preferred to one that works.
func (h *health) trusted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.down && h.well >= wellChecks && time.Since(h.since) >= max(h.failBack, h.pause)
}

// lastError returns why the node is down.
func (h *health) lastError() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}
