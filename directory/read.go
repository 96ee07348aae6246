package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A flight is one read of one user that any number of callers wait for.
type flight struct {
	need []string      // groups of which one was needed
	done chan struct{} // closed when user and err are set
	user *User
	err  error
	// doubt is why it is no verdict that the user has none of need.
	doubt error
	took  time.Duration
}

// wait returns the result of the read, or ErrUnavailable when ctx ends first.
func (f *flight) wait(ctx context.Context) (*User, error) {
	select {
	case <-f.done:
		return f.user, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// join returns the read of name that is under way, or starts one, or returns
// nil when none may begin. With an entry it is a login: that reads this entry
// and does not mind a pause. own reports that this caller has started it.
func (d *Directory) join(ctx context.Context, name string, e *Entry, need []string) (f *flight, own bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.slot(name)
	switch {
	case s != nil && s.flight != nil:
		return s.flight, false
	case s != nil && s.absent != nil && e == nil && !s.due(time.Now()):
		return s.absent, false
	case d.closed || s != nil && e == nil && !s.due(time.Now()):
		return nil, false
	case s == nil:
		s = d.add(name)
	}
	// The caller's values stay, for traces; its end does not count, since
	// others may wait for the same read.
	return d.start(context.WithoutCancel(ctx), s, e, need), true
}

// renew starts a read that nobody waits for.
func (d *Directory) renew(s *slot, need []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed && !s.gone && s.flight == nil && s.due(time.Now()) {
		d.start(d.ctx, s, nil, need)
	}
}

// start begins the read. The caller holds mu and has checked closed.
func (d *Directory) start(ctx context.Context, s *slot, e *Entry, need []string) *flight {
	f := s.fly()
	f.need = need
	if e != nil {
		e = new(*e) // not the caller's variable
	}
	d.wg.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
		defer cancel()
		defer context.AfterFunc(d.ctx, cancel)()
		began := time.Now()
		out := d.read(ctx, s, e, need)
		f.took = time.Since(began)
		d.land(s, f, out)
	})
	return f
}

// read asks the source: for the entry too, unless a login brings it, because
// an entry that has gone or changed hands ends sessions.
func (d *Directory) read(ctx context.Context, s *slot, login *Entry, need []string) outcome {
	b := &ballot{config: &d.config, now: time.Now(), need: need, last: s.known.Load()}
	if login != nil {
		if b.last != nil && b.last.user.ID != login.ID {
			b.last = nil // a namesake, who has just logged in
		}
		return d.poll(ctx, b, *login)
	}
	found, err := d.find(ctx, s.name)
	missing := view{node: found.Node, preferred: d.prefers(found.Node), gone: true, read: b.now}
	switch {
	case isGone(err) && b.last == nil:
		return outcome{err: err}
	case isGone(err):
		b.views = append(b.views, missing)
		return d.poll(ctx, b, b.last.entry())
	case err != nil:
		return outcome{err: err}
	case b.last != nil && b.last.user.ID != found.ID:
		// A namesake, if nobody has the entry of before any longer.
		b.views, b.need = append(b.views, missing), nil
		if out := d.poll(ctx, b, b.last.entry()); !isGone(out.err) {
			return out
		}
		b = &ballot{config: &d.config, now: b.now, need: need}
	}
	return d.poll(ctx, b, found)
}

// maxOpinions bounds the nodes that one read asks.
const maxOpinions = 16

// poll asks node after node about the entry until the ballot is decided or no
// further one answers.
func (d *Directory) poll(ctx context.Context, b *ballot, e Entry) outcome {
	if len(b.views) == 0 {
		v, err := d.look(ctx, e, nil)
		if err != nil {
			return outcome{err: err}
		}
		b.add(v)
	}
	// A node that hangs must not cost whoever waits what the first has said.
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout/2)
	defer cancel()
	for len(b.views) < maxOpinions && b.open() {
		b.tried = true
		asked := make([]string, 0, len(b.views))
		for _, v := range b.views {
			asked = append(asked, v.node)
		}
		v, err := d.look(ctx, e, asked)
		if err != nil {
			b.unheard = time.Now()
			break
		}
		b.add(v)
		if slices.Contains(asked, v.node) {
			break // another connection to the same node: there is no other
		}
	}
	return b.result(e)
}

// look returns what a node that was not asked says about the entry.
func (d *Directory) look(ctx context.Context, e Entry, asked []string) (view, error) {
	v := view{node: e.Node, gone: true, read: time.Now()}
	if len(asked) == 0 && e.Disabled {
		v.preferred = d.prefers(e.Node)
		return v, nil
	}
	g, err := d.source.Groups(ctx, e, asked...)
	if err != nil && !isGone(err) {
		return view{}, verdict(err, ErrUnavailable)
	}
	d.learn(g)
	v = view{node: g.Node, preferred: g.Preferred, gone: err != nil, names: g.Names, read: v.read, unheard: g.Unheard}
	// A time to come would make a removal outlive the TTL.
	if !g.Read.IsZero() && g.Read.Before(time.Now()) {
		v.read = g.Read
	}
	return v, nil
}

// learn remembers which node is the preferred one.
func (d *Directory) learn(g GroupSet) {
	if g.Preferred && !d.prefers(g.Node) {
		d.preferred.Store(&g.Node)
	}
}

// prefers reports whether the node was the preferred one when groups were
// last read there: no word that there is no entry says so itself.
func (d *Directory) prefers(node string) bool {
	p := d.preferred.Load()
	return p != nil && *p == node
}

// land ends a read: it keeps what was read, wakes who waits, and tells who
// has lost something.
func (d *Directory) land(s *slot, f *flight, out outcome) {
	d.mu.Lock()
	now := time.Now()
	s.flight = nil
	last, kept, was := s.known.Load(), !s.gone, d.held[s]
	if k := out.known; k != nil {
		if last != nil && last.user.ID == k.user.ID {
			k.user = k.user.noting(last.user.Notice) // a read is told nothing about the password
		}
		s.known.Store(k)
		if kept {
			d.keep(s)
		}
	}
	switch {
	case out.err == nil:
		s.fails = 0
		s.quiet.Store(0)
	case isGone(out.err):
		if kept { // else forgotten meanwhile: what was read is not kept
			d.drop(s)
			d.miss(s.name, f, now)
		}
	default:
		s.pause(now, d.config.TTL)
	}
	held := d.mark(s)
	d.mu.Unlock()
	d.report(s.name, out.err)
	d.logHold(s.name, was, held, now)
	if f.err = out.err; f.err == nil {
		f.user, f.doubt = out.known.user, out.doubt
	}
	close(f.done)
	if last != nil {
		d.tell(s.name, last, out)
	}
}

// miss remembers for a moment that the directory had no such entry, or the
// cookie of somebody who is gone would cost it a search a request. The caller
// holds mu.
func (d *Directory) miss(name string, f *flight, now time.Time) {
	if d.slot(name) != nil {
		return
	}
	s := d.add(name)
	s.absent = f
	s.quiet.Store(now.Add(firstPause).UnixNano())
}

// report logs when reads begin to fail and when they work again: one line for
// an outage, not one for each user.
func (d *Directory) report(name string, err error) {
	if errors.Is(err, errUnheard) || errors.Is(err, errDisputed) {
		return // the directory does answer
	}
	bad := err != nil && !errors.Is(err, ErrNoUser)
	switch was := d.failing.Swap(bad); {
	case bad && !was:
		d.config.Logger.Warn("groups cannot be read; the last known ones are used", "user", name, "error", err)
	case bad:
		d.config.Logger.Debug("groups cannot be read", "user", name, "error", err)
	case was:
		d.config.Logger.Info("groups can be read again", "user", name)
	}
}
