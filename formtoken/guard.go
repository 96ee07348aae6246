// Package formtoken refuses cross-site request forgery: first by what the
// browser says about the origin of a request, then by a token that a form
// carries and that only pages of the same session can know.
//
// The origin rule holds for every method but GET, HEAD and OPTIONS, whoever
// sends the request:
//
//	R1  GET, HEAD and OPTIONS pass, unless they carry X-HTTP-Method-Override
//	    or Upgrade: websocket.
//	R2  Sec-Fetch-Site same-origin and none pass; any other value needs an
//	    Origin that is listed in Config.TrustedOrigins.
//	R3  Without Sec-Fetch-Site, an Origin must equal the scheme, host and
//	    port of the request or be listed; null never passes.
//	R4  Without both, a Referer must be of the same origin.
//
// A request with none of the three headers comes from a program, not from a
// browser, and passes. Where Sec-Fetch-Site and Origin contradict each other,
// Sec-Fetch-Site decides: pages cannot set it, and behind a proxy that
// rewrites Host, or under Referrer-Policy no-referrer (Origin: null), it is
// the one that is right.
//
// The token rule holds for POSTs of the kinds that a form can send. A [Guard]
// makes tokens from the secret of the session and checks them; it keeps
// nothing. Each token is masked anew, so that a compressed page never shows
// the same bytes twice (BREACH), and is good for every tab until the secret
// changes, which it does at login and logout.
//
// Scheme and host are those that trusted proxies report when a proxytrust
// handler stands in front, and else those of the connection.
package formtoken

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-244866eb/gatehouse/internal/request"
)

// Names that existing clients and pages of Jira rely on.
const (
	FieldName     = "atl_token"         // form field that carries the token
	HeaderName    = "X-XSRF-Token"      // header that carries the token, and wins over the field
	NoCheckHeader = "X-Atlassian-Token" // header that scripts set to no-check
)

// ErrCrossOrigin is returned for a request that another site's page has sent.
var ErrCrossOrigin = errors.New("formtoken: cross-origin request")

// ErrNoToken is returned for a form post without a token.
var ErrNoToken = errors.New("formtoken: no token")

// ErrBadToken is returned for a form post whose token is not one of this
// session: forged, damaged, or from before the last login.
var ErrBadToken = errors.New("formtoken: token is not of this session")

// ErrTooLarge is returned for a form post in which no token was found within
// Config.MaxBody.
var ErrTooLarge = errors.New("formtoken: no token within the bound of the body")

// Config configures a [Guard]. The zero Config applies the origin rule alone.
type Config struct {
	// Secret returns the secret of the request's session: at least 16 random
	// bytes that change at login and logout. Nothing is kept of it. A nil
	// func, or an empty result, leaves the request to the origin rule alone;
	// a secret that is too short refuses every token. Token calls it
	// once; a check at most once, and never for a GET or for JSON.
	Secret func(*http.Request) []byte

	// TrustedOrigins lists other origins whose pages may send unsafe
	// requests: scheme, host and port, such as https://www.example.org or
	// http://192.0.2.7:8080. They are compared exactly, the default port
	// being the same as none. Empty trusts none.
	TrustedOrigins []string

	// BasePath is the path below which the application stands, such as
	// /jira; a denial below BasePath + "/rest/" is written for programs.
	// Empty is the root.
	BasePath string

	// MaxBody is how many bytes of a body are read, and held in memory, in
	// search of the token. Zero means 10 MiB, as net/http reads of a form.
	// A multipart body is read up to its token only, so forms that send
	// large files put the token field first.
	MaxBody int64

	// Denied answers a refused request. Nil means [Guard.WriteDenied].
	Denied func(w http.ResponseWriter, r *http.Request, err error)
}

const defaultMaxBody = 10 << 20

// A Guard checks requests and makes tokens. It is immutable and safe for
// concurrent use.
type Guard struct {
	secret  func(*http.Request) []byte
	trusted []origin
	rest    string // path prefix of the programs' part
	maxBody int64
	denied  func(http.ResponseWriter, *http.Request, error)
}

// New returns a Guard, or all faults of c together.
func New(c Config) (*Guard, error) {
	var errs []error
	g := &Guard{secret: c.Secret, maxBody: c.MaxBody, denied: c.Denied}
	for i, s := range c.TrustedOrigins {
		o, err := trustedOrigin(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("formtoken: Config.TrustedOrigins[%d] %q: %w", i, s, err))
			continue
		}
		if !slices.ContainsFunc(g.trusted, o.equal) {
			g.trusted = append(g.trusted, o)
		}
	}
	if c.BasePath != "" && c.BasePath[0] != '/' {
		errs = append(errs, fmt.Errorf("formtoken: Config.BasePath %q does not begin with a slash", c.BasePath))
	}
	g.rest = strings.TrimRight(c.BasePath, "/") + "/rest/"
	if c.MaxBody < 0 {
		errs = append(errs, fmt.Errorf("formtoken: Config.MaxBody is negative: %d", c.MaxBody))
	}
	if c.MaxBody == 0 {
		g.maxBody = defaultMaxBody
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return g, nil
}

// Check applies the origin rule and then the token rule. It returns nil, or
// an error that is [ErrCrossOrigin], [ErrNoToken], [ErrBadToken] or
// [ErrTooLarge], or else the fault met in reading the body. It costs nothing
// for a GET, and writes nothing; see [Guard.CheckToken] for the body.
func (g *Guard) Check(r *http.Request) error {
	if err := g.CheckOrigin(r); err != nil {
		return err
	}
	return g.CheckToken(r)
}

// Handler returns a handler that passes checked requests to next and answers
// the others with [Guard.Deny]. A request that this Guard has checked already
// is not checked again.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if safe(r) {
			next.ServeHTTP(w, r)
			return
		}
		if c := request.From(r.Context()); c != nil && c.Token == any(g) {
			next.ServeHTTP(w, r)
			return
		}
		if err := g.Check(r); err != nil {
			g.Deny(w, r, err)
			return
		}
		c, r := request.Fork(r)
		c.Token = g
		next.ServeHTTP(w, r)
	})
}
