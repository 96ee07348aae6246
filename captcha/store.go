package captcha

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound is returned by [Store.Peek] and [Store.Take] for a challenge
// that is unknown, expired or already taken.
var ErrNotFound = errors.New("captcha: no such challenge")

// ErrFull is returned by [Store.Put] when no further challenge fits.
var ErrFull = errors.New("captcha: store is full")

// A Store keeps the answers of open challenges. Implementations are safe for
// concurrent use, never modify or keep a caller's slice, and are checked by
// internal/storetest.
type Store interface {
	// Put keeps data under id for ttl. A full store returns ErrFull; it
	// never drops a challenge that is still open to make room.
	Put(ctx context.Context, id string, data []byte, ttl time.Duration) error

	// Peek returns the data under id and leaves it there: a picture, and the
	// sound of the same challenge, can be drawn any number of times.
	Peek(ctx context.Context, id string) ([]byte, error)

	// Take returns the data under id and deletes it: of any number of calls,
	// over all nodes, one succeeds.
	Take(ctx context.Context, id string) ([]byte, error)
}
