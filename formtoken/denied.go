package formtoken

import (
	"errors"
	"io"
	"net/http"
	"strings"
)

// Deny answers a request that Check has refused with err: by Config.Denied, or
// else by [Guard.WriteDenied]. The answer varies with the cookie, or a shared
// cache could serve one person's denial to everybody.
func (g *Guard) Deny(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Add("Vary", "Cookie")
	if g.denied != nil {
		g.denied(w, r, err)
		return
	}
	g.WriteDenied(w, r, err)
}

// WriteDenied writes the answer of this package: for a person the page "XSRF
// Security Token Missing", for a program the words "XSRF check failed", as
// JSON where it asks for that. The status is 403, or 413 and 400 for a body
// that is too large or cannot be read. It tells the client nothing of err
// itself.
func (g *Guard) WriteDenied(w http.ResponseWriter, r *http.Request, err error) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Del("Content-Length")
	contentType, body := g.denial(r, err)
	h.Set("Content-Type", contentType)
	if contentType == typeHTML {
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	}
	w.WriteHeader(StatusOf(err))
	io.WriteString(w, body) // a client that has gone needs no answer
}

// StatusOf returns the HTTP status that answers an error of Check: 403, or 413
// for a body that is too large, or 400 for one that cannot be read.
func StatusOf(err error) int {
	switch {
	case errors.Is(err, ErrCrossOrigin), errors.Is(err, ErrNoToken), errors.Is(err, ErrBadToken):
		return http.StatusForbidden
	case errors.Is(err, ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

const (
	typeHTML = "text/html; charset=utf-8"
	typeText = "text/plain; charset=utf-8"
	typeJSON = "application/json"

	failed     = "XSRF check failed"
	failedJSON = `{"errorMessages":["XSRF check failed"],"errors":{}}`
)

// denial chooses the form of the answer. Below /rest/ there are programs only;
// elsewhere a person is behind an Accept that names HTML, or that says nothing
// at all.
func (g *Guard) denial(r *http.Request, err error) (contentType, body string) {
	accept := strings.ToLower(strings.Join(r.Header["Accept"], ","))
	page := accept == "" || strings.TrimSpace(accept) == "*/*" || strings.Contains(accept, "text/html")
	switch {
	case page && !strings.HasPrefix(r.URL.Path, g.rest):
		return typeHTML, page403(err)
	case strings.Contains(accept, "application/json"):
		return typeJSON, failedJSON
	}
	return typeText, failed
}

// page403 holds nothing that the client has sent, so there is nothing to
// escape.
func page403(err error) string {
	why := whyToken
	switch {
	case errors.Is(err, ErrCrossOrigin):
		why = whyOrigin
	case StatusOf(err) != http.StatusForbidden:
		why = whyBody
	}
	return pageHead + why + pageTail
}

const pageHead = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>XSRF Security Token Missing</title>
</head>
<body>
<main>
<h1>XSRF Security Token Missing</h1>
<p role="alert">XSRF check failed: your request was not carried out, and nothing was changed.</p>
`

const whyToken = `<p>The form carried no security token of your current session. This happens
when you have logged in or out since the page was opened, or when the session
has expired.</p>
<p>Go back to the form, copy what you have typed, load the page again and send
it once more.</p>
`

const whyOrigin = `<p>The request came from a page of another site. Such requests are refused,
as you may not know that they were sent in your name.</p>
<p>If you meant to do this, open the page on this site and do it there.</p>
`

const whyBody = `<p>The form was too large, or broke off while it was sent, before its security
token was found.</p>
<p>Go back to the form, send less of it at once and try again.</p>
`

const pageTail = `</main>
</body>
</html>
`
