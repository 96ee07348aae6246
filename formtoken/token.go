package formtoken

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
)

// A token is a random mask and the tag that the secret gives to it. The tag
// is half of a SHA-256, so tokens tell nothing about the secret.
const (
	maskSize  = 16
	tagSize   = 16
	tokenSize = (8*(maskSize+tagSize) + 5) / 6 // in characters

	minSecret = 16
	maxSecret = sha256.Size // longer ones are hashed first
)

// strict refuses set bits in the padding, so that a token has one spelling.
var strict = base64.RawURLEncoding.Strict()

// Token returns a token for the session of r, or "" when it has no secret. It
// is new with every call and all of them stay valid: mint one for a page and
// put it into each form, or into <meta name="atlassian-token">.
func (g *Guard) Token(r *http.Request) string {
	if g.secret == nil {
		return ""
	}
	secret := g.secret(r)
	if len(secret) < minSecret {
		return ""
	}
	return mint(secret)
}

func mint(secret []byte) string {
	var raw [maskSize + tagSize]byte
	rand.Read(raw[:maskSize]) // never fails (crypto/rand)
	t := tag(secret, raw[:maskSize])
	copy(raw[maskSize:], t[:])
	var text [tokenSize]byte
	strict.Encode(text[:], raw[:])
	return string(text[:])
}

// tag hashes label, length and secret before the mask. The length is there so
// that no two pairs of secret and mask hash the same bytes; all of it fits
// into one block of SHA-256, and one secret always gives one length, so there
// is nothing to extend.
func tag(secret, mask []byte) [tagSize]byte {
	var long [sha256.Size]byte
	size := byte(len(secret))
	if len(secret) > maxSecret {
		long = sha256.Sum256(secret)
		secret, size = long[:], 0
	}
	var in [6 + 1 + maxSecret + maskSize]byte
	n := copy(in[:], "xsrf1:")
	in[n] = size
	n++
	n += copy(in[n:], secret)
	n += copy(in[n:], mask)
	sum := sha256.Sum256(in[:n])
	return [tagSize]byte(sum[:tagSize])
}

// verify reports whether token was minted with secret. The comparison takes
// the same time wherever the tags differ.
func verify(secret []byte, token string) bool {
	if len(secret) < minSecret || len(token) != tokenSize {
		return false
	}
	var text [tokenSize]byte
	copy(text[:], token)
	var raw [maskSize + tagSize]byte
	// The decoder skips line ends, hence the look at the length.
	if n, err := strict.Decode(raw[:], text[:]); err != nil || n != len(raw) {
		return false
	}
	want := tag(secret, raw[:maskSize])
	return subtle.ConstantTimeCompare(want[:], raw[maskSize:]) == 1
}
