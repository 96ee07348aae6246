package main_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"testing"
	"time"
)

var sessionSteps = []step{
	{"session POST accepts", sessionAccepts},
	{"session POST takes JSON however it is announced", sessionContentTypes},
	{"session POST with a name that is not ASCII", sessionAcceptsUnicode},
	{"session POST keeps the login history", sessionHistory},
	{"session POST refuses, whatever is wrong, with one answer", sessionRefuses},
	{"session POST refuses who may not use the application", sessionAccessDenied},
	{"session POST with a body that is none", sessionMalformed},
	{"session GET", sessionGet},
	{"session GET and DELETE for nobody", sessionNobody},
	{"session DELETE", sessionDelete},
	{"a login gives a new id and ends the old one", sessionRotates},
	{"junk beside the cookie is ignored", sessionJunk},
}

const (
	loginFailed      = `{"errorMessages":["Login failed"],"errors":{}}`
	loginDenied      = `{"errorMessages":["Login denied"],"errors":{}}`
	notAuthenticated = `{"errorMessages":["You are not authenticated. Authentication required to perform this operation."],"errors":{}}`
	jiraTime         = "2006-01-02T15:04:05.000-0700"
)

var (
	requestID   = regexp.MustCompile(`^[0-9]{1,4}x[0-9]+x[0-9]+$`)
	sessionHash = regexp.MustCompile(`^[0-9a-z]+$`)
)

// loginInfo is as clients read it; times that do not exist yet are absent.
type loginInfo struct {
	LoginCount          *int    `json:"loginCount"`
	FailedLoginCount    *int    `json:"failedLoginCount"`
	PreviousLoginTime   *string `json:"previousLoginTime"`
	LastFailedLoginTime *string `json:"lastFailedLoginTime"`
}

// sessionBody is the body of an accepted POST and of a GET.
type sessionBody struct {
	Session   *struct{ Name, Value string }
	Self      string
	Name      string
	LoginInfo loginInfo `json:"loginInfo"`
}

func (a answer) decode(t *testing.T) (b sessionBody) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &b); err != nil {
		t.Fatalf("body %.300q: %v", a.body, err)
	}
	if got := a.header.Get("Content-Type"); !jsonTypes.MatchString(got) {
		t.Errorf("Content-Type %q, want application/json", got)
	}
	return b
}

func sessionAccepts(t *testing.T, p *program) {
	for _, path := range []string{"/rest/auth/1/session", "/rest/auth/latest/session"} {
		c := credentials("fred", "fredpass")
		c.path = path
		a := p.do(t, c)
		a.is(t, 200, "X-Seraph-LoginReason: OK", "X-AUSERNAME: fred", "X-Authentication-Denied-Reason:")
		if !requestID.MatchString(a.header.Get("X-AREQUESTID")) {
			t.Errorf("X-AREQUESTID %q, want minute x count x concurrent", a.header.Get("X-AREQUESTID"))
		}
		cookie := a.session(t)
		if want := max(p.context, "/"); cookie.Path != want {
			t.Errorf("cookie path %q, want %q", cookie.Path, want)
		}
		if !cookie.HttpOnly || cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Domain != "" {
			t.Errorf("cookie %q, want HttpOnly, SameSite=Lax, over http not Secure", cookie.Raw)
		}
		b := a.decode(t)
		if b.Session == nil || b.Session.Name != "JSESSIONID" || b.Session.Value != cookie.Value {
			t.Errorf("body %s, want name and value of the cookie %s", a.body, cookie.Value)
		}
	}
}

func sessionContentTypes(t *testing.T, p *program) {
	for _, header := range []string{"Content-Type: application/json; charset=utf-8", "Content-Type: application/json;charset=UTF-8", "content-type: Application/JSON"} {
		c := credentials("fred", "fredpass")
		c.header = []string{header, "Accept: application/json"}
		p.do(t, c).is(t, 200)
	}
}

func sessionAcceptsUnicode(t *testing.T, p *program) {
	a := p.do(t, credentials("zoë", "pässwörd"))
	a.is(t, 200, "X-Seraph-LoginReason: OK", "X-AUSERNAME: zo%C3%AB")
	a = p.do(t, call{method: "GET", path: "/rest/auth/1/session", cookie: a.session(t).Value})
	a.is(t, 200, "X-AUSERNAME: zo%C3%AB")
	if b := a.decode(t); b.Name != "zoë" || b.Self != p.base+"/rest/api/latest/user?username=zo%C3%AB" {
		t.Errorf("body %s, want the name as it is and self percent-encoded", a.body)
	}
}

func sessionHistory(t *testing.T, p *program) {
	user := p.w.person(t)
	first := p.do(t, credentials(user, "pw-"+user)).decode(t).LoginInfo
	checkInfo(t, first, 1, 0)
	if first.PreviousLoginTime != nil || first.LastFailedLoginTime != nil {
		t.Errorf("times of events that never were: %+v", first)
	}
	p.do(t, credentials(user, "pw-wrong")).is(t, 401)
	second := p.do(t, credentials(user, "pw-"+user)).decode(t).LoginInfo
	checkInfo(t, second, 2, 1)
	for name, value := range map[string]*string{"previousLoginTime": second.PreviousLoginTime, "lastFailedLoginTime": second.LastFailedLoginTime} {
		if value == nil {
			t.Errorf("%s is missing", name)
			continue
		}
		at, err := time.Parse(jiraTime, *value)
		if err != nil || len(*value) != len("2006-01-02T15:04:05.000-0700") {
			t.Errorf("%s is %q, want the layout %s", name, *value, jiraTime)
		}
		if age := time.Since(at); age < -time.Second || age > time.Minute {
			t.Errorf("%s is %v old", name, age)
		}
	}
}

func checkInfo(t *testing.T, got loginInfo, logins, failures int) {
	t.Helper()
	if got.LoginCount == nil || *got.LoginCount != logins {
		t.Errorf("loginCount %v, want %d", show(got.LoginCount), logins)
	}
	if got.FailedLoginCount == nil || *got.FailedLoginCount != failures {
		t.Errorf("failedLoginCount %v, want %d", show(got.FailedLoginCount), failures)
	}
}

func show(n *int) any {
	if n == nil {
		return "absent"
	}
	return *n
}

// sessionRefuses compares whole answers: a header or a byte that differs tells
// a stranger which names exist.
func sessionRefuses(t *testing.T, p *program) {
	user := p.w.person(t)
	var first answer
	for i, tt := range []struct {
		name string
		call call
	}{
		{"wrong password", credentials(user, "pw-wrong")},
		{"unknown user", credentials(p.w.nobody(), "pw-wrong")},
		{"empty password", credentials(user, "")},
		{"empty name", credentials("", "pw-wrong")},
		{"missing password", call{body: `{"username":"` + p.w.person(t) + `"}`}},
		{"missing name", call{body: `{"password":"pw-wrong"}`}},
		{"no field at all", call{body: `{}`}},
		{"control character in the name", credentials("fr\x00ed", "fredpass")},
		{"filter in the name", credentials("fre*", "fredpass")},
	} {
		tt.call.method, tt.call.path, tt.call.header = "POST", "/rest/auth/1/session", []string{jsonType}
		a := p.do(t, tt.call)
		a.is(t, 401, "WWW-Authenticate: JIRA REST POST", "X-Seraph-LoginReason: AUTHENTICATED_FAILED",
			"X-AUSERNAME: anonymous", "Set-Cookie:", "X-ASESSIONID:", "X-Authentication-Denied-Reason:")
		a.isJSON(t, loginFailed)
		if i == 0 {
			first = a
		} else if !sameAnswer(a, first) {
			t.Errorf("%s answers differently:\n%v %s\n%v %s", tt.name, a.header, a.body, first.header, first.body)
		}
	}
}

// sameAnswer compares all that a client sees but for the clock and the request
// count.
func sameAnswer(a, b answer) bool {
	strip := func(h http.Header) http.Header {
		h = h.Clone()
		h.Del("Date")
		h.Del("X-AREQUESTID")
		return h
	}
	x, _ := json.Marshal(strip(a.header))
	y, _ := json.Marshal(strip(b.header))
	return a.status == b.status && a.body == b.body && string(x) == string(y)
}

// sessionAccessDenied tries more often than failures are allowed: an access
// denial is not a failed login and must never ask for a CAPTCHA.
func sessionAccessDenied(t *testing.T, p *program) {
	for range 5 {
		a := p.do(t, credentials("nogroups", "nogroupspass"))
		a.is(t, 401, "X-Seraph-LoginReason: AUTHORISATION_FAILED", "Set-Cookie:",
			"WWW-Authenticate: JIRA REST POST", "X-Authentication-Denied-Reason:")
		a.isJSON(t, loginFailed)
	}
}

func sessionMalformed(t *testing.T, p *program) {
	for _, tt := range []struct {
		name, contentType, body string
		status                  int
	}{
		{"malformed JSON", jsonType, `{"username":`, 400},
		{"another JSON type", jsonType, `["fred","fredpass"]`, 400},
		{"no body", jsonType, ``, 400},
		{"form", formType, `username=fred&password=fredpass`, 415},
		{"text", "Content-Type: text/plain", `{"username":"fred","password":"fredpass"}`, 415},
		{"no content type", "X-Nothing: here", `{"username":"fred","password":"fredpass"}`, 415},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := p.do(t, call{method: "POST", path: "/rest/auth/1/session", header: []string{tt.contentType}, body: tt.body})
			a.is(t, tt.status, "Set-Cookie:")
			var b struct {
				ErrorMessages []string          `json:"errorMessages"`
				Errors        map[string]string `json:"errors"`
			}
			if err := json.Unmarshal([]byte(a.body), &b); err != nil || len(b.ErrorMessages) == 0 || b.Errors == nil {
				t.Errorf("body %s, want errorMessages and an object errors (%v)", a.body, err)
			}
		})
	}
}

func sessionGet(t *testing.T, p *program) {
	cookie := p.login(t, "fred", "fredpass")
	for _, path := range []string{"/rest/auth/1/session", "/rest/auth/latest/session"} {
		a := p.do(t, call{method: "GET", path: path, cookie: cookie})
		a.is(t, 200, "Cache-Control: no-cache, no-store", "X-Seraph-LoginReason: OK", "X-AUSERNAME: fred")
		b := a.decode(t)
		if b.Name != "fred" || b.Self != p.base+"/rest/api/latest/user?username=fred" || b.LoginInfo.LoginCount == nil {
			t.Errorf("body %s, want name, self and loginInfo of fred", a.body)
		}
		if got := a.header.Get("X-ASESSIONID"); !sessionHash.MatchString(got) || len(got) > 13 {
			t.Errorf("X-ASESSIONID %q, want a short base-36 hash", got)
		}
	}
}

func sessionNobody(t *testing.T, p *program) {
	for _, method := range []string{"GET", "DELETE"} {
		for name, cookie := range map[string]string{"anonymous": "", "stale": deadCookie(t, p), "junk": "0123456789ABCDEF0123456789ABCDEF"} {
			t.Run(method+" "+name, func(t *testing.T) {
				a := p.do(t, call{method: method, path: "/rest/auth/1/session", cookie: cookie})
				a.is(t, 401, p.oauth(), "X-AUSERNAME: anonymous", "X-Seraph-LoginReason:")
				a.isJSON(t, notAuthenticated)
			})
		}
	}
	// A client whose cookie has expired must be able to log in with it.
	c := credentials("fred", "fredpass")
	c.cookie = deadCookie(t, p)
	p.do(t, c).is(t, 200, "X-Seraph-LoginReason: OK")
}

// deadCookie returns the cookie of a session that has ended.
func deadCookie(t *testing.T, p *program) string {
	t.Helper()
	cookie := p.login(t, "fred", "fredpass")
	p.do(t, call{method: "DELETE", path: "/rest/auth/1/session", cookie: cookie}).is(t, 204)
	return cookie
}

func sessionDelete(t *testing.T, p *program) {
	cookie := p.login(t, "fred", "fredpass")
	a := p.do(t, call{method: "DELETE", path: "/rest/auth/1/session", cookie: cookie})
	a.is(t, 204, "X-Seraph-LoginReason: OUT")
	if a.body != "" {
		t.Errorf("body %q, want none", a.body)
	}
	cleared := a.session(t)
	if want := max(p.context, "/"); cleared.Path != want || cleared.MaxAge >= 0 && !(cleared.Expires.Before(time.Now()) && !cleared.Expires.IsZero()) {
		t.Errorf("Set-Cookie %q, want the cookie cleared on path %s", cleared.Raw, want)
	}
	p.do(t, call{method: "GET", path: "/rest/auth/1/session", cookie: cookie}).is(t, 401)
	p.do(t, call{method: "GET", path: "/rest/api/2/myself", cookie: cookie}).is(t, 401)
}

func sessionRotates(t *testing.T, p *program) {
	before := p.login(t, "fred", "fredpass")
	c := credentials("fred", "fredpass")
	c.cookie = before
	after := p.do(t, c).session(t).Value
	if after == before {
		t.Error("the login kept the session id")
	}
	p.do(t, call{method: "GET", path: "/rest/auth/1/session", cookie: before}).is(t, 401)
	p.do(t, call{method: "GET", path: "/rest/auth/1/session", cookie: after}).is(t, 200)
}

// sessionJunk sends what jira-ruby sends: the attributes of Set-Cookie echoed
// as cookies.
func sessionJunk(t *testing.T, p *program) {
	cookie := p.login(t, "fred", "fredpass")
	for _, line := range []string{
		"JSESSIONID=" + cookie + ";",
		"JSESSIONID=" + cookie + "; Path=/; HttpOnly; SameSite=Lax",
		"a=b; ; =; JSESSIONID=" + cookie + "; JSESSIONID=" + cookie,
		"JSESSIONID=0123456789ABCDEF; JSESSIONID=" + cookie,
	} {
		p.do(t, call{method: "GET", path: "/rest/auth/1/session", header: []string{"Cookie: " + line}}).is(t, 200, "X-AUSERNAME: fred")
	}
	other := p.login(t, "zoë", "pässwörd")
	p.do(t, call{method: "GET", path: "/rest/auth/1/session", header: []string{"Cookie: JSESSIONID=" + cookie + "; JSESSIONID=" + other}}).is(t, 401)
}
