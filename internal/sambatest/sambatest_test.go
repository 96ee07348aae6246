package sambatest_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/internal/sambatest"
)

func dial(t *testing.T, s *sambatest.Server, url string) *ldap.Conn {
	t.Helper()
	conn, err := ldap.DialURL(url, ldap.DialWithTLSConfig(&tls.Config{RootCAs: s.Roots(), ServerName: sambatest.Host}))
	if err != nil {
		t.Fatal(err)
	}
	conn.SetTimeout(10 * time.Second)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// verdict returns "ok", or the result and what follows "data" in its message.
func verdict(err error) string {
	e := (*ldap.Error)(nil)
	if err == nil {
		return "ok"
	}
	if !errors.As(err, &e) {
		return err.Error()
	}
	_, data, _ := strings.Cut(e.Err.Error(), "data ")
	code, _, _ := strings.Cut(data, ",")
	return strings.TrimSpace(fmt.Sprintf("%d %s", e.ResultCode, code))
}

// The sub-codes are Windows system error codes in hex: 52e is 1326,
// ERROR_LOGON_FAILURE, 701 is 1793, ERROR_ACCOUNT_EXPIRED.
func TestEveryAccountStateHasItsSubcode(t *testing.T) {
	s := sambatest.Start(t, sambatest.Config{})
	conn := dial(t, s, s.TLSURL())
	for _, tt := range []struct{ name, who, password, want string }{
		{"by user principal name", sambatest.UPN(sambatest.Alice), sambatest.Password(sambatest.Alice), "ok"},
		{"by DOMAIN\\user", sambatest.DownLevel(sambatest.Alice), sambatest.Password(sambatest.Alice), "ok"},
		{"by DN", sambatest.DN(sambatest.Bob), sambatest.Password(sambatest.Bob), "ok"},
		{"the administrator", sambatest.AdminDN, sambatest.AdminPassword, "ok"},
		{"the service account", sambatest.ReaderDN, sambatest.ReaderPassword, "ok"},
		{"wrong password", sambatest.UPN(sambatest.Alice), "wrong", "49 52e"},
		{"nobody of that name", sambatest.UPN("nobody"), "wrong", "49 52e"},
		{"disabled", sambatest.UPN(sambatest.Disabled), sambatest.Password(sambatest.Disabled), "49 533"},
		{"account expired", sambatest.UPN(sambatest.Expired), sambatest.Password(sambatest.Expired), "49 701"},
		{"must change", sambatest.UPN(sambatest.MustChange), sambatest.Password(sambatest.MustChange), "49 773"},
		{"password expired", sambatest.UPN(sambatest.OldPass), sambatest.Password(sambatest.OldPass), "49 532"},
		{"not at this hour", sambatest.UPN(sambatest.Hours), sambatest.Password(sambatest.Hours), "49 530"},
		{"not at this workstation", sambatest.UPN(sambatest.Station), sambatest.Password(sambatest.Station), "49 531"},
		{"a wrong password tells no state", sambatest.UPN(sambatest.Expired), "wrong", "49 52e"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := verdict(conn.Bind(tt.who, tt.password)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestLockedAndUnlocked(t *testing.T) {
	s := sambatest.Start(t, sambatest.Config{})
	conn := dial(t, s, s.TLSURL())
	for range sambatest.LockAfter {
		if got := verdict(conn.Bind(sambatest.UPN(sambatest.Lock), "wrong")); got != "49 52e" {
			t.Errorf("a wrong password: %s", got)
		}
	}
	bind := func() string {
		return verdict(conn.Bind(sambatest.UPN(sambatest.Lock), sambatest.Password(sambatest.Lock)))
	}
	if got := bind(); got != "49 775" {
		t.Errorf("after %d wrong binds: %s", sambatest.LockAfter, got)
	}
	s.Unlock(sambatest.Lock)
	if got := bind(); got != "ok" {
		t.Errorf("unlocked: %s", got)
	}
}

// find returns the values of an attribute of the one entry that a search from
// the base finds.
func find(t *testing.T, conn *ldap.Conn, base string, scope int, filter, attribute string) []string {
	t.Helper()
	r, err := conn.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, filter, []string{attribute}, nil))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range r.Entries {
		for _, a := range e.Attributes {
			all = append(all, a.Values...)
		}
	}
	return all
}

func TestNestedGroupsAndMembers(t *testing.T) {
	s := sambatest.Start(t, sambatest.Config{Members: 50, LDIF: "dn: " + sambatest.DN("g-more") +
		"\nchangetype: add\nobjectClass: group\nsAMAccountName: g-more\nmember: " + sambatest.DN(sambatest.Bob) + "\n"})
	conn := dial(t, s, s.TLSURL())
	if err := conn.Bind(sambatest.ReaderDN, sambatest.ReaderPassword); err != nil {
		t.Fatal(err)
	}
	chain := "(member:1.2.840.113556.1.4.1941:=" + sambatest.DN(sambatest.Alice) + ")"
	got := find(t, conn, sambatest.BaseDN, ldap.ScopeWholeSubtree, chain, "cn")
	slices.Sort(got)
	if want := []string{sambatest.Inner, sambatest.Mid, sambatest.Outer}; !slices.Equal(got, want) {
		t.Errorf("in chain: %q, want %q", got, want)
	}
	if got := find(t, conn, sambatest.DN(sambatest.Alice), ldap.ScopeBaseObject, "(objectClass=*)", "tokenGroups"); len(got) < 4 {
		t.Errorf("%d tokenGroups, want the three and Domain Users", len(got))
	}
	members := find(t, conn, sambatest.DN(sambatest.Big), ldap.ScopeBaseObject, "(objectClass=*)", "member")
	if len(members) != 51 || !slices.Contains(members, sambatest.DN("m0049")) {
		t.Errorf("%d members", len(members))
	}
	if got := find(t, conn, sambatest.DN(sambatest.Big), ldap.ScopeBaseObject, "(objectClass=*)", "member;range=49-*"); len(got) != 2 {
		t.Errorf("range from the 50th: %q", got)
	}
	groups := find(t, conn, sambatest.DN(sambatest.Bob), ldap.ScopeBaseObject, "(objectClass=*)", "memberOf")
	slices.Sort(groups)
	if want := []string{sambatest.DN(sambatest.Big), sambatest.DN("g-more")}; !slices.Equal(groups, want) {
		t.Errorf("groups of bob: %q", groups)
	}
}

func TestPlainBindsAreRefusedUnlessAllowed(t *testing.T) {
	s := sambatest.Start(t, sambatest.Config{})
	if got := verdict(dial(t, s, s.URL()).Bind(sambatest.ReaderDN, sambatest.ReaderPassword)); got != "8" {
		t.Errorf("by default: %s", got)
	}
	s = sambatest.Start(t, sambatest.Config{AllowPlain: true})
	if got := verdict(dial(t, s, s.URL()).Bind(sambatest.ReaderDN, sambatest.ReaderPassword)); got != "ok" {
		t.Errorf("allowed: %s", got)
	}
}

func TestPasswordsChange(t *testing.T) {
	s := sambatest.Start(t, sambatest.Config{})
	conn := dial(t, s, s.TLSURL())
	s.SetPassword(sambatest.Bob, "another one, ä")
	if got := verdict(conn.Bind(sambatest.UPN(sambatest.Bob), sambatest.Password(sambatest.Bob))); got != "49 52e" {
		t.Errorf("the old password: %s", got)
	}
	if got := verdict(conn.Bind(sambatest.UPN(sambatest.Bob), "another one, ä")); got != "ok" {
		t.Errorf("the new password: %s", got)
	}
}

// In Active Directory everybody may change the password of everybody who tells
// the old one: how a person in state 773, who cannot bind, gets a new one.
func TestPeopleChangeTheirPasswords(t *testing.T) {
	s := sambatest.Start(t, sambatest.Config{})
	conn := dial(t, s, s.TLSURL())
	if err := conn.Bind(sambatest.ReaderDN, sambatest.ReaderPassword); err != nil {
		t.Fatal(err)
	}
	encode := func(password string) []string {
		raw := []byte{'"', 0}
		for i := range len(password) {
			raw = append(raw, password[i], 0)
		}
		return []string{string(append(raw, '"', 0))}
	}
	change := func(old string) error {
		m := ldap.NewModifyRequest(sambatest.DN(sambatest.MustChange), nil)
		m.Delete("unicodePwd", encode(old))
		m.Add("unicodePwd", encode("Pw-new-2"))
		return conn.Modify(m)
	}
	if got := verdict(change("wrong")); got != "19" {
		t.Errorf("with a wrong old password: %s, want constraintViolation", got)
	}
	if err := change(sambatest.Password(sambatest.MustChange)); err != nil {
		t.Error(err)
	}
	if got := verdict(conn.Bind(sambatest.UPN(sambatest.MustChange), "Pw-new-2")); got != "ok" {
		t.Errorf("the new password: %s", got)
	}
}

// Two at once are on addresses of their own, and one that was stopped or
// killed comes back with its data.
func TestStoppedKilledAndBack(t *testing.T) {
	s, other := sambatest.Start(t, sambatest.Config{}), sambatest.Start(t, sambatest.Config{})
	if s.IP() == other.IP() {
		t.Fatalf("two controllers on %s", s.IP())
	}
	s.SetPassword(sambatest.Bob, "kept")
	conn := dial(t, s, s.URL()) // the kernel accepts for a stopped process
	s.Stop()
	conn.SetTimeout(200 * time.Millisecond)
	if err := conn.UnauthenticatedBind(""); err == nil {
		t.Error("a stopped controller answered")
	}
	s.Cont()
	s.Kill()
	s.Kill()
	if _, err := ldap.DialURL(s.URL()); err == nil {
		t.Error("a killed controller accepts connections")
	}
	s.Restart()
	if got := verdict(dial(t, s, s.CatalogURL()).Bind(sambatest.UPN(sambatest.Bob), "kept")); got != "ok" {
		t.Errorf("after the restart: %s", got)
	}
	if got := verdict(dial(t, other, other.TLSURL()).Bind(sambatest.UPN(sambatest.Bob), sambatest.Password(sambatest.Bob))); got != "ok" {
		t.Errorf("the other one: %s", got)
	}
}
