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
	// refusedFor is how long a refused name is answered without a look-up.
	// Its end finds out about a name that has become somebody else's.
	refusedFor = 15 * time.Minute
	// maxRefused bounds the names that are remembered; strangers choose them.
	maxRefused = 4096
)

// refusals remembers as whom names were counted that were refused lately, or
// are at their limit, so that refusing them again costs the directory nothing.
// The key is the name as typed, in NFC: a spelling that the directory does not
// know must say nothing about one that it does. The zero value is ready.
type refusals struct {
	mu    sync.Mutex
	known map[string]refusal
}

type refusal struct {
	subject string
	until   time.Time
}

// subject returns as whom a name is counted that was refused lately.
func (s *refusals) subject(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known[name]
	if !ok || !time.Now().Before(k.until) {
		return "", false
	}
	return k.subject, true
}

// add remembers a name that was looked up. The time of a name that is
// remembered already does not begin anew.
func (s *refusals) add(name, subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if k, ok := s.known[name]; ok && now.Before(k.until) && k.subject == subject {
		return
	} else if !ok && len(s.known) >= maxRefused {
		s.thin(now)
	}
	if s.known == nil {
		s.known = make(map[string]refusal)
	}
	// Clones: both may be pieces of a request body, with the password in it.
	s.known[strings.Clone(name)] = refusal{strings.Clone(subject), now.Add(refusedFor)}
}

// remove forgets a name that may go on.
func (s *refusals) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, name)
}

// thin makes room: a few names go, those whose time is over and else any. Who
// is forgotten costs one search more.
func (s *refusals) thin(now time.Time) {
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

// subjectOf returns as whom a name is counted: the entry that was found, else
// the name itself.
func subjectOf(name string, e directory.Entry, findErr error) string {
	if findErr == nil && e.Name != "" {
		name = e.Name
	}
	return attempts.Fold(name)
}

// refused reports a refusal that the same name will meet again: waiting a
// moment for others is none.
func refused(err error) bool {
	return isRefused(err) && !errors.Is(err, attempts.ErrBusy)
}
