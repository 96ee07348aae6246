package middleware

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/seed-244866eb/gatehouse/internal/request"
	"github.com/seed-244866eb/gatehouse/session"
)

// Header names in the spelling that net/http keeps them under: setting the
// map directly saves canonicalising X-AUSERNAME and its like on each request.
const (
	headerUser     = "X-Ausername"
	headerRequest  = "X-Arequestid"
	headerSession  = "X-Asessionid"
	headerReason   = "X-Seraph-Loginreason"
	headerDenied   = "X-Authentication-Denied-Reason"
	headerCache    = "Cache-Control"
	headerAuth     = "Www-Authenticate"
	headerLocation = "Location"
	headerRetry    = "Retry-After"
)

// The values of X-Seraph-LoginReason.
const (
	reasonOK       = "OK"
	reasonDenied   = "AUTHENTICATION_DENIED"
	reasonFailed   = "AUTHENTICATED_FAILED"
	reasonNoAccess = "AUTHORISATION_FAILED"
	reasonOut      = "OUT"
)

// The places of header values in request.Record.Values.
const (
	slotRequest = iota
	slotSession
	slotUser
	slotReason
)

// setHeader writes one header value without allocating a slice for it.
func setHeader(h http.Header, rec *request.Record, key string, slot int, value string) {
	rec.Values[slot] = value
	h[key] = rec.Values[slot : slot+1 : slot+1]
}

// identify gives the request its id and writes it and the session's hash into
// the header, both cut from one string.
func (a *Auth) identify(w http.ResponseWriter, s *state) {
	var buf [64]byte
	now := time.Now()
	b := strconv.AppendInt(buf[:0], int64(now.Hour()*60+now.Minute()), 10)
	b = append(b, 'x')
	b = strconv.AppendUint(b, a.requests.Add(1), 10)
	b = append(b, 'x')
	b = strconv.AppendInt(b, max(a.concurrent.Load(), 1), 10)
	n := len(b)
	if sess, _ := s.Session.(*session.Session); sess != nil {
		b = sess.AppendHash(b)
	}
	both := string(b)
	s.identity.RequestID, s.identity.SessionID = both[:n], both[n:]
	h := w.Header()
	setHeader(h, &s.Record, headerRequest, slotRequest, both[:n])
	if n < len(both) {
		setHeader(h, &s.Record, headerSession, slotSession, both[n:])
	}
}

// announce writes who it is and how that was found out. While nobody can
// tell, X-AUSERNAME is absent rather than "anonymous".
func (a *Auth) announce(w http.ResponseWriter, s *state) {
	id, h := &s.identity, w.Header()
	switch {
	case id.User != nil:
		setHeader(h, &s.Record, headerUser, slotUser, headerName(id.User.Name))
	case !id.Unknown:
		setHeader(h, &s.Record, headerUser, slotUser, "anonymous")
	}
	if id.LoginReason != "" {
		setHeader(h, &s.Record, headerReason, slotReason, id.LoginReason)
	}
}

// headerName returns name as a header can carry it: percent-encoded unless it
// is plain ASCII.
func headerName(name string) string {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || c == '%' {
			return url.PathEscape(name)
		}
	}
	return name
}

// noStore keeps an answer with or to a login out of every cache.
func noStore(h http.Header) { h.Set(headerCache, "no-cache, no-store") }
