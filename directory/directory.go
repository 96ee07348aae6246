// Package directory answers three questions about people: is this the
// password, who is this, and which groups are they in. A [Source] asks the
// real directory (package ldapdir) or a fixed list ([Static]); a [Directory]
// stands before it, keeps the groups for a while, and sees to it that an
// outage of the directory is never taken for a "no".
//
// # Three verdicts
//
// Every answer is yes, no, or no verdict. [ErrNoUser] and
// [ErrBadCredentials] are a no; everything that is not understood is
// [ErrUnavailable], which must count nothing, log nobody out and be answered
// with 503.
//
// # Groups
//
// Groups are known, known to be none, or unknown. Read a moment ago they are
// fresh and cost nothing; after half of Config.TTL one read in the background
// renews them; after the TTL a request waits for the read, so that somebody
// who was taken out of a group is out after the TTL. Only if that read fails
// are older groups used, up to Config.StaleMax, and [User.GroupsRead] shows
// their age. After that they are unknown.
//
// # Nodes that disagree
//
// One node's "no" is never enough, since a node may lag, and laggards may miss
// the same. A group that a read lacks is lost when a second node lacks it too
// (or, where no other answers, a second connection), and one of those asked is
// the node that has shown it. Until then it is held: the user has it still.
// That ends when the nodes agree, and else after Config.Hold by the word of the
// preferred node, against which no other brings the group back; while the
// preferred one is down, after Config.StaleMax by the word of the one in use.
// Groups that are gained count at once.
//
// An entry that is gone or disabled is confirmed in the same way. Only the
// node in use and the preferred one can put it in doubt; that holds what is
// known for the TTL, then the preferred node's word counts, and without it the
// user is unknown, but no session ends.
//
// A needed group lets in when any node shows it. It is missing for certain
// only when the preferred node was heard, and a second opinion, and no other
// node that cannot be asked was well within Config.Hold.
//
// [Directory.Held] tells about whom nodes disagree, and Config.Lost who has
// lost something.
package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Defaults of [Config].
const (
	defaultTTL      = 5 * time.Minute
	defaultStaleMax = 8 * time.Hour
	defaultHold     = 15 * time.Minute
	defaultMax      = 100_000
	defaultTimeout  = 5 * time.Second
)

// A Config says where people are and how long their groups count.
type Config struct {
	// Source is asked. Required. The Directory does not close it.
	Source Source
	// TTL is how long groups count as fresh. Zero means 5 minutes.
	TTL time.Duration
	// StaleMax is how old groups may be when they cannot be read, at least
	// TTL. Zero means 8 hours, or TTL when that is longer.
	StaleMax time.Duration
	// Hold is how long a group that one node lacks and another has is the
	// user's still, at most StaleMax; then the preferred node's word counts.
	// Zero means 15 minutes, or StaleMax when that is shorter.
	Hold time.Duration
	// Max is the most users whose groups are kept; beyond it one that was not
	// used lately goes. Zero means 100,000.
	Max int
	// Timeout bounds one read of the groups, whoever waits for it; opinions of
	// further nodes get half of it together. Zero means 5 seconds.
	Timeout time.Duration
	// UpdateAtLogin says which logins read the groups. Zero means all.
	UpdateAtLogin UpdateAtLogin
	// Lost is told of everybody who has lost groups, or is gone: end what
	// they have by them. Nil means that nobody is told. It is called by the
	// goroutine that has read the groups, after [Directory.User] shows the
	// loss, and holds up no other user. It must not block for long, since
	// Close waits for it, and must not call Close.
	Lost func(Loss)
	// Logger gets a line when reads begin to fail and when they work again, and
	// when nodes begin to disagree about a user and when they no longer do.
	// Nil means none.
	Logger *slog.Logger
}

// New returns a Directory. The error names every bad field.
func New(c Config) (*Directory, error) {
	if err := errors.Join(c.check()...); err != nil {
		return nil, err
	}
	c.Hold = cmp.Or(c.Hold, min(defaultHold, c.StaleMax))
	c.Max = cmp.Or(c.Max, defaultMax)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return newDirectory(c), nil
}

// check returns the faults of c and fills in the times that stand alone.
func (c *Config) check() (errs []error) {
	if c.Source == nil {
		errs = append(errs, errors.New("directory: Config.Source is required"))
	}
	for _, f := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{
		{"TTL", &c.TTL, defaultTTL},
		{"StaleMax", &c.StaleMax, max(defaultStaleMax, c.TTL)},
		{"Hold", &c.Hold, 0},
		{"Timeout", &c.Timeout, defaultTimeout},
	} {
		switch {
		case *f.value < 0:
			errs = append(errs, fmt.Errorf("directory: Config.%s is negative: %v", f.name, *f.value))
		case *f.value == 0:
			*f.value = f.zero
		}
	}
	if c.TTL > 0 && c.StaleMax > 0 && c.StaleMax < c.TTL {
		errs = append(errs, fmt.Errorf("directory: Config.StaleMax %v is less than TTL %v", c.StaleMax, c.TTL))
	}
	if c.StaleMax > 0 && c.Hold > c.StaleMax {
		errs = append(errs, fmt.Errorf("directory: Config.Hold %v is more than StaleMax %v", c.Hold, c.StaleMax))
	}
	if c.UpdateAtLogin < UpdateAlways || c.UpdateAtLogin > UpdateNever {
		errs = append(errs, fmt.Errorf("directory: Config.UpdateAtLogin is unknown: %d", c.UpdateAtLogin))
	}
	if c.Max < 0 {
		errs = append(errs, fmt.Errorf("directory: Config.Max is negative: %d", c.Max))
	}
	return errs
}

// Find returns the entry that name stands for: [ErrBadName], without asking,
// or [ErrNoUser], or [ErrUnavailable] for whatever else went wrong. Somebody
// whose groups are known is there as long as any node says so.
func (d *Directory) Find(ctx context.Context, name string) (Entry, error) {
	e, err := d.find(ctx, name)
	if isGone(err) && e.Node != "" {
		return d.elsewhere(ctx, name, e.Node, err)
	}
	return e, err
}

// find takes the word of the node in use. With ErrNoUser the Entry has the
// Node, if one was asked.
func (d *Directory) find(ctx context.Context, name string) (Entry, error) {
	if err := CheckName(name); err != nil {
		return Entry{}, err
	}
	e, err := d.source.Find(ctx, name)
	if err != nil {
		return Entry{Node: e.Node}, verdict(err, ErrNoUser)
	}
	return complete(e)
}

// elsewhere looks on the other nodes for somebody whom a node does not know,
// although others have shown the entry lately: a laggard in use must not make
// strangers of people, whose logins would then count as failed.
func (d *Directory) elsewhere(ctx context.Context, name, node string, gone error) (Entry, error) {
	s := d.cached(name)
	if s == nil || !time.Now().Before(s.known.Load().dead) {
		return Entry{Node: node}, gone
	}
	k := s.known.Load()
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout/2)
	defer cancel()
	g, err := d.source.Groups(ctx, k.entry(), node)
	switch {
	case err == nil:
		u := k.user
		return Entry{ID: u.ID, Name: u.Name, DN: k.dn, DisplayName: u.DisplayName, Email: u.Email, Node: g.Node}, nil
	case !isGone(err):
		return Entry{Node: node}, verdict(err, ErrUnavailable)
	case time.Since(g.Unheard) < d.config.Hold:
		return Entry{Node: node}, errDisputed
	case !g.Preferred && !d.prefers(node) && g.Node != k.origin && node != k.origin:
		return Entry{Node: node}, errDisputed // laggards alone have spoken
	}
	return Entry{Node: node}, gone
}

// complete refuses an entry without name or ID: sessions and the cache go by
// these two, and an entry without them would be everybody's.
func complete(e Entry) (Entry, error) {
	if e.ID == "" || e.Name == "" {
		return Entry{}, fmt.Errorf("%w: entry without name or ID", ErrUnavailable)
	}
	return e, nil
}

// Verify checks the password of e and returns the completed entry, or
// [ErrBadCredentials], or [ErrUnavailable] for whatever else went wrong. An
// empty password is refused without asking. The zero Entry stands for a user
// who was not found and costs what a wrong password costs.
func (d *Directory) Verify(ctx context.Context, e Entry, password string) (Entry, error) {
	if password == "" {
		return Entry{}, ErrBadCredentials
	}
	got, err := d.source.Verify(ctx, e, password)
	switch {
	case err != nil:
		return Entry{}, verdict(err, ErrBadCredentials)
	case e.ID == "":
		return Entry{}, fmt.Errorf("%w: the source said yes to nobody", ErrUnavailable)
	}
	return complete(got)
}

// verdict returns err when it is the no that the method may say, and no
// verdict otherwise. ErrUnavailable wins over any no that it is joined with.
func verdict(err, no error) error {
	switch {
	case errors.Is(err, ErrUnavailable):
		return err
	case errors.Is(err, no):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
