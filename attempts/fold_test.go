package attempts_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seed-244866eb/gatehouse/attempts"
	"golang.org/x/text/unicode/norm"
)

func TestFold(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"what is folded stays", "fred.normal", "fred.normal"},
		{"nothing stays", "", ""},
		{"capitals", "FRED", "fred"},
		{"outer spaces", "  fred\t", "fred"},
		{"inner spaces become one", "fred \u00a0\u3000 normal", "fred normal"},
		{"a space is not nothing", "fred normal", "fred normal"},
		{"spaces alone are nothing", " \u2003 ", ""},
		{"line ends", "fred\r\n", "fred"},
		{"NUL is dropped, it ends nothing", "fr\x00ed", "fred"},
		{"zero width", "f\u200br\u200ce\u200dd\ufeff", "fred"},
		{"directions", "\u202efred\u202c", "fred"},
		{"soft hyphen", "fre\u00add", "fred"},
		{"variation selectors and tags", "fred\ufe0f\U000e0041", "fred"},
		{"Hangul filler", "fred\u3164", "fred"},
		{"full width", "\uff26\uff32\uff25\uff24", "fred"},
		{"circled", "\u24d5\u24e1\u24d4\u24d3", "fred"},
		{"dotted capital I", "\u0130van", "ivan"},
		{"dotted capital I in two", "I\u0307van", "ivan"},
		{"what others make of it in lower case", "i\u0307van", "ivan"},
		{"dotless i is another letter", "\u0131van", "\u0131van"},
		{"sharp s", "Stra\u00dfe", "strasse"},
		{"capital sharp s", "STRA\u1e9eE", "strasse"},
		{"final sigma", "\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c3"},
		{"two ways to write an accent", "jose\u0301", "jos\u00e9"},
		{"an accent hidden behind a zero width", "jose\u200b\u0301", "jos\u00e9"},
		{"an accent is not nothing", "jos\u00e9", "jos\u00e9"},
		{"bytes that are no UTF-8", "fred\xff", "fred\ufffd"},
		{"a name as long as the longest", strings.Repeat("x", 255), strings.Repeat("x", 255)},
		{"a longer name is cut", strings.Repeat("x", 300), strings.Repeat("x", 255)},
		{"a longest name in wide letters", strings.Repeat("\U0001d431", 255), strings.Repeat("x", 255)},
		{"a cut ends in no space and no half character", strings.Repeat("x", 253) + " \u00e9", strings.Repeat("x", 253)},
		{"names are not looked at for ever", strings.Repeat(" ", 1<<20) + "fred", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := attempts.Fold(tt.in); got != tt.want {
				t.Errorf("Fold(%+q) = %+q, want %+q", tt.in, got, tt.want)
			}
		})
	}
}

// Directories compare letter by letter in lower case, after or before
// compatibility decomposition. No letter may have a key of its own that one
// of them takes for another letter.
func TestFoldIsCoarserThanDirectories(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.IsGraphic(r) && !unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Unified_Ideograph, r) {
			continue // unassigned, private, or without case and forms
		}
		in := "a" + string(r) + "b"
		want := attempts.Fold(in)
		for _, same := range []string{
			"a" + string(unicode.ToLower(r)) + "b",
			norm.NFD.String(in), norm.NFKC.String(in), norm.NFKD.String(in),
			norm.NFKC.String("a" + string(unicode.ToLower(r)) + "b"),
		} {
			if got := attempts.Fold(same); got != want {
				t.Fatalf("%U: %+q has the key %+q, %+q has %+q", r, in, want, same, got)
			}
		}
	}
}

// FuzzFold has the invariants that a key is its own key, is valid UTF-8, is
// at most 255 bytes and has no outer, double or other white space, and that
// case and normal form do not matter.
func FuzzFold(f *testing.F) {
	for _, seed := range []string{"fred", " Fred  Normal ", "al\u0130ce", "I\u0307\u0323", "\u00a8x", "\u1fb7\u0345\u0301",
		"\xff\xfe", "a\u200b\u0301", strings.Repeat("\ufdfa", 40), "x\x00y", "\u1e9e\u017f\u212a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		key := attempts.Fold(name)
		if again := attempts.Fold(key); again != key {
			t.Errorf("the key of %+q is %+q, and its key is %+q", name, key, again)
		}
		if !utf8.ValidString(key) || len(key) > 255 || strings.Join(strings.Fields(key), " ") != key {
			t.Errorf("Fold(%+q) = %+q", name, key)
		}
		if len(name) > 60 || !utf8.ValidString(name) {
			return // another form could be cut elsewhere
		}
		for _, same := range []string{norm.NFD.String(name), norm.NFC.String(name), name + " ", "\u00a0" + name} {
			if got := attempts.Fold(same); got != key {
				t.Errorf("%+q has the key %+q, %+q has %+q", name, key, same, got)
			}
		}
	})
}
