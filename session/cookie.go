package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"

	"github.com/seed-244866eb/gatehouse/internal/request"
)

const (
	// 256 bits cannot be guessed (ASVS 5.0, 7.2.3 asks for 128), and need no
	// signature: an identifier that was not issued here is in no store.
	rawSize   = 34 // 2 bytes of shard, 32 of crypto/rand
	tokenSize = 46 // the same in base64url without padding

	// maxCandidates bounds the look-ups that one request can cause: a header
	// of a megabyte holds 16,000 well-formed cookies, each a round trip where
	// the store is a server.
	maxCandidates = 8

	// RFC 6265bis section 4.1.3; browsers compare them without case.
	hostPrefix   = "__Host-"
	securePrefix = "__Secure-"
)

// encoding refuses a last character whose unused bits are set: one session
// must have one spelling.
var encoding = base64.RawURLEncoding.Strict()

// parseToken returns the key behind a cookie value, false when its form is
// wrong.
func parseToken(token string) (Key, bool) {
	if len(token) != tokenSize {
		return Key{}, false
	}
	var text [tokenSize]byte
	var raw [rawSize + 2]byte
	copy(text[:], token)
	// The decoder skips line breaks, which then are missing in the count.
	if n, err := encoding.Decode(raw[:], text[:]); err != nil || n != rawSize {
		return Key{}, false
	}
	return keyOf((*[rawSize]byte)(raw[:rawSize])), true
}

// keyOf hashes all of the cookie, so that one with another's shard is another
// session. Who reads a store, or its backup, cannot make the cookie from it;
// a hash without salt will do, since nobody can list 256-bit inputs.
func keyOf(raw *[rawSize]byte) Key {
	return Key{Shard: binary.BigEndian.Uint16(raw[:2]), Hash: sha256.Sum256(raw[:])}
}

// newToken returns a fresh cookie value for user, "" for a visitor.
func newToken(user string) (string, Key) {
	var raw [rawSize]byte
	rand.Read(raw[:]) // never fails since Go 1.24
	if user != "" {
		binary.BigEndian.PutUint16(raw[:2], shardOf(user))
	}
	return encoding.EncodeToString(raw[:]), keyOf(&raw)
}

// shardOf returns the shard of a user's sessions. It tells nothing about a
// visitor that the cookie's holder does not know.
func shardOf(user string) uint16 {
	sum := sha256.Sum256([]byte(user))
	return binary.BigEndian.Uint16(sum[:2])
}

// candidates are the different well-formed session cookies of one request.
type candidates struct {
	keys [maxCandidates]Key
	n    int
	sent bool // a cookie of the name was there, well-formed or not
	over bool // more than fit; which of them is live must not depend on order
}

// scan reads the Cookie lines by hand: net/http's parser allocates for each
// of the cookies, and a browser sends many that are not ours. It splits as
// RFC 6265 section 4.2 writes; only space and tab are trimmed, since a server
// that trims more can be fed a prefix name that no browser would have let in.
func (c *candidates) scan(lines []string, name string) {
	for _, line := range lines {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			key, value, ok := strings.Cut(pair, "=")
			if ok && trim(key) == name {
				c.add(trim(value))
			}
		}
	}
}

// add takes one cookie value. Equal ones count once.
func (c *candidates) add(value string) {
	c.sent = true
	// RFC 6265 section 4.1.1 lets a value stand in double quotes.
	if n := len(value); n == tokenSize+2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	key, ok := parseToken(value)
	if !ok || c.has(key) {
		return
	}
	if c.n == len(c.keys) {
		c.over = true
		return
	}
	c.keys[c.n] = key
	c.n++
}

// has compares hashes in no constant time: they are of what the client sent
// itself.
func (c *candidates) has(key Key) bool {
	for i := range c.n {
		if c.keys[i] == key {
			return true
		}
	}
	return false
}

// trim removes what RFC 6265bis section 5.6 removes, and no Unicode space. By
// hand, since it runs twice for every cookie of a request and strings.Trim
// prepares for any set of characters.
func trim(s string) string {
	for s != "" && blank(s[0]) {
		s = s[1:]
	}
	for s != "" && blank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// setCookie answers with the session cookie, an empty token clears it. Both
// carry the same Path and Domain, or the browser would take them for two. There
// is no Expires: the store ends a session, whatever the browser thinks. Secure
// follows the scheme that the client sees, which behind a proxy is not r.TLS.
func (m *Manager) setCookie(w http.ResponseWriter, r *http.Request, token string) {
	c := http.Cookie{
		Name: m.name, Value: token, Path: m.path, Domain: m.domain,
		Secure: m.secure || scheme(r) == "https", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if token == "" {
		c.MaxAge = -1
	}
	h := w.Header()
	h["Set-Cookie"] = append(m.withoutOurs(h["Set-Cookie"]), c.String())
}

// withoutOurs drops what an earlier change within the same request answered:
// RFC 6265 section 4.1.1 allows one line a name, and a client that takes the
// first would keep an identifier that is dead already.
func (m *Manager) withoutOurs(lines []string) []string {
	kept := make([]string, 0, len(lines)+1)
	for _, line := range lines {
		if name, _, _ := strings.Cut(line, "="); name != m.name {
			kept = append(kept, line)
		}
	}
	return kept
}

// scheme returns the scheme as the client sees it: what a trusted proxy says,
// where a handler has resolved it, or else that of the connection.
func scheme(r *http.Request) string {
	if c := request.From(r.Context()); c != nil {
		return c.Scheme
	}
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
