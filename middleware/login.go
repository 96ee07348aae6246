package middleware

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/captcha"
	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/internal/request"
	"github.com/seed-244866eb/gatehouse/session"
)

// maxForm bounds the body of a login in bytes.
const maxForm = 64 << 10

// A LoginForm is what the templates of the login page and of the password page
// are executed with. The form posts os_username, os_password, os_destination
// and, with a challenge, os_captcha_id and os_captcha to Action; that of the
// password page also os_new_password and os_new_password_confirm.
type LoginForm struct {
	Action      string // where the form goes
	Message     string // what went wrong; "" on first sight
	Username    string // what was typed before
	Destination string // checked; "" for home
	LoggedIn    string // name of the user who is logged in already; "" for nobody
	CaptchaID   string // "" while no CAPTCHA is due
	CaptchaURL  string // of the picture
	RequestID   string
}

// Login returns the handler of the login page: GET shows the form, POST logs
// in and answers 303 to the destination, and the picture of a CAPTCHA is
// served on the same path. Mount it on Config.LoginPath; on any other path it
// answers 404.
//
// A person whose password has expired, or must be changed, is shown the
// password page instead, where the directory can change passwords; GET with
// the query "password" shows it to whoever wants it. Other sessions of that
// person go on; Sessions().RevokeUser ends them.
func (a *Auth) Login() http.Handler {
	return a.resolved(func(w http.ResponseWriter, r *http.Request) {
		noStore(w.Header())
		switch {
		case a.basicOnly:
			http.NotFound(w, r)
		case !a.isLoginPath(r):
			a.log.Error("Login is mounted on another path than Config.LoginPath", append(a.attrs(r, ""), "login_path", a.loginPath)...)
			http.NotFound(w, r)
		case r.Method == http.MethodPost:
			a.postLogin(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			a.notAllowed(w, r, "GET, HEAD, POST")
		case a.captcha != nil && strings.HasPrefix(r.URL.RawQuery, "captcha="):
			a.picture(w, r)
		default:
			a.getLogin(w, r)
		}
	})
}

func (a *Auth) notAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	a.fail(w, r, http.StatusMethodNotAllowed, "This method is not allowed here.", "")
}

func (a *Auth) getLogin(w http.ResponseWriter, r *http.Request) {
	f := a.form(r, r.URL.Query())
	page := a.loginPage
	if u, ok := User(r.Context()); ok {
		f.LoggedIn = u.Name
	}
	if a.changer && r.URL.Query().Has("password") {
		page, f.Username = a.passwordPage, f.LoggedIn
	}
	a.showPage(w, r, http.StatusOK, page, f)
}

// form starts a login page with the destination of values.
func (a *Auth) form(r *http.Request, values url.Values) LoginForm {
	return LoginForm{
		Action:      a.context + a.loginPath,
		Destination: a.destination(r, values),
		RequestID:   requestID(r),
	}
}

// destination returns the first os_destination if it may be followed, else
// "", with a log line.
func (a *Auth) destination(r *http.Request, values url.Values) string {
	raw := values.Get("os_destination")
	if raw == "" {
		return ""
	}
	dest, ok := a.site(request.From(r.Context())).destination(raw)
	if !ok {
		a.logRequest(r, "login : os_destination leads elsewhere and was ignored", "destination", clip(raw))
	}
	return dest
}

func (a *Auth) postLogin(w http.ResponseWriter, r *http.Request) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		a.fail(w, r, http.StatusUnsupportedMediaType, "A login is posted as application/x-www-form-urlencoded.", "")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		a.fail(w, r, http.StatusBadRequest, "The form could not be read.", "")
		return
	}
	c := Credentials{
		Name:          strings.Clone(r.PostForm.Get("os_username")), // no piece of the body
		Password:      r.PostForm.Get("os_password"),
		CaptchaID:     r.PostForm.Get("os_captcha_id"),
		CaptchaAnswer: r.PostForm.Get("os_captcha"),
		NewPassword:   r.PostForm.Get("os_new_password"),
	}
	if a.changer && r.PostForm.Has("os_new_password") && !a.typedTwice(w, r, c) {
		return
	}
	res, err := a.login(w, r, c)
	if err == nil {
		_, err = a.start(w, r, res.User)
	}
	a.logLogin(r, c, res, err)
	if err != nil {
		a.loginRefused(w, r, c, res, err)
		return
	}
	dest := a.destination(r, r.PostForm)
	if dest == "" {
		dest = a.home()
	}
	seeOther(w, dest)
}

// start begins a session for user and returns the value of its cookie.
func (a *Auth) start(w http.ResponseWriter, r *http.Request, user *directory.User) (string, error) {
	token, err := a.sessions.Login(w, r, session.Principal{User: user.Name, ID: user.ID})
	h := w.Header()
	if err != nil {
		noVerdict(h)
		return "", unavailable(err)
	}
	h[headerSession] = []string{a.sessions.Check(r).Hash()}
	return token, nil
}

// loginRefused shows the page again, with what went wrong and, where one is
// due, a CAPTCHA for the next try.
func (a *Auth) loginRefused(w http.ResponseWriter, r *http.Request, c Credentials, res Accepted, err error) {
	f := a.form(r, r.PostForm)
	f.Username = c.Name
	f.Message = message(err)
	page := a.loginPage
	switch changing := c.NewPassword != ""; {
	case res.PasswordChanged:
		f.Message = "Your password was changed. " + f.Message
	case changing && errors.Is(err, directory.ErrUnavailable): // the answer alone may be lost
		f.Message += " If the old password is refused then, the new one is valid already."
	case passwordRight(err) != nil && !mayChange(err): // no new password helps
	case changing && !errors.Is(err, directory.ErrNoPasswordChange):
		page = a.passwordPage
	case mayChange(err) && a.changer:
		page = a.passwordPage
		f.Message += " Please choose a new one."
	}
	if a.challengeDue(res, err) {
		err = a.offerChallenge(w, r, &f, res.Subject, err)
	}
	status := statusOf(err)
	if status == http.StatusUnauthorized {
		w.Header()[headerAuth] = []string{a.oauthChallenge(request.From(r.Context()))}
	}
	a.showPage(w, r, status, page, f)
}

// typedTwice reports that the new password was, and otherwise shows the page
// again: a slip of the finger is no try, and nobody is asked about it.
func (a *Auth) typedTwice(w http.ResponseWriter, r *http.Request, c Credentials) bool {
	f := a.form(r, r.PostForm)
	f.Username = c.Name
	switch {
	case c.NewPassword == "":
		f.Message = "Please type the new password."
	case c.NewPassword != r.PostForm.Get("os_new_password_confirm"):
		f.Message = "The new password was not typed the same twice. Please type it again."
	default:
		return true
	}
	if a.captcha != nil && c.CaptchaID != "" { // which is still open
		f.CaptchaID, f.CaptchaURL = c.CaptchaID, f.Action+"?captcha="+url.QueryEscape(c.CaptchaID)
	}
	a.showPage(w, r, http.StatusBadRequest, a.passwordPage, f)
	return false
}

// offerChallenge puts a CAPTCHA for the next try into the page, and returns
// what the page answers. A counted failure stays one, with or without a
// picture; a refusal for want of a CAPTCHA that cannot be made is no verdict.
func (a *Auth) offerChallenge(w http.ResponseWriter, r *http.Request, f *LoginForm, subject string, err error) error {
	due := errors.Is(err, attempts.ErrChallenge) // and not only for the next try
	if !a.attempts.TakeChallenge(request.From(r.Context()).Client) {
		// Without a limit one stranger could fill the store and leave nobody
		// a challenge.
		if due {
			err = &attempts.RefusedError{Verdict: attempts.Delayed, RetryAfter: time.Second}
			w.Header()[headerRetry] = []string{retryAfter(err)}
			delete(w.Header(), headerDenied)
			f.Message = message(err)
		}
		return err
	}
	id, cerr := a.captcha.Create(r.Context(), subject)
	if cerr != nil {
		a.logUnknown(r, cerr)
		if due {
			err = unavailable(cerr)
			noVerdict(w.Header())
			f.Message = outage
		}
		return err
	}
	f.CaptchaID, f.CaptchaURL = id, f.Action+"?captcha="+id
	if !due {
		f.Message += " From now on the characters in the picture are needed, too."
	}
	return err
}

// challengeDue reports whether the next try needs a CAPTCHA: this one was
// refused for want of it, or was the last free one.
func (a *Auth) challengeDue(res Accepted, err error) bool {
	if a.captcha == nil {
		return false
	}
	if errors.Is(err, attempts.ErrChallenge) {
		return true
	}
	return a.limited && (errors.Is(err, directory.ErrBadCredentials) || notTaken(err)) && failures(res.Attempts) >= a.challengeAt
}

// message is what a person is told; it tells a guesser nothing more than the
// status does, unless the guess was right.
func message(err error) string {
	var fault *directory.PasswordError
	switch state := passwordRight(err); {
	case state != nil:
		return stateMessage(state.State)
	case errors.As(err, &fault):
		return faultMessage(fault.Fault)
	case errors.Is(err, directory.ErrNoPasswordChange):
		return "Your password cannot be changed here. Please ask your administrator."
	case errors.Is(err, directory.ErrBadCredentials):
		return "Sorry, your username and password are incorrect - please try again."
	case errors.Is(err, ErrAccessDenied):
		return "You do not have permission to log in."
	case errors.Is(err, attempts.ErrChallenge):
		return "Please answer the CAPTCHA question together with your username and password."
	case isRefused(err):
		return "Too many failed logins. Please wait a little and try again."
	}
	return outage
}

// showPage answers with a page, which is made whole before the first byte of
// it is sent: half a login page with 200 helps nobody.
func (a *Auth) showPage(w http.ResponseWriter, r *http.Request, status int, t *template.Template, data any) {
	var page bytes.Buffer
	if err := t.Execute(&page, data); err != nil {
		a.log.Error("a page could not be made", append(a.attrs(r, userName(r)), "page", t.Name(), "error", err)...)
		a.fail(w, r, http.StatusInternalServerError, "This page cannot be shown.", "")
		return
	}
	h := w.Header()
	pageHeader(h)
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // a failed write means that the client has gone
}

// picture serves the picture of an open challenge.
func (a *Auth) picture(w http.ResponseWriter, r *http.Request) {
	png, err := a.captcha.Picture(r.Context(), r.URL.Query().Get("captcha"))
	if errors.Is(err, captcha.ErrNotFound) {
		a.fail(w, r, http.StatusNotFound, "This CAPTCHA has been used or is too old.", "")
		return
	}
	if err != nil {
		a.logUnknown(r, fmt.Errorf("captcha picture: %w", err))
		a.unavailable(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "image/png")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(png)
}
