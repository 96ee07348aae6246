package middleware

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/internal/request"
	"github.com/seed-244866eb/gatehouse/session"
)

// The ways in which a user was recognised, as [Identity.AuthType] names them.
const (
	authCookie = "cookie"
	authBasic  = "basic"
)

// An Identity is what has been found out about the sender of one request.
type Identity struct {
	// User is the sender; nil when nobody is logged in or nobody can tell.
	User *directory.User
	// AuthType is how User was recognised: "cookie", "basic" or, in tests,
	// whatever the test chose; "" without a user.
	AuthType string
	// LoginReason is the value of X-Seraph-LoginReason; "" for none.
	LoginReason string
	// RequestID names the request in logs and in the answer, X-AREQUESTID.
	RequestID string
	// SessionID is a short hash of the session id, safe to log; "" without a
	// session.
	SessionID string

	// Unknown reports that session store or directory did not answer, so
	// that nobody can tell who sent the request. User is nil then.
	Unknown bool

	denied bool // known, but in none of the access groups
}

// state is all that a request costs besides its copy: record and identity in
// one allocation.
type state struct {
	request.Record
	identity Identity
	trouble  error // why store or directory could not tell
}

// FromContext returns what is known about the sender of the request that ctx
// belongs to. It reports false where no handler of an Auth has seen it.
func FromContext(ctx context.Context) (Identity, bool) {
	if id := identityOf(ctx); id != nil {
		return *id, true
	}
	return Identity{}, false
}

// User returns the user who sent the request that ctx belongs to, and false
// for an anonymous one. The user is shared: it must not be modified. A login
// or logout during the request shows from the next request on.
func User(ctx context.Context) (*directory.User, bool) {
	id := identityOf(ctx)
	if id == nil || id.User == nil {
		return nil, false
	}
	return id.User, true
}

func identityOf(ctx context.Context) *Identity {
	if rec := request.From(ctx); rec != nil {
		id, _ := rec.Identity.(*Identity)
		return id
	}
	return nil
}

// resolved returns h behind resolve.
func (a *Auth) resolved(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r, ok := a.resolve(w, r); ok {
			h(w, r)
		}
	})
}

// resolve finds out who sent r and returns the copy of r that knows it. It
// reports false when it has answered the request itself. A request that a has
// resolved before, in an outer handler, is returned as it is.
func (a *Auth) resolve(w http.ResponseWriter, r *http.Request) (*http.Request, bool) {
	if rec := request.From(r.Context()); rec != nil && rec.Auth == any(a) {
		return r, true
	}
	s := new(state)
	r = s.Attach(r)
	var given *Identity
	if s.Auth == nil { // by authtest; what another Auth has found is not ours
		given, _ = s.Identity.(*Identity)
	}
	s.Auth, s.Identity = a, &s.identity
	if given != nil {
		s.identity = *given
	}
	a.forwarded(&s.Record, r)
	if err := a.tokens.CheckOrigin(r); err != nil {
		a.identify(w, s)
		a.denyForged(w, r, err)
		return r, false
	}
	if given == nil && !a.basicOnly {
		a.fromCookie(s, r)
	}
	a.identify(w, s)
	a.logTrouble(r, s)
	if s.identity.User == nil && !a.fromBasic(w, r, s) {
		return r, false
	}
	a.announce(w, s)
	return r, a.mayPass(w, r, s)
}

// forwarded takes client, scheme and host from the trusted proxies, unless an
// outer handler has already done so.
func (a *Auth) forwarded(rec *request.Record, r *http.Request) {
	if rec.Resolved {
		return
	}
	c := a.trust.Check(r)
	rec.Peer, rec.Client, rec.Stopped = c.Peer, c.Addr, c.Stopped
	rec.Scheme, rec.Host = c.Scheme, c.Host
	rec.HeaderIgnored, rec.Resolved = c.HeaderIgnored, true
	if c.HeaderIgnored && a.ignored.first(c.Peer) {
		a.log.Warn("A forwarding header was ignored, because the peer is not a trusted proxy. If it is a proxy of yours, trust this pattern; until then everybody behind it shares one address.",
			"pattern", c.Peer.String())
	}
}

// fromCookie resolves the session cookie.
func (a *Auth) fromCookie(s *state, r *http.Request) {
	sess := a.sessions.Check(r)
	s.Session = sess
	switch sess.State() {
	case session.Unknown:
		s.identity.Unknown, s.trouble = true, sess.Err()
	case session.Live:
		if p := sess.User(); p.User != "" {
			a.fromDirectory(s, r, p)
		}
	}
}

// fromDirectory looks at what the directory says today about the user of a
// live session. An outage ends no session and takes no right away; it only
// leaves open what nobody can know.
func (a *Auth) fromDirectory(s *state, r *http.Request, p session.Principal) {
	u, err := a.recall(r.Context(), p)
	id := &s.identity
	switch {
	case err == nil:
		id.User, id.AuthType, id.LoginReason = u, authCookie, reasonOK
	case errors.Is(err, directory.ErrNoUser): // the cookie is a dead one
	case errors.Is(err, ErrAccessDenied):
		id.denied = true
		id.LoginReason = reasonNoAccess
	default:
		id.Unknown, s.trouble = true, err
	}
}

// recall returns a user who has logged in before as the directory shows him
// today, or ErrNoUser, ErrAccessDenied, or no verdict. Groups that are unknown
// are one only where the application depends on them.
func (a *Auth) recall(ctx context.Context, p session.Principal) (*directory.User, error) {
	u, err := a.directory.User(ctx, p.User, p.ID, a.access...)
	switch {
	case errors.Is(err, directory.ErrNoUser):
		return nil, err
	case err != nil && (u == nil || len(a.access) > 0):
		return nil, unavailable(err)
	case len(a.access) > 0 && !u.In(a.access...):
		return nil, ErrAccessDenied
	}
	return u, nil
}

// mayPass refuses what may not reach the application: an unsafe request whose
// sender nobody can tell, and a form post without a token.
func (a *Auth) mayPass(w http.ResponseWriter, r *http.Request, s *state) bool {
	if safeMethod(r.Method) {
		return true
	}
	if s.identity.Unknown {
		a.unavailable(w, r)
		return false
	}
	if a.isLoginPath(r) {
		return true // scripts post to Login without a token; the origin was checked
	}
	if err := a.tokens.CheckToken(r); err != nil {
		a.denyForged(w, r, err)
		return false
	}
	return true
}

func (a *Auth) denyForged(w http.ResponseWriter, r *http.Request, err error) {
	a.logForged(r, err)
	a.tokens.Deny(w, r, err)
}

// isLoginPath reports whether r was sent to Config.LoginPath, with or without
// the context path. It looks at the request line, which no http.StripPrefix
// changes. [Auth.Login] answers nowhere else, so no other handler can be
// reached without a form token by a mistake in mounting.
func (a *Auth) isLoginPath(r *http.Request) bool {
	p := r.URL.Path
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		p = u.Path
	}
	return p == a.loginPath || p == a.context+a.loginPath
}

func safeMethod(m string) bool {
	return m == http.MethodGet || m == http.MethodHead || m == http.MethodOptions
}

// sessionSecret is what form tokens are bound to: the secret of the session
// that authenticated r. A request with its own Authorization header, and one
// of nobody, carries no authority that a forged form could borrow.
func sessionSecret(r *http.Request) []byte {
	rec := request.From(r.Context())
	if rec == nil {
		return nil
	}
	id, _ := rec.Identity.(*Identity)
	sess, _ := rec.Session.(*session.Session)
	if id == nil || sess == nil || (id.AuthType != authCookie && !id.denied) {
		return nil
	}
	return sess.Secret()
}
