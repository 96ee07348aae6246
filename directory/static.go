package directory

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// staticNode is the node name of every answer of a [Static].
const staticNode = "static"

// A Person is one user of a [Static]. It prints without its password.
type Person struct {
	Name        string   // required, unique but for letter case
	Password    string   `json:"-"` // empty: this person cannot log in with a password
	DisplayName string   // empty means Name
	Email       string   // may be empty
	Groups      []string // may be empty
}

// String returns the person without the password.
func (p Person) String() string {
	return fmt.Sprintf("{Name:%q DisplayName:%q Email:%q Groups:%q}", p.Name, p.DisplayName, p.Email, p.Groups)
}

// GoString is String for %#v.
func (p Person) GoString() string { return "directory.Person" + p.String() }

// A Static is a [Source] with a fixed list of people, for tests, demos and an
// emergency account. It is safe for concurrent use and never unavailable.
type Static struct {
	people map[string]staticPerson // by foldName
	key    [32]byte                // of the password hashes, new in each process
}

type staticPerson struct {
	entry    Entry
	groups   []string
	password [sha256.Size]byte
	able     bool // has a password
}

// NewStatic returns a source that knows these people. The error names every
// person whose name is bad or occurs twice. The ID of an entry is made from
// its name, so it is the same after a restart.
func NewStatic(people ...Person) (*Static, error) {
	s := &Static{people: make(map[string]staticPerson, len(people))}
	rand.Read(s.key[:])
	var errs []error
	for i, p := range people {
		folded := foldName(p.Name)
		if err := CheckName(p.Name); err != nil {
			errs = append(errs, fmt.Errorf("directory: person %d: %q: %w", i, p.Name, err))
			continue
		}
		if _, twice := s.people[folded]; twice {
			errs = append(errs, fmt.Errorf("directory: person %d: %q occurs twice", i, p.Name))
			continue
		}
		s.people[folded] = s.person(p, folded)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Static) person(p Person, folded string) staticPerson {
	groups := slices.Clone(p.Groups)
	slices.Sort(groups)
	e := Entry{
		ID:          "static:" + folded,
		Name:        p.Name,
		DisplayName: p.DisplayName,
		Email:       p.Email,
		Node:        staticNode,
	}
	if e.DisplayName == "" {
		e.DisplayName = p.Name
	}
	return staticPerson{e, slices.Compact(groups), s.hash(p.Password), p.Password != ""}
}

// hash is fast on purpose: the passwords stand in the program's memory or
// source anyway. It makes all of them one length to compare.
func (s *Static) hash(password string) [sha256.Size]byte {
	m := hmac.New(sha256.New, s.key[:])
	m.Write([]byte(password))
	return [sha256.Size]byte(m.Sum(nil))
}

// Find returns the person whose name is name but for letter case.
func (s *Static) Find(ctx context.Context, name string) (Entry, error) {
	if err := CheckName(name); err != nil {
		return Entry{}, err
	}
	if err := ctx.Err(); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	p, ok := s.people[foldName(name)]
	if !ok {
		return Entry{Node: staticNode}, ErrNoUser
	}
	return p.entry, nil
}

// Verify returns the entry when password is the person's, in a time that does
// not depend on either; else [ErrBadCredentials], also for the zero Entry.
func (s *Static) Verify(ctx context.Context, e Entry, password string) (Entry, error) {
	if password == "" {
		return Entry{}, ErrBadCredentials
	}
	if err := ctx.Err(); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	p := s.byID(e.ID) // the zero value for nobody, which is not able
	sum := s.hash(password)
	if equal := subtle.ConstantTimeCompare(sum[:], p.password[:]) == 1; !equal || !p.able {
		return Entry{}, ErrBadCredentials
	}
	return p.entry, nil
}

// Groups returns the groups of the person; asked changes nothing, since there
// is one node.
func (s *Static) Groups(ctx context.Context, e Entry, asked ...string) (GroupSet, error) {
	if err := ctx.Err(); err != nil {
		return GroupSet{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	p := s.byID(e.ID)
	if p.entry.ID == "" {
		return GroupSet{Node: staticNode, Preferred: true}, ErrNoUser
	}
	return GroupSet{Names: p.groups, Node: staticNode, Preferred: true, Read: time.Now()}, nil
}

func (s *Static) byID(id string) staticPerson {
	folded, ok := strings.CutPrefix(id, "static:")
	if !ok {
		return staticPerson{}
	}
	return s.people[folded]
}

// foldName maps names that differ in letter case alone to one: the smallest
// rune of each orbit of simple folding, in lower case if it is ASCII.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		if least < utf8.RuneSelf {
			return unicode.ToLower(least)
		}
		return least
	}, name)
}
