package ldapdir_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

const day = 24 * time.Hour

// policyConf is the overlay. Without ppolicy_use_lockout slapd calls a lock a
// wrong password.
const policyConf = `overlay ppolicy
ppolicy_default cn=default,ou=policies,dc=example,dc=org
ppolicy_hash_cleartext
ppolicy_use_lockout
`

// policies are what the people of policyLDIF are under.
func policies() map[string][]string {
	return map[string][]string{
		"default": {"pwdLockout: TRUE", "pwdMaxFailure: 3", "pwdMustChange: TRUE", "pwdCheckQuality: 2", "pwdMinLength: 6", "pwdInHistory: 3"},
		"ageing":  {"pwdMaxAge: 864000", "pwdExpireWarning: 432000", "pwdMustChange: TRUE"},
		"grace":   {"pwdMaxAge: 864000", "pwdGraceAuthnLimit: 3"},
		"young":   {"pwdMinAge: 864000"},
		"fixed":   {"pwdAllowUserChange: FALSE"},
		"safe":    {"pwdSafeModify: TRUE"},
	}
}

// policyLDIF has people with a history, which slapd keeps in their entries.
func policyLDIF() string {
	var b strings.Builder
	b.WriteString("dn: ou=policies,dc=example,dc=org\nobjectClass: organizationalUnit\nou: policies\n\n")
	for name, lines := range policies() {
		fmt.Fprintf(&b, "dn: cn=%s,ou=policies,dc=example,dc=org\nobjectClass: device\nobjectClass: pwdPolicy\ncn: %s\npwdAttribute: userPassword\n%s\n\n",
			name, name, strings.Join(lines, "\n"))
	}
	ago := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format("20060102150405Z") }
	for _, p := range []struct{ name, policy, history string }{
		{"plain", "default", "pwdReset: FALSE"},
		{"victim", "default", "pwdReset: FALSE"},
		{"locked", "default", "pwdAccountLockedTime: " + ago(time.Minute)},
		{"reset", "default", "pwdReset: TRUE"},
		{"soon", "ageing", "pwdChangedTime: " + ago(7*day)},
		{"later", "ageing", "pwdChangedTime: " + ago(day)},
		{"expired", "ageing", "pwdChangedTime: " + ago(11*day)},
		{"stale", "ageing", "pwdChangedTime: " + ago(11*day)},
		{"grace", "grace", "pwdChangedTime: " + ago(11*day)},
		{"young", "young", "pwdChangedTime: " + ago(day)},
		{"fixed", "fixed", "pwdReset: FALSE"},
		{"safe", "safe", "pwdReset: FALSE"},
	} {
		fmt.Fprintf(&b, "dn: %s\nobjectClass: inetOrgPerson\nuid: %s\ncn: %s\nsn: %s\nuserPassword: pw-%s\npwdPolicySubentry: cn=%s,ou=policies,dc=example,dc=org\n%s\n\n",
			slapdtest.UserDN(p.name), p.name, p.name, p.name, p.name, p.policy, p.history)
	}
	return b.String()
}

// policyServer has a service account that may write passwords.
func policyServer(t testing.TB) *slapdtest.Server {
	return slapdtest.Start(t, slapdtest.Config{
		LDIF: policyLDIF(), Extra: policyConf,
		Access: `access to attrs=userPassword by dn.base="` + slapdtest.ReaderDN + `" write by self write by anonymous auth by * none`,
	})
}

func serviceAccount(s *slapdtest.Server) ldapdir.Config {
	return ldapdir.Config{URLs: []string{s.URL()}, BindDN: slapdtest.ReaderDN, BindPassword: slapdtest.ReaderPassword}
}

// verdictWord names a verdict for tables: welcome, wrong password, no verdict
// or the state, with a "!" where the password is known to be right.
func verdictWord(err error) string {
	var a *directory.AccountError
	switch {
	case err == nil:
		return "welcome"
	case errors.Is(err, directory.ErrUnavailable):
		return "no verdict"
	case errors.As(err, &a) && a.PasswordRight:
		return string(a.State) + "!"
	case errors.As(err, &a):
		return string(a.State)
	case errors.Is(err, directory.ErrBadCredentials):
		return "wrong password"
	}
	return err.Error()
}

// A state that is shown to whoever has the wrong password too must look the
// same with the right one, or it would be a test for it.
func TestStatesOfOpenLDAP(t *testing.T) {
	s := policyServer(t)
	d := open(t, serviceAccount(s))
	for _, tt := range []struct {
		name, user, wrong, right string
		expires                  time.Duration
		expired                  bool
		graces                   int
	}{
		{"nothing to say", "plain", "wrong password", "welcome", 0, false, 0},
		{"locked", "locked", "account locked", "account locked", 0, false, 0},
		{"reset by an administrator", "reset", "wrong password", "password must be changed!", 0, false, 0},
		{"expires in three days", "soon", "wrong password", "welcome", 3 * day, false, 0},
		{"expires in nine, which is not soon", "later", "wrong password", "welcome", 0, false, 0},
		{"expired", "expired", "wrong password", "password expired!", 0, false, 0},
		{"expired, with a grace of three logins", "grace", "wrong password", "welcome", 0, true, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := d.Find(t.Context(), tt.user)
			if err != nil {
				t.Fatal(err)
			}
			before := s.Counts()
			_, wrong := d.Verify(t.Context(), e, "falsch")
			got, right := d.Verify(t.Context(), e, "pw-"+tt.user)
			if verdictWord(wrong) != tt.wrong || verdictWord(right) != tt.right {
				t.Errorf("wrong: %v, right: %v; want %q, %q", wrong, right, tt.wrong, tt.right)
			}
			if n := s.Counts().Sub(before); n.Binds != 2 || n.Searches != 0 {
				t.Errorf("two passwords are %+v", n)
			}
			n := got.Notice
			if left := time.Until(n.Expires); (tt.expires == 0) != n.Expires.IsZero() || tt.expires > 0 && (left < tt.expires-time.Minute || left > tt.expires) {
				t.Errorf("expires %v, want in %v", n.Expires, tt.expires)
			}
			if n.Expired != tt.expired || n.GraceLogins != tt.graces {
				t.Errorf("%+v, want expired %v and %d graces", n, tt.expired, tt.graces)
			}
		})
	}
}

func TestLockedByWrongPasswords(t *testing.T) {
	s := policyServer(t)
	d := open(t, serviceAccount(s))
	e, err := d.Find(t.Context(), "victim")
	if err != nil {
		t.Fatal(err)
	}
	before := s.Counts()
	for i := range 3 {
		if _, err := d.Verify(t.Context(), e, "falsch"); verdictWord(err) != "wrong password" {
			t.Errorf("try %d: %v", i, err)
		}
	}
	if n := s.Counts().Sub(before); n.Binds != 3 {
		t.Errorf("three passwords are %d binds", n.Binds)
	}
	// slapd has two clocks, a tick apart: for the first milliseconds of a
	// second a lock can be one that is still to come.
	eventually(t, func() error {
		if _, err := d.Verify(t.Context(), e, "falsch"); verdictWord(err) != "account locked" {
			return err
		}
		return nil
	})
	if _, err := d.Verify(t.Context(), e, "pw-victim"); verdictWord(err) != "account locked" {
		t.Errorf("right password: %v", err)
	}
}

// The grace logins go down with each login, and then the password is expired.
func TestGraceLoginsRunOut(t *testing.T) {
	s := policyServer(t)
	d := open(t, serviceAccount(s))
	e, err := d.Find(t.Context(), "grace")
	if err != nil {
		t.Fatal(err)
	}
	for want := 2; want >= 0; want-- {
		got, err := d.Verify(t.Context(), e, "pw-grace")
		if err != nil || !got.Notice.Expired || got.Notice.GraceLogins != want {
			t.Fatalf("%+v, %v, want %d left", got.Notice, err, want)
		}
	}
	if _, err := d.Verify(t.Context(), e, "pw-grace"); verdictWord(err) != "password expired!" {
		t.Error(err)
	}
}

// On a connection that is good for a new password alone slapd refuses all
// else, for whoever comes next.
func TestRestrictedConnectionIsNotKept(t *testing.T) {
	s := policyServer(t)
	c := ldapdir.Config{URLs: []string{s.URL()}, UserDNTemplate: "uid=%s," + slapdtest.PeopleDN}
	d := open(t, c)
	for _, tt := range []struct {
		user, want string
		dials      int
	}{
		{"plain", "welcome", 1}, {"plain", "welcome", 0}, {"reset", "password must be changed!", 0},
		{"plain", "welcome", 1}, {"expired", "password expired!", 0}, {"plain", "welcome", 0},
	} {
		before := s.Counts()
		e, _ := d.Find(t.Context(), tt.user)
		if _, err := d.Verify(t.Context(), e, "pw-"+tt.user); verdictWord(err) != tt.want {
			t.Errorf("%s: %v, want %s", tt.user, err, tt.want)
		}
		if n := s.Counts().Sub(before); n.Connections != tt.dials || n.Binds != 1 {
			t.Errorf("%s: %+v, want one bind and %d new connections", tt.user, n, tt.dials)
		}
	}
}

// What the server says of the account of nobody is said of no person, and
// whatever it says, a try is one bind on one node.
func TestStatesByResultAndMessage(t *testing.T) {
	const ad = "80090308: LdapErr: DSID-0C09041C, comment: AcceptSecurityContext error, data %s, v4563"
	for _, tt := range []struct {
		name         string
		code         int
		message      string
		want, nobody string
	}{
		{"AD 525", 49, fmt.Sprintf(ad, "525"), "wrong password", "wrong password"},
		{"AD 531", 49, fmt.Sprintf(ad, "531"), "not from this workstation!", "wrong password"},
		{"AD 532", 49, fmt.Sprintf(ad, "532"), "password expired!", "wrong password"},
		{"AD 775", 49, fmt.Sprintf(ad, "775"), "account locked", "wrong password"},
		{"389 inactivated", 53, "Account inactivated. Contact system administrator.", "account disabled", "wrong password"},
		{"389 locked", 19, "Exceed password retry limit. Please try later.", "account locked", "wrong password"},
		{"FreeIPA locked", 53, "Too many failed logins.\n", "account locked", "wrong password"},
		{"any other 53", 53, "unwilling", "no verdict", "no verdict"},
		{"any other 19", 19, "constraint", "no verdict", "no verdict"},
		{"AD busy, with the words of a state", 51, fmt.Sprintf(ad, "533"), "no verdict", "no verdict"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, second := serve(t, ldapserver.Config{}), serve(t, ldapserver.Config{})
			d := open(t, ldapdir.Config{URLs: []string{first.URL(), second.URL()}})
			e, err := d.Find(t.Context(), "ann")
			if err != nil {
				t.Fatal(err)
			}
			first.SetFault(ldapserver.Fault{Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpBind: {Code: tt.code, Message: tt.message}}})
			// The other way round a server that says "busy" would be in its
			// pause for the second.
			got, err := d.Verify(t.Context(), e, "geheim")
			if verdictWord(err) != tt.want || got.DN != "" {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if n := first.Stats().Binds; n != 1 || second.Stats().Binds != 0 {
				t.Errorf("%d binds on the first server and %d on the second", n, second.Stats().Binds)
			}
			if tt.code == 51 {
				return
			}
			if _, err := d.Verify(t.Context(), directory.Entry{Node: first.URL()}, "geheim"); verdictWord(err) != tt.nobody {
				t.Errorf("nobody: %v, want %s", err, tt.nobody)
			}
		})
	}
}

// A disabled entry is refused though the server takes the password, as one
// without such a rule of its own does.
func TestDisabledEntryIsRefused(t *testing.T) {
	s := serve(t, ldapserver.Config{})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}})
	e, err := d.Find(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	e.Disabled = true
	for password, want := range map[string]string{"geheim": "account disabled!", "falsch": "wrong password"} {
		if got, err := d.Verify(t.Context(), e, password); verdictWord(err) != want || got.DN != "" {
			t.Errorf("%s: %+v, %v", password, got, err)
		}
	}
	s.SetFault(ldapserver.Fault{Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpBind: {Code: 53}}})
	if _, err := d.Verify(t.Context(), e, "geheim"); verdictWord(err) != "account disabled" {
		t.Errorf("53: %v", err)
	}
}

func TestStateInTheLog(t *testing.T) {
	s := policyServer(t)
	var log bytes.Buffer
	c := serviceAccount(s)
	c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d := open(t, c)
	e, err := d.Find(t.Context(), "reset")
	if err != nil {
		t.Fatal(err)
	}
	var trace []string
	ctx := ldapdir.WithTrace(t.Context(), &ldapdir.Trace{Operation: func(o ldapdir.Operation) {
		if o.Kind == "bind" {
			trace = append(trace, o.Kind+" "+o.BaseDN+" "+verdictWord(o.Err))
		}
	}})
	d.Verify(ctx, e, "pw-reset")
	if want := "bind " + slapdtest.UserDN("reset") + " password must be changed!"; len(trace) != 1 || trace[0] != want {
		t.Errorf("%q, want %q", trace, want)
	}
	if !strings.Contains(log.String(), "msg=bind") || !strings.Contains(log.String(), "password must be changed") || strings.Contains(log.String(), "pw-") {
		t.Errorf("log:\n%s", &log)
	}
}
