package middleware

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/internal/request"
)

// restChallenge is what Jira writes on a refused session POST. It names no
// scheme that a browser knows, so no dialog opens.
const restChallenge = "JIRA REST POST"

// SessionResource returns the REST resource that Jira's clients log in with:
// POST, GET and DELETE on /rest/auth/1/session and /rest/auth/latest/session.
// Mount it on "/rest/auth/", below the context path.
func (a *Auth) SessionResource() http.Handler {
	return a.resolved(func(w http.ResponseWriter, r *http.Request) {
		noStore(w.Header())
		switch strings.TrimPrefix(r.URL.Path, a.context) {
		case "/rest/auth/1/session", "/rest/auth/latest/session":
			a.sessionResource(w, r)
		default:
			failJSON(w, http.StatusNotFound, "There is no such resource.", "")
		}
	})
}

func (a *Auth) sessionResource(w http.ResponseWriter, r *http.Request) {
	id := identityOf(r.Context())
	rec := request.From(r.Context())
	switch {
	case r.Method == http.MethodPost && !a.basicOnly:
		a.postSession(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodDelete:
		allow := "GET, HEAD, POST, DELETE"
		if a.basicOnly {
			allow = "GET, HEAD, DELETE"
		}
		w.Header().Set("Allow", allow)
		failJSON(w, http.StatusMethodNotAllowed, "This method is not allowed here.", "")
	case id.User == nil && id.Unknown:
		failJSON(w, http.StatusServiceUnavailable, outage, "")
	case id.User == nil && osTypeOf(r, osNone) == osBasic:
		failJSON(w, http.StatusUnauthorized, notAuthenticated, a.basicChallenge)
	case id.User == nil: // whatever became of a cookie: it must be possible to log in
		failJSON(w, http.StatusUnauthorized, notAuthenticated, a.oauthChallenge(rec))
	case r.Method == http.MethodDelete:
		if a.basicOnly || a.logout(w, r) {
			w.WriteHeader(http.StatusNoContent)
		}
	default:
		a.getSession(w, r, id)
	}
}

// A loginInfo is the login history as Jira's clients read it. The counts are
// all-time totals, not the count that a CAPTCHA depends on.
type loginInfo struct {
	LoginCount       uint64 `json:"loginCount"`
	FailedLoginCount uint64 `json:"failedLoginCount"`
	PreviousLogin    string `json:"previousLoginTime,omitempty"`
	LastFailedLogin  string `json:"lastFailedLoginTime,omitempty"`
}

func newLoginInfo(s attempts.Status) loginInfo {
	return loginInfo{s.Logins, s.FailedLogins, jiraTime(s.PrevLogin), jiraTime(s.LastFailed)}
}

type currentUser struct {
	Self      string    `json:"self"`
	Name      string    `json:"name"`
	LoginInfo loginInfo `json:"loginInfo"`
}

func (a *Auth) getSession(w http.ResponseWriter, r *http.Request, id *Identity) {
	rec := request.From(r.Context())
	status, err := a.attempts.Status(r.Context(), id.User.Name, rec.Client)
	if err != nil {
		a.logUnknown(r, err)
		failJSON(w, http.StatusServiceUnavailable, outage, "")
		return
	}
	writeJSON(w, http.StatusOK, currentUser{
		Self:      a.baseURL(rec) + "/rest/api/latest/user?username=" + url.QueryEscape(id.User.Name),
		Name:      id.User.Name,
		LoginInfo: newLoginInfo(status),
	})
}

type newSession struct {
	Session struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"session"`
	LoginInfo loginInfo `json:"loginInfo"`
}

// postSession logs in. The session's value in the body is the same as in the
// cookie: many clients take it from there.
func (a *Auth) postSession(w http.ResponseWriter, r *http.Request) {
	c, status := readCredentials(w, r)
	if status != 0 {
		failJSON(w, status, http.StatusText(status), "")
		return
	}
	res, err := a.login(w, r, c)
	var body newSession
	if err == nil {
		body.Session.Name = a.cookieName
		body.Session.Value, err = a.start(w, r, res.User)
	}
	a.logLogin(r, c, res, err)
	if err != nil {
		refuseSession(w, err)
		return
	}
	body.LoginInfo = newLoginInfo(res.Attempts)
	writeJSON(w, http.StatusOK, body)
}

func refuseSession(w http.ResponseWriter, err error) {
	switch status := statusOf(err); status {
	case http.StatusUnauthorized:
		failJSON(w, status, "Login failed", restChallenge)
	case http.StatusServiceUnavailable:
		failJSON(w, http.StatusServiceUnavailable, outage, "")
	default:
		failJSON(w, status, "Login denied", "")
	}
}

// readCredentials reads {"username","password"}. A missing field is an empty
// one, which no directory accepts: to the client the same as a wrong one. It
// returns a status other than 0 when the body cannot be read; that counts
// nothing.
func readCredentials(w http.ResponseWriter, r *http.Request) (Credentials, int) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return Credentials{}, http.StatusUnsupportedMediaType
	}
	var body *struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm))
	if err := d.Decode(&body); err != nil || body == nil {
		return Credentials{}, http.StatusBadRequest
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Credentials{}, http.StatusBadRequest
	}
	return Credentials{Name: body.Username, Password: body.Password}, 0
}
