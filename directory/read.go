package directory

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A flight is one read of one user that any number of callers wait for.
type flight struct {
	need []string      // groups of which one was needed
	done chan struct{} // closed when user and err are set
	user *User
	err  error
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
func (d *Directory) renew(s *slot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed && !s.gone && s.flight == nil && s.due(time.Now()) {
		d.start(d.ctx, s, nil, nil)
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
		u, err := d.read(ctx, s.name, e)
		if e != nil && err == nil {
			d.config.Logger.Debug("updating groups on login", "user", s.name, "node", u.Node, "groups", len(u.Groups), "took", time.Since(began))
		}
		loss := d.land(s, f, u, err, e != nil)
		if loss != nil && d.config.Lost != nil {
			d.config.Lost(*loss)
		}
	})
	return f
}

// read asks the source: for the entry too, unless a login brings it, because
// an entry that has gone or changed hands ends sessions.
func (d *Directory) read(ctx context.Context, name string, e *Entry) (*User, error) {
	if e == nil {
		found, err := d.Find(ctx, name)
		if err != nil {
			return nil, err
		}
		e = &found
	}
	g, err := d.source.Groups(ctx, *e)
	if err != nil {
		return nil, verdict(err, ErrNoUser)
	}
	// A time to come would make a removal outlive the TTL.
	if now := time.Now(); g.Read.IsZero() || g.Read.After(now) {
		g.Read = now
	}
	return newUser(*e, g), nil
}

// land ends a read: it keeps what was read and wakes who waits.
func (d *Directory) land(s *slot, f *flight, u *User, err error, login bool) (loss *Loss) {
	d.mu.Lock()
	now := time.Now()
	old := s.user.Load()
	if err == nil && !login && old != nil && old.ID == u.ID {
		u.Notice = old.Notice // a search is told nothing about the password
	}
	if old != nil && !s.gone {
		loss = lossOf(old, u, err)
	}
	s.flight = nil
	switch {
	case err == nil:
		s.user.Store(u)
		s.fails = 0
		s.quiet.Store(0)
		if !s.gone {
			d.keep(s)
		}
	case errors.Is(err, ErrNoUser):
		if !s.gone { // else forgotten meanwhile: what was read is not kept
			d.drop(s)
			d.miss(s.name, f, now)
		}
	default:
		s.pause(now, d.config.TTL)
	}
	d.mu.Unlock()
	d.report(s.name, err)
	f.user, f.err = u, err
	close(f.done)
	return loss
}

// lossOf returns what old had and u has not, or nil.
func lossOf(old, u *User, err error) *Loss {
	switch {
	case errors.Is(err, ErrNoUser):
		return &Loss{User: old.Name, ID: old.ID, Groups: old.Groups, Gone: true}
	case err != nil || u.ID != old.ID:
		return nil
	}
	var lost []string
	for _, g := range old.Groups {
		if !u.In(g) {
			lost = append(lost, g)
		}
	}
	if lost == nil {
		return nil
	}
	return &Loss{User: old.Name, ID: old.ID, Groups: lost}
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
