package slapdtest_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
	"github.com/seed-244866eb/gatehouse/internal/soak"
)

func dial(t *testing.T, s *slapdtest.Server) *ldap.Conn {
	t.Helper()
	conn, err := ldap.DialURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetTimeout(5 * time.Second)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func search(t *testing.T, conn *ldap.Conn, filter string, attrs ...string) []*ldap.Entry {
	t.Helper()
	result, err := conn.Search(ldap.NewSearchRequest(slapdtest.BaseDN, ldap.ScopeWholeSubtree,
		ldap.NeverDerefAliases, 0, 0, false, filter, attrs, nil))
	if err != nil {
		t.Fatal(err)
	}
	return result.Entries
}

func TestServerHoldsWhatItSays(t *testing.T) {
	const odd = ` Jim "J", #1*(`
	s := slapdtest.Start(t, slapdtest.Config{Users: 50, Groups: 20, MemberOf: true,
		People: []slapdtest.Person{{Name: odd, Password: "geheim", Groups: []string{"a, b", "g0000"}}}})
	conn := dial(t, s)
	if err := conn.Bind(slapdtest.ReaderDN, slapdtest.ReaderPassword); err != nil {
		t.Error("reader:", err)
	}
	if err := conn.Bind(slapdtest.UserDN("u00007"), "pw-u00007"); err != nil {
		t.Error("generated user:", err)
	}
	if err := conn.Bind(slapdtest.UserDN(odd), "geheim"); err != nil {
		t.Error("odd name:", err)
	}
	for _, name := range []string{"u00007", odd} {
		filter := fmt.Sprintf("(member=%s)", ldap.EscapeFilter(slapdtest.UserDN(name)))
		var got []string
		for _, e := range search(t, conn, filter, "cn") {
			got = append(got, e.GetAttributeValue("cn"))
		}
		slices.Sort(got)
		if want := s.Groups(name); len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("groups of %q: %q, want %q", name, got, want)
		}
		people := search(t, conn, fmt.Sprintf("(uid=%s)", ldap.EscapeFilter(name)), "memberOf")
		if len(people) != 1 || len(people[0].GetAttributeValues("memberOf")) != len(got) {
			t.Errorf("memberOf of %q is not complete: %v", name, people)
		}
	}
}

func TestOmitLeavesTheOtherGroupsAlone(t *testing.T) {
	all := slapdtest.Start(t, slapdtest.Config{Users: 100, Groups: 30})
	some := slapdtest.Start(t, slapdtest.Config{Users: 100, Groups: 30, Omit: func(g int) bool { return g%3 == 0 }})
	lost := 0
	for _, name := range all.Names() {
		want := slices.DeleteFunc(all.Groups(name), func(g string) bool {
			var n int
			fmt.Sscanf(g, "g%d", &n)
			return n%3 == 0
		})
		lost += len(all.Groups(name)) - len(want)
		if got := some.Groups(name); !slices.Equal(got, want) {
			t.Fatalf("%s: %v, want %v", name, got, want)
		}
	}
	if lost == 0 {
		t.Error("nothing was omitted")
	}
}

func TestCountsAreExact(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 1})
	if c := s.Counts(); c.Connections != 0 || c.Operations != 0 || c.Current != 0 {
		t.Errorf("a fresh server counts %+v", c)
	}
	conn := dial(t, s)
	for round := range 3 {
		before := s.Counts()
		for range 5 {
			conn.Bind(slapdtest.UserDN("u00000"), "wrong")
		}
		for range 7 {
			search(t, conn, "(uid=u00000)")
		}
		got := s.Counts().Sub(before)
		if got.Binds != 5 || got.Searches != 7 || got.Operations != 12 || got.Connections > 1 || got.Current != 1 {
			t.Errorf("round %d: %+v", round, got)
		}
	}
	s.Restart()
	if c := s.Counts(); c.Connections != 0 || c.Operations != 0 {
		t.Errorf("a restarted server counts %+v", c)
	}
}

func TestTLSChecksOut(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{RequireClientCert: true})
	config := &tls.Config{RootCAs: s.Roots(), ServerName: "127.0.0.1"}
	if conn, err := ldap.DialURL(s.TLSURL(), ldap.DialWithTLSConfig(config)); err == nil {
		if err = conn.Bind(slapdtest.ReaderDN, slapdtest.ReaderPassword); err == nil {
			t.Error("a client without certificate was served")
		}
		conn.Close()
	}
	config.Certificates = []tls.Certificate{s.ClientCert("gate")}
	conn, err := ldap.DialURL(s.TLSURL(), ldap.DialWithTLSConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Bind(slapdtest.ReaderDN, slapdtest.ReaderPassword); err != nil {
		t.Error(err)
	}
}

func TestKilledStoppedAndBack(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 1})
	s.Stop()
	conn, err := ldap.DialURL(s.URL())
	if err != nil {
		t.Fatal("a stopped server accepts connections:", err)
	}
	conn.SetTimeout(200 * time.Millisecond)
	if err := conn.Bind(slapdtest.ReaderDN, slapdtest.ReaderPassword); err == nil {
		t.Error("a stopped server answered")
	}
	s.Cont()
	conn.Close()
	if err := dial(t, s).Bind(slapdtest.ReaderDN, slapdtest.ReaderPassword); err != nil {
		t.Error("after SIGCONT:", err)
	}
	s.Kill()
	s.Kill()
	if c, err := net.Dial("tcp", s.Address()); err == nil {
		c.Close()
		t.Error("a killed server accepts connections")
	}
	s.Restart()
	if len(search(t, dial(t, s), "(uid=u00000)")) != 1 {
		t.Error("the data did not survive")
	}
}

// Nodes share a port and what vouches for them, and differ in data and fate.
func TestNodes(t *testing.T) {
	full := slapdtest.Config{Users: 30, Groups: 10, Hosts: []string{"ldap.example.org"}}
	lagging := full
	lagging.Omit = func(group int) bool { return group%3 == 0 }
	nodes := slapdtest.StartNodes(t, full, lagging, full)
	seen := map[string]bool{}
	for i, s := range nodes {
		_, port, err := net.SplitHostPort(s.Address())
		if err != nil {
			t.Fatal(err)
		}
		seen[port], seen[s.IP()] = true, true
		conn, err := ldap.DialURL(s.TLSURL(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: nodes[0].Roots(), ServerName: "ldap.example.org"}))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if got, want := len(search(t, dial(t, s), "(objectClass=groupOfNames)")), []int{10, 6, 10}[i]; got != want {
			t.Errorf("node %d has %d groups, want %d", i, got, want)
		}
	}
	if len(seen) != 4 {
		t.Errorf("ports and addresses %v, want one and three", seen)
	}
	nodes[0].Kill()
	search(t, dial(t, nodes[1]), "(uid=u00000)")
}

func TestModifyWhileItRuns(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 1})
	s.Modify("dn: " + slapdtest.UserDN("u00000") + "\nchangetype: modify\nreplace: mail\nmail: other@example.org\n")
	if got := search(t, dial(t, s), "(mail=other@example.org)"); len(got) != 1 {
		t.Errorf("found %v", got)
	}
}

func resultOf(err error) uint16 {
	if e := (*ldap.Error)(nil); errors.As(err, &e) {
		return e.ResultCode
	}
	return 0
}

func TestPolicyHoldsForEverybody(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 2, Policy: map[string]string{
		"pwdLockout": "TRUE", "pwdMaxFailure": "3", "pwdMustChange": "TRUE"}})
	conn := dial(t, s)
	for range 3 {
		conn.Bind(slapdtest.UserDN("u00000"), "wrong")
	}
	s.Modify("dn: " + slapdtest.UserDN("u00001") + "\nchangetype: modify\nreplace: pwdReset\npwdReset: TRUE\n")
	// The numbers are those of draft-behera-ldap-password-policy, section 6.2.
	for _, tt := range []struct {
		name string
		code uint16
		want int8
	}{
		{"u00000", 49, 1}, // accountLocked
		{"u00001", 0, 2},  // changeAfterReset
	} {
		r, err := conn.SimpleBind(ldap.NewSimpleBindRequest(slapdtest.UserDN(tt.name), "pw-"+tt.name,
			[]ldap.Control{ldap.NewControlBeheraPasswordPolicy()}))
		p, ok := ldap.FindControl(r.Controls, ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy)
		if resultOf(err) != tt.code || !ok || p.Error != tt.want {
			t.Errorf("%s: %v, control %v", tt.name, err, p)
		}
	}
}

func TestErrorsAsNamed(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Errors: true})
	for name, want := range map[string]uint16{"1": 1, "3": 3, "11": 11, "51": 51, "52": 52, "80": 80, "referral": 10} {
		dn := "cn=" + name + "," + slapdtest.ErrorsDN
		conn := dial(t, s)
		if got := resultOf(conn.Bind(dn, "x")); got != want {
			t.Errorf("bind as %s: result %d", name, got)
		}
		_, err := conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", nil, nil))
		if got := resultOf(err); got != want {
			t.Errorf("search of %s: result %d", name, got)
		}
	}
	conn := dial(t, s)
	if err := conn.Bind("cn=notice,"+slapdtest.ErrorsDN, "x"); err == nil || !conn.IsClosing() {
		t.Errorf("notice of disconnection: %v, closing: %v", err, conn.IsClosing())
	}
	began := time.Now()
	if dial(t, s).Bind("cn=slow,"+slapdtest.ErrorsDN, "x"); time.Since(began) < 2*time.Second {
		t.Errorf("slow answered after %v", time.Since(began))
	}
}

// A soak prints the time for 10,000 users and 1,000 groups: 0.45 s to load
// them and 45 ms to be ready, when it was measured first.
func TestManyUsers(t *testing.T) {
	users := soak.Count(10_000)
	began := time.Now()
	s := slapdtest.Start(t, slapdtest.Config{Users: users, Groups: soak.Count(1000)})
	t.Logf("loaded and up in %v", time.Since(began).Round(time.Millisecond))
	last := s.Names()[users-1]
	if got := len(search(t, dial(t, s), "(uid="+last+")")); got != 1 {
		t.Errorf("%d entries for %s", got, last)
	}
}

func TestString(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{})
	if !strings.Contains(s.String(), s.Address()) {
		t.Error(s)
	}
}
