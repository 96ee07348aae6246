// Package sambatest runs real Active Directory domain controllers for tests:
// Samba as a child process, with people in every state of an account that it
// knows, nested groups, and an authority and a certificate of its own.
//
// A domain takes seconds to make, so the first test that wants one leaves it
// in the temporary directory of the machine and every controller starts on a
// copy. The ports of Active Directory are fixed; each controller has a
// loopback address to itself.
//
// Only tests import this package. Where Samba is missing, or the test does
// not run as root, who alone may have these ports, it skips the test, or
// fails it where the environment says CI=true.
package sambatest

import (
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/testservers"
)

// Names that every controller of this package knows.
const (
	Realm  = "AD.EXAMPLE.TEST"
	Domain = "AD"                  // NetBIOS name: AD\alice
	Host   = "dc1.ad.example.test" // dnsHostName, also in the certificate

	BaseDN  = "DC=ad,DC=example,DC=test"
	UsersDN = "CN=Users," + BaseDN // people and groups

	AdminDN        = "CN=Administrator," + UsersDN // may write everything
	AdminPassword  = "Adm1n-Pass!"
	ReaderDN       = "CN=reader," + UsersDN // a service account
	ReaderPassword = "Pw-reader-1"
)

// People by sAMAccountName. The password of each is that of [Password].
const (
	Alice      = "alice"  // in g-inner, which is in g-mid, which is in g-outer
	Bob        = "bob"    // in no group but Domain Users
	Disabled   = "dis"    // sub-code 533
	Expired    = "exp"    // the account: 701
	MustChange = "mustch" // the password, before anything else: 773
	OldPass    = "oldpw"  // the password has expired: 532
	Hours      = "hours"  // may log in at no hour: 530
	Station    = "ws"     // may log in at one workstation, not this: 531
	Lock       = "lock"   // nothing yet; locked after [LockAfter] wrong binds: 775
)

// Groups, each a member of the next.
const (
	Inner = "g-inner"
	Mid   = "g-mid"
	Outer = "g-outer"
	Big   = "g-big" // its members are Config.Members and Bob
)

// LockAfter is the number of wrong binds after which an account is locked,
// for half an hour or until [Server.Unlock].
const LockAfter = 4

// Config says what a controller holds. The zero value is a domain with the
// people and groups above.
type Config struct {
	// Members is the number of contacts m0000, m0001, … that are made and put
	// into the group [Big]. With any there, Bob is its last member.
	Members int
	// LDIF is applied after everything else: changes in the form of RFC 2849,
	// each with its changetype.
	LDIF string
	// AllowPlain lets clients bind with a password over ldap://. Without it
	// the server answers 8, strongerAuthRequired, as by default.
	AllowPlain bool
}

// A Server is one domain controller. Its methods fail the test of [Start] on
// an error and may be called from several goroutines, but for Kill, Stop,
// Cont and Restart, which one goroutine at a time calls.
type Server struct {
	t         testing.TB
	dir       string
	address   string
	authority *testservers.Authority
	run       *testservers.Process
}

// Start runs a controller of a domain of its own until the test ends. It
// returns when the controller answers. What Samba has printed is shown when
// the test fails.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	required(t)
	s := &Server{t: t, authority: testservers.NewAuthority(t)}
	s.address = claimAddress(t)
	s.dir = copyDomain(t, c, s.address)
	s.authority.Write(t, s.dir, Host, "localhost", s.address)
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() && s.run != nil {
			t.Logf("%v has printed:\n%s", s, s.run.Output())
		}
	})
	s.must(s.start())
	return s
}

// required skips the test where a domain cannot be made or run. A Samba that
// only serves files has no modules for the database of a domain.
func required(t testing.TB) {
	t.Helper()
	for _, name := range []string{"samba", "samba-tool", "ldbmodify"} {
		testservers.Find(t, name)
	}
	var modules []string
	for _, pattern := range []string{"/usr/lib/*/samba/ldb/samba_dsdb.so", "/usr/lib*/samba/ldb/samba_dsdb.so"} {
		found, _ := filepath.Glob(pattern) // its one error is of the pattern
		modules = append(modules, found...)
	}
	_, err := os.Stat("/usr/share/samba/setup/provision.ldif")
	switch {
	case len(modules) == 0 || err != nil:
		testservers.Skip(t, "sambatest: Samba is installed without its domain controller")
	case os.Geteuid() != 0:
		testservers.Skip(t, "sambatest: the ports of Active Directory are root's")
	}
}

// Password returns the password that the person has at first.
func Password(name string) string { return "Pw-" + name + "-1" }

// DN returns the DN of the person or group.
func DN(name string) string { return "CN=" + name + "," + UsersDN }

// UPN returns the user principal name of the person.
func UPN(name string) string { return name + "@" + strings.ToLower(Realm) }

// DownLevel returns the name of the person in the form DOMAIN\user.
func DownLevel(name string) string { return Domain + `\` + name }

// URL returns the ldap URL of the controller.
func (s *Server) URL() string { return "ldap://" + s.address }

// TLSURL returns the ldaps URL of the controller.
func (s *Server) TLSURL() string { return "ldaps://" + s.address }

// CatalogURL returns the ldaps URL of the global catalog.
func (s *Server) CatalogURL() string { return "ldaps://" + s.address + ":3269" }

// IP returns the loopback address that is this controller's alone.
func (s *Server) IP() string { return s.address }

// Roots returns a pool with the certificate that vouches for the controller.
func (s *Server) Roots() *x509.CertPool { return s.authority.Pool() }

// CAFile returns the path of the same certificate in PEM form.
func (s *Server) CAFile() string { return filepath.Join(s.dir, "ca.crt") }

// SetPassword sets the password of the person as an administrator does.
func (s *Server) SetPassword(name, password string) {
	s.t.Helper()
	s.Modify("dn: " + DN(name) + "\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: " + unicodePwd(password) + "\n")
}

// Unlock takes a lock off the person's account.
func (s *Server) Unlock(name string) {
	s.t.Helper()
	s.Modify("dn: " + DN(name) + "\nchangetype: modify\nreplace: lockoutTime\nlockoutTime: 0\n")
}

// Modify applies changes in the form of RFC 2849 while the controller runs.
func (s *Server) Modify(ldif string) {
	s.t.Helper()
	s.must(modify(s.dir, ldif))
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("sambatest: %v", err)
	}
}

// String returns the address, for messages of tests.
func (s *Server) String() string { return "samba on " + s.address }

// tool runs a program to its end.
func tool(stdin, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}
