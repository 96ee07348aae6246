// Package middleware joins the rooms of gatehouse into handlers that answer
// the questions of a web application: who is it, may they, log in, log out.
//
// [Auth.Handler] goes around the whole application. It finds out who sent the
// request, by session cookie or by Basic credentials, refuses what is forged
// from elsewhere, and lets everybody else through. What a route needs is said
// where the route is registered, with [Auth.RequireUser], [Auth.RequireGroup]
// and [Auth.REST]; [Auth.Login], [Auth.Logout] and [Auth.SessionResource] are
// handlers for the application to mount. Each works also without
// Auth.Handler around it. [User] and [FromContext] tell the application who
// it is.
//
// Status codes, headers and bodies are those that clients of Jira rely on.
// Three answers are kept apart everywhere: accepted, refused, and "cannot
// tell", which is 503 and never counts against a user.
package middleware

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/captcha"
	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/formtoken"
	"github.com/seed-244866eb/gatehouse/proxytrust"
	"github.com/seed-244866eb/gatehouse/session"
)

// An Auth authenticates the requests of one application. Make it with [New];
// it is safe for concurrent use.
type Auth struct {
	directory *directory.Directory
	trust     *proxytrust.Trust
	sessions  *session.Manager
	attempts  *attempts.Counter
	captcha   *captcha.Captcha // nil: a delay instead
	tokens    *formtoken.Guard

	cookieName            string // of the session
	origin, context       string // of Config.BaseURL; origin "" means: from the request
	loginPath, logoutPath string // without the context path
	homePath              string
	access                []string
	basicOnly             bool
	limited               bool // failed logins have consequences
	challengeAt           int  // failures at which the CAPTCHA is due
	loginTimeout          time.Duration
	basicChallenge        string
	loginPage             *template.Template
	passwordPage          *template.Template
	changer               bool // the directory may change passwords
	log                   *slog.Logger

	closing    []io.Closer // what New has made
	tries      flights
	proofs     *proofs
	refusals   refusals
	ignored    ignoredProxies
	requests   atomic.Uint64
	concurrent atomic.Int64
}

// Format writes what a is; its parts hold secrets and are not printed.
func (a *Auth) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "auth with login at %s", a.context+a.loginPath)
}

// New returns an Auth for c. It checks the whole Config, reports all faults
// together and dials nobody.
func New(c Config) (*Auth, error) {
	errs := []error{c.check()}
	c = c.defaults()
	origin, context, err := parseBaseURL(c.BaseURL)
	errs = append(errs, err)
	a := &Auth{
		trust:      c.Trust,
		cookieName: c.Session.Name,
		origin:     origin, context: context,
		loginPath: c.LoginPath, logoutPath: c.LogoutPath, homePath: c.HomePath,
		access: c.AccessGroups, basicOnly: c.BasicOnly,
		loginTimeout:   c.LoginTimeout,
		basicChallenge: `Basic realm="` + c.Realm + `", charset="UTF-8"`,
		loginPage:      c.LoginPage,
		passwordPage:   c.PasswordPage,
		proofs:         newProofs(c.ProofTTL),
		log:            c.Logger.With("component", "security"),
	}
	if err := errors.Join(append(errs, a.rooms(c))...); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// fillIn completes the Configs of the other packages by what follows from the
// rest.
func (a *Auth) fillIn(c *Config) {
	orString(&a.cookieName, "JSESSIONID")
	c.Session.Path = a.context // "" means "/"
	c.Session.Revoked = func(user string) { a.proofs.forget(attempts.Fold(user)) }
	a.limited, a.challengeAt = !c.Attempts.InsecureUnlimited, c.Attempts.Max
	c.FormToken.Secret, c.FormToken.BasePath = sessionSecret, a.context
	if c.FormToken.Denied == nil {
		c.FormToken.Denied = a.denied
	}
	if a.origin != "" {
		// What clients see is told, so pages from there are ours, whatever
		// the last proxy has made of scheme and host.
		c.FormToken.TrustedOrigins = append(slices.Clone(c.FormToken.TrustedOrigins), a.origin)
		c.Session.AlwaysSecure = c.Session.AlwaysSecure || strings.HasPrefix(a.origin, "https:")
	}
}

// rooms makes the parts of a, and reports the faults of all of them.
func (a *Auth) rooms(c Config) error {
	var errs [6]error
	if a.trust == nil {
		// Trusting nobody still tells that a proxy nobody configured is there.
		if a.trust, errs[5] = proxytrust.New(proxytrust.Config{}); errs[5] == nil {
			a.closing = append(a.closing, a.trust)
		}
	}
	a.fillIn(&c)
	a.sessions, errs[0] = session.New(c.Session)
	a.attempts, errs[1] = attempts.New(c.Attempts)
	if !c.NoCaptcha {
		a.captcha, errs[2] = captcha.New(c.Captcha)
	}
	a.tokens, errs[3] = formtoken.New(c.FormToken)
	if c.Directory != nil { // its absence is reported already
		_, a.changer = c.Directory.(directory.PasswordChanger)
		a.directory, errs[4] = directory.New(directory.Config{
			Source:   c.Directory,
			TTL:      c.GroupTTL,
			StaleMax: c.GroupStaleMax,
			Hold:     c.GroupHold,
			Timeout:  c.LoginTimeout,
			Lost:     a.lost,
			Logger:   c.Logger,

			UpdateAtLogin: c.UpdateAtLogin,
		})
		if errs[4] == nil {
			a.closing = append(a.closing, a.directory)
		}
	}
	return errors.Join(errs[:]...)
}

// Handler returns next behind a: it resolves who sent the request, writes the
// protocol headers, and answers itself only for requests forged from another
// origin, form posts without a token, bad Basic credentials, and, while the
// session store or the directory does not answer, unsafe requests with a
// session cookie. Everybody else, also nobody, goes on to next. The
// ResponseWriter is passed on as it is.
//
// Of several Auths in one program, each Login stands outside the Handlers of
// the others: its form carries no token of theirs.
func (a *Auth) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.concurrent.Add(1)
		defer a.concurrent.Add(-1)
		if r, ok := a.resolve(w, r); ok {
			next.ServeHTTP(w, r)
		}
	})
}

// Sessions returns the manager of the sessions, which is also a
// gorilla/sessions Store for the application's own values. As with every such
// store, types other than gob's own are registered with gob.Register, and
// Save comes before the first byte of the answer.
func (a *Auth) Sessions() *session.Manager { return a.sessions }

// Directory returns the group cache, to show the nodes of the directory and the
// groups about which they disagree. To forget a user there is [Auth.Forget].
func (a *Auth) Directory() *directory.Directory { return a.directory }

// Attempts returns the counter of failed logins, to show and reset counts.
func (a *Auth) Attempts() *attempts.Counter { return a.attempts }

// Forget drops what is remembered of the user with this canonical name: groups,
// which the next request reads again, and Basic passwords found right. Call it
// after the application itself has changed the user's groups or password. It
// ends no session; Sessions().RevokeUser does, and forgets the passwords, too.
// Other processes remember them until their time is over.
func (a *Auth) Forget(user string) {
	a.directory.Forget(user)
	a.proofs.forget(attempts.Fold(user))
}

// lost is told by the directory who has lost groups, or is gone. A cookie of
// somebody who is gone, or whose name is another entry's by now, authenticates
// nobody as it is. Of the former it ends the sessions too, so that they stay
// dead when the entry comes back; those that the store cannot end just now live
// again with it.
func (a *Auth) lost(l directory.Loss) {
	at := []any{"user", l.User}
	if !l.Gone {
		a.proofs.forget(attempts.Fold(l.User))
		a.log.Info("The user '"+clip(l.User)+"' has lost groups; remembered passwords were forgotten.", append(at, "groups", clip(strings.Join(l.Groups, ", ")))...)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.loginTimeout)
	defer cancel()
	if err := a.sessions.RevokeUser(ctx, l.User); err != nil { // which forgets the passwords first
		a.log.Error("The user '"+clip(l.User)+"' is gone from the directory, or disabled there; some sessions could not be ended.", append(at, "error", clip(err.Error()))...)
		return
	}
	a.log.Warn("The user '"+clip(l.User)+"' is gone from the directory, or disabled there; all sessions were ended.", at...)
}

// FormToken returns a fresh XSRF token for a form or script of this response,
// to be put into a field formtoken.FieldName ("atl_token"). It returns ""
// unless the session of a user authenticated r: visitors who are nobody, and
// requests with their own Authorization header, need none; their unsafe
// requests are held to the origin rule alone.
func (a *Auth) FormToken(r *http.Request) string { return a.tokens.Token(r) }

// Close waits for background work to end and may be called twice. It does not
// close Config's Directory, Store and Trust.
func (a *Auth) Close() error {
	var errs []error
	for _, c := range a.closing {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
