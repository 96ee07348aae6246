package middleware

import (
	"encoding/json"
	"errors"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/formtoken"
	"github.com/seed-244866eb/gatehouse/internal/request"
)

// contentJSON is spelt as clients match it, to the letter: node-rest-client
// parses no other.
const contentJSON = "application/json;charset=UTF-8"

// notAuthenticated is the text that Jira gives for a missing login.
const notAuthenticated = "You are not authenticated. Authentication required to perform this operation."

// outage is the text for "no verdict".
const outage = "The login service is not available at the moment. Please try again shortly."

// reasonOf maps the outcome of a login to X-Seraph-LoginReason; "" when
// nothing was decided.
func reasonOf(err error) string {
	switch {
	case err == nil:
		return reasonOK
	case errors.Is(err, directory.ErrBadCredentials), notTaken(err):
		return reasonFailed
	case errors.Is(err, ErrAccessDenied):
		return reasonNoAccess
	case isRefused(err):
		return reasonDenied
	}
	return ""
}

// statusOf maps the outcome of a login to an HTTP status. An outage is never
// 401: clients throw good passwords away on that.
func statusOf(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, directory.ErrBadCredentials), errors.Is(err, ErrAccessDenied), notTaken(err):
		return http.StatusUnauthorized
	case errors.Is(err, attempts.ErrChallenge):
		return http.StatusForbidden
	case isRefused(err):
		return http.StatusTooManyRequests
	}
	return http.StatusServiceUnavailable
}

func isRefused(err error) bool {
	var refused *attempts.RefusedError
	return errors.As(err, &refused)
}

// retryAfter returns the value of Retry-After for err, in whole seconds, at
// least one; "" when waiting does not help.
func retryAfter(err error) string {
	switch statusOf(err) {
	case http.StatusServiceUnavailable:
		return "5"
	case http.StatusTooManyRequests:
		var refused *attempts.RefusedError
		errors.As(err, &refused)
		s := math.Ceil(refused.RetryAfter.Seconds())
		return strconv.Itoa(int(max(s, 1)))
	}
	return ""
}

// baseURL returns what clients see before the paths of the application.
func (a *Auth) baseURL(rec *request.Record) string {
	if a.origin != "" {
		return a.origin + a.context
	}
	return rec.Scheme + "://" + rec.Host + a.context
}

// oauthChallenge is the WWW-Authenticate of every 401 that must not make a
// browser open its password dialog.
func (a *Auth) oauthChallenge(rec *request.Record) string {
	return `OAuth realm="` + url.QueryEscape(a.baseURL(rec)) + `"`
}

// errorBody is the error of Jira's REST resources. Clients unmarshal errors
// into a map of strings, so it is always an object.
type errorBody struct {
	Messages []string          `json:"errorMessages"`
	Errors   map[string]string `json:"errors"`
}

// fail answers with status and text, as JSON or HTML by what r accepts. A
// challenge goes with every 401 (RFC 9110, section 15.5.2).
func (a *Auth) fail(w http.ResponseWriter, r *http.Request, status int, text, challenge string) {
	if a.wantsJSON(r) {
		failJSON(w, status, text, challenge)
		return
	}
	failHeader(w.Header(), status, challenge)
	pageHeader(w.Header())
	w.WriteHeader(status)
	// A failed write means that the client has gone; there is nobody to tell.
	_ = errorPage.Execute(w, errorPageData{Title: http.StatusText(status), Text: text, RequestID: requestID(r)})
}

// failJSON answers with status and text as JSON, whatever Accept says.
func failJSON(w http.ResponseWriter, status int, text, challenge string) {
	failHeader(w.Header(), status, challenge)
	writeJSON(w, status, errorBody{Messages: []string{text}, Errors: map[string]string{}})
}

// denied answers a request that the form-token guard has refused.
func (a *Auth) denied(w http.ResponseWriter, r *http.Request, err error) {
	if a.wantsJSON(r) {
		failJSON(w, formtoken.StatusOf(err), "XSRF check failed", "")
		return
	}
	a.tokens.WriteDenied(w, r, err)
}

func failHeader(h http.Header, status int, challenge string) {
	if challenge != "" {
		h[headerAuth] = []string{challenge}
	}
	if status == http.StatusServiceUnavailable && h.Get(headerRetry) == "" {
		h[headerRetry] = []string{"5"}
	}
	noStore(h)
}

// unavailable answers 503: store or directory cannot tell.
func (a *Auth) unavailable(w http.ResponseWriter, r *http.Request) {
	a.fail(w, r, http.StatusServiceUnavailable, outage, "")
}

func requestID(r *http.Request) string {
	if id := identityOf(r.Context()); id != nil {
		return id.RequestID
	}
	return ""
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // our own fixed types: cannot happen, and must not pass for an answer
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentJSON)
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// wantsJSON reports which of the two bodies r gets. Of equal qualities the
// one that Accept names more exactly wins; without a preference it is JSON
// under /rest/ and HTML elsewhere.
func (a *Auth) wantsJSON(r *http.Request) bool {
	asJSON, asHTML := preferences(r.Header["Accept"])
	switch {
	case asJSON.q != asHTML.q:
		return asJSON.q > asHTML.q
	case asJSON.exact != asHTML.exact:
		return asJSON.exact > asHTML.exact
	}
	return a.isREST(r)
}

// navigates reports a person on the way to a page, whom the login page helps:
// a script that follows a redirect would take the login page for its answer.
func (a *Auth) navigates(r *http.Request) bool {
	accept := r.Header["Accept"]
	if _, asHTML := preferences(accept); len(accept) > 0 && asHTML.q == 0 {
		return false
	}
	if a.isREST(r) || a.wantsJSON(r) || r.Header.Get("X-Requested-With") == "XMLHttpRequest" {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		return false // a script's fetch, which accepts anything
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodPost:
		media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		return media == "" || media == "application/x-www-form-urlencoded" || media == "multipart/form-data"
	}
	return false
}

// isREST chooses the form of an answer, never whether access is given.
func (a *Auth) isREST(r *http.Request) bool {
	return strings.HasPrefix(strings.TrimPrefix(r.URL.Path, a.context), "/rest/")
}

// A preference is what Accept says about one media type: its quality, and how
// exactly it names the type: 3 by name, 2 by type/*, 1 by */*, 0 not at all.
type preference struct {
	q     float64
	exact int
}

// preferences returns what Accept says about JSON and HTML (RFC 9110, section
// 12.5.1): the most exact range that fits a type decides its quality.
func preferences(accept []string) (asJSON, asHTML preference) {
	for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		media, params, _ := strings.Cut(item, ";")
		media = strings.ToLower(strings.TrimSpace(media))
		asJSON.take(media, "application", "json", params)
		asHTML.take(media, "text", "html", params)
	}
	return asJSON, asHTML
}

// take lets a media range speak about typ/sub.
func (p *preference) take(media, typ, sub, params string) {
	exact := 0
	switch media {
	case typ + "/" + sub:
		exact = 3
	case typ + "/*":
		exact = 2
	case "*/*":
		exact = 1
	}
	if exact > p.exact {
		*p = preference{quality(params), exact}
	}
}

// quality returns the q parameter of an Accept item; 1 when it has none, 0
// when it is not a number.
func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(k, "q") {
			continue
		}
		q, err := strconv.ParseFloat(v, 64)
		if err != nil || q < 0 || q > 1 {
			return 0
		}
		return q
	}
	return 1
}

// jiraTime is how the session resource writes times: three digits, no colon
// in the zone, never Z.
func jiraTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02T15:04:05.000-0700")
}
