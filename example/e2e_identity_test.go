package main_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

var identitySteps = []step{
	{"Basic accepts", basicAccepts},
	{"Basic refuses, never silently anonymous", basicRefuses},
	{"Basic is one bind while the password is remembered", basicRemembered},
	{"who may not use the application is told so, and never asked for a CAPTCHA", basicAccessDenied},
	{"credentials in the query string are ignored", queryCredentials},
	{"a live session wins over Basic, a dead one does not", basicBesideSession},
	{"os_authType", osAuthType},
	{"os_authType decides only when nobody was resolved", osAuthTypeSpellings},
	{"error bodies follow Accept", errorBodies},
	{"headers of an anonymous answer", anonymousHeaders},
	{"who is it", whoami},
}

func basicAccepts(t *testing.T, p *program) {
	for _, tt := range []struct{ name, header, user string }{
		{"as written", "Basic " + encode("fred:fredpass"), "fred"},
		{"scheme in any case (RFC 7617)", "bAsIc " + encode("fred:fredpass"), "fred"},
		{"UTF-8", "Basic " + encode("zoë:pässwörd"), "zo%C3%AB"},
		{"ISO-8859-1", "Basic " + encode("zo\xeb:p\xe4ssw\xf6rd"), "zo%C3%AB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := p.do(t, call{method: "GET", path: "/rest/api/2/myself", header: []string{"Authorization: " + tt.header}})
			a.is(t, 200, "X-Seraph-LoginReason: OK", "X-AUSERNAME: "+tt.user, "Set-Cookie:")
			var me struct {
				Name, AuthType string
				Groups         []string
			}
			if err := json.Unmarshal([]byte(a.body), &me); err != nil || me.AuthType != "basic" || len(me.Groups) == 0 {
				t.Errorf("body %s, want authType basic and groups (%v)", a.body, err)
			}
		})
	}
}

// basicRemembered counts binds at the server. A wrong password is one, and
// ends what was remembered.
func basicRemembered(t *testing.T, p *program) {
	user := p.w.person(t)
	for _, tt := range []struct {
		password string
		times    int
		status   int
	}{
		{"pw-" + user, 20, 200},
		{"pw-wrong", 1, 401},
		{"pw-" + user, 20, 200},
	} {
		before := p.w.slapd.Counts()
		for range tt.times {
			p.do(t, call{method: "GET", path: "/rest/api/2/myself", user: user, password: tt.password}).is(t, tt.status)
		}
		if n := p.w.slapd.Counts().Sub(before).Binds; n != 1 {
			t.Errorf("%d requests with %s were %d binds, want one", tt.times, tt.password, n)
		}
	}
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func basicRefuses(t *testing.T, p *program) {
	user := p.w.person(t)
	for _, tt := range []struct{ name, path, header string }{
		{"wrong password", "/rest/api/2/myself", encode(user + ":pw-wrong")},
		{"unknown user", "/rest/api/2/myself", encode(p.w.nobody() + ":pw-wrong")},
		{"empty password", "/rest/api/2/myself", encode(p.w.nobody() + ":")},
		{"no colon", "/rest/api/2/myself", encode("fred")},
		{"no base64", "/rest/api/2/myself", "%%%%"},
		{"where anonymous is allowed", "/rest/api/2/serverInfo", encode(p.w.nobody() + ":pw-wrong")},
		{"on a public page", "/", encode(p.w.nobody() + ":pw-wrong")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := p.do(t, call{method: "GET", path: tt.path, header: []string{"Authorization: Basic " + tt.header}})
			a.is(t, 401, basicChallenge, "X-Seraph-LoginReason: AUTHENTICATED_FAILED", "Set-Cookie:")
			// The request did not pass the authenticator, so X-AUSERNAME may
			// be missing; a name it must not hold.
			if got := a.header.Get("X-AUSERNAME"); got != "" && got != "anonymous" {
				t.Errorf("X-AUSERNAME %q on a refusal", got)
			}
			a.contains(t, "Basic Authentication Failure - Reason : AUTHENTICATED_FAILED")
		})
	}
	if got := p.failures(t, user); got != 1 {
		t.Errorf("one bad request counted %d times", got)
	}
}

// failures returns the all-time count of failed logins of a user whose next
// login succeeds.
func (p *program) failures(t *testing.T, user string) int {
	t.Helper()
	a := p.do(t, credentials(user, "pw-"+user))
	a.is(t, 200)
	if n := a.decode(t).LoginInfo.FailedLoginCount; n != nil {
		return *n
	}
	t.Fatalf("no failedLoginCount in %s", a.body)
	return 0
}

// basicAccessDenied tries more often than failures are allowed.
func basicAccessDenied(t *testing.T, p *program) {
	for range 5 {
		a := p.do(t, call{method: "GET", path: "/rest/api/2/serverInfo", user: "nogroups", password: "nogroupspass"})
		a.is(t, 401, basicChallenge, "X-Seraph-LoginReason: AUTHORISATION_FAILED", "Set-Cookie:", "X-Authentication-Denied-Reason:")
	}
	b := &browser{p: p}
	a := b.post(t, "/login", "os_username", "nogroups", "os_password", "nogroupspass")
	a.is(t, 401, p.oauth(), "X-Seraph-LoginReason: AUTHORISATION_FAILED", "Set-Cookie:")
}

// queryCredentials sends what ends in every log between here and the client;
// that ours does not hold it either is checked when the program has stopped.
func queryCredentials(t *testing.T, p *program) {
	const query = "?os_username=fred&os_password=fredpass"
	p.do(t, call{method: "GET", path: "/whoami" + query}).is(t, 200, "X-AUSERNAME: anonymous", "Set-Cookie:")
	p.do(t, call{method: "GET", path: "/rest/api/2/myself" + query}).is(t, 401, "Set-Cookie:")
	p.do(t, call{method: "GET", path: "/login" + query}).is(t, 200, "X-AUSERNAME: anonymous", "Set-Cookie:")
	if a := p.do(t, call{method: "POST", path: "/login" + query, header: []string{formType}}); a.status < 400 {
		t.Errorf("a POST with the credentials in the query answers %d", a.status)
	}
}

func basicBesideSession(t *testing.T, p *program) {
	live := p.login(t, "fred", "fredpass")
	user := p.w.person(t)
	get := call{method: "GET", path: "/rest/api/2/myself", user: user, password: "pw-wrong", cookie: live}
	p.do(t, get).is(t, 200, "X-AUSERNAME: fred")
	get.cookie, get.password = deadCookie(t, p), "pw-"+user
	p.do(t, get).is(t, 200, "X-AUSERNAME: "+user)
	if got := p.failures(t, user); got != 0 {
		t.Errorf("the header beside a live session was looked at: %d failures", got)
	}
}

const (
	noValidCookie = "os_authType was 'cookie' but no valid cookie was sent."
	invalidCookie = "os_authType was 'any' and an invalid cookie was sent."
)

// osAuthType goes through the table of the protocol: four values, by three
// kinds of cookie, on a resource that anonymous callers may read.
func osAuthType(t *testing.T, p *program) {
	cookies := map[string]string{"live": p.login(t, "fred", "fredpass"), "dead": deadCookie(t, p), "no": ""}
	for _, tt := range []struct {
		value, cookie string
		status        int
		challenge     string
		text          string
	}{
		{"none", "live", 200, "", ""},
		{"none", "dead", 200, "", ""},
		{"none", "no", 200, "", ""},
		{"cookie", "live", 200, "", ""},
		{"cookie", "dead", 401, p.oauth(), noValidCookie},
		{"cookie", "no", 401, p.oauth(), noValidCookie},
		{"basic", "live", 200, "", ""},
		{"basic", "dead", 401, basicChallenge, ""},
		{"basic", "no", 401, basicChallenge, ""},
		{"any", "live", 200, "", ""},
		{"any", "dead", 401, p.oauth(), invalidCookie},
		{"any", "no", 200, "", ""},
		// The route's default is any.
		{"", "live", 200, "", ""},
		{"", "dead", 401, p.oauth(), invalidCookie},
		{"", "no", 200, "", ""},
	} {
		t.Run("type "+tt.value+", "+tt.cookie+" cookie", func(t *testing.T) {
			path := "/rest/api/2/serverInfo"
			if tt.value != "" {
				path += "?os_authType=" + tt.value
			}
			a := p.do(t, call{method: "GET", path: path, cookie: cookies[tt.cookie]})
			user := "anonymous"
			if tt.cookie == "live" {
				user = "fred"
			}
			a.is(t, tt.status, "X-AUSERNAME: "+user)
			if tt.challenge != "" {
				a.is(t, tt.status, tt.challenge)
			}
			a.contains(t, tt.text)
		})
	}
}

func osAuthTypeSpellings(t *testing.T, p *program) {
	dead := deadCookie(t, p)
	for query, status := range map[string]int{"CoOkIe": 401, "ANY": 401, "NONE": 200, "nonsense": 200, "": 200} {
		path := "/rest/api/2/serverInfo?os_authType=" + query
		if got := p.do(t, call{method: "GET", path: path, cookie: dead}); got.status != status {
			t.Errorf("os_authType=%s with a dead cookie: status %d, want %d", query, got.status, status)
		}
	}
	p.do(t, call{method: "GET", path: "/rest/api/2/serverInfo?os_authType=basic", user: "fred", password: "fredpass"}).is(t, 200, "X-AUSERNAME: fred")
	// Outside /rest/ the default is none.
	p.do(t, call{method: "GET", path: "/", cookie: dead}).is(t, 200, "X-AUSERNAME: anonymous")
	// Login is possible with a dead cookie whatever the query asks for.
	p.do(t, call{method: "GET", path: "/rest/api/2/myself"}).is(t, 401, p.oauth())
}

func errorBodies(t *testing.T, p *program) {
	for _, tt := range []struct{ name, accept, want string }{
		{"JSON", "Accept: application/json", "application/json"},
		{"HTML", "Accept: text/html", "text/html"},
		{"anything under /rest/", "Accept: */*", "application/json"},
		{"none under /rest/", "X-Nothing: here", "application/json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := p.do(t, call{method: "GET", path: "/rest/api/2/serverInfo?os_authType=cookie", header: []string{tt.accept}})
			a.is(t, 401)
			if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, tt.want) {
				t.Errorf("Content-Type %q, want %s", got, tt.want)
			}
			text := a.body
			if tt.want == "text/html" {
				text = strings.NewReplacer("&#39;", "'", "&apos;", "'").Replace(text)
			}
			if !strings.Contains(text, noValidCookie) {
				t.Errorf("body %.300q has no reason", a.body)
			}
		})
	}
}

func anonymousHeaders(t *testing.T, p *program) {
	a := p.do(t, call{method: "GET", path: "/"})
	a.is(t, 200, "X-AUSERNAME: anonymous", "X-ASESSIONID:", "X-Seraph-LoginReason:", "Set-Cookie:")
	if !requestID.MatchString(a.header.Get("X-AREQUESTID")) {
		t.Errorf("X-AREQUESTID %q, want minute x count x concurrent", a.header.Get("X-AREQUESTID"))
	}
	for _, path := range []string{"/nothing-here", "/rest/nothing-here", "/rest/api/2/issue/TEST-3"} {
		if a := p.do(t, call{method: "GET", path: path}); a.status < 400 && a.status != 303 {
			t.Errorf("%s answers %d to nobody", path, a.status)
		}
	}
}

func whoami(t *testing.T, p *program) {
	u, err := url.Parse(p.base)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		call           call
		user, authType string
	}{
		{call{}, "null", ""},
		{call{cookie: p.login(t, "fred", "fredpass")}, `"fred"`, "cookie"},
		{call{user: "fred", password: "fredpass"}, `"fred"`, "basic"},
		// Nobody has configured a proxy, so nobody is believed to be one.
		{call{header: []string{"X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"}}, "null", ""},
	} {
		tt.call.method, tt.call.path = "GET", "/whoami"
		a := p.do(t, tt.call)
		a.is(t, 200)
		var got struct {
			User                           json.RawMessage
			AuthType, Client, Scheme, Host string
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil {
			t.Fatalf("body %s: %v", a.body, err)
		}
		if string(got.User) != tt.user || got.AuthType != tt.authType || got.Client != "127.0.0.1" || got.Scheme != "http" || got.Host != u.Host {
			t.Errorf("body %s, want user %s, authType %q, client 127.0.0.1 over http at %s", a.body, tt.user, tt.authType, u.Host)
		}
	}
}
