package middleware

import (
	"net/http"

	"github.com/seed-244866eb/gatehouse/formtoken"
)

// Logout returns the handler that ends the session of the request: POST logs
// out and answers 303 to the home page, GET asks first, since a link or a
// picture elsewhere must not log anybody out. Mount it on Config.LogoutPath.
func (a *Auth) Logout() http.Handler {
	return a.resolved(func(w http.ResponseWriter, r *http.Request) {
		noStore(w.Header())
		switch {
		case a.basicOnly:
			http.NotFound(w, r)
		case r.Method == http.MethodPost:
			if !a.logout(w, r) {
				return
			}
			seeOther(w, a.home())
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			a.askLogout(w, r)
		default:
			a.notAllowed(w, r, "GET, HEAD, POST")
		}
	})
}

// logout ends the session; false when it could not, and has answered.
func (a *Auth) logout(w http.ResponseWriter, r *http.Request) bool {
	if err := a.sessions.Logout(w, r); err != nil {
		a.logUnknown(r, err)
		a.unavailable(w, r)
		return false
	}
	w.Header()[headerReason] = []string{reasonOut}
	a.logLogout(r)
	return true
}

func (a *Auth) askLogout(w http.ResponseWriter, r *http.Request) {
	user, loggedIn := User(r.Context())
	data := logoutPageData{
		Action: a.context + a.logoutPath, Home: a.home(),
		Field: formtoken.FieldName, Token: a.FormToken(r),
	}
	if loggedIn {
		data.Name = user.Name
	}
	a.showPage(w, r, http.StatusOK, logoutPage, data)
}
