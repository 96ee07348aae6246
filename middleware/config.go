package middleware

import (
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/captcha"
	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/formtoken"
	"github.com/seed-244866eb/gatehouse/proxytrust"
	"github.com/seed-244866eb/gatehouse/session"
)

// A Store keeps sessions, counts and challenges in one place, so that one
// line makes many nodes of one.
type Store interface {
	session.Store
	attempts.Store
	captcha.Store
}

// Config says what an [Auth] works with. Only Directory is required; the zero
// value of every other field is a careful choice.
type Config struct {
	// Directory verifies passwords and knows groups: an ldapdir.Dir, a
	// directory.Static or one of your own. Required. A group cache is put
	// before it; do not wrap it in a directory.Directory.
	Directory directory.Source

	// Store keeps sessions, failed logins and CAPTCHA challenges. Nil keeps
	// each in this process, unless the package's own Config below has a store.
	Store Store

	// Trust tells clients from proxies. Nil believes no forwarding header:
	// the client is the TCP peer. The caller closes it.
	Trust *proxytrust.Trust

	// BaseURL is the URL that clients see, for example
	// "https://jira.example.org/jira". Its path is the context path, below
	// which cookies, redirects and the login URL stand; if it is https, the
	// session cookie is Secure always; forms from its origin are accepted.
	// Empty means: scheme and host of each request as Trust resolves them,
	// and no context path.
	BaseURL string

	// LoginPath, LogoutPath and HomePath say, below the context path, where
	// the application serves Login and Logout and where a person without a
	// destination goes. Empty means /login, /logout and /. A POST to LoginPath
	// needs no form token, so Login answers there and nowhere else.
	LoginPath, LogoutPath, HomePath string

	// AccessGroups names the groups that may use the application at all; one
	// of them is enough. None means everybody in the directory.
	AccessGroups []string

	// Session, Attempts, Captcha and FormToken configure the packages of
	// these names. New fills in what follows from the rest: Session.Path,
	// Session.Revoked, Attempts.Challenge, Attempts.LoginTimeout,
	// FormToken.Secret and FormToken.BasePath, which must be empty, and each
	// Store if Store is set.
	Session   session.Config
	Attempts  attempts.Config
	Captcha   captcha.Config
	FormToken formtoken.Config

	// NoCaptcha replaces the CAPTCHA by a growing delay.
	NoCaptcha bool

	// BasicOnly offers no login page and no session: every request brings its
	// own Authorization header.
	BasicOnly bool

	// GroupTTL is how long cached groups count as fresh, and GroupStaleMax
	// how long the last known ones serve during an outage. Zero means 5
	// minutes and 8 hours.
	GroupTTL, GroupStaleMax time.Duration

	// GroupHold is how long a group that one directory node lacks and another
	// has is the user's still, while nobody can tell which of them is right.
	// Zero means 15 minutes.
	GroupHold time.Duration

	// UpdateAtLogin says which logins read the groups anew. Zero means all.
	UpdateAtLogin directory.UpdateAtLogin

	// ProofTTL is how long a password that Basic credentials have brought is
	// remembered as right, for the same name from the same client: so long it
	// costs no bind, the directory's word on a changed password counts from
	// its end on, and these requests are no logins of their own in log and
	// history. Groups count as for a session. Zero means one minute. Pages
	// and the session resource always ask the directory.
	ProofTTL time.Duration

	// NoProofs remembers none: every request with Basic credentials is a
	// login.
	NoProofs bool

	// LoginTimeout bounds one whole login, all calls to directory and store
	// together. Zero means 5 seconds.
	LoginTimeout time.Duration

	// Realm is the realm of Basic challenges. Empty means "protected-area".
	Realm string

	// LoginPage replaces the built-in login page. It is executed with a
	// [LoginForm].
	LoginPage *template.Template

	// PasswordPage replaces the built-in page that asks for a new password
	// when the directory wants one and Directory is a
	// directory.PasswordChanger. It is executed with a [LoginForm], too.
	PasswordPage *template.Template

	// Logger receives the security log. Nil means slog.Default().
	Logger *slog.Logger
}

// defaults returns c with every zero value replaced by what it means.
func (c Config) defaults() Config {
	orString(&c.LoginPath, "/login")
	orString(&c.LogoutPath, "/logout")
	orString(&c.HomePath, "/")
	orString(&c.Realm, "protected-area")
	if c.LoginTimeout == 0 {
		c.LoginTimeout = 5 * time.Second
	}
	if c.ProofTTL == 0 && !c.NoProofs {
		c.ProofTTL = time.Minute
	}
	c.Attempts.LoginTimeout = c.LoginTimeout
	if c.Attempts.Max == 0 {
		c.Attempts.Max = 3
	}
	c.Attempts.Challenge = !c.NoCaptcha
	if c.Store != nil {
		c.Session.Store = c.Store
		c.Attempts.Store = c.Store
		c.Captcha.Store = c.Store
	}
	if c.LoginPage == nil {
		c.LoginPage = builtinLoginPage
	}
	if c.PasswordPage == nil {
		c.PasswordPage = builtinPasswordPage
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.AccessGroups = slices.Clone(c.AccessGroups)
	return c
}

func orString(s *string, def string) {
	if *s == "" {
		*s = def
	}
}

// check returns every fault of c that no other package finds for itself, and
// takes it out, so that it is not reported again under another name.
func (c *Config) check() error {
	var errs []error
	if c.Directory == nil {
		errs = append(errs, errors.New("middleware: Config.Directory is required"))
	}
	errs = append(errs, c.checkFilledIn(),
		checkPage("LoginPage", c.LoginPage), checkPage("PasswordPage", c.PasswordPage))
	for _, p := range []struct{ field, path string }{
		{"LoginPath", c.LoginPath}, {"LogoutPath", c.LogoutPath}, {"HomePath", c.HomePath},
	} {
		if p.path != "" && !plainPath(p.path) {
			errs = append(errs, fmt.Errorf("middleware: Config.%s %q is not a plain path that begins with one slash", p.field, p.path))
		}
	}
	if c.LoginPath != "" && c.LoginPath == c.LogoutPath {
		errs = append(errs, fmt.Errorf("middleware: Config.LoginPath and Config.LogoutPath are the same: %q", c.LoginPath))
	}
	for _, d := range []struct {
		field string
		d     *time.Duration
	}{{"LoginTimeout", &c.LoginTimeout}, {"GroupTTL", &c.GroupTTL}, {"GroupStaleMax", &c.GroupStaleMax}, {"GroupHold", &c.GroupHold}, {"ProofTTL", &c.ProofTTL}} {
		if *d.d < 0 {
			errs = append(errs, fmt.Errorf("middleware: Config.%s is negative: %v", d.field, *d.d))
			*d.d = 0
		}
	}
	if c.NoProofs && c.ProofTTL > 0 {
		errs = append(errs, errors.New("middleware: Config.ProofTTL is set, and NoProofs, too"))
	}
	if slices.Contains(c.AccessGroups, "") {
		errs = append(errs, errors.New("middleware: Config.AccessGroups holds an empty name"))
	}
	if strings.ContainsFunc(c.Realm, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		errs = append(errs, fmt.Errorf("middleware: Config.Realm %q holds a quote, a backslash or what is not printable ASCII", c.Realm))
	}
	return errors.Join(errs...)
}

// checkFilledIn returns an error for what New fills in itself: a value that
// would be overwritten without a word is a mistake of somebody.
func (c *Config) checkFilledIn() error {
	var errs []error
	for _, f := range []struct {
		field string
		set   bool
		hint  string
	}{
		{"Session.Path", c.Session.Path != "", "it is the path of BaseURL"},
		{"Session.Revoked", c.Session.Revoked != nil, "New needs it itself"},
		{"Attempts.LoginTimeout", c.Attempts.LoginTimeout != 0, "it is LoginTimeout"},
		{"Attempts.Challenge", c.Attempts.Challenge, "it is the opposite of NoCaptcha"},
		{"FormToken.Secret", c.FormToken.Secret != nil, "it is that of the session"},
		{"FormToken.BasePath", c.FormToken.BasePath != "", "it is the path of BaseURL"},
		{"Session.Store", c.Store != nil && c.Session.Store != nil, "Store is set, too"},
		{"Attempts.Store", c.Store != nil && c.Attempts.Store != nil, "Store is set, too"},
		{"Captcha.Store", c.Store != nil && c.Captcha.Store != nil, "Store is set, too"},
	} {
		if f.set {
			errs = append(errs, fmt.Errorf("middleware: Config.%s must be empty: %s", f.field, f.hint))
		}
	}
	return errors.Join(errs...)
}

// checkPage executes the template of a page, so that a fault of it is found
// here and not by the first person who wants to log in.
func checkPage(field string, page *template.Template) error {
	if page == nil {
		return nil
	}
	for _, f := range []LoginForm{{}, {
		Action: "/login", Message: "x", Username: "x", Destination: "/x", LoggedIn: "x",
		CaptchaID: "x", CaptchaURL: "/login?captcha=x", RequestID: "x",
	}} {
		if err := page.Execute(io.Discard, f); err != nil {
			return fmt.Errorf("middleware: Config.%s: %w", field, err)
		}
	}
	return nil
}

// parseBaseURL splits a base URL into origin and context path, both without a
// trailing slash; both are empty for the empty string.
func parseBaseURL(s string) (origin, context string, err error) {
	if s == "" {
		return "", "", nil
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", "", fmt.Errorf("middleware: Config.BaseURL: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return "", "", fmt.Errorf("middleware: Config.BaseURL %q is not an absolute http or https URL", u.Redacted())
	}
	host, ok := hostPort(u)
	if !ok {
		return "", "", fmt.Errorf("middleware: Config.BaseURL %q has a host or port that is none; a name beyond ASCII is written in its xn-- form", u.Redacted())
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", "", fmt.Errorf("middleware: Config.BaseURL %q has more than scheme, host and path", u.Redacted())
	}
	if u.Path != "" && !plainPath(u.EscapedPath()) {
		return "", "", fmt.Errorf("middleware: Config.BaseURL %q has a path that is not plain", s)
	}
	return u.Scheme + "://" + host, strings.TrimSuffix(u.Path, "/"), nil
}

// hostPort returns host and port of u as browsers write them in an origin: in
// lower case and without the default port.
func hostPort(u *url.URL) (string, bool) {
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		addr, err := netip.ParseAddr(host)
		if err != nil || addr.Zone() != "" {
			return "", false
		}
		host = "[" + addr.String() + "]"
	} else if strings.ContainsFunc(host, func(c rune) bool {
		return c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z')
	}) {
		return "", false
	}
	port := u.Port()
	switch {
	case port == "":
		return host, !strings.HasSuffix(u.Host, ":")
	case u.Scheme == "http" && port == "80", u.Scheme == "https" && port == "443":
		return host, true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return host + ":" + port, err == nil && n > 0 && port[0] != '0'
}

// plainPath reports a path that is spelt in one way only, so that what is
// compared, what is redirected to and what a mux sees are the same.
func plainPath(p string) bool {
	return strings.HasPrefix(p, "/") && !strings.Contains(p, "//") && !strings.Contains(p, "/.") &&
		!strings.ContainsFunc(p, func(c rune) bool {
			return c <= ' ' || c > '~' || strings.ContainsRune(`%?#;\{}"<>^|`+"`", c)
		})
}
