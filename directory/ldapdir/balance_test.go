package ldapdir

import (
	"errors"
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

// The searches of one call are answered by one server, or the call begins anew.
func TestAWayLeadsToOneServer(t *testing.T) {
	one, two, untold := backend{host: "dc1"}, backend{host: "dc2"}, backend{}
	for _, tt := range []struct {
		name   string
		from   string
		meets  []backend
		moved  bool
		answer string
	}{
		{"one", "", []backend{one, one}, false, "url [dc1]"},
		{"two", "", []backend{one, two}, true, "url [dc1]"},
		{"the one of the entry", "url [dc1]", []backend{one, one}, false, "url [dc1]"},
		{"not the one of the entry", "url [dc2]", []backend{one}, true, "url [dc1]"},
		{"nobody yet", "url [dc2]", nil, false, "url [dc2]"},
		{"nobody yet, and no entry", "", nil, false, "url [dc1]"},
		{"one that does not tell", "", []backend{untold, one}, false, "url"},
	} {
		n := &node{endpoint: endpoint{name: "url"}}
		n.balance.meet(one, time.Now())
		n.balance.meet(two, time.Now())
		w := n.shared()
		w.from = tt.from
		var err error
		for _, x := range tt.meets {
			err = errors.Join(err, w.meet(x))
		}
		if errors.Is(err, errMoved) != tt.moved || w.name() != tt.answer {
			t.Errorf("%s: %v, %q", tt.name, err, w.name())
		}
	}
	n, tries := &node{}, 0
	if err := n.once(func(*way) error { tries++; return errMoved }); err != errMoved || tries != 2 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

// When the server that is kept to is missed again and again, or has lost the
// connection for searches, another takes its place.
func TestAnotherTakesItsPlace(t *testing.T) {
	one, two := backend{host: "dc1"}, backend{host: "dc2"}
	for _, tt := range []struct {
		name     string
		arrive   []backend
		searches bool // the last of them is the connection for searches
		want     backend
	}{
		{"bad luck", []backend{two, two}, false, one},
		{"again and again", []backend{two, two, two}, false, two},
		{"not in a row", []backend{two, two, one, two, two}, false, one},
		{"for searches", []backend{two}, true, two},
	} {
		var b balance
		b.meet(one, time.Now())
		b.meet(two, time.Now())
		for i, x := range tt.arrive {
			b.arrive(x, tt.searches && i == len(tt.arrive)-1)
		}
		if b.kept != tt.want {
			t.Errorf("%s: %v", tt.name, b.kept)
		}
	}
}
