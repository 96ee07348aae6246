package directory

import (
	"context"
	"errors"
	"time"
)

// The verdicts of a [Source]. Every other error of a source means
// [ErrUnavailable]: no verdict.
var (
	// ErrNoUser means that the directory holds no such user.
	ErrNoUser = errors.New("directory: no such user")
	// ErrBadName means that a name cannot be a user's: it is empty, too long,
	// not UTF-8, or holds control characters. It wraps [ErrNoUser], and the
	// directory was not asked.
	ErrBadName = badNameError{}
	// ErrBadCredentials means that the directory refused the password.
	ErrBadCredentials = errors.New("directory: bad credentials")
	// ErrUnavailable means that there is no verdict: an outage, a time-out,
	// a protocol error. It must count nothing and end no session.
	ErrUnavailable = errors.New("directory: unavailable")
)

type badNameError struct{}

func (badNameError) Error() string { return "directory: not a user name" }
func (badNameError) Unwrap() error { return ErrNoUser }

// A Source answers for people: which entry is this name, is this the
// password, which groups. Implementations are safe for concurrent use, honour
// ctx and its deadline, and never log or return a password.
type Source interface {
	// Find returns the one entry that name stands for. It returns ErrNoUser
	// when there is none or more than one, and ErrUnavailable when the
	// directory cannot tell.
	Find(ctx context.Context, name string) (Entry, error)

	// Verify checks password against the entry, with at most one bind, and
	// returns the entry, completed by what could only be read afterwards. An
	// empty password is ErrBadCredentials without asking. The zero Entry
	// stands for an unknown user: Verify does the same work as for a wrong
	// password and returns ErrBadCredentials.
	Verify(ctx context.Context, e Entry, password string) (Entry, error)

	// Groups returns the names of all groups of the entry, or an error:
	// never a part of them. With other set it asks for a second opinion, from
	// another node or at least over another connection. An empty set means
	// that the directory knows the user to have no group.
	Groups(ctx context.Context, e Entry, other bool) (GroupSet, error)
}

// An Entry is a user as one directory node shows it.
type Entry struct {
	ID          string // what stays when the user is renamed: entryUUID, objectGUID or the DN
	Name        string // the canonical user name
	DN          string // empty where the source has none
	DisplayName string
	Email       string
	Node        string // the node that answered; all that this login asks goes there

	// Groups holds the values of a memberOf-like attribute that came with the
	// entry, for the source alone.
	Groups []string
}

// A GroupSet is the complete set of groups of one user at one time.
type GroupSet struct {
	Names []string // sorted, without duplicates; never modified
	Node  string   // the node that supplied them
	Read  time.Time
}
