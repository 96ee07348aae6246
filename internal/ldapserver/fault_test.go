package ldapserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

func searchFor(filter string) *ldap.SearchRequest {
	return ldap.NewSearchRequest(suffix, ldap.ScopeWholeSubtree, 0, 0, 0, false, filter, []string{"cn"}, nil)
}

func TestFaultResults(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	c := dial(t, s.URL())
	s.SetFault(Fault{Results: map[Op]Result{
		OpBind:   {Code: 49, Message: "80090308: LdapErr: DSID-0C09042A, comment: AcceptSecurityContext error, data 533, v2580"},
		OpSearch: {Code: 51},
	}})
	err := c.Bind(fredDN, fredPass)
	if resultOf(err) != 49 || !strings.Contains(err.Error(), "data 533") {
		t.Errorf("bind: %v, want result 49 with the message", err)
	}
	if _, err := c.Search(searchFor("(uid=fred)")); resultOf(err) != 51 {
		t.Errorf("search: %v, want result 51", err)
	}
	s.SetFault(Fault{Results: map[Op]Result{OpBind: {}}})
	if err := c.Bind("cn=nobody", "anything"); err != nil {
		t.Errorf("a server that says yes to everybody said %v", err)
	}
	s.SetFault(Fault{})
	if err := c.Bind(fredDN, "guess"); resultOf(err) != 49 {
		t.Errorf("healthy again: %v, want result 49", err)
	}
}

func TestFaultPartialResult(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	s.SetFault(Fault{Results: map[Op]Result{OpSearch: {Code: 4, Partial: true}}})
	r, err := dial(t, s.URL()).Search(searchFor("(uid=*)"))
	if resultOf(err) != 4 || r == nil || len(r.Entries) != 4 {
		t.Errorf("got %v, %v; want the entries and result 4", r, err)
	}
}

func TestFaultReferences(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	s.SetFault(Fault{References: []string{"ldap://other.example.org/dc=x"}})
	c := dial(t, s.URL())
	r, err := c.Search(searchFor("(uid=fred)"))
	if err != nil || len(r.Entries) != 1 || len(r.Referrals) != 1 {
		t.Errorf("got %v, %v; want an entry and a reference", r, err)
	}
	s.SetFault(Fault{Results: map[Op]Result{OpSearch: {Code: 10, Referrals: []string{"ldap://other.example.org/"}}}})
	if _, err := c.Search(searchFor("(uid=fred)")); resultOf(err) != 10 {
		t.Errorf("got %v, want a referral", err)
	}
}

func TestFaultDelay(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	c := dial(t, s.URL())
	const delay = 250 * time.Millisecond
	s.SetFault(Fault{Delay: delay})
	begin := time.Now()
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if _, err := c.Search(searchFor("(uid=fred)")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// One after the other they would take ten seconds.
	if d := time.Since(begin); d < delay || d > 20*delay {
		t.Errorf("40 searches on one connection took %v; want them delayed at once", d)
	}
}

// Silent is a stopped process; when it goes on, so do its clients.
func TestFaultSilent(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	old := dial(t, s.URL())
	if _, err := old.Search(searchFor("(uid=fred)")); err != nil {
		t.Fatal(err)
	}
	s.SetFault(Fault{Silent: true})
	old.SetTimeout(50 * time.Millisecond)
	fresh := dial(t, s.URL()) // the kernel accepts for a stopped process
	fresh.SetTimeout(50 * time.Millisecond)
	for _, c := range []*ldap.Conn{old, fresh} {
		if _, err := c.Search(searchFor("(uid=fred)")); resultOf(err) != ldap.ErrorNetwork {
			t.Errorf("a silent server answered: %v", err)
		}
	}
	s.SetFault(Fault{})
	old.SetTimeout(5 * time.Second)
	if _, err := old.Search(searchFor("(uid=fred)")); err != nil {
		t.Errorf("after the silence: %v", err)
	}
}

func TestFaultSilentStopsTheHandshake(t *testing.T) {
	c := Config{}
	c.TLS, _ = certificate(t)
	s := start(t, c)
	if err := s.StartSecure("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.SetFault(Fault{Silent: true})
	nc, err := net.Dial("tcp", strings.TrimPrefix(s.SecureURL(), "ldaps://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.Write([]byte("not TLS")) // a server that listened would hang up
	nc.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("read: %v, want a time-out", err)
	}
}

func TestFaultsThatBreakTheConnection(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	for _, tt := range []struct {
		name  string
		fault Fault
	}{
		{"hang up", Fault{Hangup: true}},
		{"garbage", Fault{Raw: []byte("HTTP/1.1 400 Bad Request\r\n\r\n")}},
		{"a length of 2^31", Fault{Raw: []byte{0x30, 0x84, 0x80, 0, 0, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.SetFault(tt.fault)
			c := dial(t, s.URL())
			c.SetTimeout(200 * time.Millisecond)
			if _, err := c.Search(searchFor("(uid=fred)")); err == nil {
				t.Error("the search succeeded")
			}
		})
	}
}

func TestFaultEndless(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	s.SetFault(Fault{Endless: true})
	c := dial(t, s.URL())
	n := 0
	ctx := t.Context()
	for r := c.SearchAsync(ctx, searchFor("(uid=fred)"), 0); r.Next() && n < 10_000; n++ {
	}
	if n < 10_000 {
		t.Errorf("%d entries; want no end of them", n)
	}
}

// A hostile answer has the ID of the question, and the one before it is as
// ever.
func TestFaultAnswer(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	c := dial(t, s.URL())
	s.SetFault(Fault{Repeat: true, Answer: func(op Op, id int64) []byte {
		if op != OpSearch {
			return nil
		}
		return encodeReference(id, []string{"ldap://192.0.2.1/"})
	}})
	if err := c.Bind(fredDN, fredPass); err != nil {
		t.Error("bind:", err)
	}
	n := 0
	for r := c.SearchAsync(t.Context(), searchFor("(uid=fred)"), 0); r.Next() && n < 10_000; n++ {
		if r.Referral() == "" {
			t.Fatal("another answer")
		}
	}
	if n < 10_000 {
		t.Errorf("%d references; want no end of them", n)
	}
}

func TestDropConnections(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	c := dial(t, s.URL())
	if _, err := c.Search(searchFor("(uid=fred)")); err != nil {
		t.Fatal(err)
	}
	s.DropConnections()
	if _, err := c.Search(searchFor("(uid=fred)")); err == nil {
		t.Error("a dropped connection answered")
	}
	if _, err := dial(t, s.URL()).Search(searchFor("(uid=fred)")); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

func TestStatsCount(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	c := dial(t, s.URL())
	c.Bind(fredDN, fredPass)
	c.Bind(fredDN, "guess")
	c.Search(searchFor("(uid=fred)"))
	c.WhoAmI(nil)
	c.Compare(fredDN, "cn", "x")
	want := Stats{Connections: 1, Open: 1, Binds: 2, Searches: 1, Compares: 1, Extended: 1}
	if got := s.Stats(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestIdleTimeout(t *testing.T) {
	s := start(t, Config{IdleTimeout: 20 * time.Millisecond})
	nc, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "ldap://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read: %v, want the end of the connection", err)
	}
}

// The time of a search is up when its context ends.
func TestTimeLimit(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	m, err := readMessage(bufio.NewReader(bytes.NewReader(searchPacket(t, 1, suffix, "(uid=*)"))))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := &wire{}
	newConn(s, w).search(ctx, m, &Fault{Endless: true})
	if got := codes(t, w.out.Bytes()); len(got) != 1 || got[0] != [2]int64{1, 3} {
		t.Errorf("answered %v, want result 3 alone", got)
	}
}
