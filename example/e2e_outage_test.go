package main_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

var outageSteps = []step{
	{"slapd killed: no verdict, nothing counted, no session ended", func(t *testing.T, p *program) {
		outage(t, p, p.w.slapd.Kill, p.w.slapd.Restart)
	}},
	{"slapd stopped: the same within the LDAP timeout", func(t *testing.T, p *program) {
		outage(t, p, p.w.slapd.Stop, p.w.slapd.Cont)
	}},
	{"slapd stopped: one login waits, and nothing is left behind", outageCostsOneWait},
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

// outageCostsOneWait stops slapd for longer than several pauses: the first
// login waits for it, the others do not, and neither do cookies. When slapd goes
// on, so do logins, and the program has as many files open as before.
func outageCostsOneWait(t *testing.T, p *program) {
	user := p.w.person(t)
	cookie := p.login(t, "fred", "fredpass")
	p.login(t, user, "pw-"+user)
	before := p.files(t)
	p.w.slapd.Stop()
	stopped := true
	defer func() {
		if stopped {
			p.w.slapd.Cont()
		}
	}()
	p.besideTheOneThatWaits(t, user, cookie)
	var logins, cookies []time.Duration
	for began := time.Now(); time.Since(began) < 2*ldapTimeout; time.Sleep(50 * time.Millisecond) {
		begun := time.Now()
		p.unavailable(t, credentials(user, "pw-"+user))
		logins = append(logins, time.Since(begun))
		begun = time.Now()
		p.stillLoggedIn(t, cookie)
		cookies = append(cookies, time.Since(begun))
	}
	quick(t, "a login in the pause", logins)
	quick(t, "four requests with a cookie", cookies)
	p.w.slapd.Cont()
	stopped = false
	p.recovers(t, user)
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if now := p.files(t); now <= before {
			return
		} else if time.Since(began) > 10*time.Second {
			t.Fatalf("%d files are open, before the outage %d", now, before)
		}
	}
}

// besideTheOneThatWaits makes the login that finds out, and requests with a
// cookie while it waits.
func (p *program) besideTheOneThatWaits(t *testing.T, user, cookie string) {
	t.Helper()
	first, began := make(chan error, 1), time.Now()
	go func() {
		a, err := p.try(credentials(user, "pw-"+user))
		if took := time.Since(began); err == nil && (a.status != 503 || took > ldapTimeout+time.Second) {
			err = fmt.Errorf("status %d after %v", a.status, took)
		}
		first <- err
	}()
	var cookies []time.Duration
	for {
		begun := time.Now()
		p.stillLoggedIn(t, cookie)
		cookies = append(cookies, time.Since(begun))
		select {
		case err := <-first:
			if err != nil {
				t.Errorf("the first login: %v", err)
			}
			quick(t, "four requests with a cookie beside it", cookies)
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// quick checks that it takes less than 100 ms, and never as long as a wait for
// the directory: on a machine that does much else one of many may be late.
func quick(t *testing.T, what string, took []time.Duration) {
	t.Helper()
	slices.Sort(took)
	if median, worst := took[len(took)/2], took[len(took)-1]; median > 100*time.Millisecond || worst > ldapTimeout/2 {
		t.Errorf("%s takes %v, at worst %v", what, median, worst)
	}
}

// files returns how many files the program has open, without those of our own
// connections that are idle.
func (p *program) files(t *testing.T) int {
	t.Helper()
	p.client.CloseIdleConnections()
	time.Sleep(50 * time.Millisecond) // the program hears of it a moment later
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		slapdtest.Skip(t, err.Error())
	}
	return len(entries)
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
