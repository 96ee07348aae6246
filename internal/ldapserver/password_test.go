package ldapserver

import (
	"crypto/tls"
	"testing"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/internal/sambatest"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// TestPasswordModifyAsSlapd asks both servers the same, in this order: later
// rows see what earlier ones changed.
func TestPasswordModifyAsSlapd(t *testing.T) {
	person := func(name string) Entry {
		return Entry{DN: slapdtest.UserDN(name), Attributes: attrs{"userPassword": {"pw-" + name}}}
	}
	ours := start(t, Config{ChangePasswords: true, PasswordAdmins: []string{slapdtest.RootDN}, Entries: []Entry{
		{DN: slapdtest.BaseDN}, {DN: slapdtest.RootDN, Attributes: attrs{"userPassword": {slapdtest.RootPassword}}}, person("ann"), person("bob")}})
	real := slapdtest.Start(t, slapdtest.Config{People: []slapdtest.Person{{Name: "ann"}, {Name: "bob"}}})
	for where, url := range map[string]string{"slapd": real.URL(), "ours": ours.URL()} {
		t.Run(where, func(t *testing.T) {
			c := dial(t, url)
			ann, bob := slapdtest.UserDN("ann"), slapdtest.UserDN("bob")
			for _, tt := range []struct {
				name, who, password    string
				identity, old, changed string
				want                   uint16
			}{
				{"anonymous", "", "", ann, "pw-ann", "new-1", 8},
				{"own, with the old one", ann, "pw-ann", "", "pw-ann", "new-1", 0},
				{"own, the old one no longer binds", ann, "pw-ann", "", "", "", 49},
				{"own, wrong old one", ann, "new-1", "", "pw-ann", "new-2", 53},
				{"own, by name, without the old one", ann, "new-1", ann, "", "new-2", 0},
				{"somebody else's", ann, "new-2", bob, "", "new-3", 50},
				{"somebody else's, with the old one", ann, "new-2", bob, "pw-bob", "new-3", 53},
				{"an administrator", slapdtest.RootDN, slapdtest.RootPassword, bob, "", "new-4", 0},
				{"what the administrator set", bob, "new-4", "", "new-4", "new-5", 0},
				{"no name", slapdtest.RootDN, slapdtest.RootPassword, "bob", "", "new-6", 21},
			} {
				if err := bindAs(c, tt.who, tt.password); err != nil {
					if got := resultOf(err); got != tt.want {
						t.Errorf("%s: bind: %v", tt.name, err)
					}
					continue
				}
				_, err := c.PasswordModify(ldap.NewPasswordModifyRequest(tt.identity, tt.old, tt.changed))
				if got := resultOf(err); got != tt.want {
					t.Errorf("%s: result %d, want %d: %v", tt.name, got, tt.want, err)
				}
			}
			checkGenerated(t, c, bob, "new-5")
		})
	}
}

func bindAs(c *ldap.Conn, who, password string) error {
	if who == "" {
		return c.UnauthenticatedBind("")
	}
	return c.Bind(who, password)
}

// checkGenerated leaves the new password to the server.
func checkGenerated(t *testing.T, c *ldap.Conn, who, password string) {
	t.Helper()
	if err := c.Bind(who, password); err != nil {
		t.Fatal(err)
	}
	r, err := c.PasswordModify(ldap.NewPasswordModifyRequest("", "", ""))
	if err != nil || len(r.GeneratedPassword) < 6 {
		t.Fatalf("generated: %v, %v", r, err)
	}
	if err := c.Bind(who, r.GeneratedPassword); err != nil {
		t.Error(err)
	}
}

func unicodePwd(password string) []string {
	var raw []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		raw = append(raw, byte(u), byte(u>>8))
	}
	return []string{string(raw)}
}

// TestUnicodePwdAsSamba asks a real domain controller the same.
func TestUnicodePwdAsSamba(t *testing.T) {
	c := Config{ChangePasswords: true, ActiveDirectory: true, PasswordAdmins: []string{sambatest.AdminDN}, MinPassword: 4,
		Entries: append(adEntries(0), Entry{DN: sambatest.AdminDN, Attributes: attrs{"userPassword": {sambatest.AdminPassword}}})}
	c.TLS, _ = certificate(t)
	ours := start(t, c)
	if err := ours.StartSecure("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	real := sambatest.Start(t, sambatest.Config{})
	for where, url := range map[string]string{"samba": real.TLSURL(), "ours": ours.SecureURL()} {
		t.Run(where, func(t *testing.T) {
			conn, err := ldap.DialURL(url, ldap.DialWithTLSConfig(&tls.Config{InsecureSkipVerify: true})) // the test is not of TLS
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			changePasswords(t, conn)
		})
	}
	plain := dial(t, ours.URL())
	if err := plain.Bind(sambatest.DN("alice"), "Pw-alice-3"); err != nil {
		t.Fatal(err)
	}
	if err := replacePwd(plain, "alice", "Pw-alice-3", "Pw-new-9"); resultOf(err) != 53 {
		t.Errorf("in the clear: %v, want result 53", err)
	}
}

// changePasswords changes those of alice and bob in many ways.
func changePasswords(t *testing.T, conn *ldap.Conn) {
	for _, tt := range []struct {
		name, who, password, target, old, changed string
		want                                      uint16
	}{
		{"own", sambatest.DN("alice"), "Pw-alice-1", "alice", "Pw-alice-1", "Pw-alice-ä", 0},
		{"own, wrong old one", sambatest.DN("alice"), "Pw-alice-ä", "alice", "Pw-alice-1", "Pw-alice-3", 19},
		{"own, too short", sambatest.DN("alice"), "Pw-alice-ä", "alice", "Pw-alice-ä", "x", 19},
		{"whose old one is known", sambatest.ReaderDN, sambatest.ReaderPassword, "alice", "Pw-alice-ä", "Pw-alice-3", 0},
		{"own, set without the old one", sambatest.DN("alice"), "Pw-alice-3", "alice", "", "Pw-alice-4", 50},
		{"an administrator", sambatest.AdminDN, sambatest.AdminPassword, "bob", "", "Pw-bob-2", 0},
		{"what the administrator set", sambatest.DN("bob"), "Pw-bob-2", "bob", "Pw-bob-2", "Pw-bob-3", 0},
	} {
		if err := conn.Bind(tt.who, tt.password); err != nil {
			t.Errorf("%s: bind: %v", tt.name, err)
			continue
		}
		if err := replacePwd(conn, tt.target, tt.old, tt.changed); resultOf(err) != tt.want {
			t.Errorf("%s: %v, want result %d", tt.name, err, tt.want)
		}
	}
	if err := conn.Bind(sambatest.DN("bob"), "Pw-bob-2"); resultOf(err) != 49 {
		t.Errorf("the old password: %v", err)
	}
}

func replacePwd(conn *ldap.Conn, name, old, changed string) error {
	m := ldap.NewModifyRequest(sambatest.DN(name), nil)
	if old == "" {
		m.Replace("unicodePwd", unicodePwd(changed))
	} else {
		m.Delete("unicodePwd", unicodePwd(old))
		m.Add("unicodePwd", unicodePwd(changed))
	}
	return conn.Modify(m)
}

// A person who must change the password has a rule that ends with that.
func TestRuleEndsWithTheChange(t *testing.T) {
	mustChange := &BindRule{UntilChanged: true, Right: &BindOutcome{Controls: []Control{Policy{Error: ptr(2)}.Control()}}}
	s := start(t, Config{ChangePasswords: true, MinPassword: 8, Entries: ruled(map[string]*BindRule{"ann": mustChange})})
	c := dial(t, s.URL())
	state := func(password string) int8 {
		t.Helper()
		r, err := c.SimpleBind(ldap.NewSimpleBindRequest("uid=ann,"+suffix, password, []ldap.Control{ldap.NewControlBeheraPasswordPolicy()}))
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := ldap.FindControl(r.Controls, PolicyOID).(*ldap.ControlBeheraPasswordPolicy); ok {
			return p.Error
		}
		return -1
	}
	if got := state("pw"); got != 2 {
		t.Errorf("before: error %d, want 2", got)
	}
	if _, err := c.PasswordModify(ldap.NewPasswordModifyRequest("", "pw", "short")); resultOf(err) != 19 {
		t.Errorf("a short one: %v, want result 19", err)
	}
	if _, err := c.PasswordModify(ldap.NewPasswordModifyRequest("", "pw", "long enough")); err != nil {
		t.Fatal(err)
	}
	if got := state("long enough"); got != -1 {
		t.Errorf("after: error %d, want none", got)
	}
}
