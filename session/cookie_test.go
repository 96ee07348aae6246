package session_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/casefile"
	"github.com/seed-244866eb/gatehouse/session"
)

type cookieRow struct {
	ID     string   `json:"id"`
	Lines  []string `json:"cookie_lines"`
	Name   string   `json:"session_cookie_name"`
	Expect string   `json:"expect"`
	Note   string   `json:"note"`
}

// otherRows are the rows that no function of this package can decide yet.
var otherRows = map[string]string{
	"cookies-055": "remember-me cookie: its answer is decided with remember-me",
	"cookies-057": "remember-me theft: decided with remember-me",
	"cookies-061": "made on another node: needs a store that two nodes share; here two Managers share a Memory",
	"cookies-063": "binding to the client address: decided with binding",
}

func TestCookieCases(t *testing.T) {
	const path = "testdata/cookies.json"
	casefile.LeftOut(t, path, otherRows)
	for _, row := range casefile.Read[cookieRow](t, path) {
		if row.ID == "cookies-061" {
			t.Run(row.ID, testOtherManager)
			continue
		}
		if otherRows[row.ID] != "" {
			continue
		}
		t.Run(row.ID, func(t *testing.T) { testCookieRow(t, row) })
	}
}

func testCookieRow(t *testing.T, row cookieRow) {
	m := newManager(t, session.Config{Name: row.Name})
	token, second, ended := login(t, m, "fred"), login(t, m, "ann"), login(t, m, "gone")
	if err := m.Revoke(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer(
		"$VALID_UPPER", strings.ToUpper(token), "$VALID_FLIP", flip(token),
		"$VALID2", second, "$VALID", token, "$LOGGED_OUT", ended)
	r := httptest.NewRequest("GET", "/", nil)
	for _, line := range row.Lines {
		r.Header.Add("Cookie", fill.Replace(line))
	}
	s := m.Check(r)
	got := s.State().String()
	switch {
	case s.State() == session.Live && s.User().User == "fred":
		got = "authenticated"
	case s.State() == session.None || s.State() == session.Dead:
		got = "anonymous"
	}
	ok := got == row.Expect || (row.Expect == "either" && (got == "authenticated" || got == "anonymous"))
	if !ok || s.Err() != nil {
		t.Errorf("%q is %s (%v), want %s: %s", row.Lines, got, s.Err(), row.Expect, row.Note)
	}
}

// testOtherManager is cookies-061 as far as one process goes.
func testOtherManager(t *testing.T) {
	store := session.NewMemory(session.MemoryConfig{})
	one, two := newManager(t, session.Config{Store: store}), newManager(t, session.Config{Store: store})
	if s := two.Check(request("JSESSIONID=" + login(t, one, "fred"))); s.User().User != "fred" {
		t.Errorf("%v, want fred", s)
	}
}

// flip changes one bit of the token's first byte.
func flip(token string) string {
	c := byte('A')
	if token[0] == 'A' {
		c = 'B'
	}
	return string(c) + token[1:]
}

func TestCookieStates(t *testing.T) {
	m := newManager(t, session.Config{})
	a, b := login(t, m, "fred"), login(t, m, "ann")
	dead := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	var many strings.Builder
	for i := range 9 {
		many.WriteString("JSESSIONID=" + dead[:44] + string("ABCDEFGHIJ"[i]) + "A; ")
	}
	// The last character of 34 bytes carries four unused bits (RFC 4648, 3.5).
	loose := a[:45] + string(rune(a[45]+1))
	for _, tt := range []struct {
		name, cookie string
		want         session.State
	}{
		{"no cookie header", "", session.None},
		{"only other cookies", "a=b; c=d", session.None},
		{"the name without a value is another cookie", "JSESSIONID", session.None},
		{"a longer name is another cookie", "XJSESSIONID=" + a, session.None},
		{"the name inside another's value", "a=JSESSIONID=" + a, session.None},
		{"empty", "JSESSIONID=", session.Dead},
		{"malformed", "JSESSIONID=x", session.Dead},
		{"well-formed and unknown", "JSESSIONID=" + dead, session.Dead},
		{"unused bits set", "JSESSIONID=" + loose, session.Dead},
		{"a line break inside", "JSESSIONID=" + a[:45] + "\n" + a[45:], session.Dead},
		{"padding", "JSESSIONID=" + a + "==", session.Dead},
		{"live", "JSESSIONID=" + a, session.Live},
		{"curl's trailing semicolon", "JSESSIONID=" + a + ";", session.Live},
		{"attributes echoed back as cookies", "JSESSIONID=" + a + "; Path=/; HttpOnly", session.Live},
		{"tabs around", "x=y;\tJSESSIONID=" + a + "\t", session.Live},
		{"in double quotes", `JSESSIONID="` + a + `"`, session.Live},
		{"half in double quotes", `JSESSIONID="` + a, session.Dead},
		{"equal ones count once", "JSESSIONID=" + a + "; JSESSIONID=" + a, session.Live},
		{"a dead one before a live one", "JSESSIONID=" + dead + "; JSESSIONID=" + a, session.Live},
		{"a dead one after a live one", "JSESSIONID=" + a + "; JSESSIONID=" + dead, session.Live},
		{"two live ones", "JSESSIONID=" + a + "; JSESSIONID=" + b, session.Ambiguous},
		{"two live ones the other way", "JSESSIONID=" + b + "; JSESSIONID=" + a, session.Ambiguous},
		{"too many to look up, the live one last", many.String() + "JSESSIONID=" + a, session.Ambiguous},
		{"too many to look up, the live one first", "JSESSIONID=" + a + "; " + many.String(), session.Ambiguous},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := m.Check(request(tt.cookie))
			if s.State() != tt.want {
				t.Errorf("%v, want %v", s.State(), tt.want)
			}
			if tt.want != session.Live && s.User() != (session.Principal{}) {
				t.Errorf("user %v in state %v", s.User(), s.State())
			}
		})
	}
}

// A stranger's cookie must not cause look-ups without bound, nor a malformed
// one any.
func TestLookUpsAreBounded(t *testing.T) {
	store := &faulty{Store: session.NewMemory(session.MemoryConfig{})}
	m := newManager(t, session.Config{Store: store})
	for _, tt := range []struct {
		name, cookie string
		want         int
	}{
		{"malformed", "JSESSIONID=x; JSESSIONID=session:*; JSESSIONID=" + strings.Repeat("A", 4096), 0},
		{"line breaks that the decoder skips", "JSESSIONID=" + strings.Repeat("A", 43) + "\n\n\n", 0},
		{"two equal", strings.Repeat("JSESSIONID="+strings.Repeat("A", 46)+"; ", 2), 1},
		{"a thousand", thousand(), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store.loads = 0
			m.Check(request(tt.cookie))
			if store.loads != tt.want {
				t.Errorf("%d look-ups, want %d", store.loads, tt.want)
			}
		})
	}
}

func thousand() string {
	var b strings.Builder
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	for i := range 1000 {
		b.WriteString("JSESSIONID=" + strings.Repeat("A", 43) + string(digits[i/32]) + string(digits[i%32]) + "A; ")
	}
	return b.String()
}

func TestSetCookie(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config session.Config
		url    string
		set    string
		clear  string
	}{
		{"plain http", session.Config{}, "http://a/",
			"JSESSIONID=TOKEN; Path=/; HttpOnly; SameSite=Lax",
			"JSESSIONID=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"},
		{"https", session.Config{Path: "/jira"}, "https://a/",
			"JSESSIONID=TOKEN; Path=/jira; HttpOnly; Secure; SameSite=Lax",
			"JSESSIONID=; Path=/jira; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{"a domain", session.Config{Name: "sid", Domain: "example.org"}, "http://a/",
			"sid=TOKEN; Path=/; Domain=example.org; HttpOnly; SameSite=Lax",
			"sid=; Path=/; Domain=example.org; Max-Age=0; HttpOnly; SameSite=Lax"},
		{"always Secure", session.Config{AlwaysSecure: true}, "http://a/",
			"JSESSIONID=TOKEN; Path=/; HttpOnly; Secure; SameSite=Lax",
			"JSESSIONID=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{"a prefix demands Secure", session.Config{Name: "__Host-sid"}, "http://a/",
			"__Host-sid=TOKEN; Path=/; HttpOnly; Secure; SameSite=Lax",
			"__Host-sid=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newManager(t, tt.config)
			r, w := httptest.NewRequest("POST", tt.url, nil), httptest.NewRecorder()
			token, err := m.Login(w, r, fred)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{strings.Replace(tt.set, "TOKEN", token, 1)}
			if got := w.Header().Values("Set-Cookie"); !slices.Equal(got, want) {
				t.Errorf("login answers\n%q, want\n%q", got, want)
			}
			if err := m.Logout(w, r); err != nil {
				t.Fatal(err)
			}
			if got := w.Header().Values("Set-Cookie"); !slices.Equal(got, []string{tt.clear}) {
				t.Errorf("logout answers\n%q, want\n%q", got, tt.clear)
			}
		})
	}
}

// Other cookies of the application stay in the answer.
func TestSetCookieKeepsOthers(t *testing.T) {
	m := newManager(t, session.Config{})
	w := httptest.NewRecorder()
	http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
	if _, err := m.Login(w, request(""), fred); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Values("Set-Cookie"); len(got) != 2 || got[0] != "theme=dark" {
		t.Errorf("Set-Cookie %q", got)
	}
}
