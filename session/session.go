// Package session keeps a person logged in: it issues the session cookie,
// expires, rotates and revokes what stands behind it, and keeps everything on
// the server. The same [Manager] is a gorilla/sessions Store.
//
// # The cookie
//
// The cookie is 34 bytes in base64url: two that spread users over a cluster,
// and 32 of crypto/rand. A store sees the SHA-256 of it alone. A cookie that
// is malformed is refused before the store is asked, and an identifier that
// the store does not know is never adopted.
//
// # The cell
//
// [Manager.Check] finds the session of a request and hands out one [Session],
// the cell of this request, which [Manager.Login], [Manager.Logout] and the
// gorilla/sessions methods share and change under its lock. What the request
// was sent with never changes: [Session.User] is the user who sent it, so a
// login shows from the next request on.
//
// # When the store does not answer
//
// The state is then [Unknown]: the request is nobody's, the cookie is kept,
// and the caller decides whether to answer 503 or a public page. Each error
// that comes from the store is wrapped.
package session

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	defaultName     = "JSESSIONID"
	defaultIdle     = 30 * time.Minute
	defaultLifetime = 12 * time.Hour
	maxLifetime     = 100 * 366 * 24 * time.Hour
)

// A Config says how sessions are kept. The zero Config is valid.
type Config struct {
	// Store keeps the sessions. Nil means NewMemory(MemoryConfig{}), which
	// is one process's own.
	Store Store

	// Name is the name of the cookie, a token of RFC 9110. "" means
	// JSESSIONID. The prefixes __Host- and __Secure- make the cookie Secure
	// always; __Host- needs Path "/" and no Domain (RFC 6265bis, 4.1.3).
	Name string

	// Path is the path of the cookie, which begins with a slash: the context
	// path of the application. "" means "/".
	Path string

	// Domain is the domain of the cookie. "" means the host alone that set
	// it, which is the safer choice: every host of a domain can read and
	// plant its cookies.
	Domain string

	// AlwaysSecure makes the cookie Secure whatever the scheme of the
	// request, for applications that clients reach by https alone. False
	// makes it Secure where the scheme is https.
	AlwaysSecure bool

	// Idle ends a session that has not been used for so long. Zero means 30
	// minutes; less than a second is an error.
	Idle time.Duration

	// Revoked is called with the user's name when RevokeUser begins, so that
	// whatever else keeps somebody logged in can end, too. It must not block.
	// Nil means nobody is told.
	Revoked func(user string)

	// Lifetime ends a session that long after its login, however busy it is.
	// Zero means 12 hours; less than a second or over a century is an error.
	Lifetime time.Duration
}

// A Manager issues, finds and ends sessions. It is safe for concurrent use
// and never changes after New.
type Manager struct {
	store    Store
	name     string
	path     string
	domain   string
	secure   bool // whatever the scheme
	idle     time.Duration
	lifetime time.Duration
	revoked  func(user string)
}

// A Principal is who a session belongs to.
type Principal struct {
	// User is the canonical name of the user; "" is nobody.
	User string
	// ID is the directory's own identifier of the entry, so that a deleted
	// and re-created name is not the same person. It may be empty.
	ID string
}

// New returns a Manager for c, or all faults of c joined in one error.
func New(c Config) (*Manager, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Manager{
		store:    c.Store,
		name:     c.Name,
		path:     c.Path,
		domain:   c.Domain,
		secure:   c.AlwaysSecure || hasPrefixFold(c.Name, hostPrefix) || hasPrefixFold(c.Name, securePrefix),
		idle:     c.Idle,
		lifetime: c.Lifetime,
		revoked:  c.Revoked,
	}, nil
}

// Format writes the name of the cookie; printing a Manager must not print what
// its store holds.
func (m *Manager) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "session manager of cookie %s", m.name) }

func (c Config) withDefaults() Config {
	if c.Store == nil {
		c.Store = NewMemory(MemoryConfig{})
	}
	if c.Name == "" {
		c.Name = defaultName
	}
	if c.Path == "" {
		c.Path = "/"
	}
	if c.Idle == 0 {
		c.Idle = defaultIdle
	}
	if c.Lifetime == 0 {
		c.Lifetime = defaultLifetime
	}
	return c
}

// check returns every fault of c, which has its defaults already.
func (c Config) check() error {
	var errs []error
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("session: Config."+format, args...))
	}
	// net/http drops what is not valid from a Set-Cookie with no more than a
	// log line: a cookie for another path or host than was asked for.
	if (&http.Cookie{Name: c.Name}).Valid() != nil {
		fault("Name is not a cookie name: %q", c.Name)
	}
	if !strings.HasPrefix(c.Path, "/") || (&http.Cookie{Name: "a", Path: c.Path}).Valid() != nil {
		fault("Path is not a cookie path: %q", c.Path)
	}
	if (&http.Cookie{Name: "a", Domain: c.Domain}).Valid() != nil {
		fault("Domain is not a host name: %q", c.Domain)
	}
	// A browser drops such a cookie, and everybody would be anonymous.
	if hasPrefixFold(c.Name, hostPrefix) && (c.Path != "/" || c.Domain != "") {
		fault("Name %q needs Path \"/\" and no Domain, not %q and %q", c.Name, c.Path, c.Domain)
	}
	if c.Idle < time.Second {
		fault("Idle is under a second: %v", c.Idle)
	}
	// Stores keep times as nanoseconds since 1970, which end in 2262.
	if c.Lifetime < time.Second || c.Lifetime > maxLifetime {
		fault("Lifetime is not between a second and %v: %v", maxLifetime, c.Lifetime)
	}
	return errors.Join(errs...)
}
