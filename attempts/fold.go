package attempts

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

const (
	// longestName is the length of a key in bytes: the longest name that
	// directories take. Longer ones share the key of their beginning.
	longestName = 255
	// longestInput is how much of a name is looked at; four bytes a letter
	// are the longest spelling of longestName letters.
	longestInput = 4 * (longestName + 1)
)

// Fold returns the key under which a name that somebody typed is counted. It
// is at least as coarse as the matching of directories (RFC 4518 and what
// slapd does beyond it), or every further spelling of a name would be a fresh
// budget for a guesser: characters that do not show are dropped, runs of
// white space become one space, then NFKC, full case folding, NFKC. It is
// idempotent, and returns at most 255 bytes of valid UTF-8. A name that is
// its own key costs no allocation.
func Fold(name string) string {
	if isFolded(name) {
		return name
	}
	name = truncate(name, longestInput)
	if isPlain(name) {
		name = strings.Join(strings.Fields(strings.ToLower(name)), " ")
		return strings.TrimRight(truncate(name, longestName), " ")
	}
	// One pass is not always the fixed point: case folding can bring
	// combining marks into an order that NFKC then composes anew.
	for range 4 {
		next := foldOnce(name)
		if next == name {
			break
		}
		name = next
	}
	return strings.TrimRight(truncate(name, longestName), " ")
}

// isFolded reports a name of printable ASCII without capitals, outer spaces
// and double spaces: nearly every name there is.
func isFolded(name string) bool {
	if len(name) > longestName {
		return false
	}
	last := byte(' ')
	for i := range len(name) {
		c := name[i]
		if c < ' ' || c > '~' || 'A' <= c && c <= 'Z' || c == ' ' && last == ' ' {
			return false
		}
		last = c
	}
	return last != ' ' || name == ""
}

// isPlain reports a name of printable ASCII, for which normal forms and case
// folding are no more than lower case.
func isPlain(name string) bool {
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' {
			return false
		}
	}
	return true
}

// foldOnce is one pass of the folding.
func foldOnce(name string) string {
	s := norm.NFKC.String(prepare(name))
	// slapd lower-cases U+0130 to a bare i before it decomposes, where full
	// case folding leaves a dot above; other software leaves the dot. All
	// three have to meet.
	s = strings.ReplaceAll(s, "\u0130", "i")
	// Lower case last: x/text does not fold the small Cherokee letters.
	s = norm.NFKC.String(strings.ToLower(cases.Fold().String(s)))
	s = strings.ReplaceAll(s, "i\u0307", "i")
	return strings.Join(strings.Fields(prepare(s)), " ")
}

// prepare maps every kind of white space to a space and drops what does not
// show (RFC 4518 section 2.2; Unicode: Default_Ignorable_Code_Point).
func prepare(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Variation_Selector,
			unicode.Other_Default_Ignorable_Code_Point), r == '\uFFFC':
			return -1
		}
		return r
	}, s)
}

// truncate cuts s to at most n bytes, between two characters.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
