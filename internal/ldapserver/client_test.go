package ldapserver

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// A searchRow is a call of ldapsearch and what it shows.
type searchRow struct {
	name string
	args []string
	exit int
	want string // lines of the answer that must be there, in order
	not  string
}

// entryRows are searches for entries and attributes.
func entryRows(s *Server) []searchRow {
	plain, base := []string{"-H", s.URL()}, []string{"-b", suffix}
	return []searchRow{
		{"base", join(plain, base, "-s", "base"), 0, "dn: dc=example,dc=org|dc: example|numEntries: 1", "createTimestamp"},
		{"one level", join(plain, base, "-s", "one"), 0, "dn: ou=people|dn: ou=groups|numEntries: 2", "dn: dc="},
		{"children of a leaf", join(plain, "-b", fredDN, "-s", "one"), 0, "result: 0 Success|numResponses: 1", "dn:"},
		{"subtree", join(plain, "-b", "ou=people,"+suffix), 0, "dn: ou=people|dn: uid=fred|numEntries: 5", "jira-users"},
		{"values in any alphabet", join(plain, base, "(uid=zoë)", "cn"), 0, "dn:: |cn:: Wm/DqyBHcsO2w59l|numEntries: 1", "mail"},
		{"named attributes alone", join(plain, base, "(uid=fred)", "MAIL"), 0, "mail: fred@Example.org", "cn: "},
		{"no attributes", join(plain, base, "(uid=fred)", "1.1"), 0, "dn: uid=fred", "mail"},
		{"types only", join(plain, base, "-A", "(uid=fred)", "mail"), 0, "mail:|", "Example"},
		{"operational attributes", join(plain, base, "(uid=fred)", "+"), 0, "createTimestamp: |entryUUID: |memberOf: cn=jira-users", "mail"},
		{"all attributes", join(plain, base, "(uid=fred)", "*", "+"), 0, "cn: Fred  Normal|entryDN: uid=fred", "userPassword"},
		{"never the password", join(plain, base, "(uid=fred)", "userPassword"), 0, "dn: uid=fred", "userPassword:"},
	}
}

// protocolRows are of limits, pages, controls and ways to connect.
func protocolRows(s *Server) []searchRow {
	plain, base := []string{"-H", s.URL()}, []string{"-b", suffix}
	return []searchRow{
		{"size limit of the client", join(plain, base, "-z", "2"), 4, "result: 4 Size limit exceeded|numEntries: 2", ""},
		{"size limit of the server", join(plain, base), 4, "result: 4 Size limit exceeded|numEntries: 8", ""},
		{"size limit just reached", join(plain, base, "-z", "1", "(uid=fred)"), 0, "result: 0 Success", ""},
		{"pages", join(plain, base, "-E", "pr=3/noprompt"), 0, "dn: dc=example|cookie=|dn: cn=posix|numEntries: 11", "numEntries: 12"},
		{"pages cut by the server's limit", join(plain, base, "-E", "!pr=100/noprompt"), 0, "cookie=|dn: cn=posix|numEntries: 11", ""},
		{"pages and a size limit", join(plain, base, "-z", "5", "-E", "pr=3/noprompt"), 4, "result: 4|numEntries: 5", ""},
		{"unknown base", join(plain, "-b", "ou=nobody,ou=people,"+suffix), 32, "result: 32 No such object|matchedDN: ou=people,dc=example,dc=org", ""},
		{"base that is no name", join(plain, "-b", "nobody"), 34, "result: 34 Invalid DN", ""},
		{"rootDSE", join(plain, "-b", "", "-s", "base", "+"), 0, "dn:|namingContexts: dc=example,dc=org|supportedControl: 1.2.840.113556.1.4.319|supportedExtension: 1.3.6.1.4.1.1466.20037|supportedLDAPVersion: 3|vendorName: somebody", "gatehouse"},
		{"rootDSE of the configuration", join(plain, "-b", "", "-s", "base", "dnsHostName"), 0, "dnsHostName: dc1.example.org", ""},
		{"below the empty name", join(plain, "-b", "", "-s", "sub"), 32, "result: 32", "dn:"},
		{"critical control that nobody knows", join(plain, base, "-e", "!1.2.3.4"), 12, "", "dn:"},
		{"other control that nobody knows", join(plain, base, "-e", "1.2.3.4", "(uid=fred)"), 0, "dn: uid=fred", ""},
		{"bound", join(plain, base, "-D", fredDN, "-w", fredPass, "(uid=fred)"), 0, "dn: uid=fred", ""},
		{"StartTLS", join(plain, base, "-ZZ", "(uid=fred)"), 0, "dn: uid=fred", ""},
		{"ldaps", join([]string{"-H", s.SecureURL()}, base, "(uid=fred)"), 0, "dn: uid=fred", ""},
		{"version 2", join(plain, base, "-P", "2", "-D", fredDN, "-w", fredPass), 2, "Protocol error (2)", "dn:"},
		{"SASL", []string{"-H", s.URL(), "-Q", "-Y", "EXTERNAL", "-b", suffix}, -1, "", "dn:"},
	}
}

// The clients of OpenLDAP, as an operator uses them.
func TestLDAPSearch(t *testing.T) {
	c := Config{Entries: testEntries(), MemberOf: true, SizeLimit: 8}
	c.RootDSE = attrs{"vendorName": {"somebody"}, "dnsHostName": {"dc1.example.org"}}
	var ca string
	c.TLS, ca = certificate(t)
	s := start(t, c)
	if err := s.StartSecure("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	tool := program(t, "ldapsearch")
	for _, tt := range append(entryRows(s), protocolRows(s)...) {
		t.Run(tt.name, func(t *testing.T) {
			args := tt.args
			if tt.name != "SASL" {
				args = join([]string{"-x", "-o", "ldif_wrap=no"}, args)
			}
			out := run(t, tool, ca, tt.exit, args...)
			rest := out
			for _, line := range strings.Split(tt.want, "|") {
				_, after, ok := strings.Cut(rest, line)
				if !ok {
					t.Fatalf("no %q in\n%s", line, out)
				}
				rest = after
			}
			if tt.not != "" && strings.Contains(out, tt.not) {
				t.Errorf("%q in\n%s", tt.not, out)
			}
		})
	}
}

func TestLDAPWhoAmI(t *testing.T) {
	c := Config{Entries: testEntries()}
	var ca string
	c.TLS, ca = certificate(t)
	s := start(t, c)
	if err := s.StartSecure("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	tool := program(t, "ldapwhoami")
	for _, tt := range []struct {
		name string
		args []string
		exit int
		want string
	}{
		{"anonymous", []string{"-H", s.URL()}, 0, "anonymous"},
		{"bound", []string{"-H", s.URL(), "-D", fredDN, "-w", fredPass}, 0, "dn:" + fredDN},
		{"wrong password", []string{"-H", s.URL(), "-D", fredDN, "-w", "guess"}, 49, "Invalid credentials (49)"},
		{"unknown DN", []string{"-H", s.URL(), "-D", "uid=x," + suffix, "-w", "x"}, 49, "Invalid credentials (49)"},
		{"empty password", []string{"-H", s.URL(), "-D", fredDN, "-w", ""}, 53, "unauthenticated bind"},
		{"StartTLS", []string{"-H", s.URL(), "-ZZ", "-D", fredDN, "-w", fredPass}, 0, "dn:" + fredDN},
		{"ldaps", []string{"-H", s.SecureURL(), "-D", fredDN, "-w", fredPass}, 0, "dn:" + fredDN},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if out := run(t, tool, ca, tt.exit, join([]string{"-x"}, tt.args)...); !strings.Contains(out, tt.want) {
				t.Errorf("no %q in\n%s", tt.want, out)
			}
		})
	}
}

func TestStartTLSWithoutCertificateIsRefused(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	run(t, program(t, "ldapwhoami"), "", 1, "-x", "-ZZ", "-H", s.URL())
}

func TestReadOnly(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	run(t, program(t, "ldapdelete"), "", 53, "-x", "-H", s.URL(), fredDN)
	if got := find(t, dial(t, s.URL()), "(uid=fred)"); len(got) != 1 {
		t.Errorf("found %v", got)
	}
}

func TestLDAPCompare(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	tool := program(t, "ldapcompare")
	for _, tt := range []struct {
		name, dn, assertion string
		exit                int
	}{
		{"true", fredDN, "cn:fred NORMAL", 6},
		{"false", fredDN, "cn:frida", 5},
		{"no such attribute", fredDN, "title:x", 16},
		{"no such entry", "uid=x," + suffix, "cn:x", 32},
		{"passwords stay hidden", fredDN, "userPassword:" + fredPass, 50},
		{"value without the syntax", "cn=jira-users,ou=groups," + suffix, "member:x", 21},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, tool, "", tt.exit, "-x", "-H", s.URL(), tt.dn, tt.assertion)
		})
	}
}

// run returns what a client printed; exit -1 is any failure.
func run(t *testing.T, tool, ca string, exit int, args ...string) string {
	t.Helper()
	cmd := exec.Command(tool, args...)
	cmd.Env = append(cmd.Environ(), "LDAPTLS_CACERT="+ca, "LDAPCONF=/dev/null")
	out, err := cmd.CombinedOutput()
	got := 0
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		got = e.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if got != exit && !(exit < 0 && got != 0) {
		t.Errorf("exit status %d, want %d:\n%s", got, exit, out)
	}
	return string(out)
}

func join(first []string, more ...any) []string {
	out := append([]string(nil), first...)
	for _, m := range more {
		switch m := m.(type) {
		case string:
			out = append(out, m)
		case []string:
			out = append(out, m...)
		}
	}
	return out
}
