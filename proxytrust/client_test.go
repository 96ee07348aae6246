package proxytrust_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/request"
	"github.com/seed-244866eb/gatehouse/proxytrust"
)

func TestZeroConfigTrustsNobody(t *testing.T) {
	trust, err := proxytrust.New(proxytrust.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := newRequest("127.0.0.1:1", "X-Forwarded-For", "203.0.113.7",
		"X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example")
	want := proxytrust.Client{
		Addr:          netip.MustParseAddr("127.0.0.1"),
		Peer:          netip.MustParseAddr("127.0.0.1"),
		Scheme:        "http",
		Host:          "app.example",
		HeaderIgnored: true,
	}
	if got := trust.Check(r); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestHopsLeftOfTheClientAreReported(t *testing.T) {
	trust := newTrust(t, "10.0.0.0/8")
	for _, tt := range []struct {
		name, remote, header string
		client, stopped      string
		ignored              bool
	}{
		{"a plain chain is clean", "10.0.0.1:1", "203.0.113.7, 10.0.0.2", "203.0.113.7", "", false},
		{"a forged hop shows", "10.0.0.1:1", "8.8.8.8, 203.0.113.7", "203.0.113.7", "203.0.113.7", false},
		{"a forged word shows", "10.0.0.1:1", "x, 203.0.113.7", "203.0.113.7", "203.0.113.7", false},
		{"empty elements are no hops", "10.0.0.1:1", " , ,\t, 203.0.113.7", "203.0.113.7", "", false},
		{"a bad hop is no stop", "10.0.0.1:1", "8.8.8.8, nonsense", "10.0.0.1", "", false},
		{"an unspecified hop ends the walk", "10.0.0.1:1", "8.8.8.8, 0.0.0.0", "10.0.0.1", "", false},
		{"its mapped spelling, too", "10.0.0.1:1", "8.8.8.8, ::ffff:0.0.0.0", "10.0.0.1", "", false},
		{"no-break space is no space", "10.0.0.1:1", "203.0.113.7,\u00a010.0.0.2", "10.0.0.1", "", false},
		{"a stranger's header is ignored", "203.0.113.7:1", "8.8.8.8", "203.0.113.7", "", true},
		{"an empty header is none", "203.0.113.7:1", " , ", "203.0.113.7", "", false},
		{"an unknown peer's header is ignored", "@", "8.8.8.8", "", "", true},
		{"a peer with a bad port is unknown", "10.0.0.1:http", "8.8.8.8", "", "", true},
		{"ports are cut off", "10.0.0.1:1", "203.0.113.7:65535, 10.0.0.2:0", "203.0.113.7", "", false},
		{"a port too large ends the walk", "10.0.0.1:1", "203.0.113.7:65536", "10.0.0.1", "", false},
		{"an empty port ends the walk", "10.0.0.1:1", "203.0.113.7:", "10.0.0.1", "", false},
		{"a port with a sign ends the walk", "10.0.0.1:1", "203.0.113.7:+80", "10.0.0.1", "", false},
		{"brackets with a port", "10.0.0.1:1", "[2001:db8::7]:443", "2001:db8::7", "", false},
		{"IPv4 has no brackets", "10.0.0.1:1", "[203.0.113.7]", "10.0.0.1", "", false},
		{"mapped IPv4 may", "10.0.0.1:1", "[::ffff:203.0.113.7]:80", "203.0.113.7", "", false},
		{"nothing may follow a bracket", "10.0.0.1:1", "[2001:db8::7]x", "10.0.0.1", "", false},
		{"a zone ends the walk", "10.0.0.1:1", "8.8.8.8, fe80::7%eth0", "10.0.0.1", "", false},
		{"quotes are no address", "10.0.0.1:1", `"203.0.113.7"`, "10.0.0.1", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := trust.Check(newRequest(tt.remote, "X-Forwarded-For", tt.header))
			if text(c.Addr) != tt.client || text(c.Stopped) != tt.stopped || c.HeaderIgnored != tt.ignored {
				t.Errorf("client %v, stopped %v, ignored %v; want %q, %q, %v",
					c.Addr, c.Stopped, c.HeaderIgnored, tt.client, tt.stopped, tt.ignored)
			}
		})
	}
}

func TestHostComesFromTheNearestProxy(t *testing.T) {
	trust := newTrust(t, "10.0.0.0/8")
	label := strings.Repeat("a", 63)
	for _, tt := range []struct {
		name, remote string
		lines        []string
		want         string
	}{
		{"no header", "10.0.0.1:1", nil, "app.example"},
		{"a trusted peer", "10.0.0.1:1", []string{"jira.example"}, "jira.example"},
		{"a stranger", "203.0.113.7:1", []string{"evil.example"}, "app.example"},
		{"an unknown peer", "@", []string{"evil.example"}, "app.example"},
		{"the right-most value", "10.0.0.1:1", []string{"evil.example, jira.example"}, "jira.example"},
		{"the last line", "10.0.0.1:1", []string{"evil.example", "jira.example:8443"}, "jira.example:8443"},
		{"empty elements do not count", "10.0.0.1:1", []string{"jira.example, ", ""}, "jira.example"},
		{"only empty elements", "10.0.0.1:1", []string{" , "}, "app.example"},
		{"a malformed one is not replaced by its left", "10.0.0.1:1", []string{"evil.example, b@d"}, "app.example"},
		{"IPv4", "10.0.0.1:1", []string{"192.0.2.1:80"}, "192.0.2.1:80"},
		{"IPv6", "10.0.0.1:1", []string{"[2001:db8::1]:80"}, "[2001:db8::1]:80"},
		{"IPv6 without brackets", "10.0.0.1:1", []string{"2001:db8::1"}, "app.example"},
		{"a zone", "10.0.0.1:1", []string{"[fe80::1%25eth0]"}, "app.example"},
		{"an open bracket", "10.0.0.1:1", []string{"[2001:db8::1"}, "app.example"},
		{"IPv4 in brackets", "10.0.0.1:1", []string{"[192.0.2.1]"}, "app.example"},
		{"a number is no name", "10.0.0.1:1", []string{"3232235777"}, "app.example"},
		{"an octet too large", "10.0.0.1:1", []string{"256.1.1.1"}, "app.example"},
		{"a container name", "10.0.0.1:1", []string{"my_app:8080"}, "my_app:8080"},
		{"the dot of the root", "10.0.0.1:1", []string{"jira.example."}, "jira.example."},
		{"an empty label", "10.0.0.1:1", []string{"jira..example"}, "app.example"},
		{"a hyphen first", "10.0.0.1:1", []string{"-jira.example"}, "app.example"},
		{"the longest label", "10.0.0.1:1", []string{label + ".example"}, label + ".example"},
		{"a label too long", "10.0.0.1:1", []string{label + "a.example"}, "app.example"},
		{"an empty port", "10.0.0.1:1", []string{"jira.example:"}, "app.example"},
		{"two ports", "10.0.0.1:1", []string{"jira.example:80:81"}, "app.example"},
		{"a port in words", "10.0.0.1:1", []string{"jira.example:x"}, "app.example"},
		{"user information", "10.0.0.1:1", []string{"jira.example@evil.example"}, "app.example"},
		{"a path", "10.0.0.1:1", []string{"jira.example/evil"}, "app.example"},
		{"a backslash", "10.0.0.1:1", []string{`jira.example\evil`}, "app.example"},
		{"white space", "10.0.0.1:1", []string{"jira.example evil"}, "app.example"},
		{"a percent", "10.0.0.1:1", []string{"jira%2eexample"}, "app.example"},
		{"another script", "10.0.0.1:1", []string{"jirа.example"}, "app.example"},
		{"a line end", "10.0.0.1:1", []string{"jira.example\r\nx: y"}, "app.example"},
		{"a URL", "10.0.0.1:1", []string{"https://jira.example"}, "app.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRequest(tt.remote)
			r.Header["X-Forwarded-Host"] = tt.lines
			if got := trust.Check(r).Host; got != tt.want {
				t.Errorf("host %q, want %q", got, tt.want)
			}
		})
	}
}

// Beside the case file: what is no value, and several lines.
func TestSchemeNeedsEveryValue(t *testing.T) {
	trust := newTrust(t, "10.0.0.0/8")
	for _, tt := range []struct {
		name  string
		tls   bool
		lines []string
		want  string
	}{
		{"no header, plain", false, nil, "http"},
		{"no header, TLS", true, nil, "https"},
		{"no value, plain", false, []string{"", " ,"}, "http"},
		{"no value, TLS", true, []string{"", " ,"}, "https"},
		{"two lines", false, []string{"https", "HTTPS"}, "https"},
		{"a plain line first", false, []string{"http", "https"}, "http"},
		{"a plain line last", true, []string{"https", "http"}, "http"},
		{"quotes", false, []string{`"https"`}, "http"},
		{"a long s is no s", true, []string{"http\u017f"}, "http"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRequest("10.0.0.1:1")
			r.Header["X-Forwarded-Proto"] = tt.lines
			if tt.tls {
				r.TLS = new(tls.ConnectionState)
			}
			if got := trust.Check(r).Scheme; got != tt.want {
				t.Errorf("scheme %s, want %s", got, tt.want)
			}
		})
	}
}

func TestHandlerFillsTheRecord(t *testing.T) {
	trust := newTrust(t, "10.0.0.0/8")
	r := newRequest("10.0.0.1:1", "X-Forwarded-For", "8.8.8.8, 203.0.113.7",
		"X-Forwarded-Proto", "https", "X-Forwarded-Host", "jira.example")
	w := httptest.NewRecorder()
	calls := 0
	trust.Handler(http.HandlerFunc(func(got http.ResponseWriter, in *http.Request) {
		calls++
		if got != http.ResponseWriter(w) {
			t.Error("the ResponseWriter is another one")
		}
		c, ok := proxytrust.FromContext(in.Context())
		if want := trust.Check(r); !ok || c != want || c.Addr != netip.MustParseAddr("203.0.113.7") {
			t.Errorf("got %+v, %v, want %+v", c, ok, want)
		}
		if !request.From(in.Context()).Resolved {
			t.Error("the record is not marked as resolved")
		}
	})).ServeHTTP(w, r)
	if calls != 1 {
		t.Errorf("next was called %d times", calls)
	}
	if _, ok := proxytrust.FromContext(r.Context()); ok {
		t.Error("the caller's request was changed")
	}
}

func TestFromContextWithoutTrustIsTheConnection(t *testing.T) {
	if c, ok := proxytrust.FromContext(context.Background()); ok {
		t.Errorf("a bare context has %+v", c)
	}
	_, r := request.Fork(newRequest("192.0.2.1:1", "X-Forwarded-For", "8.8.8.8"))
	c, ok := proxytrust.FromContext(r.Context())
	if !ok || text(c.Addr) != "192.0.2.1" || c.Scheme != "http" || c.Host != "app.example" {
		t.Errorf("got %+v, %v", c, ok)
	}
}

func TestNewContextReplacesOnlyTheClient(t *testing.T) {
	record, r := request.Fork(newRequest("192.0.2.1:1"))
	record.Session = "kept"
	want := proxytrust.Client{
		Addr:   netip.MustParseAddr("203.0.113.7"),
		Peer:   netip.MustParseAddr("192.0.2.1"),
		Scheme: "https",
		Host:   "jira.example",
	}
	given := want
	given.Addr = netip.MustParseAddr("::ffff:203.0.113.7")
	for name, parent := range map[string]context.Context{"bare": context.Background(), "record": r.Context()} {
		ctx := proxytrust.NewContext(parent, given)
		if got, ok := proxytrust.FromContext(ctx); !ok || got != want {
			t.Errorf("%s: got %+v, %v", name, got, ok)
		}
		inner, _ := request.Fork(r.WithContext(ctx))
		if !inner.Resolved || (inner.Session == "kept") != (name == "record") {
			t.Errorf("%s: record %+v", name, inner)
		}
	}
	if c, _ := proxytrust.FromContext(r.Context()); text(c.Addr) != "192.0.2.1" {
		t.Errorf("the parent's record was changed: %+v", c)
	}
}

func TestExplainShowsEachStep(t *testing.T) {
	trust := newTrust(t, "10.0.0.0/8", "10.0.0.2", "192.168.*")
	for _, tt := range []struct{ name, remote, header, want string }{
		{"up to the client", "10.0.0.1:1", "8.8.8.8, 203.0.113.7, 192.168.3.4, 10.0.0.2:80",
			"10.0.0.1:1=10.0.0.0/8 10.0.0.2:80=10.0.0.2 192.168.3.4=192.168.* 203.0.113.7=?"},
		{"up to a bad hop", "10.0.0.1:1", "8.8.8.8, unknown", "10.0.0.1:1=10.0.0.0/8 unknown=!"},
		{"all trusted", "10.0.0.1:1", "10.9.9.9", "10.0.0.1:1=10.0.0.0/8 10.9.9.9=10.0.0.0/8"},
		{"a stranger", "203.0.113.7:1", "8.8.8.8", "203.0.113.7:1=?"},
		{"an unknown peer", "@", "8.8.8.8", "@=!"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRequest(tt.remote, "X-Forwarded-For", tt.header)
			e := trust.Explain(r)
			if e.Client != trust.Check(r) {
				t.Errorf("explained %+v, checked %+v", e.Client, trust.Check(r))
			}
			var steps []string
			for _, h := range e.Hops {
				steps = append(steps, h.Text+"="+verdict(h))
			}
			if got := strings.Join(steps, " "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// verdict is the pattern of a trusted hop, "?" for a stranger and "!" for
// what is no address.
func verdict(h proxytrust.Hop) string {
	switch {
	case !h.Addr.IsValid():
		return "!"
	case !h.Trusted:
		return "?"
	}
	return h.Pattern
}

func TestSetChangesTheListWhole(t *testing.T) {
	trust := newTrust(t, "10.0.0.1")
	list := []string{"10.0.0.2", "10.0.0.3"}
	if err := trust.Set(list); err != nil {
		t.Fatal(err)
	}
	list[0] = "10.0.0.9"
	for a, want := range map[string]bool{"10.0.0.1": false, "10.0.0.2": true, "10.0.0.3": true, "10.0.0.9": false} {
		if got := trust.Trusts(netip.MustParseAddr(a)); got != want {
			t.Errorf("Trusts(%s) = %v, want %v", a, got, want)
		}
	}
	err := trust.Set([]string{"10.0.0.7", "10.0.0.0/40", "10.0.0.8"})
	if bad := patternErrors(err); len(bad) != 1 || bad[0].Position != 2 || bad[0].Pattern != "10.0.0.0/40" {
		t.Errorf("got %v", err)
	}
	if trust.Trusts(netip.MustParseAddr("10.0.0.7")) || !trust.Trusts(netip.MustParseAddr("10.0.0.2")) {
		t.Error("a list with a bad entry was put in force")
	}
	if err := trust.Set(nil); err != nil || trust.Trusts(netip.MustParseAddr("10.0.0.2")) {
		t.Errorf("an empty list trusts somebody, %v", err)
	}
}

// Every decision must belong to one of the two lists, never to a mixture:
// with the peer of one list and the hop of the other it would be 8.8.8.8.
func TestSetUnderLoadDecidesByOneList(t *testing.T) {
	lists := [2][]string{{"10.0.0.1", "10.1.0.0/16"}, {"10.0.0.1", "10.2.0.0/16"}}
	trust := newTrust(t, lists[0]...)
	r := newRequest("10.0.0.1:1", "X-Forwarded-For", "8.8.8.8, 10.1.0.1, 10.2.0.1")
	stop := make(chan struct{})
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := text(trust.Check(r).Addr); got != "10.2.0.1" && got != "10.1.0.1" {
					t.Errorf("client %s", got)
					return
				}
			}
		})
	}
	for i := range 500 {
		if err := trust.Set(lists[i%2]); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	work.Wait()
}

// Defends the 0 allocations of the client address.
func TestCheckDoesNotAllocate(t *testing.T) {
	trust := newTrust(t, "10.0.0.0/8", "2001:db8::/32")
	for _, tt := range []struct {
		name string
		r    *http.Request
	}{
		{"three hops", newRequest("10.0.0.1:1", "X-Forwarded-For", "203.0.113.7, 10.0.0.3, 10.0.0.2")},
		{"IPv6", newRequest("[2001:db8::1]:1", "X-Forwarded-For", "2001:db9::7, [2001:db8::2]:80")},
		{"forged hops", newRequest("10.0.0.1:1", "X-Forwarded-For", strings.Repeat("1.2.3.4, ", 100)+"203.0.113.7")},
		{"a bad hop", newRequest("10.0.0.1:1", "X-Forwarded-For", "203.0.113.7, unknown")},
		{"a stranger", newRequest("203.0.113.7:1", "X-Forwarded-For", "1.2.3.4")},
		{"scheme and host", newRequest("10.0.0.1:1", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "a.b.example:8443")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, func() { trust.Check(tt.r) }); n != 0 {
				t.Errorf("%v allocations, want 0", n)
			}
		})
	}
}
