package main_test

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/internal/soak"
)

var floodSteps = []step{
	{"50 parallel right passwords are all accepted", floodRight},
	{"50 parallel right passwords by Basic are all accepted", floodBasic},
	{"200 parallel wrong passwords, all different, are at most 3 binds", floodDifferent},
	{"200 parallel wrong passwords over three doors are at most 3 binds", floodDoors},
	{"200 parallel wrong passwords, all equal, are at most 3 binds", floodEqual},
}

// from returns the program as seen by a client at another loopback address.
func (p *program) from(address string) *program {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &program{
		w: p.w, context: p.context, origin: p.origin, base: p.base, answers: p.answers,
		client: &http.Client{
			Timeout:       30 * time.Second,
			Transport:     &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// all sends n calls at once.
func (p *program) all(t *testing.T, n int, next func(i int) call) []answer {
	t.Helper()
	answers, errs := make([]answer, n), make([]error, n)
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-gate
			answers[i], errs[i] = p.try(next(i))
		})
	}
	close(gate)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return answers
}

func byStatus(answers []answer) map[int]int {
	count := map[int]int{}
	for _, a := range answers {
		count[a.status]++
	}
	return count
}

func floodRight(t *testing.T, p *program) {
	user := p.w.person(t)
	before := p.w.slapd.Counts()
	answers := p.all(t, 50, func(int) call { return credentials(user, "pw-"+user) })
	ids := map[string]bool{}
	for _, a := range answers {
		if a.status != 200 {
			t.Fatalf("statuses %v, want 200 alone; %s", byStatus(answers), a.body)
		}
		ids[a.session(t).Value] = true
	}
	if len(ids) != 50 {
		t.Errorf("%d sessions for 50 logins, want one each", len(ids))
	}
	t.Logf("%d binds", p.w.slapd.Counts().Sub(before).Binds)
}

func floodBasic(t *testing.T, p *program) {
	user := p.w.person(t)
	answers := p.all(t, 50, func(int) call {
		return call{method: "GET", path: "/rest/api/2/myself", user: user, password: "pw-" + user}
	})
	if got := byStatus(answers); got[200] != 50 {
		t.Errorf("statuses %v, want 200 alone", got)
	}
}

// rounds is how often each flood of wrong passwords is tried.
func rounds() int { return soak.Count(100) }

// floods tries a flood on a new user each round, from an address of its own,
// since failures use up the limiter of an address.
func (p *program) floods(t *testing.T, network int, next func(user string, i int) call) {
	t.Helper()
	for round := range rounds() {
		user := p.w.person(t)
		p.flood(t, fmt.Sprintf("127.0.%d.%d", network, round+1), func(i int) call { return next(user, i) })
		// The three have failed by now, or one and the same password did
		// fewer times; the crowd that gave up waiting must not have counted.
		if a := p.do(t, credentials(user, "pw-"+user)); a.status != 403 && a.status != 200 {
			t.Errorf("after the flood a login answers %d, want 200 or a CAPTCHA", a.status)
		}
	}
}

// flood sends 200 wrong passwords at once and checks what slapd saw.
func (p *program) flood(t *testing.T, address string, next func(i int) call) {
	t.Helper()
	before := p.w.slapd.Counts()
	began := time.Now()
	answers := p.from(address).all(t, 200, next)
	binds := p.w.slapd.Counts().Sub(before).Binds
	got := byStatus(answers)
	t.Logf("%d binds, statuses %v, %v", binds, got, time.Since(began).Round(time.Millisecond))
	if binds < 1 || binds > 3 {
		t.Errorf("%d binds reached slapd, want 1 to 3", binds)
	}
	if rest := 200 - got[401] - got[403] - got[429]; rest != 0 {
		t.Errorf("statuses %v, want 401, 403 and 429 alone", got)
	}
}

func floodDifferent(t *testing.T, p *program) {
	p.floods(t, 1, func(user string, i int) call { return credentials(user, fmt.Sprintf("pw-wrong-%d", i)) })
}

func floodDoors(t *testing.T, p *program) {
	p.floods(t, 2, func(user string, i int) call {
		password := fmt.Sprintf("pw-wrong-%d", i)
		switch i % 3 {
		case 0:
			return credentials(user, password)
		case 1:
			return call{method: "GET", path: "/rest/api/2/myself", user: user, password: password}
		}
		return call{method: "POST", path: "/login", header: []string{formType}, body: "os_username=" + user + "&os_password=" + password}
	})
}

func floodEqual(t *testing.T, p *program) {
	p.floods(t, 3, func(user string, _ int) call { return credentials(user, "pw-wrong") })
}
