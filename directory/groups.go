package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patrickmn/go-cache"
)

// A Directory stands before a [Source] and keeps the groups of the people
// that were found. It is safe for concurrent use.
type Directory struct {
	source Source
	config Config

	// cache holds a *slot for each user whose groups were read, by the
	// canonical name. Nothing in it expires by itself, because go-cache sweeps
	// the whole map under its lock; keep bounds it.
	cache *cache.Cache

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // reads

	failing   atomic.Bool            // the last read of any user failed
	preferred atomic.Pointer[string] // the node that was preferred last

	mu     sync.Mutex
	closed bool
	first  map[string]*slot // no groups yet: a first read runs, or has failed lately
	ring   []*slot          // what is in cache
	hand   int              // where the search for somebody to evict goes on
	held   map[*slot]*hold  // whose groups are held; all of them are in ring
}

func newDirectory(c Config) *Directory {
	d := &Directory{
		source: c.Source,
		config: c,
		cache:  cache.New(cache.NoExpiration, 0), // 0: no janitor, it has no Close
		first:  map[string]*slot{},
		held:   map[*slot]*hold{},
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// User returns the user of a live session: name is the canonical name and id
// the [Entry.ID], both as [Directory.Login] returned them. Fresh groups cost a
// look into a map; the package comment says what else can happen. need is as
// for Login, and counts when the groups are read for this request. The error
// is
//
//   - [ErrNoUser], when the directory has no such entry any more, or its name
//     is another entry's now: end the session;
//   - [ErrUnavailable], together with a user whose groups are unknown, when
//     there is no verdict: end nothing.
func (d *Directory) User(ctx context.Context, name, id string, need ...string) (*User, error) {
	now := time.Now()
	if s := d.cached(name); s != nil {
		k := s.known.Load()
		u := k.user
		if age := now.Sub(k.checked); age < d.config.TTL && u.ID == id && now.Before(k.dead) {
			s.touch()
			if age > d.config.TTL/2 && s.due(now) {
				d.renew(s, need)
			}
			return u, nil
		}
		// Another ID: either this session's entry is gone or a namesake of
		// before is still in the cache. Only the directory knows, and it has
		// been asked about this one a moment ago.
		if g := s.former.Load(); g != nil && g.id == id && u.ID != id && now.Before(g.until) {
			return nil, errNamesake
		}
	}
	return d.await(ctx, name, id, need)
}

// await waits for a read, and falls back to what is known.
func (d *Directory) await(ctx context.Context, name, id string, need []string) (*User, error) {
	err := errPaused
	if f, _ := d.join(ctx, name, nil, need); f != nil {
		var u *User
		if u, err = f.wait(ctx); err == nil {
			if u.ID != id {
				s := d.cached(name)
				if s != nil && s.known.Load().held.absent() {
					// This may be the namesake who comes after u.
					return newUser(Entry{Name: name, ID: id}, GroupSet{}), errDisputed
				}
				if s != nil {
					s.former.Store(&former{id, time.Now().Add(firstPause)})
				}
				return nil, errNamesake
			}
			return u, nil
		}
	}
	if errors.Is(err, ErrNoUser) {
		return nil, err
	}
	return d.lastKnown(Entry{Name: name, ID: id}, err)
}

// errNamesake means that the name belongs to somebody else by now.
var errNamesake = fmt.Errorf("%w: the name is another entry's now", ErrNoUser)

// errPaused is why there is no read: the last one failed a moment ago, or the
// Directory is closed.
var errPaused = fmt.Errorf("%w: not asked again yet", ErrUnavailable)

// lastKnown returns the groups of this very entry, or the user without them
// and the reason.
func (d *Directory) lastKnown(e Entry, err error) (*User, error) {
	if s := d.cached(e.Name); s != nil {
		k := s.known.Load()
		if k.user.ID == e.ID && time.Now().Before(k.dead) {
			s.touch()
			return k.user, nil
		}
	}
	if err == nil {
		err = errPaused
	}
	return newUser(e, GroupSet{}), verdict(err, ErrUnavailable)
}

// Nodes returns the servers of the source in the order of preference, or nil
// when it is no [Reporter]. It asks nobody.
func (d *Directory) Nodes() []NodeState {
	if r, ok := d.source.(Reporter); ok {
		return r.Nodes()
	}
	return nil
}

// Forget drops what is known of the user with this canonical name, so that
// the next use reads it again. A read under way is not kept either.
func (d *Directory) Forget(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.slot(name); s != nil {
		d.drop(s)
	}
}

// Close cancels the reads under way and returns when none is left. Groups
// that are known are still served, and nothing is read any more. Close may be
// called twice; the error is always nil.
func (d *Directory) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	d.wg.Wait()
	return nil
}
