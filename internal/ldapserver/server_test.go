package ldapserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

const (
	suffix   = "dc=example,dc=org"
	fredDN   = "uid=fred,ou=people,dc=example,dc=org"
	fredPass = "fredpass"
	zoePass  = "pässwörd"
)

type attrs = map[string][]string

// testEntries is a directory that slapd takes as well.
func testEntries() []Entry {
	person := func(uid, cn string, more attrs) Entry {
		a := attrs{"objectClass": {"inetOrgPerson", "posixAccount"}, "uid": {uid}, "cn": {cn}, "sn": {cn},
			"mail": {uid + "@Example.org"}, "uidNumber": {"1000"}, "gidNumber": {"100"}, "homeDirectory": {"/home/" + uid}}
		for k, v := range more {
			a[k] = v
		}
		return Entry{DN: "uid=" + uid + ",ou=people," + suffix, Attributes: a}
	}
	return []Entry{
		{DN: suffix, Attributes: attrs{"objectClass": {"dcObject", "organization"}, "o": {"Example"}, "dc": {"example"}}},
		{DN: "ou=people," + suffix, Attributes: attrs{"objectClass": {"organizationalUnit"}, "ou": {"people"}}},
		{DN: "ou=groups," + suffix, Attributes: attrs{"objectClass": {"organizationalUnit"}, "ou": {"groups"}}},
		person("fred", "Fred  Normal", attrs{"userPassword": {fredPass}, "uidNumber": {"1001"}, "description": {"a*b", "it is (odd)"}}),
		person("admin", "Admin", attrs{"userPassword": {"{SSHA}/kfcsAicyrF09gaV54Fe4byPN6VzYWx0"}, "uidNumber": {"999"}}),
		person("zoë", "Zoë Größe", attrs{"userPassword": {zoePass}, "uidNumber": {"20000"}}),
		person("nogroups", "No Groups", attrs{"uidNumber": {"1002"}}),
		{DN: "cn=jira-users,ou=groups," + suffix, Attributes: attrs{"objectClass": {"groupOfNames"}, "cn": {"jira-users"},
			"member": {"UID=Fred , OU=people, dc=example,dc=org", "uid=zoë,ou=people," + suffix, "cn=inner,ou=groups," + suffix}}},
		{DN: "cn=inner,ou=groups," + suffix, Attributes: attrs{"objectClass": {"groupOfNames"}, "cn": {"inner"},
			"member": {"uid=admin,ou=people," + suffix, "cn=jira-users,ou=groups," + suffix}}}, // a cycle
		{DN: "cn=unique,ou=groups," + suffix, Attributes: attrs{"objectClass": {"groupOfUniqueNames"}, "cn": {"unique"},
			"uniqueMember": {fredDN}}},
		{DN: "cn=posix,ou=groups," + suffix, Attributes: attrs{"objectClass": {"posixGroup"}, "cn": {"posix"}, "gidNumber": {"100"},
			"memberUid": {"fred"}}},
	}
}

// start returns a server that listens and is closed at the end of the test.
func start(t testing.TB, c Config) *Server {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return s
}

func dial(t testing.TB, url string) *ldap.Conn {
	t.Helper()
	c, err := ldap.DialURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c.SetTimeout(5 * time.Second)
	t.Cleanup(func() { c.Close() })
	return c
}

// certificate returns a server configuration for 127.0.0.1 and the name of a
// file with the certificate that vouches for it.
func certificate(t testing.TB) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, file
}

func TestNewReportsAllFaultsTogether(t *testing.T) {
	_, err := New(Config{
		Entries:   []Entry{{DN: "dc=org"}, {DN: "DC = Org"}, {DN: "nonsense"}, {DN: ""}},
		SizeLimit: -1, RangeLimit: -3, KeepBinds: -4, MinPassword: -5, IdleTimeout: -2, PasswordAdmins: []string{"root"},
	})
	for _, want := range []string{`"DC = Org" occurs twice`, `"nonsense"`, `""`, "SizeLimit is negative: -1", "RangeLimit is negative: -3", "KeepBinds is negative: -4", "MinPassword is negative: -5", `PasswordAdmins "root"`, "IdleTimeout is negative: -2"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want %s", err, want)
		}
	}
}

func TestStartSecureNeedsTLS(t *testing.T) {
	if err := start(t, Config{}).StartSecure("127.0.0.1:0"); err == nil {
		t.Error("StartSecure without Config.TLS succeeded")
	}
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	s := start(t, Config{Entries: testEntries()})
	for range 5 {
		c, err := net.Dial("tcp", s.URL()[len("ldap://"):])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for s.Stats().Connections < 5 {
		time.Sleep(time.Millisecond) // the kernel accepts before we do
	}
	s.SetFault(Fault{Silent: true}) // hanging operations end too
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Stats().Open; n != 0 {
		t.Errorf("%d connections open after Close", n)
	}
	if err := s.Start("127.0.0.1:0"); err == nil {
		t.Error("a closed server started")
	}
	// Close has waited; what the race detector or the dialler leave is gone
	// in a moment.
	for deadline := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after Close", before, runtime.NumGoroutine())
		}
		time.Sleep(time.Millisecond)
	}
}

func TestSetEntriesSwapsAllOrNothing(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	c := dial(t, s.URL())
	if got := find(t, c, "(uid=fred)"); len(got) != 1 {
		t.Fatalf("found %v", got)
	}
	if err := s.SetEntries([]Entry{{DN: suffix}, {DN: suffix}}); err == nil {
		t.Error("SetEntries accepted an entry twice")
	}
	if got := find(t, c, "(uid=fred)"); len(got) != 1 {
		t.Errorf("after a refused swap found %v", got)
	}
	if err := s.SetEntries([]Entry{{DN: suffix}}); err != nil {
		t.Fatal(err)
	}
	if got := find(t, c, "(uid=fred)"); len(got) != 0 {
		t.Errorf("after the swap found %v", got)
	}
}

// find returns the names of the entries that match.
func find(t testing.TB, c *ldap.Conn, filter string) []string {
	t.Helper()
	r, err := c.Search(ldap.NewSearchRequest(suffix, ldap.ScopeWholeSubtree, 0, 0, 0, false, filter, []string{"1.1"}, nil))
	if err != nil {
		t.Fatalf("%s: %v", filter, err)
	}
	var names []string
	for _, e := range r.Entries {
		names = append(names, strings.SplitN(e.DN, ",", 2)[0])
	}
	return names
}

// BenchmarkSearch is a login's search in a directory of 10,000 people. There is
// no index, every entry is looked at: for demos and tests that is enough, and
// speed against a directory is measured with slapd.
func BenchmarkSearch(b *testing.B) {
	entries := []Entry{{DN: suffix}}
	for i := range 10_000 {
		uid := "u" + strconv.Itoa(i)
		entries = append(entries, Entry{DN: "uid=" + uid + ",ou=people," + suffix,
			Attributes: attrs{"objectClass": {"inetOrgPerson"}, "cn": {"User " + uid}, "mail": {uid + "@example.org"}}})
	}
	c := dial(b, start(b, Config{Entries: entries}).URL())
	b.ReportAllocs()
	for b.Loop() {
		if got := find(b, c, "(&(objectClass=inetOrgPerson)(uid=u9999))"); len(got) != 1 {
			b.Fatal(got)
		}
	}
}
