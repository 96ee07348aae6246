package middleware

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/internal/request"
)

// maxBasic bounds the encoded credentials in bytes; what is longer is not
// decoded.
const maxBasic = 8 << 10

// A basicKind tells what the Authorization header of a request is.
type basicKind int

const (
	basicNone      basicKind = iota // absent, or another scheme
	basicMalformed                  // meant as Basic, but not readable or ambiguous
	basicPresent
)

// parseBasic reads Basic credentials (RFC 7617) from the Authorization lines
// of a request. The scheme is matched without regard to case. The user-pass
// is UTF-8 or, where it is not valid UTF-8, ISO-8859-1, which older clients
// still send; the name is normalised to NFC, the password is left as it is.
func parseBasic(lines []string) (name, password string, kind basicKind) {
	if len(lines) == 0 {
		return "", "", basicNone
	}
	for _, l := range lines {
		if token, ok := cutBasic(l); ok {
			if len(lines) > 1 {
				return "", "", basicMalformed // two answers to "who is it?" are none
			}
			return decodeBasic(token)
		}
	}
	return "", "", basicNone
}

// cutBasic returns what follows the scheme, if that is Basic. A tab, which
// RFC 9110 does not allow there, stays and makes the token unreadable: what
// was meant as credentials must not count as none.
func cutBasic(line string) (token string, ok bool) {
	line = strings.Trim(line, " \t")
	end := strings.IndexAny(line+" ", " \t")
	return strings.TrimLeft(line[end:], " "), strings.EqualFold(line[:end], "Basic")
}

func decodeBasic(token string) (name, password string, kind basicKind) {
	if len(token) > maxBasic {
		return "", "", basicMalformed
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil {
		return "", "", basicMalformed
	}
	userPass := string(raw)
	if !utf8.Valid(raw) {
		userPass = fromLatin1(raw)
	}
	name, password, ok := strings.Cut(userPass, ":")
	if !ok || hasControl(password) {
		return "", "", basicMalformed
	}
	return strings.Clone(norm.NFC.String(name)), password, basicPresent // the password goes with the request
}

// fromLatin1 reads b as ISO-8859-1, whose bytes are code points.
func fromLatin1(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}

// hasControl reports control characters, which RFC 7617 section 2 forbids in
// both parts. In a name they are left to the directory's check, which counts
// the try.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// fromBasic resolves the Authorization header, and reports false when it has
// answered the request: bad credentials are never silently nobody.
func (a *Auth) fromBasic(w http.ResponseWriter, r *http.Request, s *state) bool {
	name, password, kind := parseBasic(r.Header["Authorization"])
	switch kind {
	case basicNone:
		return true
	case basicMalformed:
		a.log.Warn("An Authorization header for Basic could not be read; nothing was counted.", a.attrs(r, "")...)
		a.failBasic(w, r, reasonFailed, http.StatusUnauthorized)
		return false
	}
	user, err := a.basicUser(w, r, Credentials{Name: name, Password: password, Client: s.Client, Uncertain: s.HeaderIgnored})
	if err != nil {
		a.refuseBasic(w, r, err)
		return false
	}
	s.identity.Unknown, s.identity.denied = false, false
	s.identity.User, s.identity.AuthType, s.identity.LoginReason = user, authBasic, reasonOK
	return true
}

// basicUser returns the user of Basic credentials: remembered, or by a login.
func (a *Auth) basicUser(w http.ResponseWriter, r *http.Request, c Credentials) (*directory.User, error) {
	user, err := a.proven(r, c)
	if user != nil {
		noStore(w.Header())
		return user, nil
	}
	var res Accepted
	if err == nil {
		res, err = a.login(w, r, c)
	}
	a.logLogin(r, c, res, err)
	if err != nil {
		return nil, err
	}
	a.proofs.put(c, res)
	return res.User, nil
}

// proven returns the user of credentials that were right a moment ago, and nil
// when they must be looked at. Nobody is refused here but for an outage: who
// has lost his access, or his entry, is told so by the login that follows.
//
// The log has one PASSED line for the login that was remembered and none for
// these: a client that sends ten requests a second would bury everything else,
// and nothing was authenticated that had not been.
func (a *Auth) proven(r *http.Request, c Credentials) (*directory.User, error) {
	p, ok := a.proofs.find(c)
	if !ok {
		return nil, nil
	}
	user, err := a.recall(r.Context(), p)
	switch {
	case errors.Is(err, directory.ErrNoUser), errors.Is(err, ErrAccessDenied):
		a.proofs.forget(attempts.Fold(p.User))
		return nil, nil
	case err != nil:
		return nil, err
	}
	if a.log.Enabled(r.Context(), slog.LevelDebug) {
		a.log.Debug("The password of '"+clip(c.Name)+"' is remembered as right.", a.attrs(r, p.User)...)
	}
	return user, nil
}

// refuseBasic answers Basic credentials that were not accepted.
func (a *Auth) refuseBasic(w http.ResponseWriter, r *http.Request, err error) {
	switch status := statusOf(err); status {
	case http.StatusServiceUnavailable:
		a.unavailable(w, r)
	case http.StatusForbidden:
		if errors.Is(err, attempts.ErrChallenge) {
			w.Header()[headerAuth] = []string{a.oauthChallenge(request.From(r.Context()))}
		}
		a.failBasic(w, r, reasonDenied, status)
	default:
		a.failBasic(w, r, reasonOf(err), status)
	}
}

func (a *Auth) failBasic(w http.ResponseWriter, r *http.Request, reason string, status int) {
	challenge := ""
	if status == http.StatusUnauthorized {
		challenge = a.basicChallenge
	}
	rec := request.From(r.Context())
	setHeader(w.Header(), rec, headerReason, slotReason, reason)
	setHeader(w.Header(), rec, headerUser, slotUser, "anonymous") // go-jira logs in for ever without one
	a.fail(w, r, status, "Basic Authentication Failure - Reason : "+reason, challenge)
}
