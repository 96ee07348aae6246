package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
	"github.com/seed-244866eb/gatehouse/internal/sambatest"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// front returns the address of a load balancer that takes the servers in turn,
// a connection each.
func front(t *testing.T, address string, servers ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var turn atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go relay(c, servers[int(turn.Add(1))%len(servers)])
		}
	}()
	return l.Addr().String()
}

// relay joins c with a connection to the address until one side ends.
func relay(c net.Conn, address string) {
	defer c.Close()
	up, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer up.Close()
	go func() {
		io.Copy(up, c)
		up.Close()
	}()
	io.Copy(c, up)
}

func host(url string) string {
	return strings.TrimPrefix(strings.TrimPrefix(url, "ldaps://"), "ldap://")
}

func TestServersBehindOneAddressAreSeen(t *testing.T) {
	a, b := slapdtest.Start(t, slapdtest.Config{}), slapdtest.Start(t, slapdtest.Config{})
	both := filepath.Join(t.TempDir(), "ca.crt")
	var authorities []byte
	for _, s := range []*slapdtest.Server{a, b} {
		pem, err := os.ReadFile(s.CAFile())
		if err != nil {
			t.Fatal(err)
		}
		authorities = append(authorities, pem...)
	}
	if err := os.WriteFile(both, authorities, 0o600); err != nil {
		t.Fatal(err)
	}
	one := []string{"-ldap", "ldaps://" + front(t, "127.0.0.1:0", host(a.TLSURL())), "-ldap-ca", both}
	if r, status := report(t, "", one...); status != exitOK || len(find(r, "balanced")) != 0 {
		t.Errorf("one server: status %d, findings %+v", status, r.Findings)
	}
	two := []string{"-ldap", "ldaps://" + front(t, "127.0.0.1:0", host(a.TLSURL()), host(b.TLSURL())), "-ldap-ca", both}
	r, status := report(t, "", two...)
	if found := find(r, "balanced"); status != exitProblem || len(found) != 1 || !strings.Contains(found[0].Suggestion, "one by one") {
		t.Errorf("two servers: status %d, findings %+v", status, r.Findings)
	}
}

// fake runs a server of our own, which can be what slapd cannot.
func fake(t *testing.T, c ldapserver.Config) *ldapserver.Server {
	t.Helper()
	c.Entries = append(c.Entries,
		ldapserver.Entry{DN: "dc=example,dc=org", Attributes: map[string][]string{"objectClass": {"dcObject"}}},
		ldapserver.Entry{DN: "uid=ann,dc=example,dc=org", Attributes: map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {"ann"}, "userPassword": {"geheim"}}})
	s, err := ldapserver.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSlowNodeIsTold(t *testing.T) {
	quick, slow := fake(t, ldapserver.Config{}), fake(t, ldapserver.Config{})
	slow.SetFault(ldapserver.Fault{Delay: 150 * time.Millisecond})
	for _, tt := range []struct {
		name, text string
		order      []string
	}{
		{"second", "after a failover", []string{"-ldap", quick.URL(), "-ldap", slow.URL()}},
		{"first", "every login goes there", []string{"-ldap", slow.URL(), "-ldap", quick.URL()}},
	} {
		r, status := report(t, "", append(tt.order, "-user", "ann")...)
		found := find(r, "slow")
		if status != exitProblem || len(found) != 1 || found[0].Nodes[0] != slow.URL() || !strings.Contains(found[0].Suggestion, tt.text) {
			t.Errorf("%s: status %d, findings %+v", tt.name, status, r.Findings)
		}
	}
}

func TestKindsOfDirectoriesThatDiffer(t *testing.T) {
	plain := fake(t, ldapserver.Config{})
	other := fake(t, ldapserver.Config{RootDSE: map[string][]string{"vendorName": {"389 Project"}, "vendorVersion": {"389-Directory/2.0"}}})
	r, status := report(t, "", "-ldap", plain.URL(), "-ldap", other.URL())
	found := find(r, "schema-differs")
	if status != exitProblem || len(found) != 1 || !strings.Contains(found[0].Text, "389ds on "+other.URL()) {
		t.Errorf("status %d, findings %+v", status, r.Findings)
	}
	if n := r.Nodes[1]; n.Schema != "389ds" || n.Vendor != "389-Directory/2.0" {
		t.Errorf("the node: %+v", n)
	}
}

// TestEntriesThatDiffer: nodes that were loaded each for itself, and a password
// that has not reached both.
func TestEntriesThatDiffer(t *testing.T) {
	const ldif = "dn: uid=eve," + slapdtest.PeopleDN + "\nobjectClass: inetOrgPerson\nuid: eve\ncn: eve\nsn: eve\nuserPassword: "
	nodes := slapdtest.StartNodes(t,
		slapdtest.Config{LDIF: ldif + "pw-new\nentryUUID: 11111111-1111-1111-1111-111111111111\n"},
		slapdtest.Config{LDIF: ldif + "pw-old\nentryUUID: 22222222-2222-2222-2222-222222222222\n"})
	r, status := report(t, "pw-new", append(flags(nodes...), "-user", "eve", "-bind-every-node")...)
	if status != exitProblem || len(find(r, "entry-id")) != 1 {
		t.Errorf("status %d, findings %+v", status, r.Findings)
	}
	if found := find(r, "password-differs"); len(found) != 1 || !slices.Equal(found[0].Nodes, []string{nodes[1].TLSURL()}) {
		t.Errorf("findings %+v", r.Findings)
	}
}

func TestTemplateIsCheckedToo(t *testing.T) {
	config := slapdtest.Config{Users: 20, Groups: 10}
	nodes := slapdtest.StartNodes(t, config, config)
	args := append(flags(nodes...), "-ldap-user-dn-template", "uid=%s,"+slapdtest.PeopleDN)
	r, status := report(t, "pw-u00003", append(args, "-user", "u00003")...)
	if status != exitOK || !slices.Equal(r.Nodes[1].Groups, nodes[1].Groups("u00003")) || r.Nodes[0].Password != "accepted" {
		t.Errorf("status %d, %+v", status, r)
	}
	r, status = report(t, "", append(args, "-user", "nobody")...)
	if found := find(r, "groups"); status != exitProblem || len(found) != 2 || !strings.Contains(found[0].Text, "no such user") {
		t.Errorf("nobody: status %d, findings %+v", status, r.Findings)
	}
}

// TestActiveDirectory: what kind it is, and account states in words.
func TestActiveDirectory(t *testing.T) {
	s := sambatest.Start(t, sambatest.Config{})
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(sambatest.ReaderPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		user, verdict, kind string // kind is of the one problem; empty: none
		status              int
	}{
		{sambatest.UPN(sambatest.Alice), "accepted", "", exitOK},
		{sambatest.MustChange, "refused, and the password is right: password must be changed", "password", exitProblem},
		{sambatest.Disabled, "refused, and the password is right: account disabled", "entry-disabled", exitProblem},
	} {
		t.Run(tt.user, func(t *testing.T) {
			name, _, _ := strings.Cut(tt.user, "@")
			r, status := report(t, sambatest.Password(name), "-ldap", s.TLSURL(), "-ldap-ca", s.CAFile(), "-ldap-base", sambatest.BaseDN,
				"-ldap-bind-dn", sambatest.ReaderDN, "-ldap-bind-password-file", file, "-user", tt.user)
			n := r.Nodes[0]
			if n.Schema != "ad" || !strings.EqualFold(n.Server, sambatest.Host) || n.ClockOff == nil {
				t.Errorf("the node: %+v", n)
			}
			if status != tt.status || !strings.HasPrefix(n.Password, tt.verdict) || n.Entry.Name != name {
				t.Errorf("status %d, %q, entry %+v", status, n.Password, n.Entry)
			}
			if tt.kind != "" && len(find(r, tt.kind)) != 1 {
				t.Errorf("findings %+v", r.Findings)
			}
			if name == sambatest.Alice && !slices.Contains(n.Groups, sambatest.Outer) {
				t.Errorf("groups %q", n.Groups)
			}
		})
	}
}

// TestChangesThatOneNodeLacks has the form of contextCSN from OpenLDAP's
// lutil_csnstr.
func TestChangesThatOneNodeLacks(t *testing.T) {
	old := []string{"20200101000000.000000Z#000000#001#000000", "20200101000005.000000Z#000000#002#000000"}
	newer := []string{"20200102030405.000000Z#000000#001#000000", "20200101000005.000000Z#000000#002#000000"}
	fresh := []string{time.Now().UTC().Format("20060102150405.000000Z") + "#000000#001#000000", old[1]}
	for _, tt := range []struct {
		name  string
		nodes [][]string
		want  []string
	}{
		{"equal ones", [][]string{newer, newer}, nil},
		{"a change since long ago", [][]string{newer, old}, []string{"b"}},
		{"one that is on its way", [][]string{fresh, newer}, nil},
		{"a node that does not tell", [][]string{newer, nil}, nil},
		{"a server of which it has heard nothing", [][]string{newer, newer[1:]}, []string{"b"}},
		{"each lacks something", [][]string{{old[0], newer[0][:14] + ".000000Z#000000#002#000000"}, newer}, []string{"a", "b"}},
	} {
		var nodes []Node
		for i, csn := range tt.nodes {
			nodes = append(nodes, Node{Name: string(rune('a' + i)), Changes: csn})
		}
		var got []string
		for _, f := range compare(nodes, options{}) {
			if f.Kind == "behind" {
				got = append(got, f.Nodes...)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if wentBack(old, newer) || !wentBack(newer, old) {
		t.Error("wentBack takes later for earlier")
	}
}

func TestWrongUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		env  []string
		want string
	}{
		{"no directory", nil, nil, "-ldap or -ldap-srv-domain is required"},
		{"both", []string{"-ldap", "ldaps://a", "-ldap-srv-domain", "example.org"}, nil, "-ldap"},
		{"an unknown flag", []string{"-nonsense"}, nil, "-nonsense"},
		{"a password without a user", []string{"-ldap", "ldaps://a", "-password-stdin"}, nil, "-user"},
		{"two passwords", []string{"-ldap", "ldaps://a", "-user", "x", "-password-stdin", "-password-file", "x"}, nil, "one is enough"},
		{"an empty password", []string{"-ldap", "ldaps://a", "-user", "x", "-password-stdin"}, nil, "empty line"},
		{"every node without a password", []string{"-ldap", "ldaps://a", "-user", "x", "-bind-every-node"}, nil, "needs a password"},
		{"a file that is not there", []string{"-ldap", "ldaps://a", "-user", "x", "-password-file", "/nonexistent"}, nil, "-password-file"},
		{"plain text to another machine", []string{"-ldap", "ldap://192.0.2.1"}, nil, "-ldap-insecure-plaintext"},
		{"a variable of the demo", nil, []string{"GATEHOUSE_LDAP=ldap://192.0.2.1"}, "-ldap-insecure-plaintext"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(context.Background(), tt.args, tt.env, strings.NewReader("\n"), &stdout, &stderr)
			if status != exitUsage || !strings.Contains(stderr.String(), tt.want) || strings.Count(stderr.String(), "\n") != 1 || stdout.Len() > 0 {
				t.Errorf("status %d\n%s%s", status, stdout.String(), stderr.String())
			}
		})
	}
}

// TestVariables: those of the demo that are no business of this command are
// passed over, and its password has one.
func TestVariables(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 1})
	env := []string{"GATEHOUSE_ADDR=:0", "GATEHOUSE_LDAP=" + s.URL(), "GATEHOUSE_CHECK_PASSWORD=pw-u00000", "GATEHOUSE_USER=x"}
	var stdout, stderr bytes.Buffer
	if status := run(context.Background(), []string{"-user", "u00000"}, env, nil, &stdout, &stderr); status != exitOK || stderr.Len() > 0 {
		t.Errorf("status %d\n%s%s", status, stdout.String(), stderr.String())
	}
	if text := stdout.String(); !strings.Contains(text, "accepted") || strings.Contains(text, "pw-u00000") {
		t.Errorf("output\n%s", text)
	}
}

func TestHelpTellsTheStatuses(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := run(context.Background(), []string{"-help"}, nil, nil, &stdout, &stderr); status != exitOK {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{"0 all nodes work", "1 a step failed", "2 a wrong flag", "3 no node", "-bind-every-node"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
}

// What no verdict, a hang and a missing user are taken for.
func TestWhatIsMadeOfFailures(t *testing.T) {
	failed := func(step, text string) Node {
		return Node{Name: "b", Password: text, Steps: []Step{{Name: step, Error: text}}}
	}
	missing := failed("groups", "no such user, or a disabled one")
	missing.missing = true
	for _, tt := range []struct {
		name string
		b    Node
		kind string // among what is found
		want string // in its suggestion
		not  string // no finding of that kind
	}{
		{"no verdict is no refusal", failed("password", noVerdict+": result 51"), "password", "503", "password-differs"},
		{"a refusal is one", failed("password", refused+": wrong password"), "password-differs", "replication", "balanced"},
		{"a server that hangs", failed("server", "context deadline exceeded"), "server", "hangs", "connect"},
		{"groups that are read in vain for too long", failed("groups", "context deadline exceeded"), "groups", "hangs", "connect"},
		{"a user who is not there, seen with the groups", missing, "groups", "spelling", "connect"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options{user: "fred"}
			o.ldap.Template = "uid=%s,dc=example,dc=org"
			found := compare([]Node{{Name: "a", Password: accepted}, tt.b}, o)
			if i := slices.IndexFunc(found, func(f Finding) bool { return f.Kind == tt.kind }); i < 0 || !strings.Contains(found[i].Suggestion, tt.want) {
				t.Errorf("found %+v, want %s with %q", found, tt.kind, tt.want)
			}
			if slices.ContainsFunc(found, func(f Finding) bool { return f.Kind == tt.not }) {
				t.Errorf("found %+v, want no %s", found, tt.not)
			}
		})
	}
}
