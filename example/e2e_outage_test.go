package main_test

import (
	"strconv"
	"testing"
	"time"
)

var outageSteps = []step{
	{"slapd killed: no verdict, nothing counted, no session ended", func(t *testing.T, p *program) {
		outage(t, p, p.w.slapd.Kill, p.w.slapd.Restart)
	}},
	{"slapd stopped: the same within the LDAP timeout", func(t *testing.T, p *program) {
		outage(t, p, p.w.slapd.Stop, p.w.slapd.Cont)
	}},
	{"slapd stopped while a crowd logs in", outageUnderLoad},
}

// outage takes slapd away, tries every door, and more often than
// failures are allowed, and brings it back: the program is not restarted.
func outage(t *testing.T, p *program, down, up func()) {
	user := p.w.person(t)
	cookie := p.login(t, "fred", "fredpass")
	down()
	broken := true
	defer func() {
		if broken {
			up()
		}
	}()
	for _, c := range []call{
		credentials(user, "pw-"+user),
		credentials(user, "pw-wrong"),
		{method: "GET", path: "/rest/api/2/myself", user: user, password: "pw-wrong"},
		{method: "POST", path: "/login", header: []string{formType}, body: "os_username=" + user + "&os_password=pw-wrong"},
		credentials(p.w.nobody(), "pw-wrong"),
	} {
		p.unavailable(t, c)
	}
	p.stillLoggedIn(t, cookie)
	up()
	broken = false
	p.recovers(t, user)
	p.stillLoggedIn(t, cookie)
}

// unavailable checks that a login gets no verdict, in time.
func (p *program) unavailable(t *testing.T, c call) {
	t.Helper()
	began := time.Now()
	a := p.do(t, c)
	if took := time.Since(began); took > ldapTimeout+time.Second {
		t.Errorf("%s %s took %v, with -ldap-timeout %v", c.method, c.path, took, ldapTimeout)
	}
	a.is(t, 503, "Set-Cookie:", "X-Authentication-Denied-Reason:")
	if n, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || n < 1 {
		t.Errorf("%s %s: Retry-After %q, want seconds", c.method, c.path, a.header.Get("Retry-After"))
	}
	for _, refusal := range []string{"AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED", "OK"} {
		if a.header.Get("X-Seraph-LoginReason") == refusal {
			t.Errorf("%s %s: an outage is answered with the reason %s", c.method, c.path, refusal)
		}
	}
}

func (p *program) stillLoggedIn(t *testing.T, cookie string) {
	t.Helper()
	for _, path := range []string{"/rest/auth/1/session", "/rest/api/2/myself", "/rest/api/2/issue/TEST-3"} {
		p.do(t, call{method: "GET", path: path, cookie: cookie}).is(t, 200, "X-AUSERNAME: fred")
	}
	p.do(t, call{method: "GET", path: "/"}).is(t, 200)
}

// recovers waits until the user can log in, and looks for a count that should
// not be there.
func (p *program) recovers(t *testing.T, user string) {
	t.Helper()
	began := time.Now()
	for {
		a := p.do(t, credentials(user, "pw-"+user))
		if a.status == 200 {
			if n := a.decode(t).LoginInfo.FailedLoginCount; n == nil || *n != 0 {
				t.Errorf("the outage was counted: failedLoginCount %v", show(n))
			}
			t.Logf("logins work again after %v", time.Since(began).Round(time.Millisecond))
			return
		}
		if a.status != 503 || time.Since(began) > 10*time.Second {
			t.Fatalf("%v after slapd came back: status %d, %s", time.Since(began), a.status, a.body)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// outageUnderLoad stops slapd below 50 logins that have begun.
func outageUnderLoad(t *testing.T, p *program) {
	user := p.w.person(t)
	p.w.slapd.Stop()
	answers := p.all(t, 50, func(i int) call {
		if i%2 == 0 {
			return credentials(user, "pw-wrong")
		}
		return credentials(user, "pw-"+user)
	})
	p.w.slapd.Cont()
	if got := byStatus(answers); got[503] != 50 {
		t.Errorf("statuses %v, want 503 alone", got)
	}
	p.recovers(t, user)
}
