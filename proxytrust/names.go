package proxytrust

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"
)

const (
	// firstLookup is what New and Set wait for new names: a program must start
	// without its DNS, and the operator of Set waits for an answer.
	firstLookup = 2 * time.Second

	// laterLookup bounds a look-up in the background, where nobody waits. It is
	// the longer one, or a slow DNS would never get an answer in.
	laterLookup = 10 * time.Second

	// retry is between two look-ups of a name that has no address. Until it has
	// one, all clients behind that proxy are one, limits and all.
	retry = 5 * time.Second

	// staleMax bounds how long a name that no longer resolves keeps its
	// addresses. Long enough for any outage of the DNS; without an end, the
	// next owner of the address would be believed for ever.
	staleMax = 24 * time.Hour
)

// addresses are what the last good look-up of a hostname found.
type addresses struct {
	known   []netip.Addr // sorted, canonical, each once; none: trusts nobody
	asOf    time.Time    // of that look-up
	failing bool         // the latest look-up failed
}

// A finding is the outcome of one look-up: addresses, as usable returns them,
// or an error.
type finding struct {
	name  string
	addrs []netip.Addr
	err   error
}

var (
	errNoAnswer  = errors.New("no answer in time")
	errNoAddress = errors.New("no address")
)

// install puts patterns in force. Names that were not among the old ones are
// looked up first, so that a list never takes effect by halves. Only New and
// a holder of setting may call it.
func (t *Trust) install(patterns []pattern) {
	t.warnTrustAll(patterns)
	found := t.lookUp(t.newNames(patterns), firstLookup)

	t.mu.Lock()
	defer t.mu.Unlock()
	// Names that stay keep their addresses: looked up again, a failing DNS would
	// turn a harmless Set into the loss of a proxy.
	names := make(map[string]addresses)
	for _, p := range patterns {
		if p.name != "" {
			names[p.name] = t.names[p.name]
		}
	}
	t.patterns, t.names = patterns, names
	t.learn(found)
	t.table.Store(newTable(t.patterns, t.names))
	if len(names) == 0 {
		return
	}
	if !t.refreshing {
		t.refreshing = true
		t.work.Go(t.keepFresh)
	}
	select {
	case t.wake <- struct{}{}:
	default: // it will wake up anyway
	}
}

// warnTrustAll names the patterns that let every client choose its address.
func (t *Trust) warnTrustAll(patterns []pattern) {
	for _, p := range patterns {
		if p.name == "" && p.prefix.Bits() == 0 {
			t.logger.Warn("proxytrust: this pattern trusts every address of its family, "+
				"so any client can choose its own", "pattern", p.text)
		}
	}
}

// newNames returns the hostnames of patterns that have not been known.
func (t *Trust) newNames(patterns []pattern) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var names []string
	for _, p := range patterns {
		if _, ok := t.names[p.name]; !ok && p.name != "" {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// keepFresh looks all names up again and again until Close. Being woken can
// bring the next look-up nearer but never push it away, or a caller that sets
// the list every few seconds would end them all.
func (t *Trust) keepFresh() {
	next := t.nextLookup()
	for {
		timer := time.NewTimer(time.Until(next))
		select {
		case <-t.ctx.Done():
			timer.Stop()
			return
		case <-t.wake:
			timer.Stop()
			if sooner := t.nextLookup(); sooner.Before(next) {
				next = sooner
			}
		case <-timer.C:
			t.refreshNames()
			next = t.nextLookup()
		}
	}
}

// nextLookup returns when the names are due if they were looked up now.
func (t *Trust) nextLookup() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	pause := t.refresh
	for _, a := range t.names {
		if len(a.known) == 0 {
			pause = min(t.refresh, retry)
		}
	}
	return time.Now().Add(pause)
}

// refreshNames looks all names up once and puts what changed in force.
func (t *Trust) refreshNames() {
	t.mu.Lock()
	names := make([]string, 0, len(t.names))
	for name := range t.names {
		names = append(names, name)
	}
	t.mu.Unlock()

	found := t.lookUp(names, laterLookup)

	t.mu.Lock()
	defer t.mu.Unlock()
	// Building the table costs milliseconds with many prefixes, and nearly
	// every look-up finds what the last one found.
	if t.learn(found) {
		t.table.Store(newTable(t.patterns, t.names))
	}
}

// lookUp asks for all names at once and returns a finding for each, at the
// latest after limit.
func (t *Trust) lookUp(names []string, limit time.Duration) []finding {
	ctx, cancel := context.WithTimeout(t.ctx, limit)
	defer cancel()
	// Buffered for all, so that an answer after the limit blocks nobody.
	answers := make(chan finding, len(names))
	for _, name := range names {
		t.work.Go(func() { answers <- t.ask(ctx, name) })
	}
	found := make([]finding, 0, len(names))
	missing := make(map[string]bool, len(names))
	for _, name := range names {
		missing[name] = true
	}
	for len(missing) > 0 {
		select {
		case f := <-answers:
			delete(missing, f.name)
			found = append(found, f)
		case <-ctx.Done():
			// Not waiting for the answers bounds New and Set even with a
			// Resolver that does not keep to its context.
			for name := range missing {
				found = append(found, finding{name: name, err: errNoAnswer})
			}
			return found
		}
	}
	return found
}

// ask looks one name up, as soon as a slot is free.
func (t *Trust) ask(ctx context.Context, name string) finding {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-ctx.Done():
		return finding{name: name, err: errNoAnswer}
	}
	addrs, err := t.resolver.LookupNetIP(ctx, "ip", name)
	addrs = usable(addrs)
	if err == nil && len(addrs) == 0 {
		err = errNoAddress
	}
	return finding{name, addrs, err}
}

// usable returns addrs sorted, in canonical form and each once. It drops the
// 0.0.0.0 with which filtering resolvers answer for a blocked name.
func usable(addrs []netip.Addr) []netip.Addr {
	kept := make([]netip.Addr, 0, len(addrs))
	for _, a := range addrs {
		if a = canonical(a); a.IsValid() {
			kept = append(kept, a)
		}
	}
	slices.SortFunc(kept, netip.Addr.Compare)
	return slices.Compact(kept)
}

// learn enters found into the names that are still configured and reports
// whether an address came or went. The caller holds mu.
func (t *Trust) learn(found []finding) (changed bool) {
	for _, f := range found {
		old, ok := t.names[f.name]
		if !ok {
			continue
		}
		now := t.learnOne(old, f)
		t.names[f.name] = now
		changed = changed || !slices.Equal(old.known, now.known)
	}
	return changed
}

// learnOne returns what is known after f, and logs each change once. A failure
// takes nothing away for a day, not even "no such host": services that restart
// answer so for a moment, and a proxy that is not trusted for that moment puts
// all its clients on one address.
func (t *Trust) learnOne(old addresses, f finding) addresses {
	now := time.Now()
	if f.err == nil {
		if old.failing || !slices.Equal(old.known, f.addrs) {
			t.logger.Info("proxytrust: trusted name resolved", "name", f.name, "addresses", f.addrs)
		}
		return addresses{known: f.addrs, asOf: now}
	}
	if t.ctx.Err() != nil {
		return old // ended by Close, which says nothing about the name
	}
	if len(old.known) > 0 && now.Sub(old.asOf) >= staleMax {
		t.logger.Warn("proxytrust: trusted name has not resolved for too long, its addresses are given up",
			"name", f.name, "addresses", old.known, "error", f.err)
		old.known = nil
	} else if !old.failing {
		t.logger.Warn("proxytrust: trusted name does not resolve",
			"name", f.name, "addresses kept", old.known, "error", f.err)
	}
	old.failing = true
	return old
}
