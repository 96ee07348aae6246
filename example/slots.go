package main

import "sync"

// A slots value holds places for work that takes memory for as long as a
// client likes: so many for all, and so many for each user, so that nobody
// can take all by being slow. The methods may be called concurrently.
type slots struct {
	all, each int

	mu    sync.Mutex
	taken int
	by    map[string]int // only users who hold a place
}

func newSlots(all, each int) *slots {
	return &slots{all: all, each: each, by: make(map[string]int)}
}

// take takes a place for user, or says why there is none. Nobody, which is
// everybody where there is no login, has no bound of its own. After a nil
// error the caller gives the place back.
func (s *slots) take(user string) *uploadError {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case user != "" && s.by[user] >= s.each:
		return errYours
	case s.taken >= s.all:
		return errBusy
	}
	s.taken++
	s.by[user]++
	return nil
}

// give gives back a place that take took for user.
func (s *slots) give(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.by[user]--; s.by[user] == 0 {
		delete(s.by, user)
	}
}
