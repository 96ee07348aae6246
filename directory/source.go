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
// ctx and its deadline, and never log or return a password. One that can
// change passwords is also a [PasswordChanger], one with several servers a
// [Reporter].
type Source interface {
	// Find returns the one entry that name stands for. It returns ErrNoUser
	// when there is none or more than one, together with an Entry that holds
	// only the Node that said so, and ErrUnavailable when the directory cannot
	// tell.
	Find(ctx context.Context, name string) (Entry, error)

	// Verify checks password against the entry, with at most one bind, and
	// returns the entry, completed by what could only be read afterwards. A
	// refusal for the state of the account is an *AccountError, which is
	// ErrBadCredentials too. An empty password is ErrBadCredentials without
	// asking. The zero Entry stands for an unknown user: Verify does the same
	// work as for a wrong password and returns ErrBadCredentials.
	Verify(ctx context.Context, e Entry, password string) (Entry, error)

	// Groups returns the names of all groups of the entry, or an error:
	// never a part of them. An empty set means that the directory knows the
	// user to have no group. It asks the node of the entry first.
	//
	// With asked it is a second opinion: asked names the nodes whose word is
	// known, and another one is asked, in the order of preference. Where none
	// is left that answers, one of them is asked again over a connection of
	// its own. The entry is looked at there too: ErrNoUser means that it does
	// not exist on that node, or is disabled. GroupSet.Node says who answered,
	// and Preferred what it says, also together with ErrNoUser.
	Groups(ctx context.Context, e Entry, asked ...string) (GroupSet, error)
}

// An Entry is a user as one directory node shows it.
type Entry struct {
	ID          string // what stays when the user is renamed: entryUUID, objectGUID or the DN
	Name        string // the canonical user name
	DN          string // empty where the source has none
	DisplayName string
	Email       string
	Node        string // the node that answered; all that this login asks goes there

	// Disabled reports that the directory has barred the account for good, as
	// an administrator does; a lock that wrong passwords have set is none.
	Disabled bool

	// Notice is what the directory said about the password when it accepted
	// it.
	Notice PasswordNotice

	// Attributes holds what the source has read with the entry, for the
	// source alone. It is never modified.
	Attributes map[string][]string
}

// A GroupSet is the complete set of groups of one user at one time.
type GroupSet struct {
	Names []string // sorted, without duplicates; never modified
	Node  string   // the node that supplied them
	// Preferred reports that Node is the most preferred of all that are
	// configured, whether or not it is the one in use.
	Preferred bool
	Read      time.Time
	// Unheard is when the last of those nodes was well that were neither
	// asked nor could answer now; zero: there is none. While one of them was
	// well a moment ago, the others' no may be that of laggards alone.
	Unheard time.Time
}
