package middleware

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/internal/request"
	"github.com/seed-244866eb/gatehouse/session"
)

// attrs are the fields of every line of the security log.
func (a *Auth) attrs(r *http.Request, user string) []any {
	if user == "" {
		user = "anonymous"
	}
	at := make([]any, 0, 16)
	at = append(at, "user", user)
	if id := identityOf(r.Context()); id != nil {
		at = append(at, "request", id.RequestID)
	}
	if rec := request.From(r.Context()); rec != nil {
		// Of a login, the session that it has begun.
		if sess, _ := rec.Session.(*session.Session); sess != nil && sess.Secret() != nil {
			at = append(at, "session", sess.Hash())
		}
		at = append(at, "client", rec.Client.String(), "chain", a.chain(r))
		if rec.HeaderIgnored {
			at = append(at, "ignored_proxy", rec.Peer.String())
		}
	}
	return append(at, "method", r.Method, "path", clip(r.URL.Path))
}

// chain returns the steps from the peer to the client, the peer first.
func (a *Auth) chain(r *http.Request) string {
	const most = 16 // trusted proxies in a row; what strangers forge is not walked
	hops := a.trust.Explain(r).Hops
	var b strings.Builder
	for i, h := range hops[:min(len(hops), most)] {
		if i > 0 {
			b.WriteString(" < ")
		}
		if h.Addr.IsValid() {
			b.WriteString(h.Addr.String())
		} else {
			b.WriteString(strconv.Quote(clip(h.Text)))
		}
	}
	return b.String()
}

// logLogin writes the line that operators look for after a login try.
func (a *Auth) logLogin(r *http.Request, c Credentials, res Accepted, err error) {
	name := clip(c.Name)
	at := a.attrs(r, name)
	var refused *attempts.RefusedError
	var state *directory.AccountError
	if errors.As(err, &state) {
		at = append(at, "state", string(state.State), "detail", clip(state.Detail))
	}
	if res.PasswordChanged {
		a.log.Info("The password of '"+name+"' was changed.", at...)
	}
	switch {
	case err == nil:
		a.log.Info("The user '"+name+"' has PASSED authentication.", at...)
	case wrongPassword(err):
		a.log.Warn("The user '"+name+"' has FAILED authentication.  Failure count equals "+strconv.Itoa(failures(res.Attempts)), at...)
	case state != nil:
		// Not FAILED: whatever bans addresses by that word must not ban people
		// whose password has expired.
		a.log.Warn("The user '"+name+"' was refused for the state of the account; the password is right.", at...)
	case notTaken(err):
		a.log.Warn("The password of '"+name+"' was not changed.", append(at, "error", clip(err.Error()))...)
	case errors.Is(err, ErrAccessDenied):
		a.log.Warn("login : '"+name+"' tried to login but they do not have USE permission or weren't found. Deleting remember me cookie.", at...)
	case errors.Is(err, attempts.ErrChallenge) && errors.As(err, &refused):
		a.log.Warn("The user '"+name+"' is required to answer a CAPTCHA elevated security check.  Failure count equals "+strconv.Itoa(refused.Failures), at...)
	case errors.As(err, &refused):
		a.log.Warn("The user '"+name+"' was refused before the password was looked at.", append(at, "error", clip(err.Error()))...)
	default:
		a.log.Error("The login of '"+name+"' got no verdict.", append(at, "error", clip(err.Error()))...)
	}
}

// failures returns the count that the next try meets.
func failures(s attempts.Status) int {
	if s.Known {
		return s.PairFailures
	}
	return s.Failures
}

func (a *Auth) logLogout(r *http.Request) {
	a.logRequest(r, "logout : the session was ended")
}

func (a *Auth) logForged(r *http.Request, err error) {
	a.log.Warn("XSRF check failed", append(a.attrs(r, userName(r)), "error", clip(err.Error()))...)
}

// logTrouble writes what the way of the request has met so far, now that the
// request has its id.
func (a *Auth) logTrouble(r *http.Request, s *state) {
	if s.trouble != nil {
		a.logUnknown(r, s.trouble)
	}
	if sess, _ := s.Session.(*session.Session); sess != nil && sess.State() == session.Ambiguous {
		a.log.Warn("more than one session cookie that may be live in one request: nobody is logged in by them", a.attrs(r, "")...)
	}
	if q := r.URL.RawQuery; strings.Contains(q, "os_password") || strings.Contains(q, "os_username") {
		// They stand in every log between here and the browser.
		a.log.Warn("login : credentials in the query string were ignored", a.attrs(r, userName(r))...)
	}
}

// logUnknown reports that store or directory did not answer.
func (a *Auth) logUnknown(r *http.Request, err error) {
	a.log.Error("no verdict: store or directory did not answer", append(a.attrs(r, userName(r)), "error", clip(err.Error()))...)
}

func (a *Auth) logRequest(r *http.Request, msg string, more ...any) {
	a.log.Info(msg, append(a.attrs(r, userName(r)), more...)...)
}

func userName(r *http.Request) string {
	if u, ok := User(r.Context()); ok {
		return u.Name
	}
	return ""
}

// clip makes what a stranger wrote fit for a log line: bounded, in one line,
// and with another apostrophe than the lines themselves have, so that it can
// spell none of the lines that operators search for.
func clip(s string) string {
	const most = 256
	rest := ""
	if len(s) > most {
		s, rest = strings.ToValidUTF8(s[:most], ""), "…"
	}
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\'':
			return '’'
		case unicode.IsControl(c), unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp):
			return '?'
		}
		return c
	}, s) + rest
}
