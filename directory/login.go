package directory

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// maxOthers bounds the reads of others that a login waits for.
const maxOthers = 8

// UpdateAtLogin says which logins read the groups.
type UpdateAtLogin int

const (
	// UpdateAlways lets every login read them.
	UpdateAlways UpdateAtLogin = iota
	// UpdateNewUsers lets a login read them when none are known that may be
	// used, or none of the needed groups is among them; else they are as old
	// as for a request.
	UpdateNewUsers
	// UpdateNever lets a login read them only when it needs a group and none
	// are known, or none of the needed ones is among them. Without need, a
	// login returns what is known, of whatever age, or unknown groups and no
	// error; the first request reads them.
	UpdateNever
)

// Login reads the groups of an entry that was found and verified, now, and
// returns its user; Config.UpdateAtLogin can spare reads. need are groups of
// which the user must have one: with none of them the user is returned without
// an error if that is certain, and it is for the caller to refuse.
//
// When the groups cannot be read it returns the groups last known of this same
// entry, with their age; when there are none younger than Config.StaleMax, or
// none of the needed ones among them, a user with unknown groups together with
// [ErrUnavailable]. [ErrNoUser] means that the entry has gone meanwhile.
//
// A caller whose ctx ends is answered so at once; the read goes on for others.
func (d *Directory) Login(ctx context.Context, e Entry, need ...string) (*User, error) {
	return d.login(ctx, e, need, nil)
}

// ReadAhead begins to read what a Login of e will want and returns that Login,
// so that password and groups of somebody known are looked at side by side.
// Whoever calls it verifies the password meanwhile, and calls the result, with
// the entry as verified, only if it was right. Of somebody of whom nothing is
// known it reads nothing ahead: strangers cannot make it ask.
func (d *Directory) ReadAhead(ctx context.Context, e Entry, need ...string) (login func(context.Context, Entry) (*User, error)) {
	var ahead *flight
	_, incomplete := complete(e)
	s := d.cached(e.Name)
	if incomplete == nil && e.Node != "" && s != nil && s.known.Load().user.ID == e.ID && d.spare(e, need) == nil {
		ahead, _ = d.join(ctx, e.Name, &e, need)
	}
	return func(ctx context.Context, verified Entry) (*User, error) {
		return d.login(ctx, verified, need, ahead)
	}
}

// login is Login with a read that was begun for it, or nil.
func (d *Directory) login(ctx context.Context, e Entry, need []string, ahead *flight) (*User, error) {
	if _, err := complete(e); err != nil {
		return newUser(e, GroupSet{}), err
	}
	if u := d.spare(e, need); u != nil {
		return u, nil
	}
	var err error
	// A read that is under way may be of a namesake, need other groups, or
	// fail for a reason of its own node; then this login asks itself, when its
	// turn comes.
	for range maxOthers {
		f, own := ahead, false
		if ahead = nil; f == nil {
			f, own = d.join(ctx, e.Name, &e, need)
		}
		if f == nil {
			break
		}
		var u *User
		u, err = f.wait(ctx)
		if err == nil && u.ID == e.ID && (own || has(u, need) || slices.Equal(f.need, need)) {
			d.config.Logger.Debug("updating groups on login", "user", e.Name, "node", u.Node, "groups", len(u.Groups), "took", f.took)
			if f.doubt != nil && !has(u, need) {
				return newUser(e, GroupSet{}), f.doubt
			}
			return d.note(e, u), nil
		}
		if own || ctx.Err() != nil {
			break
		}
	}
	if errors.Is(err, ErrNoUser) {
		return nil, err
	}
	u, none := d.lastKnown(e, err)
	switch {
	case none != nil:
		return u, none
	case !has(u, need):
		// Groups of some time ago refuse nobody.
		return newUser(e, GroupSet{}), verdict(cmp.Or(err, errPaused), ErrUnavailable)
	}
	return d.note(e, u), nil
}

// has reports whether u has one of the groups that are needed, if any are.
func has(u *User, need []string) bool {
	return len(need) == 0 || u.In(need...)
}

// spare returns the user of a login that reads nothing, or nil when it must.
func (d *Directory) spare(e Entry, need []string) *User {
	if d.config.UpdateAtLogin == UpdateAlways {
		return nil
	}
	never := d.config.UpdateAtLogin == UpdateNever
	s, now := d.cached(e.Name), time.Now()
	if s == nil || !d.usable(s, e.ID, never, now) {
		if never && len(need) == 0 {
			return newUser(e, GroupSet{})
		}
		return nil
	}
	u := s.known.Load().user
	if !has(u, need) {
		return nil
	}
	s.touch()
	if !never && now.Sub(s.known.Load().checked) > d.config.TTL/2 && s.due(now) {
		d.renew(s, need)
	}
	return d.note(e, u)
}

// usable reports whether a login may do with what is known.
func (d *Directory) usable(s *slot, id string, stale bool, now time.Time) bool {
	k := s.known.Load()
	return k.user.ID == id && now.Before(k.dead) && (stale || now.Sub(k.checked) < d.config.TTL)
}

// note returns u with what this login was told about the password, and keeps
// that for later.
func (d *Directory) note(e Entry, u *User) *User {
	if u.Notice == e.Notice {
		return u
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.cached(e.Name); s != nil && s.known.Load().user.ID == e.ID {
		k := new(*s.known.Load())
		k.user = k.user.noting(e.Notice)
		s.known.Store(k)
	}
	return u.noting(e.Notice)
}
