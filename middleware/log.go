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
)

// attrs are the fields of every line of the security log.
func attrs(r *http.Request, user string) []any {
	if user == "" {
		user = "anonymous"
	}
	a := make([]any, 0, 16)
	a = append(a, "user", user)
	if rec := request.From(r.Context()); rec != nil {
		a = append(a, "client", rec.Client.String(), "peer", rec.Peer.String())
		if rec.HeaderIgnored {
			// The one line that names the proxy nobody configured.
			a = append(a, "ignored_proxy", rec.Peer.String())
		}
		if id := identityOf(r.Context()); id != nil {
			a = append(a, "request", id.RequestID, "session", id.SessionID)
		}
	}
	return append(a, "method", r.Method, "path", r.URL.Path)
}

// logLogin writes the line that operators look for after a login try.
func (a *Auth) logLogin(r *http.Request, c Credentials, res Accepted, err error) {
	name := quoted(c.Name)
	at := attrs(r, clip(c.Name))
	var refused *attempts.RefusedError
	switch {
	case err == nil:
		a.log.Info("The user '"+name+"' has PASSED authentication.", at...)
	case errors.Is(err, directory.ErrBadCredentials):
		a.log.Warn("The user '"+name+"' has FAILED authentication.  Failure count equals "+strconv.Itoa(failures(res.Attempts)), at...)
	case errors.Is(err, ErrAccessDenied):
		a.log.Warn("login : '"+name+"' tried to login but they do not have USE permission or weren't found. Deleting remember me cookie.", at...)
	case errors.Is(err, attempts.ErrChallenge) && errors.As(err, &refused):
		a.log.Warn("The user '"+name+"' is required to answer a CAPTCHA elevated security check.  Failure count equals "+strconv.Itoa(refused.Failures), at...)
	case errors.As(err, &refused):
		a.log.Warn("The user '"+name+"' was refused before the password was looked at.", append(at, "error", err)...)
	default:
		a.log.Error("The login of '"+name+"' got no verdict; nothing was counted.", append(at, "error", err)...)
	}
}

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
	a.log.Warn("XSRF check failed", append(attrs(r, userName(r)), "error", err)...)
}

func (a *Auth) logAmbiguous(r *http.Request) {
	a.log.Warn("two live session cookies in one request: nobody is logged in by them", attrs(r, "")...)
}

// logUnknown reports that store or directory did not answer.
func (a *Auth) logUnknown(r *http.Request, err error) {
	a.log.Error("no verdict: store or directory did not answer", append(attrs(r, userName(r)), "error", err)...)
}

func (a *Auth) logRequest(r *http.Request, msg string, more ...any) {
	a.log.Info(msg, append(attrs(r, userName(r)), more...)...)
}

func userName(r *http.Request) string {
	if u, ok := User(r.Context()); ok {
		return u.Name
	}
	return ""
}

// quoted makes a typed name fit to stand between single quotes in a line:
// a quote or a line break in it must not start a second message.
func quoted(name string) string {
	return strings.Map(func(c rune) rune {
		if c == '\'' || unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '?'
		}
		return c
	}, clip(name))
}

// clip bounds what strangers can put into a log line.
func clip(s string) string {
	const most = 256
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
