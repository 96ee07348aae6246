package middleware

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/directory"
)

const (
	// subjectFor is how long it is remembered which subject a name is. It
	// decides about refusals alone: a try that may go on looks the name up.
	subjectFor = time.Hour
	// maxSubjects bounds the names that are remembered; strangers choose them.
	maxSubjects = 4096
)

// subjects remembers as whom typed names are counted, names of nobody
// included. The key is the name to the letter: a spelling that the directory
// does not know must say nothing about one that it does. The zero value is
// ready.
type subjects struct {
	mu    sync.Mutex
	known map[string]subject
}

type subject struct {
	folded string
	until  time.Time
}

// get returns the subject of a name that was looked up lately.
func (s *subjects) get(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known[name]
	if !ok || !time.Now().Before(k.until) {
		return "", false
	}
	return k.folded, true
}

// learn returns the subject of a name after a look-up: the entry that was
// found, else the name itself, and in an outage what it was before, if that
// is known. It remembers what the directory has said.
func (s *subjects) learn(name string, e directory.Entry, findErr error, before string) string {
	if findErr != nil && !errors.Is(findErr, directory.ErrNoUser) && before != "" {
		return before
	}
	canonical := name
	if findErr == nil && e.Name != "" {
		canonical = e.Name
	}
	folded := attempts.Fold(canonical)
	// A name that cannot be one may be very long, and costs no search anyway.
	if asked := !errors.Is(findErr, directory.ErrBadName); findErr == nil || asked && errors.Is(findErr, directory.ErrNoUser) {
		s.put(strings.Clone(name), folded)
	}
	return folded
}

// put remembers a name, which is no piece of a larger string.
func (s *subjects) put(name, folded string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if _, ok := s.known[name]; !ok && len(s.known) >= maxSubjects {
		s.thin(now)
	}
	if s.known == nil {
		s.known = make(map[string]subject)
	}
	s.known[name] = subject{folded, now.Add(subjectFor)}
}

// thin makes room: a few names go, those whose time is over and else any. Who
// is forgotten costs one search more.
func (s *subjects) thin(now time.Time) {
	looked := 0
	for name, k := range s.known {
		if looked++; !now.Before(k.until) || looked == 1 {
			delete(s.known, name)
		}
		if looked == 16 {
			return
		}
	}
}
