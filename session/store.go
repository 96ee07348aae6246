package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Key names one session in a [Store]. The cookie itself never reaches a
// store: Hash is the SHA-256 of it.
type Key struct {
	// Shard is the first two bytes of SHA-256(user), random for anonymous
	// sessions. All sessions of a user share it, so that a cluster keeps
	// them on one node and still spreads users.
	Shard uint16
	Hash  [32]byte
}

// A Kind tells what a [Record] is for.
type Kind uint8

// The kinds of records. Zero is none of them: a record whose kind was lost
// authenticates nobody.
const (
	KindSession    Kind = 1 // a session behind the session cookie
	KindRememberMe Kind = 2 // a remember-me series
)

// A Record is one stored session. It is a value: Data is a string, so no
// store and no caller can change it in place, and every reader may share it.
type Record struct {
	User    string        // canonical user name; "" for an anonymous visitor
	Kind    Kind          // what the record is for
	Expires time.Time     // absolute end, never moved by use
	Idle    time.Duration // end after this long without a Load; 0: no idle end
	Version uint64        // counts the saves, for optimistic locking
	Data    string        // any bytes; versioned; decoded by this package alone
}

// Format writes r without its Data, which holds the secret of form tokens.
func (r Record) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "session record of %q, kind %d, version %d, expires %v", r.User, uint8(r.Kind), r.Version, r.Expires)
}

// ErrNotFound is returned by [Store.Load] for a key that is unknown, expired
// or idle for too long.
var ErrNotFound = errors.New("session: not found")

// ErrConflict is returned by [Store.Save] when somebody else saved first.
var ErrConflict = errors.New("session: saved by another request meanwhile")

// A Store keeps sessions. Implementations are safe for concurrent use, bound
// the time of every call themselves (the context may have no deadline), return
// errors other than the two above only when the store does not answer, and
// are checked by internal/storetest.
type Store interface {
	// Load returns the record under key and moves its idle deadline, which
	// it may skip while less than Idle/16 has passed since the last move.
	// It returns ErrNotFound for unknown, expired and idle records.
	Load(ctx context.Context, key Key) (Record, error)

	// Save stores r with Version+1 and indexes it under r.User, atomically.
	// The stored version must equal r.Version (0: the key must not exist);
	// otherwise it returns ErrConflict and changes nothing.
	Save(ctx context.Context, key Key, r Record) error

	// Delete removes the record; it returns nil when there is none. The next
	// Load on any node returns ErrNotFound.
	Delete(ctx context.Context, key Key) error

	// List returns the live records of user, whose keys all carry shard. It
	// prunes its index and moves no idle deadline.
	List(ctx context.Context, shard uint16, user string) (map[Key]Record, error)
}
