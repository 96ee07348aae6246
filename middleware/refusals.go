package middleware

import (
	"errors"
	"net/netip"
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
	// welcomeFor is how long it is remembered as whom a client logged in.
	welcomeFor = 24 * time.Hour
	// maxRefused bounds what is remembered of each kind; strangers choose
	// names and places.
	maxRefused = 8192
)

// refusals remembers as whom names were counted that a client was refused
// lately, or that are at their limit, so that refusing them again costs the
// directory nothing. The zero value is ready.
type refusals struct {
	mu    sync.Mutex
	known map[refusedName]refusal
	// welcome holds as whom clients logged in by a name. A directory node
	// that misses their entry for a moment must not make them refused as
	// somebody else for longer than that moment.
	welcome map[refusedName]refusal
}

// A refusedName is a name as typed, in NFC, from one client: a spelling that
// the directory does not know must say nothing about one that it does, and
// what a stranger was refused nothing about anybody else.
type refusedName struct {
	name   string
	client netip.Addr
}

type refusal struct {
	subject string
	until   time.Time
}

func keyOf(c Credentials) refusedName {
	if c.Uncertain {
		return refusedName{name: c.Name}
	}
	return refusedName{c.Name, c.Client}
}

// subject returns as whom the name of c is counted, if c's client was refused
// it lately.
func (s *refusals) subject(c Credentials) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known[keyOf(c)]
	if !ok || !time.Now().Before(k.until) {
		return "", false
	}
	return k.subject, true
}

// add remembers a name that was looked up. The time of one that is remembered
// already does not begin anew.
func (s *refusals) add(c Credentials, subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, key := time.Now(), keyOf(c)
	if k, ok := s.known[key]; ok && now.Before(k.until) && k.subject == subject {
		return
	}
	if w, ok := s.welcome[key]; ok && now.Before(w.until) && w.subject != subject {
		return
	}
	put(&s.known, key, refusal{subject, now.Add(refusedFor)}, now)
}

// admit remembers as whom a client has logged in.
func (s *refusals) admit(c Credentials, subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, key := time.Now(), keyOf(c)
	if k, ok := s.known[key]; ok && k.subject != subject {
		delete(s.known, key)
	}
	put(&s.welcome, key, refusal{subject, now.Add(welcomeFor)}, now)
}

// put keeps r under key in a bounded map.
func put(m *map[refusedName]refusal, key refusedName, r refusal, now time.Time) {
	if _, ok := (*m)[key]; !ok && len(*m) >= maxRefused {
		thin(*m, now)
	}
	if *m == nil {
		*m = make(map[refusedName]refusal)
	}
	// Clones: both may be pieces of a request body, with the password in it.
	key.name, r.subject = strings.Clone(key.name), strings.Clone(r.subject)
	(*m)[key] = r
}

// thin makes room: a few names go, those whose time is over and else any. Who
// is forgotten costs one search more.
func thin(m map[refusedName]refusal, now time.Time) {
	looked := 0
	for key, k := range m {
		if looked++; !now.Before(k.until) || looked == 1 {
			delete(m, key)
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
