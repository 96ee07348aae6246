package captcha

import (
	"crypto/rand"
	"strings"
	"unicode"
)

// glyphs are what answers are made of: each looks unlike all others in every
// font, also slanted and struck through. So of E F, U V Y there is one, and of
// 0 O D Q C G 6, 1 I L J, 2 Z, 5 S, 8 B there is none.
const glyphs = "AEHKMNPRTWXY3479"

// answerLen makes 16^5, about a million answers. One guess burns a challenge,
// so there is nothing to gain from longer ones but mistyping.
const answerLen = 5

// newAnswer takes no remainder with a bias: 256 is a multiple of 16.
func newAnswer() string {
	var b [answerLen]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	for i := range b {
		b[i] = glyphs[int(b[i])%len(glyphs)]
	}
	return string(b[:])
}

// maxAnswer bounds what is folded of an answer, in bytes.
const maxAnswer = 256

// fold brings what a person types to the form of an answer: upper case,
// without spaces, and full-width letters and digits, as input methods for
// Chinese and Japanese give them, made ASCII. An overlong answer becomes "",
// which is never right.
func fold(answer string) string {
	if len(answer) > maxAnswer {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if 0xFF01 <= r && r <= 0xFF5E {
			r -= 0xFF01 - '!'
		}
		switch {
		case unicode.IsSpace(r):
			return -1
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, answer)
}
