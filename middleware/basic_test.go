package middleware

import (
	"encoding/base64"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/internal/casefile"
)

func TestParseBasicCases(t *testing.T) {
	type row struct {
		ID                 string
		Lines              []string `json:"authorization_lines"`
		Expect             string
		Username, Password string
	}
	for _, c := range casefile.Read[row](t, "testdata/basic_auth.json") {
		t.Run(c.ID, func(t *testing.T) {
			lines := make([]string, len(c.Lines))
			for i, l := range c.Lines {
				lines[i] = strings.TrimSpace(l) // net/http trims optional white space
			}
			name, password, kind := parseBasic(lines)
			refused := kind == basicMalformed || kind == basicPresent && (password == "" || directory.CheckName(name) != nil)
			switch c.Expect {
			case "credentials":
				if kind != basicPresent || refused || name != c.Username || password != c.Password {
					t.Errorf("got %q, %q, kind %d; want %q, %q", name, password, kind, c.Username, c.Password)
				}
			case "reject":
				if !refused {
					t.Errorf("got %q, %q, kind %d; want it refused without asking the directory", name, password, kind)
				}
			case "anonymous":
				if kind != basicNone {
					t.Errorf("kind = %d, want none", kind)
				}
			case "either":
				if kind == basicPresent && !utf8.ValidString(name+password) {
					t.Errorf("got %q, %q: not UTF-8", name, password)
				}
			default:
				t.Fatalf("unknown expectation %q", c.Expect)
			}
		})
	}
}

func TestParseBasic(t *testing.T) {
	enc := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, tt := range []struct {
		name, line, user, password string
		kind                       basicKind
	}{
		{"UTF-8", enc("zoë:pässwörd"), "zoë", "pässwörd", basicPresent},
		{"ISO-8859-1", enc("zo\xeb:p\xe4ssw\xf6rd"), "zoë", "pässwörd", basicPresent},
		{"a password of 1,025 bytes is for the login to refuse", enc("u:" + strings.Repeat("p", 1025)), "u", strings.Repeat("p", 1025), basicPresent},
		{"more than 8 KiB", enc("u:" + strings.Repeat("p", 6<<10)), "", "", basicMalformed},
		{"a tab after the scheme", "Basic\tdTpw", "", "", basicMalformed},
		{"scheme alone", "Basic", "", "", basicMalformed},
		{"another scheme that begins alike", "Basically x", "", "", basicNone},
		{"trailing bits set", "Basic dTpwdx==", "", "", basicMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			user, password, kind := parseBasic([]string{tt.line})
			if user != tt.user || password != tt.password || kind != tt.kind {
				t.Errorf("got %q, %.20q, kind %d", user, password, kind)
			}
		})
	}
}

// FuzzParseBasic holds that no header panics, and that whatever is accepted
// is UTF-8, within the bounds, and without control characters in the password.
func FuzzParseBasic(f *testing.F) {
	for _, s := range []string{"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "basic cm9kOg==", "Basic", "Bearer x", "Basic bfxsbGVyOnB3", "Basic dXNlcgA6cHc="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		name, password, kind := parseBasic([]string{line})
		if kind != basicPresent {
			if name != "" || password != "" {
				t.Error("refused, but returned credentials")
			}
			return
		}
		if !utf8.ValidString(name) || !utf8.ValidString(password) || len(password) > maxBasic || hasControl(password) {
			t.Errorf("accepted %q, %q", name, password)
		}
	})
}
