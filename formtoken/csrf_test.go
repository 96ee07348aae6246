package formtoken

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"

	"github.com/seed-244866eb/gatehouse/internal/casefile"
	"github.com/seed-244866eb/gatehouse/internal/request"
)

var (
	secret = []byte("0123456789abcdef") // of the session that sends
	former = []byte("fedcba9876543210") // of one that has ended, or of another browser
)

func fixed(s []byte) func(*http.Request) []byte {
	return func(*http.Request) []byte { return s }
}

func newGuard(t testing.TB, c Config) *Guard {
	t.Helper()
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A csrfRow is a row of testdata/csrf.json.
type csrfRow struct {
	ID, Method, Host, Auth, Token, Expect, Note string

	TLS     bool
	Headers map[string]string
	Trusted []string `json:"trusted_origins"`
	Peer    bool     `json:"peer_trusted"`
}

func TestCSRFCases(t *testing.T) {
	for _, row := range casefile.Read[csrfRow](t, "testdata/csrf.json") {
		t.Run(row.ID, func(t *testing.T) { row.run(t) })
	}
}

func (row csrfRow) run(t *testing.T) {
	g := row.guard(t)
	passed := false
	app := g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true }))
	w := httptest.NewRecorder()
	app.ServeHTTP(w, row.request(t))
	got := "deny"
	if passed {
		got = "allow"
	}
	// csrf-031, the only "either": Sec-Fetch-Site decides, as R2 says.
	want := row.Expect
	if want == "either" {
		want = "allow"
	}
	if got != want {
		t.Fatalf("%s, want %s (%s)", got, want, row.Note)
	}
	// R6
	if !passed && (w.Code != http.StatusForbidden || w.Header().Get("Vary") != "Cookie") {
		t.Errorf("denied with status %d, Vary %q", w.Code, w.Header().Get("Vary"))
	}
}

// guard makes the Guard of the row. An origin with a wildcard is a fault of
// the Config, so such a row is decided without it.
func (row csrfRow) guard(t *testing.T) *Guard {
	c := Config{TrustedOrigins: row.Trusted, Secret: fixed(secret)}
	if row.Auth == "basic" {
		c.Secret = nil
	}
	if strings.Contains(strings.Join(row.Trusted, " "), "*") {
		if _, err := New(c); err == nil {
			t.Fatalf("New takes the wildcard in %q", row.Trusted)
		}
		c.TrustedOrigins = nil
	}
	return newGuard(t, c)
}

func (row csrfRow) request(t *testing.T) *http.Request {
	header, body := row.tokens(t)
	r := httptest.NewRequest(row.Method, "/issue/TEST-1/comment", strings.NewReader(body))
	r.Host, r.TLS = row.Host, nil
	if row.TLS {
		r.TLS = &tls.ConnectionState{}
	}
	for k, v := range row.Headers {
		r.Header.Set(k, v)
	}
	if header != "" {
		r.Header.Set(HeaderName, header)
	}
	if row.Auth != "basic" {
		r.Header.Set("Cookie", "JSESSIONID=x") // "none" is a visitor's session, from before the login
	}
	if strings.Contains(row.Auth, "basic") {
		r.SetBasicAuth("fred", "fredpass")
	}
	return row.forwarded(r)
}

// forwarded fills the record as a resolver of trusted proxies does.
func (row csrfRow) forwarded(r *http.Request) *http.Request {
	c, r := request.Fork(r)
	if row.Peer {
		if v := r.Header.Get("X-Forwarded-Proto"); v != "" {
			c.Scheme = v
		}
		if v := r.Header.Get("X-Forwarded-Host"); v != "" {
			c.Host = strings.TrimSpace(v[strings.LastIndexByte(v, ',')+1:])
		}
	}
	return r
}

// tokens returns the token of the row in the header, and the body with its
// token in the form that the row's Content-Type asks for.
func (row csrfRow) tokens(t *testing.T) (header, body string) {
	valid := mint(secret)
	var values []string
	switch row.Token {
	case "missing":
	case "valid":
		values = []string{valid}
	case "invalid":
		values = []string{"invalid"}
	case "header_invalid_form_valid":
		header, values = "invalid", []string{valid}
	case "other_session", "after_logout", "expired": // tokens end with their session
		values = []string{mint(former)}
	case "truncated":
		values = []string{valid[:len(valid)-1]}
	case "case_changed":
		values = []string{swapCase(valid)}
	case "two_values_second_valid":
		values = []string{"invalid", valid}
	case "null_bytes":
		values = []string{valid[:10] + "\x00" + valid[10:]}
	default:
		t.Fatalf("the row asks for a token %q, which the test does not know", row.Token)
	}
	return header, fields(row.Headers["Content-Type"], values)
}

func swapCase(token string) string {
	i := strings.IndexFunc(token, unicode.IsLetter)
	if i < 0 {
		return token
	}
	if up := strings.ToUpper(token[i : i+1]); up != token[i:i+1] {
		return token[:i] + up + token[i+1:]
	}
	return token[:i] + strings.ToLower(token[i:i+1]) + token[i+1:]
}

// fields writes a body that a browser would send, with the tokens first.
func fields(contentType string, tokens []string) string {
	var b strings.Builder
	if strings.HasPrefix(contentType, "multipart/") {
		for _, v := range tokens {
			b.WriteString(part(FieldName, v))
		}
		return b.String() + part("body", "a comment") + "--x--\r\n"
	}
	for _, v := range tokens {
		b.WriteString(FieldName + "=" + strings.ReplaceAll(v, "\x00", "%00") + "&")
	}
	return b.String() + "body=a+comment"
}

func part(name, value string) string {
	return "--x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}
