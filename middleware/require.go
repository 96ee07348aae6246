package middleware

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-244866eb/gatehouse/internal/request"
	"github.com/seed-244866eb/gatehouse/session"
)

// RequireUser returns next for logged-in users only. Others, who ask for a
// page, are sent to the login page by 303 and come back afterwards: by GET or
// HEAD, or by posting a form, outside /rest/, with an Accept that takes HTML
// and does not prefer JSON. Every other request gets 401. A user whom the
// access groups leave out gets 403, and where nobody can tell, the answer is
// 503.
func (a *Auth) RequireUser(next http.Handler) http.Handler {
	return a.require(next, func(*Identity) bool { return true })
}

// RequireGroup returns next for logged-in users who are in at least one of
// groups; with no group it lets nobody in. Other users get 403, and while the
// user's groups are not known, 503. Who is not logged in is answered as by
// [Auth.RequireUser].
func (a *Auth) RequireGroup(next http.Handler, groups ...string) http.Handler {
	groups = append([]string(nil), groups...)
	return a.require(next, func(id *Identity) bool { return id.User.In(groups...) })
}

// require returns next for users that may says yes to.
func (a *Auth) require(next http.Handler, may func(*Identity) bool) http.Handler {
	return a.resolved(func(w http.ResponseWriter, r *http.Request) {
		id := identityOf(r.Context())
		switch {
		case id.User == nil:
			a.refuseNobody(w, r, id)
		case may(id):
			next.ServeHTTP(w, r)
		case !id.User.GroupsKnown():
			a.unavailable(w, r)
		default:
			a.fail(w, r, http.StatusForbidden, "You do not have the permission to do this.", "")
		}
	})
}

// refuseNobody answers a request that needs a user and has none.
func (a *Auth) refuseNobody(w http.ResponseWriter, r *http.Request, id *Identity) {
	rec := request.From(r.Context())
	switch {
	case id.Unknown:
		a.unavailable(w, r)
	case id.denied:
		a.fail(w, r, http.StatusForbidden, "You may not use this application.", "")
	case a.refuseByType(w, r, osNone):
	case a.basicOnly:
		a.fail(w, r, http.StatusUnauthorized, notAuthenticated, a.basicChallenge)
	case !a.navigates(r):
		a.fail(w, r, http.StatusUnauthorized, notAuthenticated, a.oauthChallenge(rec))
	default:
		noStore(w.Header())
		dest := a.context + a.loginPath
		if asked := a.asked(r); asked != "" {
			dest += "?os_destination=" + url.QueryEscape(asked)
		}
		seeOther(w, dest)
	}
}

// REST returns next as a REST route: os_authType counts, and defaults to
// "any", so that a dead session cookie is 401 and never silently nobody.
// Anonymous requests reach next; put [Auth.RequireUser] inside where they
// must not.
func (a *Auth) REST(next http.Handler) http.Handler {
	return a.resolved(func(w http.ResponseWriter, r *http.Request) {
		id := identityOf(r.Context())
		if id.User == nil && !id.Unknown && !id.denied && a.refuseByType(w, r, osAny) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// An osType is the os_authType of a request. It decides only when nobody was
// resolved.
type osType int

const (
	osNone osType = iota
	osCookie
	osBasic
	osAny
)

// osTypeOf returns the os_authType in the query of r, else def. An unknown
// value is none.
func osTypeOf(r *http.Request, def osType) osType {
	if r.URL.RawQuery == "" {
		return def
	}
	q := r.URL.Query()
	if !q.Has("os_authType") {
		return def
	}
	switch strings.ToLower(q.Get("os_authType")) {
	case "cookie":
		return osCookie
	case "basic":
		return osBasic
	case "any":
		return osAny
	}
	return osNone
}

// refuseByType answers r, which nobody sent, if its os_authType asks for it,
// and reports whether it did.
func (a *Auth) refuseByType(w http.ResponseWriter, r *http.Request, def osType) bool {
	rec := request.From(r.Context())
	switch osTypeOf(r, def) {
	case osBasic:
		a.fail(w, r, http.StatusUnauthorized, notAuthenticated, a.basicChallenge)
	case osCookie:
		a.fail(w, r, http.StatusUnauthorized, "os_authType was 'cookie' but no valid cookie was sent.", a.oauthChallenge(rec))
	case osAny:
		if a.basicOnly || !sentDeadCookie(rec) {
			return false
		}
		a.fail(w, r, http.StatusUnauthorized, "os_authType was 'any' and an invalid cookie was sent.", a.oauthChallenge(rec))
	default:
		return false
	}
	return true
}

// sentDeadCookie reports a session cookie that authenticates nobody. A live
// session without a user is a visitor's, not a dead one.
func sentDeadCookie(rec *request.Record) bool {
	sess, _ := rec.Session.(*session.Session)
	if sess == nil {
		return false
	}
	switch sess.State() {
	case session.Dead, session.Ambiguous:
		return true
	case session.Live:
		return sess.User().User != "" // gone from the directory
	}
	return false
}
