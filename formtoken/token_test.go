package formtoken

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
)

func TestTokensAreMaskedAndStayValid(t *testing.T) {
	g := newGuard(t, Config{Secret: fixed(secret)})
	r := secure("GET", "jira.example.com")
	a, b := g.Token(r), g.Token(r)
	if len(a) != tokenSize || len(b) != tokenSize {
		t.Fatalf("tokens of %d and %d characters, want %d", len(a), len(b), tokenSize)
	}
	// BREACH guesses a secret one character at a time from how well it
	// compresses with itself: two tokens must share no run of any length.
	for i := range len(a) - 8 {
		if strings.Contains(b, a[i:i+8]) {
			t.Errorf("tokens %s and %s share %s", a, b, a[i:i+8])
		}
	}
	if !verify(secret, a) || !verify(secret, b) {
		t.Error("a token of this session is refused")
	}
	if verify(former, a) {
		t.Error("a token of another session passes")
	}
}

// The tag is checked against its description, not against the code.
func TestTokenFormat(t *testing.T) {
	for _, n := range []int{16, 20, 32, 33, 100} {
		s := bytes.Repeat([]byte{7}, n)
		raw, err := base64.RawURLEncoding.DecodeString(mint(s))
		if err != nil || len(raw) != 32 {
			t.Fatalf("secret of %d bytes: %d bytes, %v", n, len(raw), err)
		}
		if want := reference(s, raw[:16]); !bytes.Equal(raw[16:], want) {
			t.Errorf("secret of %d bytes: tag %x, want %x", n, raw[16:], want)
		}
	}
}

func reference(secret, mask []byte) []byte {
	size := byte(len(secret))
	if len(secret) > 32 {
		sum := sha256.Sum256(secret)
		secret, size = sum[:], 0
	}
	sum := sha256.Sum256([]byte("xsrf1:" + string(size) + string(secret) + string(mask)))
	return sum[:16]
}

// A token has one spelling: whatever is changed in it, it is refused.
func TestNoOtherSpellingPasses(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=\r\n\x00 "
	token := mint(secret)
	for i := range token {
		for _, c := range alphabet {
			if forged := token[:i] + string(c) + token[i+1:]; forged != token && verify(secret, forged) {
				t.Fatalf("%q passes for %q", forged, token)
			}
		}
	}
	for _, forged := range []string{
		"", token + "=", token + "\n", "\n" + token, " " + token, token[:42], token[1:], token + token,
		token[:20] + "\r\n" + token[20:], token[:20] + "\n" + token[20:42],
		strings.Repeat("A", tokenSize), strings.Repeat("\n", tokenSize),
	} {
		if verify(secret, forged) {
			t.Errorf("%q passes for %q", forged, token)
		}
	}
}

// base64 decoders skip line ends, so that a token which ends in a zero byte
// could be written without it.
func TestLineEndStandsForNothing(t *testing.T) {
	raw := make([]byte, 32)
	for raw[0] = 1; ; raw[1]++ {
		copy(raw[16:], reference(secret, raw[:16]))
		if raw[31] == 0 {
			break
		}
		if raw[1] == 255 {
			raw[2]++
		}
	}
	if !verify(secret, base64.RawURLEncoding.EncodeToString(raw)) {
		t.Fatal("the token itself is refused")
	}
	if short := base64.RawURLEncoding.EncodeToString(raw[:31]); verify(secret, short+"\n") || verify(secret, "\r"+short) {
		t.Error("the token without its last byte passes")
	}
}

func TestShortSecretRefusesEverything(t *testing.T) {
	for _, s := range [][]byte{nil, {}, {1}, secret[:15]} {
		g := newGuard(t, Config{Secret: fixed(s)})
		if got := g.Token(secure("GET", "a.example")); got != "" {
			t.Errorf("secret of %d bytes: Token returns %q", len(s), got)
		}
		if verify(s, mint(s)) {
			t.Errorf("secret of %d bytes: a token passes", len(s))
		}
	}
	if got := newGuard(t, Config{}).Token(secure("GET", "a.example")); got != "" {
		t.Errorf("without a secret Token returns %q", got)
	}
}

// Secrets that pad to the same bytes must not share tokens.
func TestSecretsOfOtherLengthsAreOthers(t *testing.T) {
	s := append(bytes.Clone(secret), 0)
	sum := sha256.Sum256(bytes.Repeat(secret, 3))
	for _, p := range [][2][]byte{{secret, s}, {bytes.Repeat(secret, 3), sum[:]}} {
		if verify(p[0], mint(p[1])) || verify(p[1], mint(p[0])) {
			t.Errorf("%x and %x share tokens", p[0], p[1])
		}
	}
}

func TestTokenAllocations(t *testing.T) {
	token := mint(secret)
	if n := testing.AllocsPerRun(100, func() { mint(secret) }); n > 2 {
		t.Errorf("mint: %v allocations, want at most 2", n)
	}
	if n := testing.AllocsPerRun(100, func() { verify(secret, token) }); n != 0 {
		t.Errorf("verify: %v allocations, want 0", n)
	}
}

// FuzzToken: forged tokens never verify. The only tokens that may pass are
// those whose tag the secret gives to their mask, in the one spelling.
func FuzzToken(f *testing.F) {
	f.Add(mint(secret))
	f.Add(mint(former))
	f.Add(mint(secret)[:42])
	f.Add(mint(secret) + "=")
	f.Add(strings.Repeat("A", tokenSize))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		// The fuzzer cannot see the mask of a seed that it has spoilt, so
		// the tag is put right for it half of the time.
		for _, s := range []string{token, complete(token)} {
			if !verify(secret, s) {
				continue
			}
			raw, err := base64.RawURLEncoding.DecodeString(s)
			if err != nil || base64.RawURLEncoding.EncodeToString(raw) != s || !bytes.Equal(raw[16:], reference(secret, raw[:16])) {
				t.Fatalf("%q passes", s)
			}
			if verify(former, s) || verify(secret, swapCase(s)) && swapCase(s) != s {
				t.Fatalf("%q passes where it must not", s)
			}
		}
	})
}

// complete gives a mask cut from s its right tag, followed by the rest of s.
func complete(s string) string {
	var mask [16]byte
	n := copy(mask[:], s)
	return base64.RawURLEncoding.EncodeToString(append(mask[:], reference(secret, mask[:])...)) + s[n:]
}
