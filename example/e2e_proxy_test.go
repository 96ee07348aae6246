package main_test

import (
	"encoding/json"
	"net/url"
	"testing"
)

// TestEndToEndBehindProxy plays a TLS proxy at 127.0.0.1 that is trusted, with
// a client at 203.0.113.7 behind it.
func TestEndToEndBehindProxy(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a slapd")
	}
	p := start(t, newWorld(t), "", "-trusted-proxy", "127.0.0.1")
	forwarded := []string{"X-Forwarded-For: 192.0.2.99, 203.0.113.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: jira.example.org"}

	c := credentials("fred", "fredpass")
	c.header = append(c.header, forwarded...)
	a := p.do(t, c)
	a.is(t, 200)
	cookie := a.session(t)
	if !cookie.Secure {
		t.Errorf("cookie %q, want Secure: the client came by https", cookie.Raw)
	}

	a = p.do(t, call{method: "GET", path: "/whoami", cookie: cookie.Value, header: forwarded})
	var got struct{ User, Client, Scheme, Host string }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	// What stands left of the first untrusted hop may be forged.
	if got.User != "fred" || got.Client != "203.0.113.7" || got.Scheme != "https" || got.Host != "jira.example.org" {
		t.Errorf("body %s, want fred at 203.0.113.7 over https at jira.example.org", a.body)
	}

	const base = "https://jira.example.org"
	a = p.do(t, call{method: "GET", path: "/rest/auth/1/session", cookie: cookie.Value, header: forwarded})
	if b := a.decode(t); b.Self != base+"/rest/api/latest/user?username=fred" {
		t.Errorf("self %q, want it below %s", b.Self, base)
	}
	a = p.do(t, call{method: "GET", path: "/rest/auth/1/session", header: forwarded})
	a.is(t, 401, `WWW-Authenticate: OAuth realm="`+url.QueryEscape(base)+`"`)

	// The origin rule of forms goes by what the client sees.
	const comment, path = `{"body":"through the proxy"}`, "/rest/api/2/issue/TEST-4/comment"
	for origin, status := range map[string]int{base: 201, p.origin: 403, "http://jira.example.org": 403} {
		c := call{method: "POST", path: path, cookie: cookie.Value, body: comment, header: append([]string{jsonType, "Origin: " + origin}, forwarded...)}
		if a := p.do(t, c); a.status != status {
			t.Errorf("a comment from the origin %s answers %d, want %d", origin, a.status, status)
		}
	}

	// Three failures of the client behind the proxy are that client's.
	user := p.w.person(t)
	c = credentials(user, "pw-"+user)
	c.header = append(c.header, "X-Forwarded-For: 203.0.113.8")
	p.do(t, c).is(t, 200)
	wrong := credentials(user, "pw-wrong")
	wrong.header = append(wrong.header, forwarded...)
	for range 3 {
		p.do(t, wrong).is(t, 401)
	}
	p.do(t, wrong).is(t, 403)
	p.do(t, c).is(t, 200)
	p.stop(t)
}
