package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// passwordSteps are about people of one policy: a password is good for ten
// days, and its end is told of in the last five.
var passwordSteps = []step{
	{"a password that must be changed is changed at the login", func(t *testing.T, p *program) {
		p.changesPassword(t, "reset", "pw-reset", "Your password must be changed before you can log in.")
	}},
	{"and one that has expired", func(t *testing.T, p *program) {
		p.changesPassword(t, "expired", "pw-expired", "Your password has expired.")
	}},
	{"a program gets the answer of a wrong password, and nothing is counted", passwordREST},
	{"a wrong password is told no state", passwordNoState},
	{"one that expires soon is told of, and can be changed", passwordNotice},
}

// TestEndToEndPasswords lets people of a real password policy log in.
func TestEndToEndPasswords(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a slapd")
	}
	w := newWorldWith(t, slapdtest.Config{
		LDIF:   passwordLDIF(),
		Extra:  "overlay ppolicy\nppolicy_default cn=ageing," + slapdtest.BaseDN + "\nppolicy_hash_cleartext\n",
		Access: `access to attrs=userPassword by dn.base="` + slapdtest.ReaderDN + `" write by self write by anonymous auth by * none`,
	})
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(slapdtest.ReaderPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, w, "/jira", "-access-group", "*", "-ldap-bind-dn", slapdtest.ReaderDN, "-ldap-bind-password-file", file)
	for _, s := range passwordSteps {
		t.Run(s.name, func(t *testing.T) { s.run(t, p) })
	}
	p.stop(t)
	for _, user := range []string{"reset", "expired", "soon"} {
		if n := strings.Count(p.log.String(), "The password of '"+user+"' was changed."); n != 1 {
			t.Errorf("%d lines tell of the new password of %s, want one", n, user)
		}
	}
}

// passwordLDIF returns the policy and its people, whose history slapd keeps in
// their entries. All passwords are "pw-" and the name.
func passwordLDIF() string {
	var b strings.Builder
	fmt.Fprintf(&b, "dn: cn=ageing,%s\nobjectClass: device\nobjectClass: pwdPolicy\ncn: ageing\npwdAttribute: userPassword\n"+
		"pwdMaxAge: 864000\npwdExpireWarning: 432000\npwdMustChange: TRUE\npwdCheckQuality: 2\npwdMinLength: 8\npwdInHistory: 3\n\n", slapdtest.BaseDN)
	ago := func(days int) string {
		return "pwdChangedTime: " + time.Now().AddDate(0, 0, -days).UTC().Format("20060102150405Z")
	}
	for _, p := range []struct{ name, history string }{
		{"reset", "pwdReset: TRUE"}, {"reset2", "pwdReset: TRUE"}, {"expired", ago(11)}, {"soon", ago(7)},
	} {
		fmt.Fprintf(&b, "dn: %s\nobjectClass: inetOrgPerson\nuid: %s\ncn: %s\nsn: %s\nuserPassword: pw-%s\n%s\n\n",
			slapdtest.UserDN(p.name), p.name, p.name, p.name, p.name, p.history)
	}
	return b.String()
}

// changesPassword goes the way of a person from a page that needs a login
// through the password page to that page.
func (p *program) changesPassword(t *testing.T, user, password, text string) {
	b, renewed := &browser{p: p}, password+"-new"
	login := strings.TrimPrefix(b.location(t, b.get(t, "/issue/TEST-1")), p.context)
	destination := b.get(t, login).tag("name", "os_destination")["value"]
	page := b.post(t, login, "os_username", user, "os_password", password, "os_destination", destination)
	page.is(t, 401, p.oauth(), "Set-Cookie:")
	page.contains(t, text)
	for _, name := range []string{"os_username", "os_password", "os_new_password", "os_new_password_confirm"} {
		if page.tag("name", name) == nil {
			t.Fatalf("the password page has no field %s:\n%s", name, page.body)
		}
	}
	destination = page.tag("name", "os_destination")["value"]
	change := func(new, confirm string) answer {
		return b.post(t, "/login", "os_username", user, "os_password", password,
			"os_new_password", new, "os_new_password_confirm", confirm, "os_destination", destination)
	}
	for _, tt := range []struct {
		name, new, confirm, text string
		status                   int
	}{
		{"not the same twice", password + "-1", password + "-2", "not typed the same twice", 400},
		{"too short", "x", "x", "The new password is too short.", 401},
		{"the old one", password, password, "The new password", 401},
	} {
		a := change(tt.new, tt.confirm)
		a.is(t, tt.status, "Set-Cookie:")
		a.contains(t, tt.text)
		if strings.Contains(a.body, password) {
			t.Errorf("%s: the page holds a password", tt.name)
		}
	}
	a := change(renewed, renewed)
	a.is(t, 303, "X-Seraph-LoginReason: OK", "X-AUSERNAME: "+user)
	if got := b.location(t, a); got != p.context+"/issue/TEST-1" {
		t.Errorf("Location %q, want the page first asked for", got)
	}
	b.get(t, "/issue/TEST-1").is(t, 200, "X-AUSERNAME: "+user)
	p.do(t, credentials(user, password)).is(t, 401)
	p.do(t, credentials(user, renewed)).is(t, 200)
}

func passwordREST(t *testing.T, p *program) {
	wrong := p.do(t, credentials("reset2", "pw-wrong"))
	for range 4 { // more than failures are allowed
		if a := p.do(t, credentials("reset2", "pw-reset2")); a.status != 401 || a.body != wrong.body {
			t.Errorf("%d %s, a wrong password gets %d %s", a.status, a.body, wrong.status, wrong.body)
		}
		p.do(t, call{method: "GET", path: "/rest/api/2/myself", user: "reset2", password: "pw-reset2"}).is(t, 401, basicChallenge)
	}
	if !strings.Contains(p.log.String(), `state="password must be changed"`) {
		t.Error("the log does not tell the state")
	}
}

func passwordNoState(t *testing.T, p *program) {
	b := &browser{p: p}
	var pages [2]string
	for i, user := range []string{"reset2", p.w.nobody()} {
		a := b.post(t, "/login", "os_username", user, "os_password", "pw-wrong")
		a.is(t, 401)
		pages[i] = strings.ReplaceAll(strings.ReplaceAll(a.body, user, "USER"), a.header.Get("X-AREQUESTID"), "ID")
	}
	if pages[0] != pages[1] {
		t.Errorf("a person in a state and nobody differ:\n%s\n%s", pages[0], pages[1])
	}
}

func passwordNotice(t *testing.T, p *program) {
	b := &browser{p: p}
	b.post(t, "/login", "os_username", "soon", "os_password", "pw-soon").is(t, 303)
	home := b.get(t, "/")
	home.contains(t, `<a href="/jira/login?password">`)
	home.contains(t, "Your password expires in 2 days.") // and some hours
	page := b.get(t, "/login?password")
	if got := page.tag("name", "os_username")["value"]; got != "soon" || page.tag("name", "os_new_password") == nil {
		t.Fatalf("the password page is for %q:\n%s", got, page.body)
	}
	b.post(t, "/login", "os_username", "soon", "os_password", "pw-soon", "os_new_password", "pw-soon-new", "os_new_password_confirm", "pw-soon-new").is(t, 303)
	if home := b.get(t, "/"); home.status != 200 || strings.Contains(home.body, "password-notice") {
		t.Errorf("the new password is said to expire: %d", home.status)
	}
}
