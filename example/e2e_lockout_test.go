package main_test

import (
	"os"
	"strings"
	"testing"
)

var lockoutSteps = []step{
	{"three failures by REST, then 403 by every door, then a CAPTCHA on the page", lockoutByREST},
	{"three failures by Basic count the same", lockoutByBasic},
	{"three failures on the page", lockoutByForm},
	{"unknown users are locked out alike", lockoutOfNobody},
	{"every spelling of a name is one name", lockoutBySpelling},
	{"a success starts the count anew", lockoutForgives},
	{"failures elsewhere do not lock a known caller out", lockoutKnownCaller},
}

func (p *program) denied() []string {
	return []string{
		"X-Authentication-Denied-Reason: CAPTCHA_CHALLENGE; login-url=" + p.base + "/login",
		"X-Seraph-LoginReason: AUTHENTICATION_DENIED", "Set-Cookie:",
	}
}

// refusedEverywhere checks that REST and Basic refuse the user, right and
// wrong password alike, and that slapd is not asked about either.
func (p *program) refusedEverywhere(t *testing.T, user, password string) {
	t.Helper()
	before := p.w.slapd.Counts()
	right, wrong := p.do(t, credentials(user, password)), p.do(t, credentials(user, "pw-wrong"))
	right.is(t, 403, p.denied()...)
	right.isJSON(t, loginDenied)
	if !sameAnswer(right, wrong) {
		t.Errorf("right and wrong password are told apart:\n%v %s\n%v %s", right.header, right.body, wrong.header, wrong.body)
	}
	get := call{method: "GET", path: "/rest/api/2/serverInfo", user: user, password: password}
	a := p.do(t, get)
	a.is(t, 403, append(p.denied(), p.oauth())...)
	get.password = "pw-wrong"
	if b := p.do(t, get); !sameAnswer(a, b) {
		t.Errorf("Basic tells right and wrong password apart:\n%v %s\n%v %s", a.header, a.body, b.header, b.body)
	}
	if got := p.w.slapd.Counts().Sub(before).Binds; got != 0 {
		t.Errorf("slapd was asked for %d binds about somebody who must answer a CAPTCHA", got)
	}
}

func lockoutByREST(t *testing.T, p *program) {
	user := p.w.person(t)
	for range 3 {
		p.do(t, credentials(user, "pw-wrong")).is(t, 401, "X-Authentication-Denied-Reason:")
	}
	p.refusedEverywhere(t, user, "pw-"+user)
	p.solve(t, user)
	// The answered CAPTCHA has set the count to zero, for all doors.
	p.do(t, credentials(user, "pw-"+user)).is(t, 200)
	p.do(t, call{method: "GET", path: "/rest/api/2/myself", user: user, password: "pw-" + user}).is(t, 200)
}

// solve logs the user in through the page, with a wrong answer on the way.
func (p *program) solve(t *testing.T, user string) {
	t.Helper()
	b := &browser{p: p}
	b.get(t, "/login").is(t, 200)
	a := b.post(t, "/login", "os_username", user, "os_password", "pw-"+user)
	a.is(t, 403, "X-Seraph-LoginReason: AUTHENTICATION_DENIED", "Set-Cookie:")
	b.checkPicture(t, a)
	first := a.tag("name", "os_captcha_id")["value"]
	a = b.post(t, "/login", "os_username", user, "os_password", "pw-"+user, "os_captcha_id", first, "os_captcha", "not it")
	a.is(t, 403, "Set-Cookie:")
	id := a.tag("name", "os_captcha_id")["value"]
	if id == first || id == "" {
		t.Errorf("after a wrong answer the challenge is %q again", id)
	}
	// Any answer burns a challenge, also the right one after a wrong one.
	b.post(t, "/login", "os_username", user, "os_password", "pw-"+user, "os_captcha_id", first, "os_captcha", p.answer(t, first)).is(t, 403, "Set-Cookie:")
	a = b.post(t, "/login", "os_username", user, "os_password", "pw-"+user, "os_captcha_id", id, "os_captcha", p.answer(t, id))
	a.is(t, 303, "X-Seraph-LoginReason: OK", "X-Authentication-Denied-Reason:")
	b.get(t, "/rest/api/2/myself").is(t, 200, "X-AUSERNAME: "+user)
}

// checkPicture looks at the challenge as a person does.
func (b *browser) checkPicture(t *testing.T, page answer) {
	t.Helper()
	for _, name := range []string{"os_captcha", "os_captcha_id"} {
		if page.tag("name", name) == nil {
			t.Fatalf("the page asks for no CAPTCHA: no field %s in %.2000s", name, page.body)
		}
	}
	for _, tag := range tags.FindAllString(page.body, -1) {
		source := answer{body: tag}
		for _, m := range attributes.FindAllStringSubmatch(tag, -1) {
			if m[1] != "src" || !strings.Contains(m[2], "captcha") {
				continue
			}
			u := strings.ReplaceAll(m[2], "&amp;", "&")
			if i := strings.Index(u, b.p.context+"/login"); i >= 0 {
				u = u[i+len(b.p.context):]
			} else {
				u = "/login" + u
			}
			picture := b.get(t, u)
			picture.is(t, 200, "Content-Type: image/png")
			if !strings.HasPrefix(picture.body, "\x89PNG\r\n") {
				t.Errorf("%s is no PNG: %.20q", source.body, picture.body)
			}
			return
		}
	}
	t.Errorf("the page shows no picture: %.2000s", page.body)
}

// answer looks the challenge up in the file of -insecure-captcha-answers.
func (p *program) answer(t *testing.T, id string) string {
	t.Helper()
	file, err := os.ReadFile(p.answers)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(p.answers); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of answers has mode %v, want 0600 (%v)", info.Mode(), err)
	}
	for line := range strings.Lines(string(file)) {
		if answer, ok := strings.CutPrefix(line, id+" "); ok {
			return strings.TrimSuffix(answer, "\n")
		}
	}
	t.Fatalf("no answer to %q in %q", id, file)
	return ""
}

func lockoutByBasic(t *testing.T, p *program) {
	user := p.w.person(t)
	for range 3 {
		p.do(t, call{method: "GET", path: "/rest/api/2/serverInfo", user: user, password: "pw-wrong"}).is(t, 401, basicChallenge)
	}
	p.refusedEverywhere(t, user, "pw-"+user)
}

func lockoutByForm(t *testing.T, p *program) {
	user := p.w.person(t)
	b := &browser{p: p}
	var a answer
	for range 3 {
		a = b.post(t, "/login", "os_username", user, "os_password", "pw-wrong")
		a.is(t, 401)
	}
	b.post(t, "/login", "os_username", user, "os_password", "pw-"+user).is(t, 403)
	p.refusedEverywhere(t, user, "pw-"+user)
}

func lockoutOfNobody(t *testing.T, p *program) {
	nobody := p.w.nobody()
	for range 3 {
		p.do(t, credentials(nobody, "pw-wrong")).is(t, 401)
	}
	p.refusedEverywhere(t, nobody, "pw-whatever")
}

// lockoutBySpelling uses spellings that slapd takes for one uid.
func lockoutBySpelling(t *testing.T, p *program) {
	user := p.w.person(t)
	for _, spelling := range []string{strings.ToUpper(user), "  " + user + " ", "ｐ" + user[1:]} {
		p.do(t, credentials(spelling, "pw-wrong")).is(t, 401)
	}
	p.refusedEverywhere(t, user, "pw-"+user)
}

func lockoutForgives(t *testing.T, p *program) {
	user := p.w.person(t)
	for range 3 {
		for range 2 {
			p.do(t, credentials(user, "pw-wrong")).is(t, 401)
		}
		p.do(t, credentials(user, "pw-"+user)).is(t, 200)
	}
}

// lockoutKnownCaller plays a stranger at 127.0.0.2 against a user who works at
// 127.0.0.1.
func lockoutKnownCaller(t *testing.T, p *program) {
	user := p.w.person(t)
	cookie := p.login(t, user, "pw-"+user)
	stranger := p.from("127.0.0.2")
	for range 3 {
		stranger.do(t, credentials(user, "pw-wrong")).is(t, 401)
	}
	stranger.do(t, credentials(user, "pw-"+user)).is(t, 403, p.denied()...)
	p.do(t, credentials(user, "pw-"+user)).is(t, 200)
	p.do(t, call{method: "GET", path: "/rest/auth/1/session", cookie: cookie}).is(t, 200)
	// That success has forgiven the known caller, not the stranger.
	stranger.do(t, credentials(user, "pw-"+user)).is(t, 403)
}
