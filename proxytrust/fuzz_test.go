package proxytrust_test

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/casefile"
	"github.com/seed-244866eb/gatehouse/proxytrust"
)

// FuzzResolve states what no header can change: joining and splitting lines
// is nothing, nothing left of an untrusted client counts, an untrusted peer's
// header is never read, Explain tells what Resolve decides, and the client is
// the peer or an address that is written in the header.
func FuzzResolve(f *testing.F) {
	for _, chain := range caseChains(f) {
		f.Add(chain, "8.8.8.8")
	}
	f.Add("203.0.113.7,, [2001:db8::1]:80\n10.0.0.2:1 , \t10.0.0.3", "10.0.0.1,")
	f.Add(",\n,,\n", "\n")
	f.Add("unknown, ::ffff:10.0.0.1", "[")
	trust := newTrust(f, "10.0.0.0/8", "2001:db8::/32")
	proxy, stranger := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("203.0.113.99")

	f.Fuzz(func(t *testing.T, chain, left string) {
		lines := strings.Split(chain, "\n")
		client, stopped := trust.Resolve(proxy, lines)
		if !client.IsValid() || client.Is4In6() || client.IsUnspecified() {
			t.Errorf("client %v of a known peer", client)
		}
		if stopped.IsValid() && (stopped != client || trust.Trusts(client)) {
			t.Errorf("stopped at %v, client %v", stopped, client)
		}
		for name, same := range map[string][]string{
			"joined": {strings.Join(lines, ",")},
			"spaced": {strings.Join(lines, " ,\t ")},
			"split":  strings.Split(strings.Join(lines, ","), ","),
		} {
			if c, s := trust.Resolve(proxy, same); c != client || s != stopped {
				t.Errorf("%s: %v, %v, want %v, %v", name, c, s, client, stopped)
			}
		}
		if !trust.Trusts(client) {
			checkPrepended(t, trust, client, lines, left)
		}
		if c, s := trust.Resolve(stranger, lines); c != stranger || s.IsValid() {
			t.Errorf("an untrusted peer's header gave %v, %v", c, s)
		}
		if c, s := trust.Resolve(netip.Addr{}, lines); c.IsValid() || s.IsValid() {
			t.Errorf("an unknown peer's header gave %v, %v", c, s)
		}
		checkExplained(t, trust, client, lines)
	})
}

// checkPrepended puts left before the lines, on its own line and on theirs.
func checkPrepended(t *testing.T, trust *proxytrust.Trust, client netip.Addr, lines []string, left string) {
	proxy := netip.MustParseAddr("10.0.0.1")
	own := slices.Concat([]string{left}, lines)
	shared := slices.Clone(lines)
	shared[0] = left + "," + shared[0]
	for _, longer := range [][]string{own, shared} {
		if c, _ := trust.Resolve(proxy, longer); c != client {
			t.Errorf("%q prepended: client %v, want %v", left, c, client)
		}
	}
}

func checkExplained(t *testing.T, trust *proxytrust.Trust, client netip.Addr, lines []string) {
	r := newRequest("10.0.0.1:1")
	r.Header["X-Forwarded-For"] = lines
	e := trust.Explain(r)
	last := e.Hops[len(e.Hops)-1]
	if !last.Addr.IsValid() {
		last = e.Hops[len(e.Hops)-2]
	}
	if e.Client.Addr != client || last.Addr != client {
		t.Errorf("explained %v by %+v, resolved %v", e.Client.Addr, last, client)
	}
}

// caseChains returns the header lines of each row of client_ip.json.
func caseChains(f *testing.F) (chains []string) {
	for _, row := range casefile.Read[clientRow](f, "testdata/client_ip.json") {
		var lines []string
		for _, h := range row.Headers {
			lines = append(lines, h[1])
		}
		chains = append(chains, strings.Join(lines, "\n"))
	}
	return chains
}

// FuzzPattern holds that a pattern is refused with its position and text, or
// is one of the four forms: an address or prefix that trusts what it is
// written with, or a name which no resolver could take for an address.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "192.168.*", "192.168.*.*", "10.44.22.1/16", "2001:db8::/64",
		"::ffff:10.0.0.1/112", "proxy.example.org.", "0x7f.0x1", "3232235777", "1.2.3.4-9", "[::1]:80", "*", "é", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var asked string
		trust, err := proxytrust.New(proxytrust.Config{
			Trusted: []string{s},
			Resolver: resolver(func(_ context.Context, host string) ([]netip.Addr, error) {
				asked = host
				return dns(context.Background(), host)
			}),
		})
		if err != nil {
			if bad := patternErrors(err); len(bad) != 1 || bad[0].Pattern != s || bad[0].Reason == "" {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		trust.Close()
		if asked != "" {
			_, err := netip.ParseAddr(asked)
			if err == nil || asked != strings.ToLower(s) || strings.Trim(asked, "0123456789.") == "" {
				t.Errorf("%q was looked up as %q", s, asked)
			}
			return
		}
		base, _, _ := strings.Cut(s, "/")
		base = strings.ReplaceAll(base, "*", "0")
		for strings.Count(base, ".") < 3 && !strings.Contains(base, ":") {
			base += ".0"
		}
		a, err := netip.ParseAddr(base)
		if err != nil || trust.Trusts(a) == a.Unmap().IsUnspecified() {
			t.Errorf("%q does not trust %q: %v", s, base, err)
		}
	})
}

// FuzzHost holds that a believed host is one for net/url, too, and carries
// nothing that could become a path, a user or another header.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"jira.example:8443", "[2001:db8::1]:80", "192.0.2.1", "a@b", "a/b", `a\b`,
		"a:b", "[::1", "3232235777", "a..b", "my_app", "x, y", "%2e", "a\r\nb: c", "A.Example."} {
		f.Add(s)
	}
	trust := newTrust(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, s string) {
		r := newRequest("10.0.0.1:1")
		r.Header["X-Forwarded-Host"] = []string{s}
		r.Header["X-Forwarded-Proto"] = []string{s}
		c := trust.Check(r)
		u, err := url.Parse(c.Scheme + "://" + c.Host + "/x")
		if err != nil || u.Host != c.Host || u.User != nil || u.Path != "/x" {
			t.Errorf("host %q gives %v, %v", c.Host, u, err)
		}
		if c.Host != r.Host && !strings.HasSuffix(strings.TrimRight(s, " \t,"), c.Host) {
			t.Errorf("host %q is not the right-most of %q", c.Host, s)
		}
	})
}
