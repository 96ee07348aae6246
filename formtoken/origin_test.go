package formtoken

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/request"
)

func TestParseOrigin(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want origin
		ok   bool
	}{
		{"https://jira.example.com", origin{"https", "jira.example.com", 443}, true},
		{"http://jira.example.com", origin{"http", "jira.example.com", 80}, true},
		{"https://jira.example.com:8443", origin{"https", "jira.example.com", 8443}, true},
		{"HTTPS://localhost:1", origin{"https", "localhost", 1}, true},
		{"http://192.0.2.7:65535", origin{"http", "192.0.2.7", 65535}, true},
		{"http://[2001:db8::1]", origin{"http", "2001:db8::1", 80}, true},
		{"http://[2001:db8::1]:8080", origin{"http", "2001:db8::1", 8080}, true},
		{"https://under_score.example", origin{"https", "under_score.example", 443}, true},
		{"", origin{}, false},
		{"null", origin{}, false},
		{"https://", origin{}, false},
		{"https://:443", origin{}, false},
		{"https://[", origin{}, false},
		{"https://[]", origin{}, false},
		{"https://[2001:db8::1", origin{}, false},
		{"https://[fe80::1%25eth0]", origin{}, false},
		{"https://[192.0.2.7]", origin{}, false},
		{"https://[2001:db8::1]x", origin{}, false},
		{"https://2001:db8::1", origin{}, false},
		{"https://jira.example.com/", origin{}, false},
		{"https://jira.example.com?", origin{}, false},
		{"https://jira.example.com#", origin{}, false},
		{"https://fred@jira.example.com", origin{}, false},
		{"https://jira.example.com\\@attacker.example", origin{}, false},
		{"https://jira.example.com:", origin{}, false},
		{"https://jira.example.com:0443", origin{}, false},
		{"https://jira.example.com:0", origin{}, false},
		{"https://jira.example.com:65536", origin{}, false},
		{"https://jira.example.com:99999999", origin{}, false},
		{"https://jira.example.com:+44", origin{}, false},
		{"https://jira.example.com ", origin{}, false},
		{" https://jira.example.com", origin{}, false},
		{"https://jira.example.com, https://jira.example.com", origin{}, false},
		{"https://jira.example.com\x00", origin{}, false},
		{"https://b\u00fccher.example", origin{}, false},
		{"https:jira.example.com", origin{}, false},
		{"https:/jira.example.com", origin{}, false},
		{"//jira.example.com", origin{}, false},
		{"ftp://jira.example.com", origin{}, false},
		{"javascript://jira.example.com", origin{}, false},
	} {
		if got, ok := parseOrigin(tt.in); ok != tt.ok || ok && got != tt.want {
			t.Errorf("parseOrigin(%q) = %+v, %v; want %+v, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

func TestSameOriginAcrossSpellings(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"https://a.example", "https://a.example:443", true},
		{"http://a.example", "http://a.example:80", true},
		{"http://a.example", "https://a.example", false},
		{"http://a.example:443", "https://a.example:443", false},
		{"https://a.example", "https://A.EXAMPLE", true},
		{"https://a.example", "https://a.example.", false}, // browsers keep them apart too
		{"https://a.example", "https://b.a.example", false},
		{"http://[2001:db8::1]", "http://[2001:DB8:0::0:1]", true},
		{"http://[2001:db8::1]", "http://[2001:db8::2]", false},
		{"http://[::ffff:192.0.2.7]", "http://192.0.2.7", false},
	} {
		a, okA := parseOrigin(tt.a)
		b, okB := parseOrigin(tt.b)
		if !okA || !okB || a.equal(b) != tt.want || b.equal(a) != tt.want {
			t.Errorf("%s and %s: equal is not %v (parsed: %v, %v)", tt.a, tt.b, tt.want, okA, okB)
		}
	}
}

func TestNewNamesEachFault(t *testing.T) {
	for _, tt := range []struct{ origin, word string }{
		{"", "is empty"},
		{"null", "null"},
		{"*", "wildcard"},
		{"https://*.example.com", "wildcard"},
		{"www.example.com", "scheme is missing"},
		{"www.example.com:443", "scheme is missing"},
		{"ftp://www.example.com", "http or https"},
		{"https://www.example.com/", "path"},
		{"https://www.example.com/app", "path"},
		{"https://www.example.com?x", "query"},
		{"https://fred@www.example.com", "user"},
		{"https://b\u00fccher.example", "ASCII"},
		{"https://www.example.com:0", "port"},
		{"https://", "host"},
	} {
		_, err := New(Config{TrustedOrigins: []string{"https://good.example", tt.origin}})
		if err == nil || !strings.Contains(err.Error(), tt.word) ||
			!strings.Contains(err.Error(), "TrustedOrigins[1] "+strconv.Quote(tt.origin)) {
			t.Errorf("TrustedOrigins %q: %v; want an error that has %q and the entry", tt.origin, err, tt.word)
		}
	}
	_, err := New(Config{TrustedOrigins: []string{"null", "*"}, BasePath: "jira", MaxBody: -1})
	for _, word := range []string{"TrustedOrigins[0]", "TrustedOrigins[1]", `BasePath "jira"`, "MaxBody is negative: -1"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("New reports not all faults together: %v has no %q", err, word)
		}
	}
}

const self, other, listed = "https://jira.example.com", "https://attacker.example", "https://trusted.example:8443"

// An originRow is a request and whether it passes.
type originRow struct {
	name, method string
	header       http.Header
	pass         bool
}

// fetchRows are of the rules R1 and R2: what is safe, and Sec-Fetch-Site.
func fetchRows() []originRow {
	type h = http.Header
	return []originRow{
		{"R1 GET passes", "GET", h{"Origin": {other}, "Sec-Fetch-Site": {"cross-site"}}, true},
		{"R1 HEAD passes", "HEAD", h{"Origin": {other}}, true},
		{"R1 OPTIONS passes", "OPTIONS", h{"Origin": {other}}, true},
		{"R1 TRACE is unsafe", "TRACE", h{"Origin": {other}}, false},
		{"R1 methods are case-sensitive", "get", h{"Origin": {other}}, false},
		{"R1 override makes GET unsafe", "GET", h{"X-Http-Method-Override": {"DELETE"}, "Origin": {other}}, false},
		{"R1 an empty override too", "HEAD", h{"X-Http-Method-Override": {""}, "Origin": {other}}, false},
		{"R1 override of our own page passes", "GET", h{"X-Http-Method-Override": {"PUT"}, "Origin": {self}}, true},
		{"R1 override of a program passes", "GET", h{"X-Http-Method-Override": {"PUT"}}, true},
		{"R1 websocket of another site", "GET", h{"Upgrade": {"websocket"}, "Origin": {other}}, false},
		{"R1 websocket folded and listed", "GET", h{"Upgrade": {"h2c, WebSocket"}, "Origin": {other}}, false},
		{"R1 websocket on the second line", "GET", h{"Upgrade": {"h2c", "websocket"}, "Origin": {other}}, false},
		{"R1 websocket of our own page", "GET", h{"Upgrade": {"websocket"}, "Origin": {self}}, true},
		{"R1 another upgrade stays safe", "GET", h{"Upgrade": {"h2c"}, "Origin": {other}}, true},
		{"R2 same-origin", "POST", h{"Sec-Fetch-Site": {"same-origin"}}, true},
		{"R2 none", "POST", h{"Sec-Fetch-Site": {"none"}}, true},
		{"R2 same-origin with Origin null, as no-referrer makes it", "POST", h{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"null"}}, true},
		{"R2 same-site", "POST", h{"Sec-Fetch-Site": {"same-site"}}, false},
		{"R2 cross-site", "DELETE", h{"Sec-Fetch-Site": {"cross-site"}}, false},
		{"R2 cross-site with our own Origin", "POST", h{"Sec-Fetch-Site": {"cross-site"}, "Origin": {self}}, false},
		{"R2 cross-site from a listed origin", "POST", h{"Sec-Fetch-Site": {"cross-site"}, "Origin": {listed}}, true},
		{"R2 cross-site from null", "POST", h{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"null"}}, false},
		{"R2 unknown value", "POST", h{"Sec-Fetch-Site": {"same-planet"}}, false},
		{"R2 empty value", "POST", h{"Sec-Fetch-Site": {""}}, false},
		{"R2 two lines", "POST", h{"Sec-Fetch-Site": {"same-origin", "cross-site"}}, false},
		{"R2 joined lines", "POST", h{"Sec-Fetch-Site": {"same-origin, cross-site"}}, false},
		{"R2 padded value", "POST", h{"Sec-Fetch-Site": {"same-origin "}}, false},
	}
}

// originRows are of the rules R3 to R5: Origin, Referer, own credentials.
func originRows() []originRow {
	type h = http.Header
	return []originRow{
		{"R3 our own", "POST", h{"Origin": {self}}, true},
		{"R3 our own with the default port", "POST", h{"Origin": {self + ":443"}}, true},
		{"R3 our own in capitals", "POST", h{"Origin": {"HTTPS://JIRA.example.com"}}, true},
		{"R3 our own without TLS", "POST", h{"Origin": {"http://jira.example.com"}}, false},
		{"R3 listed", "PATCH", h{"Origin": {listed}}, true},
		{"R3 listed IPv6 in its short spelling", "POST", h{"Origin": {"http://[2001:db8::1]"}}, true},
		{"R3 listed without its port", "POST", h{"Origin": {"https://trusted.example"}}, false},
		{"R3 null", "POST", h{"Origin": {"null"}}, false},
		{"R3 empty", "POST", h{"Origin": {""}}, false},
		{"R3 two lines", "POST", h{"Origin": {self, self}}, false},
		{"R3 a good Referer rescues nothing", "POST", h{"Origin": {other}, "Referer": {self + "/"}}, false},
		{"R4 our own page", "POST", h{"Referer": {self + "/issue/1?q#f"}}, true},
		{"R4 our own without a path", "POST", h{"Referer": {self + "?q"}}, true},
		{"R4 a listed origin does not count", "POST", h{"Referer": {listed + "/"}}, false},
		{"R4 ours in the path", "POST", h{"Referer": {other + "/" + self}}, false},
		{"R4 ours as the user", "POST", h{"Referer": {"https://jira.example.com@attacker.example/"}}, false},
		{"R4 ours before a backslash", "POST", h{"Referer": {"https://jira.example.com\\.attacker.example/"}}, false},
		{"R4 relative", "POST", h{"Referer": {"/foobar"}}, false},
		{"R4 without a scheme", "POST", h{"Referer": {"//jira.example.com/"}}, false},
		{"R4 empty", "POST", h{"Referer": {""}}, false},
		{"R4 two lines", "POST", h{"Referer": {self, self}}, false},
		{"R5 own credentials are free of R4", "POST", h{"Referer": {other}, "Authorization": {"Basic eA=="}}, true},
		{"R5 not beside a cookie", "POST", h{"Referer": {other}, "Authorization": {"Basic eA=="}, "Cookie": {"JSESSIONID=x"}}, false},
		{"R5 not of R3", "POST", h{"Origin": {other}, "Authorization": {"Basic eA=="}}, false},
		{"R5 not of R2", "POST", h{"Sec-Fetch-Site": {"cross-site"}, "Authorization": {"Basic eA=="}}, false},
		{"no-check is not free of the rule", "POST", h{"Origin": {other}, "X-Atlassian-Token": {"no-check"}}, false},
		{"a program passes", "POST", h{}, true},
	}
}

func TestOriginRule(t *testing.T) {
	g := newGuard(t, Config{TrustedOrigins: []string{listed, "http://[2001:db8:0::1]"}})
	for _, tt := range append(fetchRows(), originRows()...) {
		t.Run(tt.name, func(t *testing.T) {
			r := secure(tt.method, "jira.example.com")
			r.Header = tt.header
			err := g.CheckOrigin(r)
			if tt.pass && err != nil || !tt.pass && !errors.Is(err, ErrCrossOrigin) {
				t.Errorf("CheckOrigin: %v; want pass %v", err, tt.pass)
			}
		})
	}
}

func secure(method, host string) *http.Request {
	r := httptest.NewRequest("POST", "/", nil)
	r.Method, r.Host, r.TLS = method, host, &tls.ConnectionState{}
	return r
}

// Behind a proxy that ends TLS and rewrites Host, only the record knows what
// the browser sees.
func TestOriginRuleReadsTheRecord(t *testing.T) {
	g := newGuard(t, Config{})
	for _, tt := range []struct {
		name, scheme, host, origin string
		pass                       bool
	}{
		{"scheme and host of the record", "https", "jira.example.com", "https://jira.example.com", true},
		{"not those of the connection", "https", "jira.example.com", "http://10.0.0.2:8080", false},
		{"an empty record means the connection", "", "", "http://10.0.0.2:8080", true},
		{"an empty host means the connection's", "https", "", "https://10.0.0.2:8080", true},
		{"a malformed host is nobody's origin", "https", "@malformed", "https://malformed", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", nil)
			r.Host = "10.0.0.2:8080"
			c, r := request.Fork(r)
			c.Scheme, c.Host = tt.scheme, tt.host
			r.Header.Set("Origin", tt.origin)
			if err := g.CheckOrigin(r); (err == nil) != tt.pass {
				t.Errorf("CheckOrigin: %v; want pass %v", err, tt.pass)
			}
		})
	}
}

// The error is for a log line: one line, bounded, with what was expected.
func TestOriginErrorIsFitForALog(t *testing.T) {
	r := secure("POST", "jira.example.com")
	r.Header.Set("Origin", "https://a.example\n"+strings.Repeat("x", 5000))
	err := newGuard(t, Config{}).CheckOrigin(r)
	if err == nil || strings.ContainsAny(err.Error(), "\r\n") || len(err.Error()) > 1000 ||
		!strings.Contains(err.Error(), `want "https://jira.example.com"`) {
		t.Errorf("CheckOrigin: %v", err)
	}
}

func TestOriginRuleAllocatesNothing(t *testing.T) {
	g := newGuard(t, Config{TrustedOrigins: []string{"https://trusted.example"}})
	for name, h := range map[string]http.Header{
		"own":     {"Origin": {"https://jira.example.com"}},
		"listed":  {"Origin": {"https://trusted.example"}, "Sec-Fetch-Site": {"cross-site"}},
		"referer": {"Referer": {"https://jira.example.com/a"}},
	} {
		r := secure("POST", "jira.example.com")
		r.Header = h
		if n := testing.AllocsPerRun(100, func() { _ = g.CheckOrigin(r) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// FuzzOrigin: the parsers never panic, and what they accept net/url reads in
// the same way, with nothing but scheme, host and port.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{
		"https://jira.example.com", "http://[2001:db8::1]:8080", "https://[", "null", "",
		"https://jira.example.com:443", "https://a.example https://b.example", "https://u@a.example",
		"HTTPS://A.example:0443", "https://a.example\\b", "https://a.example:65536", "https://a%2eexample",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, ok := parseOrigin(s)
		if p, okURL := parseReferer(s); ok && (!okURL || p != o) {
			t.Fatalf("%q as a Referer: %+v, %v", s, p, okURL)
		}
		if _, err := trustedOrigin(s); (err == nil) != ok {
			t.Fatalf("%q as a trusted origin: %v", s, err)
		}
		if !ok {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme != o.scheme || u.Hostname() != o.host || u.User != nil || u.Path != "" || u.RawQuery != "" {
			t.Fatalf("%q: %+v, net/url has %+v, %v", s, o, u, err)
		}
		written := o.scheme + "://" + net.JoinHostPort(o.host, strconv.Itoa(int(o.port)))
		if again, ok := parseOrigin(written); !ok || !again.equal(o) {
			t.Fatalf("%q is not the origin it writes, %q", s, written)
		}
	})
}
