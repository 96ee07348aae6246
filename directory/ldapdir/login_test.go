package ldapdir_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// open returns a client that is closed with the test.
func open(t testing.TB, c ldapdir.Config) *ldapdir.Dir {
	t.Helper()
	d := openFresh(t, c)
	ldapdir.Believe(d)
	return d
}

// openFresh returns a client that knows nothing of its nodes yet.
func openFresh(t testing.TB, c ldapdir.Config) *ldapdir.Dir {
	t.Helper()
	if c.BaseDN == "" {
		c.BaseDN = slapdtest.BaseDN
	}
	d, err := ldapdir.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// login does what a login does, up to the first error.
func login(ctx context.Context, d *ldapdir.Dir, name, password string) (directory.Entry, directory.GroupSet, error) {
	e, err := d.Find(ctx, name)
	if err != nil {
		return e, directory.GroupSet{}, err
	}
	if e, err = d.Verify(ctx, e, password); err != nil {
		return e, directory.GroupSet{}, err
	}
	g, err := d.Groups(ctx, e)
	return e, g, err
}

func TestVerdicts(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 20, People: []slapdtest.Person{
		{Name: "ann", Password: "geheim", DisplayName: "Ann Ä.", Email: "ann@example.org"},
		{Name: "double", Email: "same@example.org"}, {Name: "twin", Email: "same@example.org"},
	}})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, Schema: "openldap", LoginAttributes: []string{"mail"}})
	for _, tt := range []struct {
		name, user, password string
		want                 error
		canonical            string
		ops                  int // binds and searches that reach the server
	}{
		{"right password", "ann", "geheim", nil, "ann", 3},
		{"other spelling is the same entry", " ANN ", "geheim", nil, "ann", 3},
		{"by mail", "Ann@Example.org", "geheim", nil, "ann", 3},
		{"wrong password", "ann", "falsch", directory.ErrBadCredentials, "", 2},
		{"password of somebody else", "ann", "pw-u00000", directory.ErrBadCredentials, "", 2},
		{"empty password never leaves", "ann", "", directory.ErrBadCredentials, "", 1},
		{"password as long as a packet never leaves", "ann", strings.Repeat("x", 300<<10), directory.ErrBadCredentials, "", 1},
		{"NUL in the password is a character", "ann", "geheim\x00", directory.ErrBadCredentials, "", 2},
		{"nobody", "nobody", "x", directory.ErrNoUser, "", 1},
		{"two entries are nobody", "same@example.org", "pw-twin", directory.ErrNoUser, "", 1},
		{"no wildcard", "an*", "geheim", directory.ErrNoUser, "", 1},
		{"empty name", "", "x", directory.ErrBadName, "", 0},
		{"control character", "an\tn", "x", directory.ErrBadName, "", 0},
		{"DEL", "ann\x7f", "x", directory.ErrBadName, "", 0},
		{"not UTF-8", "ann\xff", "x", directory.ErrBadName, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := s.Counts()
			e, _, err := login(t.Context(), d, tt.user, tt.password)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if e.Name != tt.canonical {
				t.Errorf("name %q, want %q", e.Name, tt.canonical)
			}
			got := s.Counts().Sub(before)
			if got.Binds+got.Searches != tt.ops {
				t.Errorf("%d binds and %d searches, want %d together", got.Binds, got.Searches, tt.ops)
			}
			if err == nil && (e.DisplayName != "Ann Ä." || e.Email != "ann@example.org" || len(e.ID) != 36 || e.Node != s.URL()) {
				t.Errorf("entry %+v", e)
			}
		})
	}
}

func TestUnknownUserIsABindLikeEveryOther(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 1})
	for name, c := range map[string]ldapdir.Config{
		"search":   {URLs: []string{s.URL()}},
		"template": {URLs: []string{s.URL()}, UserDNTemplate: "uid=%s," + slapdtest.PeopleDN},
	} {
		d := open(t, c)
		before := s.Counts()
		if _, err := d.Verify(t.Context(), directory.Entry{}, "secret"); !errors.Is(err, directory.ErrBadCredentials) {
			t.Errorf("%s: %v", name, err)
		}
		if got := s.Counts().Sub(before); got.Binds != 1 || got.Searches != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

const otherGroups = `dn: cn=unique,ou=groups,dc=example,dc=org
objectClass: groupOfUniqueNames
cn: unique
uniqueMember: uid=ann,ou=people,dc=example,dc=org

dn: cn=posix,ou=groups,dc=example,dc=org
objectClass: posixGroup
cn: posix
gidNumber: 1000
memberUid: ann

dn: cn=second name,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: second name
cn: a first name
member: uid=ann,ou=people,dc=example,dc=org

dn: cn=not hers,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: not hers
member: uid=anna,ou=people,dc=example,dc=org
`

func TestGroupsOfEveryKind(t *testing.T) {
	people := []slapdtest.Person{{Name: "ann", Groups: []string{"staff", "Übung, (1)*"}}, {Name: "loner"}}
	plain := slapdtest.Start(t, slapdtest.Config{People: people, LDIF: otherGroups})
	memberOf := slapdtest.Start(t, slapdtest.Config{People: people, LDIF: otherGroups, MemberOf: true})
	all := []string{"posix", "second name", "staff", "unique", "Übung, (1)*"}
	template := "uid=%s," + slapdtest.PeopleDN
	for _, tt := range []struct {
		name   string
		server *slapdtest.Server
		config ldapdir.Config
		user   string
		want   []string
		ops    int // of a login; the service connection has no bind
	}{
		{"searched", plain, ldapdir.Config{}, "ann", all, 3},
		{"known to have none", plain, ldapdir.Config{}, "loner", nil, 3},
		{"own base", plain, ldapdir.Config{GroupBaseDN: "cn=unique," + slapdtest.GroupsDN}, "ann", []string{"unique"}, 3},
		{"own filter", plain, ldapdir.Config{GroupFilter: "(memberUid=%s)"}, "ann", []string{"posix"}, 3},
		{"template, searched", plain, ldapdir.Config{UserDNTemplate: template}, "ann", all, 3},
		{"the entry's own are taken for all where that is said", memberOf, ldapdir.Config{MemberOf: true}, "ann", []string{"staff", "Übung, (1)*"}, 2},
		{"of the entry's own, those below the base", memberOf, ldapdir.Config{MemberOf: true, GroupBaseDN: "cn=staff," + slapdtest.GroupsDN}, "ann", []string{"staff"}, 2},
		{"an entry without any is searched", memberOf, ldapdir.Config{MemberOf: true}, "loner", nil, 3},
		{"an overlay that is not there is no answer", plain, ldapdir.Config{MemberOf: true}, "ann", all, 3},
		{"template and the entry's own", memberOf, ldapdir.Config{MemberOf: true, UserDNTemplate: template}, "ann", []string{"staff", "Übung, (1)*"}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.URLs, tt.config.Schema = []string{tt.server.URL()}, "openldap"
			d := open(t, tt.config)
			before := tt.server.Counts()
			e, g, err := login(t.Context(), d, tt.user, "pw-"+tt.user)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(g.Names, tt.want) || g.Node != tt.server.URL() || time.Since(g.Read) > time.Minute {
				t.Errorf("groups %+v, want %q", g, tt.want)
			}
			if got := tt.server.Counts().Sub(before); got.Binds != 1 || got.Binds+got.Searches != tt.ops {
				t.Errorf("%+v, want %d operations, one of them a bind", got, tt.ops)
			}
			if second, err := d.Groups(t.Context(), e, e.Node); err != nil || !slices.Equal(second.Names, tt.want) {
				t.Errorf("second opinion %+v, %v", second, err)
			}
		})
	}
}

func TestTemplate(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{People: []slapdtest.Person{{Name: "Ann", DisplayName: "Ann Ä.", Groups: []string{"staff"}}}})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, UserDNTemplate: "uid=%s," + slapdtest.PeopleDN, Domains: []string{"corp"}})
	e, g, err := login(t.Context(), d, `CORP\ANN`, "pw-Ann")
	if err != nil || e.Name != "Ann" || e.DisplayName != "Ann Ä." || !slices.Equal(g.Names, []string{"staff"}) {
		t.Fatalf("%+v, %v, %v", e, g, err)
	}
	// A cookie request finds the canonical name, and must find the same person.
	found, err := d.Find(t.Context(), e.Name)
	if err != nil || found.ID != e.ID || found.Node != "" {
		t.Errorf("found %+v, logged in %+v, %v", found, e, err)
	}
	if g, err := d.Groups(t.Context(), found); err != nil || !slices.Equal(g.Names, []string{"staff"}) {
		t.Errorf("%+v, %v", g, err)
	}
	// slapd takes full-width letters for the same; no session is to end of it.
	wide, _ := d.Find(t.Context(), "ａｎｎ")
	if g, err := d.Groups(t.Context(), wide, s.URL()); err != nil || !slices.Equal(g.Names, []string{"staff"}) {
		t.Errorf("%+v, %v", g, err)
	}
	gone, _ := d.Find(t.Context(), "gone")
	if _, err := d.Groups(t.Context(), gone); !errors.Is(err, directory.ErrNoUser) {
		t.Errorf("groups of nobody: %v", err)
	}
	if _, err := d.Verify(t.Context(), gone, "x"); !errors.Is(err, directory.ErrBadCredentials) {
		t.Errorf("password of nobody: %v", err)
	}
}

func TestWaysToConnect(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 1})
	strict := slapdtest.Start(t, slapdtest.Config{Users: 1, RequireClientCert: true})
	cert := []tls.Certificate{strict.ClientCert("gate")}
	for _, tt := range []struct {
		name   string
		config ldapdir.Config
		works  bool
	}{
		{"plain on loopback", ldapdir.Config{URLs: []string{s.URL()}}, true},
		{"ldaps", ldapdir.Config{URLs: []string{s.TLSURL()}, RootCAs: s.Roots()}, true},
		{"ldaps, certificate of another authority", ldapdir.Config{URLs: []string{s.TLSURL()}, RootCAs: strict.Roots()}, false},
		{"ldaps, system's authorities", ldapdir.Config{URLs: []string{s.TLSURL()}}, false},
		{"ldaps, no authority", ldapdir.Config{URLs: []string{s.TLSURL()}, RootCAs: x509.NewCertPool()}, false},
		{"StartTLS", ldapdir.Config{URLs: []string{s.URL()}, RootCAs: s.Roots(), StartTLS: true}, true},
		{"StartTLS, certificate of another authority", ldapdir.Config{URLs: []string{s.URL()}, RootCAs: strict.Roots(), StartTLS: true}, false},
		{"client certificate", ldapdir.Config{URLs: []string{strict.TLSURL()}, RootCAs: strict.Roots(), Certificates: cert}, true},
		{"client certificate missing", ldapdir.Config{URLs: []string{strict.TLSURL()}, RootCAs: strict.Roots()}, false},
		{"service account", ldapdir.Config{URLs: []string{s.URL()}, BindDN: slapdtest.ReaderDN, BindPassword: slapdtest.ReaderPassword}, true},
		{"service account, wrong password", ldapdir.Config{URLs: []string{s.URL()}, BindDN: slapdtest.ReaderDN, BindPassword: "wrong"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t, tt.config)
			_, _, err := login(t.Context(), d, "u00000", "pw-u00000")
			if tt.works && err != nil || !tt.works && !errors.Is(err, directory.ErrUnavailable) {
				t.Errorf("%v", err)
			}
			// Never the other way round: a service that is refused is no
			// refusal of the person.
			if errors.Is(err, directory.ErrBadCredentials) || errors.Is(err, directory.ErrNoUser) {
				t.Errorf("a verdict about the person: %v", err)
			}
		})
	}
}

func TestSteadyState(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 10, Groups: 5})
	d := open(t, ldapdir.Config{URLs: []string{s.TLSURL()}, RootCAs: s.Roots(),
		BindDN: slapdtest.ReaderDN, BindPassword: slapdtest.ReaderPassword})
	for round := range 2 { // the first dials, and reads the rootDSE
		before := s.Counts()
		for _, name := range s.Names() {
			if _, g, err := login(t.Context(), d, name, "pw-"+name); err != nil || !slices.Equal(g.Names, s.Groups(name)) {
				t.Fatal(name, g, err)
			}
		}
		got := s.Counts().Sub(before)
		if got.Searches != 21-round || got.Binds > 11 {
			t.Errorf("10 logins: %+v", got)
		}
	}
	before := s.Counts()
	if _, _, err := login(t.Context(), d, "u00000", "pw-u00000"); err != nil {
		t.Fatal(err)
	}
	if got := s.Counts().Sub(before); got.Connections != 0 || got.Operations != 3 {
		t.Errorf("a login at steady state: %+v, want 3 operations and no dialling", got)
	}
}
