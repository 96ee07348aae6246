// Package slapdtest runs real OpenLDAP servers for tests: child processes on
// free loopback ports, with generated people, groups, certificate authority
// and certificate. Everything lives in the directory of the test and dies with
// it.
//
// Only tests import this package. A missing slapd skips the test, or fails it
// where the environment says CI=true, so that a build server never passes by
// not looking; [Skip] does the same for whatever else a machine lacks.
package slapdtest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/testservers"
)

// Names that every server of this package knows.
const (
	BaseDN         = "dc=example,dc=org"
	PeopleDN       = "ou=people," + BaseDN
	GroupsDN       = "ou=groups," + BaseDN
	RootDN         = "cn=admin," + BaseDN // may write everything
	RootPassword   = "pw-admin"
	ReaderDN       = "cn=reader," + BaseDN // a service account
	ReaderPassword = "pw-reader"
	PolicyDN       = "cn=default,ou=policies," + BaseDN // see Config.Policy
	ErrorsDN       = "ou=errors," + BaseDN              // see Config.Errors
)

// Config says what a server holds. The zero value is a server with the base
// entries and the service account alone.
type Config struct {
	// Users is the number of generated people: u00000, u00001, … with the
	// password "pw-" and the name, and the mail address name@example.org.
	Users int
	// Groups is the number of generated groups g0000, g0001, … of 40 users
	// each. The same numbers give the same groups on every server.
	Groups int
	// Omit leaves out the generated groups for which it returns true: the
	// node of a directory that lags behind. Nil omits none.
	Omit func(group int) bool
	// People are added to the generated ones, with their groups.
	People []Person
	// MemberOf gives the entry of each person its memberOf values.
	MemberOf bool
	// LDIF is loaded after everything else, for entries that need no rule.
	LDIF string
	// Extra is added to the section of the database in slapd.conf: limits,
	// overlays. The modules ppolicy, retcode and syncprov are loaded.
	Extra string
	// Access is added before the access rules of the database, of which the
	// first that fits decides.
	Access string
	// Global is added to slapd.conf before the databases.
	Global string
	// Policy are attributes of the password policy that holds for everybody
	// (slapo-ppolicy(5)): pwdMaxFailure, pwdMustChange. Nil means no policy.
	Policy map[string]string
	// Errors answers every operation on the names below [ErrorsDN] with a
	// result of its own (slapo-retcode(5)): cn=1, cn=3, cn=11, cn=51, cn=52,
	// cn=80, a referral to nowhere for cn=referral, success after two seconds
	// for cn=slow, a notice of disconnection for cn=notice.
	Errors bool
	// Hosts are names that the certificate is good for, beside localhost and
	// the address.
	Hosts []string
	// RequireClientCert refuses connections over TLS that bring no
	// certificate of the server's authority; see [Server.ClientCert].
	RequireClientCert bool
}

// A Person is a user entry under [PeopleDN].
type Person struct {
	Name        string   // the uid
	Password    string   // empty: "pw-" and the name
	DisplayName string   // the displayName; empty: none
	Email       string   // empty: none
	Groups      []string // names of groups, made when they do not exist
}

// A Server is one slapd. Its methods fail the test of [Start] on an error and
// may be called from several goroutines, but for Kill, Stop, Cont and
// Restart, which one goroutine at a time calls.
type Server struct {
	t         testing.TB
	dir       string
	slapd     string
	authority *testservers.Authority
	ip        string
	plain     int // ports
	secure    int
	data      *data
	run       *testservers.Process
	reads     reads
}

// Start runs a server with the data of c until the test ends. It returns when
// the server answers.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	s := prepare(t, c, testservers.NewAuthority(t), "127.0.0.1")
	launch(t, s)
	return s
}

// StartNodes runs a server for each Config, all on one port and each on a
// loopback address of its own, as the nodes behind one name are. One
// authority vouches for all.
func StartNodes(t testing.TB, nodes ...Config) []*Server {
	t.Helper()
	authority := testservers.NewAuthority(t)
	var all []*Server
	for i, c := range nodes {
		all = append(all, prepare(t, c, authority, fmt.Sprintf("127.0.1.%d", i+1)))
	}
	launch(t, all...)
	return all
}

// prepare makes everything that a server needs but the ports.
func prepare(t testing.TB, c Config, authority *testservers.Authority, ip string) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir(), slapd: testservers.Find(t, "slapd"), authority: authority, ip: ip}
	s.authority.Write(t, s.dir, append([]string{"localhost", ip, "::1"}, c.Hosts...)...)
	s.data = newData(c)
	s.configure(c)
	s.load()
	return s
}

// launch starts the servers on the same ports. A free port may be taken
// between our look and slapd's; with three looks that does not happen in
// practice.
func launch(t testing.TB, servers ...*Server) {
	t.Helper()
	var err error
	for range 3 {
		plain, secure := freePort(t), freePort(t)
		for _, s := range servers {
			t.Cleanup(s.Kill)
			s.plain, s.secure = plain, secure
			if err = s.start(); err != nil {
				break
			}
		}
		if err == nil {
			return
		}
		for _, s := range servers {
			s.Kill()
		}
	}
	t.Fatalf("slapdtest: %v", err)
}

// URL returns the ldap URL of the server.
func (s *Server) URL() string { return "ldap://" + s.address(s.plain) }

// TLSURL returns the ldaps URL of the server.
func (s *Server) TLSURL() string { return "ldaps://" + s.address(s.secure) }

// Address returns host and port of the plain port.
func (s *Server) Address() string { return s.address(s.plain) }

// CAFile returns the path of the authority's certificate in PEM form.
func (s *Server) CAFile() string { return filepath.Join(s.dir, "ca.crt") }

// Roots returns a pool with the authority's certificate.
func (s *Server) Roots() *x509.CertPool { return s.authority.Pool() }

// ClientCert returns a certificate that the authority gave to name.
func (s *Server) ClientCert(name string) tls.Certificate {
	return s.authority.Issue(s.t, name)
}

// IP returns the loopback address that the server is on.
func (s *Server) IP() string { return s.ip }

// Modify applies changes in the form of RFC 2849 as the administrator while
// the server runs. The server counts them like those of any client.
func (s *Server) Modify(ldif string) {
	s.t.Helper()
	cmd := exec.Command(testservers.Find(s.t, "ldapmodify"), "-x", "-H", s.URL(), "-D", RootDN, "-w", RootPassword)
	cmd.Stdin = strings.NewReader(ldif)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("slapdtest: ldapmodify: %v\n%s", err, out)
	}
}

// Names returns the names of all people, generated ones first.
func (s *Server) Names() []string { return s.data.names }

// Groups returns the sorted names of the groups that hold the person.
func (s *Server) Groups(name string) []string { return s.data.groupsOf(name) }

// UserDN returns the DN of the person.
func UserDN(name string) string { return "uid=" + escapeDN(name) + "," + PeopleDN }

func (s *Server) address(port int) string {
	return net.JoinHostPort(s.ip, strconv.Itoa(port))
}

// Skip skips the test for want of something that the machine lacks, or fails
// it where the environment says CI=true.
func Skip(t testing.TB, why string) {
	t.Helper()
	testservers.Skip(t, why)
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("slapdtest: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// configure writes slapd.conf and has it checked: slapd itself hides what is
// wrong with it when it logs nothing.
func (s *Server) configure(c Config) {
	s.t.Helper()
	if err := os.Mkdir(filepath.Join(s.dir, "db"), 0o700); err != nil {
		s.t.Fatalf("slapdtest: %v", err)
	}
	verify := "never"
	if c.RequireClientCert {
		verify = "demand"
	}
	conf := strings.NewReplacer(
		"@DIR@", s.dir, "@BASE@", BaseDN, "@ROOT@", RootDN, "@ROOTPW@", RootPassword,
		"@VERIFY@", verify, "@GLOBAL@", c.Global, "@ACCESS@", c.Access, "@EXTRA@", overlays(c)+c.Extra).Replace(slapdConf)
	if err := os.WriteFile(s.conf(), []byte(conf), 0o600); err != nil {
		s.t.Fatalf("slapdtest: %v", err)
	}
	s.tool("slaptest", "-u", "-f", s.conf())
}

// overlays returns the lines for what Config has fields for.
func overlays(c Config) string {
	var b strings.Builder
	if c.Policy != nil {
		b.WriteString("overlay ppolicy\nppolicy_default " + PolicyDN + "\nppolicy_use_lockout\n")
	}
	if c.Errors {
		b.WriteString("overlay retcode\nretcode-parent " + ErrorsDN + "\n")
		for _, code := range []int{1, 3, 11, 51, 52, 80} {
			fmt.Fprintf(&b, "retcode-item \"cn=%d\" %#x\n", code, code)
		}
		b.WriteString(`retcode-item "cn=referral" 0x0a "ref=ldap://192.0.2.1/` + BaseDN + `"
retcode-item "cn=slow" 0x00 "sleeptime=2"
retcode-item "cn=notice" 0x34 "unsolicited=1.3.6.1.4.1.1466.20036" "flags=pre-disconnect"
`)
	}
	return b.String()
}

// load fills the database while no server runs. The -q takes the checks out:
// 0.5 s instead of 30 for 10,000 users.
func (s *Server) load() {
	s.t.Helper()
	file := filepath.Join(s.dir, "data.ldif")
	if err := os.WriteFile(file, []byte(s.data.ldif()), 0o600); err != nil {
		s.t.Fatalf("slapdtest: %v", err)
	}
	s.tool("slapadd", "-q", "-b", BaseDN, "-f", s.conf(), "-l", file)
}

func (s *Server) conf() string { return filepath.Join(s.dir, "slapd.conf") }

// tool runs one of slapd's offline tools to its end.
func (s *Server) tool(name string, args ...string) {
	s.t.Helper()
	if out, err := exec.Command(testservers.Find(s.t, name), args...).CombinedOutput(); err != nil {
		s.t.Fatalf("slapdtest: %s: %v\n%s", name, err, out)
	}
}

// dbnosync is safe here: a killed slapd loses nothing that the kernel has.
const slapdConf = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
moduleload retcode
moduleload syncprov
pidfile @DIR@/slapd.pid
argsfile @DIR@/slapd.args
sizelimit unlimited
loglevel 0
TLSCACertificateFile @DIR@/ca.crt
TLSCertificateFile @DIR@/server.crt
TLSCertificateKeyFile @DIR@/server.key
TLSVerifyClient @VERIFY@
@GLOBAL@

database monitor

database mdb
suffix @BASE@
rootdn @ROOT@
rootpw @ROOTPW@
directory @DIR@/db
maxsize 1073741824
dbnosync
index objectClass eq
index uid,mail,cn eq,sub
index member,uniqueMember,memberUid,memberOf eq
index entryUUID,entryCSN eq
@ACCESS@
access to attrs=userPassword by self write by anonymous auth by * none
access to * by * read
@EXTRA@
`

// String returns the address, for messages of tests.
func (s *Server) String() string { return fmt.Sprintf("slapd on %s", s.URL()) }
