package ldapdir

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// What shows that there are several servers, and what does not.
func TestSignsOfABalancer(t *testing.T) {
	const minute = time.Minute
	type meeting struct {
		backend
		ago time.Duration // how long dialling took
	}
	host := func(name string) meeting { return meeting{backend{host: name}, 0} }
	cert := func(name string, ago ...time.Duration) meeting {
		return meeting{backend{certificate: name}, append(ago, 0)[0]}
	}
	for _, tt := range []struct {
		name  string
		meets []meeting
		sign  string // of the last meeting; "" is none at all
	}{
		{"one name", []meeting{host("dc1"), host("dc1"), host("dc1")}, ""},
		{"two names", []meeting{host("dc1"), host("dc2")}, "two rootDSE: dc1 and dc2"},
		{"a name that was not told once", []meeting{host("dc1"), host(""), host("dc1")}, ""},
		{"two names, and once none between", []meeting{host("dc1"), host(""), host("dc2")}, "two rootDSE: dc1 and dc2"},
		{"one certificate", []meeting{cert("a"), cert("a")}, ""},
		{"a renewed certificate", []meeting{cert("a"), cert("b"), cert("b")}, ""},
		{"renewed again and again", []meeting{cert("a"), cert("b"), cert("c"), cert("d")}, ""},
		{"the old one again", []meeting{cert("a"), cert("b"), cert("a")}, "certificates take turns"},
		{"of three", []meeting{cert("a"), cert("b"), cert("c"), cert("a")}, "certificates take turns"},
		{"dialled before the renewal", []meeting{cert("a"), cert("b"), cert("a", minute)}, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			var b balance
			var news string
			for _, m := range tt.meets {
				time.Sleep(time.Second)
				news = b.meet(m.backend, time.Now().Add(-m.ago))
			}
			if _, sign := b.state(); news != tt.sign || sign != tt.sign {
				t.Errorf("%s: news %q, sign %q, want %q", tt.name, news, sign, tt.sign)
			}
			if again := b.meet(backend{"dc9", "z"}, time.Now()); tt.sign != "" && again != "" {
				t.Errorf("%s: told twice: %q", tt.name, again)
			}
		})
	}
}

// pipe returns a connection to nobody.
func pipe(t *testing.T) *conn {
	t.Helper()
	here, there := net.Pipe()
	g := newGuard(here, time.Second)
	c := &conn{ldap: ldap.NewConn(g, false), guard: g}
	c.ldap.Start()
	t.Cleanup(func() { c.close(); there.Close() })
	return c
}

// A server never goes back while it runs. One that was restored does once, and
// has lost its connections.
func TestChangesThatGoBack(t *testing.T) {
	const sign = "contextCSN or entryCSN has gone back"
	old, newer := map[string]string{"001": "1", "002": "5"}, map[string]string{"001": "2", "002": "5"}
	other := map[string]string{"003": "0"}
	for _, tt := range []struct {
		name  string
		reads []map[string]string
		lost  bool // each connection before the next read
		want  string
	}{
		{"forward", []map[string]string{old, newer, newer}, false, ""},
		{"back", []map[string]string{old, newer, old}, false, sign},
		{"restored", []map[string]string{newer, old, old, newer, newer}, true, ""},
		{"back and forth over new connections", []map[string]string{newer, old, newer, old}, true, sign},
		{"other servers' changes", []map[string]string{newer, other, newer, other}, false, ""},
	} {
		var b balance
		var news string
		for _, read := range tt.reads {
			c := pipe(t)
			news = b.compare(b.seen(), read, c)
			if tt.lost {
				c.close()
			}
		}
		if _, got := b.state(); got != tt.want || news != tt.want {
			t.Errorf("%s: %q and %q, want %q", tt.name, news, got, tt.want)
		}
	}
	// Two reads at once: the one that was asked first may be answered last.
	var b balance
	c, before := pipe(t), b.seen()
	b.compare(b.seen(), newer, c)
	if news := b.compare(before, old, c); news != "" {
		t.Errorf("an answer that was late: %q", news)
	}
}

func TestServerOfChange(t *testing.T) {
	for csn, want := range map[string]string{
		"20260102030405.123456Z#000000#001#000000": "001",
		"20260102030405.123456Z#000000#fff#000000": "fff",
		"20260102030405Z#000000#00#000000":         "", // the form of before OpenLDAP 2.4 sorts otherwise
		"20260102030405.123456Z#000000#00#0100000": "",
		"": "", "###": "", strings.Repeat("#", 40): "",
	} {
		id, ok := serverOf(csn)
		if ok != (want != "") || id != want {
			t.Errorf("%q: %q, %v, want %q", csn, id, ok, want)
		}
	}
}
