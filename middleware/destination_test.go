package middleware

import (
	"net/url"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/casefile"
)

var jira = site{origin: "https://jira.example.com", avoid: []string{"/login.jsp", "/logout"}}

func TestDestinationCases(t *testing.T) {
	type row struct {
		ID, Payload, Expect, Note string
	}
	for _, c := range casefile.Read[row](t, "testdata/redirects.json") {
		t.Run(c.ID, func(t *testing.T) {
			got, ok := jira.destination(c.Payload)
			switch c.Expect {
			case "allow":
				if !ok || got != c.Payload {
					t.Errorf("destination(%q) = %q, %v; want it followed as it is", c.Payload, got, ok)
				}
			case "deny":
				if ok {
					t.Errorf("destination(%q) = %q; want it refused", c.Payload, got)
				}
			case "either":
				checkStaysHome(t, got, ok)
			default:
				t.Fatalf("unknown expectation %q", c.Expect)
			}
		})
	}
}

// checkStaysHome holds whatever was allowed against the rule of the case
// file: an absolute path that no URL parser takes for another origin.
func checkStaysHome(t *testing.T, dest string, ok bool) {
	t.Helper()
	if !ok {
		return
	}
	loc := locationValue(dest)
	u, err := url.Parse("https://jira.example.com" + loc)
	if !strings.HasPrefix(loc, "/") || strings.HasPrefix(loc, "//") || strings.ContainsAny(loc, "\\\t\r\n ") {
		t.Errorf("Location %q is not a plain path", loc)
	}
	if err == nil && u.Host != "jira.example.com" {
		t.Errorf("Location %q leads to %s", loc, u.Host)
	}
}

func TestDestination(t *testing.T) {
	below := site{origin: "https://example.org:8443", context: "/jira", avoid: []string{"/login", "/logout"}}
	for _, tt := range []struct{ name, raw, want string }{
		{"inside the context path", "/jira/browse/TEST-1", "/jira/browse/TEST-1"},
		{"the context path itself", "/jira", "/jira"},
		{"the context path with a query", "/jira?x=1", "/jira?x=1"},
		{"a longer name is another application", "/jiraffe/x", ""},
		{"another application of the host", "/confluence/x", ""},
		{"own origin is written as its path", "https://example.org:8443/jira/x?y#z", "/jira/x?y#z"},
		{"own origin in capitals", "HTTPS://EXAMPLE.ORG:8443/jira/x", "/jira/x"},
		{"own host with another port", "https://example.org/jira/x", ""},
		{"own host with another scheme", "http://example.org:8443/jira/x", ""},
		{"own host as user info", "https://example.org:8443@evil.example/jira/", ""},
		{"Kelvin sign for k", "https://example.org:8443\u212a/jira/", ""},
		{"the login page", "/jira/login", ""},
		{"the login page with a query", "/jira/login?os_destination=/jira/x", ""},
		{"the login page with a slash", "/jira/login/", ""},
		{"the login page with a parameter", "/jira/login;x=1", ""},
		{"the login page in escapes", "/jira/%6cogin", ""},
		{"the logout page", "/jira/logout", ""},
		{"out by dots", "/jira/../evil", ""},
		{"out by encoded dots", "/jira/%2e%2e/evil", ""},
		{"out by dots with a parameter", "/jira/..;/evil", ""},
		{"line break", "/jira/x\r\nSet-Cookie: a=b", ""},
		{"not UTF-8", "/jira/\xff", ""},
		{"zero-width space", "/jira/\u200bx", ""},
		{"longer than 2,048 bytes", "/jira/" + strings.Repeat("x", 2043), ""},
		{"2,048 bytes", "/jira/" + strings.Repeat("x", 2042), "/jira/" + strings.Repeat("x", 2042)},
		{"not a URL", "/jira/%zz", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := below.destination(tt.raw)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("destination(%.80q) = %.80q, %v; want %.80q", tt.raw, got, ok, tt.want)
			}
		})
	}
}

// FuzzDestination holds that whatever is followed is a path of this very
// origin and context, in one line, that net/url and a browser's backslash
// rule agree about.
func FuzzDestination(f *testing.F) {
	for _, s := range []string{"/", "/jira/x", "//evil.example", `/\evil.example`, "https://example.org:8443/jira/", "https:evil", "/jira/%2e%2e/x", "/jira/\t/x", "javascript:alert(1)"} {
		f.Add(s)
	}
	s := site{origin: "https://example.org:8443", context: "/jira", avoid: []string{"/login"}}
	f.Fuzz(func(t *testing.T, raw string) {
		dest, ok := s.destination(raw)
		if !ok {
			if dest != "" {
				t.Errorf("refused, but returned %q", dest)
			}
			return
		}
		loc := locationValue(dest)
		u, err := url.Parse(strings.ReplaceAll(loc, `\`, "/"))
		if err != nil || u.Host != "" || u.Scheme != "" || u.User != nil {
			t.Fatalf("Location %q: %v, host %q", loc, err, u.Host)
		}
		abs := (&url.URL{Scheme: "https", Host: "example.org:8443", Path: "/jira/login"}).ResolveReference(u)
		if p := abs.EscapedPath(); p != "/jira" && !strings.HasPrefix(p, "/jira/") {
			t.Errorf("Location %q leads to %q", loc, p)
		}
	})
}
