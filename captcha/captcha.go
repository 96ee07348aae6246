// Package captcha makes challenges that a person can answer and a simple
// program cannot, and checks the answers.
//
// A challenge is made for one subject, drawn as a picture any number of times,
// and good for one attempt: right, wrong or for another subject, the attempt
// burns it. Unanswered it expires. What is open stands in a [Store]; with a
// shared one, a challenge made by one node can be answered at any other, and
// still only once.
//
//	id, err := c.Create(ctx, "fred")        // into the form, as a hidden field
//	png, err := c.Picture(ctx, id)          // behind the form's <img>
//	err = c.Check(ctx, id, answer, "fred")  // nil, ErrWrongAnswer or ErrNotFound
package captcha

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrWrongAnswer is returned by [Captcha.Check] for an answer that is wrong,
// or that is given for another subject than the challenge was made for.
var ErrWrongAnswer = errors.New("captcha: wrong answer")

// A Painter draws an answer so that people can read it and programs hardly
// can. It is called with an answer of [Captcha.Create], from several
// goroutines at once.
type Painter interface {
	// Paint returns a PNG of answer, or an error and no picture.
	Paint(answer string) (png []byte, err error)
}

// Config configures a [Captcha]. The zero Config is valid.
type Config struct {
	// Store keeps the open challenges. Nil means a [Memory] of its own, which
	// is right for one node.
	Store Store

	// Painter draws the pictures. Nil means distorted letters and digits of
	// 240 by 80 pixels, drawn by base64Captcha.
	Painter Painter

	// Lifetime is how long a challenge may be answered. Zero means 5 minutes;
	// less than a second is an error.
	Lifetime time.Duration

	// InsecureAnswers receives a line "ID ANSWER" for each challenge, in one
	// call of Write. It is for tests alone: who can read it is no longer
	// asked anything.
	InsecureAnswers io.Writer
}

const defaultLifetime = 5 * time.Minute

// A Captcha makes and checks challenges. It is safe for concurrent use.
type Captcha struct {
	store    Store
	painter  Painter
	lifetime time.Duration

	mu      sync.Mutex // one line at a time
	answers io.Writer
}

// New returns a Captcha, or all faults of c together.
func New(c Config) (*Captcha, error) {
	if c.Lifetime != 0 && c.Lifetime < time.Second {
		return nil, fmt.Errorf("captcha: Config.Lifetime is under a second: %v", c.Lifetime)
	}
	if c.Lifetime == 0 {
		c.Lifetime = defaultLifetime
	}
	if c.Painter == nil {
		c.Painter = newPainter()
	}
	if c.Store == nil {
		c.Store = NewMemory(MemoryConfig{})
	}
	return &Captcha{store: c.Store, painter: c.Painter, lifetime: c.Lifetime, answers: c.InsecureAnswers}, nil
}

// Create makes a challenge for subject, such as a user name, and returns its
// id: 22 characters that are safe in URLs and attributes and tell nothing
// about the answer. It returns [ErrFull] when the store takes no more, or the
// store's own error.
func (c *Captcha) Create(ctx context.Context, subject string) (id string, err error) {
	id, answer := newID(), newAnswer()
	if err := c.store.Put(ctx, id, encode(id, subject, answer), c.lifetime); err != nil {
		return "", err
	}
	if err := c.reveal(id, answer); err != nil {
		return "", err
	}
	return id, nil
}

func (c *Captcha) reveal(id, answer string) error {
	if c.answers == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := fmt.Fprintf(c.answers, "%s %s\n", id, answer)
	return err
}

// Picture returns a PNG of the challenge, which stays open; each call draws it
// anew. It returns [ErrNotFound] for a challenge that is unknown, expired or
// answered, or the error of the store or the painter.
func (c *Captcha) Picture(ctx context.Context, id string) ([]byte, error) {
	if !isID(id) {
		return nil, ErrNotFound
	}
	data, err := c.store.Peek(ctx, id)
	if err != nil {
		return nil, err
	}
	_, answer, err := decode(data)
	if err != nil {
		return nil, err
	}
	return c.painter.Paint(answer)
}

// Check returns nil when answer is that of the challenge id and the challenge
// was made for subject. Case, spaces and full-width forms make no difference.
// Any call burns the challenge. Errors are [ErrWrongAnswer], [ErrNotFound] for
// a challenge that is unknown, expired or already tried, and those of the
// store, after which the caller must not take the challenge for answered.
func (c *Captcha) Check(ctx context.Context, id, answer, subject string) error {
	if !isID(id) {
		return ErrNotFound
	}
	data, err := c.store.Take(ctx, id)
	if err != nil {
		return err
	}
	bound, want, err := decode(data)
	if err != nil {
		return err
	}
	got := subjectHash(id, subject)
	right := subtle.ConstantTimeCompare(bound, got[:]) &
		subtle.ConstantTimeCompare([]byte(want), []byte(fold(answer)))
	if right != 1 {
		return ErrWrongAnswer
	}
	return nil
}

const (
	idBytes = 16
	idSize  = (8*idBytes + 5) / 6
)

func newID() string {
	var raw [idBytes]byte
	rand.Read(raw[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// isID reports the form of an id, so that nothing else a stranger sends
// becomes a key in the store.
func isID(id string) bool {
	if len(id) != idSize {
		return false
	}
	for _, b := range []byte(id) {
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_') {
			return false
		}
	}
	return true
}

// A stored challenge is a version byte, the hash of the subject and the
// answer. The answer is not hashed: pictures are drawn from it.
const version = 1

var errFormat = errors.New("captcha: the stored challenge is of no known format")

func encode(id, subject, answer string) []byte {
	bound := subjectHash(id, subject)
	data := make([]byte, 0, 1+len(bound)+len(answer))
	data = append(data, version)
	data = append(data, bound[:]...)
	return append(data, answer...)
}

// decode refuses what it does not know, as a newer node may have written it,
// and an empty answer, which anybody could give.
func decode(data []byte) (bound []byte, answer string, err error) {
	if len(data) <= 1+sha256.Size || data[0] != version {
		return nil, "", errFormat
	}
	return data[1 : 1+sha256.Size], string(data[1+sha256.Size:]), nil
}

// subjectHash is salted with the id, so that the store does not show which
// challenges are for the same person.
func subjectHash(id, subject string) [sha256.Size]byte {
	return sha256.Sum256([]byte(id + " " + subject)) // ids have one length and no space
}
