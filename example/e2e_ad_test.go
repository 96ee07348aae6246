package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/sambatest"
)

// adSteps are about a domain of Active Directory, of which the program is told
// nothing but server, base and service account.
var adSteps = []step{
	{"every name of a person is that person", adNames},
	{"the names share one count of failures", adCount},
	{"groups of groups count, and the lack of them", adGroups},
	{"a state is told to who knows the password", adStates},
	{"a password that must be changed is changed at the login", func(t *testing.T, p *program) {
		p.changesPassword(t, sambatest.MustChange, sambatest.Password(sambatest.MustChange), "Your password must be changed before you can log in.")
	}},
	{"and one that has expired", func(t *testing.T, p *program) {
		p.changesPassword(t, sambatest.OldPass, sambatest.Password(sambatest.OldPass), "Your password has expired.")
	}},
}

func TestEndToEndActiveDirectory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a Samba")
	}
	samba := sambatest.Start(t, sambatest.Config{LDIF: "dn: " + sambatest.DN(sambatest.Outer) + "\nchangetype: modify\nadd: member\nmember: " +
		sambatest.DN(sambatest.MustChange) + "\nmember: " + sambatest.DN(sambatest.OldPass) + "\n"})
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(sambatest.ReaderPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, newWorldOf(t, samba.TLSURL(), samba.CAFile()), "",
		"-ldap-base", sambatest.BaseDN, "-ldap-bind-dn", sambatest.ReaderDN, "-ldap-bind-password-file", file,
		"-access-group", sambatest.Outer, "-ldap-timeout", "10s") // Samba hashes for long
	for _, s := range adSteps {
		t.Run(s.name, func(t *testing.T) { s.run(t, p) })
	}
	p.stop(t)
}

func adNames(t *testing.T, p *program) {
	for _, name := range []string{
		sambatest.Alice, "ALICE", sambatest.DownLevel(sambatest.Alice), strings.ToLower(sambatest.DownLevel(sambatest.Alice)),
		sambatest.UPN(sambatest.Alice), "Alice@" + sambatest.Realm, sambatest.Alice + "@" + sambatest.Domain,
	} {
		a := p.do(t, call{method: "GET", path: "/rest/api/2/myself", user: name, password: sambatest.Password(sambatest.Alice)})
		a.is(t, 200, "X-AUSERNAME: "+sambatest.Alice)
		var me struct{ Groups []string }
		if err := json.Unmarshal([]byte(a.body), &me); err != nil {
			t.Fatal(err)
		}
		for _, group := range []string{sambatest.Inner, sambatest.Mid, sambatest.Outer, "Domain Users"} {
			if !slices.Contains(me.Groups, group) {
				t.Errorf("as %s the groups are %q, want %s among them", name, me.Groups, group)
			}
		}
	}
}

// adCount stops short of what the domain itself would lock for.
func adCount(t *testing.T, p *program) {
	const user = sambatest.Lock
	for _, name := range []string{user, sambatest.DownLevel(user), sambatest.UPN(user)} {
		p.do(t, credentials(name, "Pw-wrong")).is(t, 401)
	}
	for _, name := range []string{user, sambatest.UPN(strings.ToUpper(user))} {
		p.do(t, credentials(name, sambatest.Password(user))).is(t, 403, p.denied()...)
	}
}

func adGroups(t *testing.T, p *program) {
	p.do(t, credentials(sambatest.Alice, sambatest.Password(sambatest.Alice))).is(t, 200)
	for range 4 { // more than failures are allowed
		p.do(t, credentials(sambatest.Bob, sambatest.Password(sambatest.Bob))).is(t, 401, "X-Seraph-LoginReason: AUTHORISATION_FAILED")
	}
}

func adStates(t *testing.T, p *program) {
	for user, text := range map[string]string{
		sambatest.Disabled: "Your account is disabled.",
		sambatest.Expired:  "Your account has expired.",
		sambatest.Hours:    "Your account may not log in at this time.",
	} {
		b := &browser{p: p}
		right := b.post(t, "/login", "os_username", user, "os_password", sambatest.Password(user))
		right.is(t, 401, "X-Seraph-LoginReason: AUTHENTICATED_FAILED", "Set-Cookie:")
		right.contains(t, text)
		wrong := b.post(t, "/login", "os_username", user, "os_password", "Pw-wrong")
		if wrong.status != 401 || strings.Contains(wrong.body, text) {
			t.Errorf("%s with a wrong password: %d %s", user, wrong.status, wrong.body)
		}
		if a := p.do(t, credentials(user, sambatest.Password(user))); a.status != 401 || !strings.Contains(a.body, "Login failed") {
			t.Errorf("%s by REST: %d %s", user, a.status, a.body)
		}
	}
}
