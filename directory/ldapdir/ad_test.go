package ldapdir_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/sambatest"
	"github.com/seed-244866eb/gatehouse/internal/soak"
)

// manyGroups is more than what Active Directory returns of a search without
// pages, and of the values of an attribute without ranges, in a soak.
var manyGroups = soak.Count(2000)

// adLDIF makes the groups of Bob, and two people of whom one has the name of
// the other before the at sign of the UPN. In the domain itself Samba lets
// nobody have that, but there are other suffixes.
func adLDIF() string {
	var b strings.Builder
	for _, p := range [][2]string{{"dora", "erik@corp.example"}, {"erik", "erik.new@ad.example.test"}} {
		fmt.Fprintf(&b, "dn: %s\nchangetype: add\nobjectClass: user\nsAMAccountName: %s\nuserPrincipalName: %s\nuserAccountControl: 544\n\n",
			sambatest.DN(p[0]), p[0], p[1])
	}
	for i := range manyGroups {
		name := fmt.Sprintf("many%04d", i)
		fmt.Fprintf(&b, "dn: %s\nchangetype: add\nobjectClass: group\nsAMAccountName: %s\nmember: %s\n\n",
			sambatest.DN(name), name, sambatest.DN(sambatest.Bob))
	}
	return b.String()
}

func adConfig(s *sambatest.Server, change func(*ldapdir.Config)) ldapdir.Config {
	c := ldapdir.Config{URLs: []string{s.TLSURL()}, RootCAs: s.Roots(), BaseDN: sambatest.BaseDN,
		BindDN: sambatest.ReaderDN, BindPassword: sambatest.ReaderPassword, Timeout: time.Minute}
	if change != nil {
		change(&c)
	}
	return c
}

func TestActiveDirectory(t *testing.T) {
	s := sambatest.Start(t, sambatest.Config{Members: 2000, LDIF: adLDIF(), AllowPlain: true})
	t.Run("groups", func(t *testing.T) { adGroups(t, s) })
	t.Run("names", func(t *testing.T) { adNames(t, s) })
	t.Run("states", func(t *testing.T) { adStates(t, s) })
	t.Run("steady state", func(t *testing.T) { adSteadyState(t, s) })
	t.Run("second opinion", func(t *testing.T) { adSecondOpinion(t, s) }) // changes people
}

// The three ways give the same groups. Domain Users is everybody's primary
// group, in which nobody is a member; it is a member of the built-in Users.
// Bob's many are not searched level by level: Samba goes through the whole
// domain for each group that is in none.
func adGroups(t *testing.T, s *sambatest.Server) {
	nested := []string{"Domain Users", "Users", "g-inner", "g-mid", "g-outer"}
	many := []string{"Domain Users", "Users", "g-big"}
	for i := range manyGroups {
		many = append(many, fmt.Sprintf("many%04d", i))
	}
	way := func(nested string) func(*ldapdir.Config) {
		return func(c *ldapdir.Config) { c.Nested = nested }
	}
	for _, tt := range []struct {
		name       string
		change     func(*ldapdir.Config)
		alice, bob []string
	}{
		{"by default", nil, nested, many},
		{"token groups", way("token-groups"), nested, many},
		{"in-chain", way("in-chain"), nested, many},
		{"recursive", way("recursive"), nested, nil},
		{"off", way("off"), []string{"Domain Users", "g-inner"}, slices.Delete(slices.Clone(many), 1, 2)},
		{"memberOf", func(c *ldapdir.Config) { c.MemberOf, c.GroupNameAttribute = true, "cn" },
			[]string{"Domain Users", "g-inner"}, slices.Delete(slices.Clone(many), 1, 2)},
		{"memberOf, recursive", func(c *ldapdir.Config) { c.MemberOf, c.GroupNameAttribute, c.Nested = true, "cn", "recursive" }, nested, nil},
		{"memberOf without the name", func(c *ldapdir.Config) { c.MemberOf = true },
			[]string{"Domain Users", "g-inner"}, slices.Delete(slices.Clone(many), 1, 2)},
		{"own filter", func(c *ldapdir.Config) { c.GroupFilter = "(&(cn=g-*)(member=%d))" }, []string{"g-inner"}, []string{"g-big"}},
		{"schema said", func(c *ldapdir.Config) { c.Schema = "ad" }, nested, many},
		{"base without the built-in ones", func(c *ldapdir.Config) { c.GroupBaseDN = sambatest.UsersDN }, slices.Delete(slices.Clone(nested), 1, 2), slices.Delete(slices.Clone(many), 1, 2)},
		{"in-chain, base of the built-in ones alone", func(c *ldapdir.Config) {
			c.GroupBaseDN, c.Nested = "CN=Builtin,"+sambatest.BaseDN, "in-chain"
		}, []string{"Users"}, []string{"Users"}},
		{"token groups, base of the built-in ones alone", func(c *ldapdir.Config) { c.GroupBaseDN = "CN=Builtin," + sambatest.BaseDN }, []string{"Users"}, []string{"Users"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t, adConfig(s, tt.change))
			for name, want := range map[string][]string{sambatest.Alice: tt.alice, sambatest.Bob: tt.bob} {
				if want == nil {
					continue
				}
				e, g, err := login(t.Context(), d, name, sambatest.Password(name))
				if err != nil || !slices.Equal(g.Names, want) {
					t.Errorf("%s: %d groups %.80q, want %d %.80q, %v", name, len(g.Names), g.Names, len(want), want, err)
				}
				second, err := d.Groups(t.Context(), e, e.Node)
				if err != nil || !slices.Equal(second.Names, want) {
					t.Errorf("%s, second opinion: %d groups, %v", name, len(second.Names), err)
				}
			}
		})
	}
}

func adNames(t *testing.T, s *sambatest.Server) {
	d := open(t, adConfig(s, nil))
	ids := map[string]string{}
	for _, tt := range []struct{ name, typed, want string }{
		{"account", "alice", "alice"},
		{"in any case", "ALICE", "alice"},
		{"UPN", "alice@ad.example.test", "alice"},
		{"UPN in any case", "Alice@AD.Example.Test", "alice"},
		{"short domain", `AD\alice`, "alice"},
		{"short domain in any case", `ad\Alice`, "alice"},
		{"DNS domain", `ad.example.test\alice`, "alice"},
		{"account of another", "erik", "erik"},
		{"implied UPN", "erik@ad.example.test", "erik"},
		{"UPN of another suffix", "erik@corp.example", "dora"},
		{"the account behind that UPN", "dora@ad.example.test", "dora"},
		{"UPN that is no account", "erik.new@ad.example.test", "erik"},
		{"another domain", `OTHER\alice`, ""},
		{"another domain in DNS", "alice@example.test", ""},
		{"mail, which is not asked for", "alice@example.test", ""},
		{"a computer", "DC1$", ""},
		{"a group", "g-inner", ""},
	} {
		e, err := d.Find(t.Context(), tt.typed)
		if e.Name != tt.want || (tt.want == "") != errors.Is(err, directory.ErrNoUser) {
			t.Errorf("%s: %q is %q, want %q, %v", tt.name, tt.typed, e.Name, tt.want, err)
		}
		if err != nil {
			continue
		}
		if len(e.ID) != 36 || ids[e.Name] != "" && ids[e.Name] != e.ID {
			t.Errorf("%s: ID %q, before %q", tt.name, e.ID, ids[e.Name])
		}
		ids[e.Name] = e.ID
	}
	corp := open(t, adConfig(s, func(c *ldapdir.Config) { c.Domains = []string{"CORP.example"} }))
	for typed, want := range map[string]string{"erik@corp.example": "dora", `corp.example\erik`: "erik", "alice@corp.example": "alice"} {
		if e, err := corp.Find(t.Context(), typed); err != nil || e.Name != want {
			t.Errorf("%q is %q, want %q, %v", typed, e.Name, want, err)
		}
	}
	template := open(t, adConfig(s, func(c *ldapdir.Config) { c.UserDNTemplate = "cn=%s," + sambatest.UsersDN }))
	e, _, err := login(t.Context(), template, "alice", sambatest.Password("alice"))
	if err != nil || e.Name != "alice" {
		t.Errorf("with a template: %+v, %v", e, err)
	}
}

func adStates(t *testing.T, s *sambatest.Server) {
	d := open(t, adConfig(s, nil))
	for name, want := range map[string]bool{
		sambatest.Alice: false, sambatest.Disabled: true, sambatest.Expired: true,
		sambatest.MustChange: false, sambatest.OldPass: false, sambatest.Hours: false, sambatest.Lock: false,
	} {
		if e, err := d.Find(t.Context(), name); err != nil || e.Disabled != want {
			t.Errorf("%s: disabled %v, want %v, %v", name, e.Disabled, want, err)
		}
	}
}

// A login is three operations, counted on the wire.
func adSteadyState(t *testing.T, s *sambatest.Server) {
	r := relayTo(t, s.IP()+":389")
	for _, nested := range []string{"token-groups", "in-chain", "off"} {
		d := open(t, adConfig(s, func(c *ldapdir.Config) { c.URLs, c.Nested = []string{"ldap://" + r.address}, nested }))
		for round := range 3 {
			before, dials := r.requests.Load(), r.conns.Load()
			if _, _, err := login(t.Context(), d, "alice", sambatest.Password("alice")); err != nil {
				t.Fatal(err)
			}
			if got := r.requests.Load() - before; round > 0 && (got != 3 || r.conns.Load() != dials) {
				t.Errorf("%s: %d operations and %d dials in login %d, want 3 and 0", nested, got, r.conns.Load()-dials, round)
			}
		}
	}
}

func adSecondOpinion(t *testing.T, s *sambatest.Server) {
	d := open(t, adConfig(s, nil))
	e, err := d.Find(t.Context(), "erik")
	if err != nil {
		t.Fatal(err)
	}
	gone := func(what string) {
		t.Helper()
		g, err := d.Groups(t.Context(), e, e.Node)
		if !errors.Is(err, directory.ErrNoUser) || g.Node != e.Node || len(g.Names) > 0 {
			t.Errorf("%s: %+v, %v", what, g, err)
		}
	}
	if _, err := d.Groups(t.Context(), e, e.Node); err != nil {
		t.Error("before:", err)
	}
	s.Modify("dn: " + e.DN + "\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 546\n")
	gone("disabled")
	s.Modify("dn: " + e.DN + "\nchangetype: delete\n")
	gone("deleted")
	s.Modify("dn: " + e.DN + "\nchangetype: add\nobjectClass: user\nsAMAccountName: erik\nuserAccountControl: 544\n")
	gone("another one in its place")
}

// A relay passes connections on and counts what clients ask: a server that
// keeps no account of it is counted from outside.
type relay struct {
	address  string
	conns    atomic.Int64
	requests atomic.Int64 // LDAP messages of clients
}

func relayTo(t *testing.T, server string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &relay{address: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			r.conns.Add(1)
			go r.pass(client, server)
		}
	}()
	return r
}

// pass counts the messages of one connection.
func (r *relay) pass(client net.Conn, server string) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	go func() {
		io.Copy(client, upstream)
		client.Close()
	}()
	for {
		message, err := readLDAP(client)
		if err != nil {
			return
		}
		r.requests.Add(1)
		if _, err := upstream.Write(message); err != nil {
			return
		}
	}
}

// readLDAP reads one message: a sequence with a definite length.
func readLDAP(c io.Reader) ([]byte, error) {
	message := make([]byte, 2, 512)
	if _, err := io.ReadFull(c, message); err != nil {
		return nil, err
	}
	size := int(message[1])
	if size > 0x80 {
		long := make([]byte, size-0x80)
		if _, err := io.ReadFull(c, long); err != nil {
			return nil, err
		}
		message, size = append(message, long...), 0
		for _, b := range long {
			size = size<<8 | int(b)
		}
	}
	body := make([]byte, size)
	_, err := io.ReadFull(c, body)
	return append(message, body...), err
}
