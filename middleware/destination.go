package middleware

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-244866eb/gatehouse/internal/request"
)

// maxDestination bounds os_destination in bytes.
const maxDestination = 2048

// A site is what a destination must stay within.
type site struct {
	origin  string   // scheme://host[:port] as the client sees it, lower case
	context string   // context path, "" or "/jira"
	avoid   []string // paths below the context that must not be gone to: login, logout
}

// destination returns raw as the path to redirect to, and false when raw is
// not to be followed: another origin or context path, the login page itself,
// or anything that some browser reads otherwise than it looks. What is
// returned is written into Location as it is, without decoding or cleaning:
// http.Redirect would turn /a/../\evil into /\evil.
func (s site) destination(raw string) (string, bool) {
	if raw == "" || len(raw) > maxDestination || !utf8.ValidString(raw) || strings.ContainsFunc(raw, unsafeInURL) {
		return "", false
	}
	path, ok := s.local(raw)
	if !ok || !s.below(path) {
		return "", false
	}
	return path, true
}

// unsafeInURL reports characters that browsers drop, trim or turn: controls
// and white space (dropped inside, trimmed at the ends), the backslash (a
// slash in http URLs), and invisible format characters.
func unsafeInURL(c rune) bool {
	return c <= ' ' || c == 0x7f || c == '\\' || unicode.IsSpace(c) || unicode.In(c, unicode.Cc, unicode.Cf)
}

// local returns raw as an absolute path of this origin. An absolute URL must
// spell the origin exactly: userinfo, another port and look-alikes fall out.
func (s site) local(raw string) (string, bool) {
	if i := strings.Index(raw, "://"); i > 0 && !strings.HasPrefix(raw, "/") {
		end := i + 3 + strings.IndexAny(raw[i+3:]+"/", "/?#")
		if !strings.EqualFold(raw[:end], s.origin) || !isASCII(raw[:end]) {
			return "", false
		}
		raw = raw[end:]
		if !strings.HasPrefix(raw, "/") {
			raw = "/" + raw
		}
	}
	if !strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, "//") {
		return "", false
	}
	return raw, true
}

// isASCII keeps EqualFold from taking the Kelvin sign for a k.
func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c > 0x7e })
}

// below reports whether path, read as browsers and servers read it, stays
// within the context path and goes to neither login nor logout. Dot segments
// are refused where somebody's cleaning would change which path that is.
func (s site) below(dest string) bool {
	path, _, _ := strings.Cut(dest, "#")
	path, _, _ = strings.Cut(path, "?")
	plain, err := url.PathUnescape(path)
	if err != nil {
		return false
	}
	if hasDots(path) || hasDots(plain) {
		return false
	}
	inner, ok := strings.CutPrefix(path, s.context)
	if !ok || (inner != "" && inner[0] != '/') {
		return false
	}
	if inner, err = url.PathUnescape(inner); err != nil {
		return false
	}
	inner, _, _ = strings.Cut(inner, ";")
	inner = strings.TrimSuffix(inner, "/")
	return !slices.ContainsFunc(s.avoid, func(p string) bool { return strings.TrimSuffix(p, "/") == inner })
}

// hasDots reports a segment "." or "..", with or without path parameters.
func hasDots(path string) bool {
	for seg := range strings.SplitSeq(path, "/") {
		seg, _, _ = strings.Cut(seg, ";")
		if seg == "." || seg == ".." {
			return true
		}
	}
	return false
}

// site returns the bounds of redirects for the request of rec.
func (a *Auth) site(rec *request.Record) site {
	origin := a.origin
	if origin == "" {
		origin = rec.Scheme + "://" + rec.Host
	}
	return site{origin: origin, context: a.context, avoid: []string{a.loginPath, a.logoutPath}}
}

// home is where a person without a destination goes.
func (a *Auth) home() string { return a.context + a.homePath }

// seeOther answers 303 to dest, which was checked or is ours, as it stands.
func seeOther(w http.ResponseWriter, dest string) {
	w.Header()[headerLocation] = []string{locationValue(dest)}
	w.WriteHeader(http.StatusSeeOther)
}

// locationValue percent-encodes what a header cannot carry, and nothing else.
func locationValue(dest string) string {
	if isASCII(dest) {
		return dest
	}
	var b strings.Builder
	for i := range len(dest) {
		if c := dest[i]; c > 0x7e {
			b.WriteByte('%')
			b.WriteByte("0123456789ABCDEF"[c>>4])
			b.WriteByte("0123456789ABCDEF"[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// asked returns the destination that leads back to r, for a request that can
// be repeated; "" for others.
func (a *Auth) asked(r *http.Request) string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return ""
	}
	uri := r.RequestURI // also what an http.StripPrefix took off
	if uri == "" {
		uri = r.URL.RequestURI()
	}
	if !strings.HasPrefix(uri, "/") { // absolute-form
		uri = r.URL.RequestURI()
	}
	dest, ok := a.site(request.From(r.Context())).destination(uri)
	if !ok {
		return ""
	}
	return dest
}
