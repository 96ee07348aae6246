package main_test

import (
	"bytes"
	"fmt"
	"html"
	"mime/multipart"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var formSteps = []step{
	{"login and logout by the page", formLogin},
	{"a protected page sends to the login and back", formComesBack},
	{"a destination elsewhere is not followed", formDestinations},
	{"an administrators' page", formAdmin},
	{"a comment needs the form token", formComment},
	{"REST: what a page elsewhere could send needs a token", formREST},
	{"attachments", formAttachments},
}

// A browser keeps its cookie and says where a form comes from.
type browser struct {
	p      *program
	cookie string
}

// send sends c as a browser does, follows no redirect, and keeps the cookie.
func (b *browser) send(t *testing.T, c call) answer {
	t.Helper()
	c.cookie = b.cookie
	c.header = append([]string{"Accept: text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Site: same-origin"}, c.header...)
	if c.method == "POST" {
		c.header = append(c.header, "Origin: "+b.p.origin)
	}
	a := b.p.do(t, c)
	if strings.Contains(strings.Join(a.header["Set-Cookie"], "\n"), "JSESSIONID=") {
		b.cookie = a.session(t).Value
	}
	return a
}

func (b *browser) get(t *testing.T, path string) answer {
	t.Helper()
	return b.send(t, call{method: "GET", path: path})
}

// post sends a form; fields are name, value, name, value.
func (b *browser) post(t *testing.T, path string, fields ...string) answer {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return b.send(t, call{method: "POST", path: path, header: []string{formType}, body: form.Encode()})
}

// location returns the path and query of the answer's Location, which must
// stay on this origin.
func (b *browser) location(t *testing.T, a answer) string {
	t.Helper()
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		t.Fatalf("Location: %v", err)
	}
	if u.Host != "" && "http://"+u.Host != b.p.origin {
		t.Errorf("Location %q leaves the origin", a.header.Get("Location"))
	}
	return u.RequestURI()
}

var (
	tags       = regexp.MustCompile(`(?is)<(?:input|meta|img)\b[^>]*>`)
	attributes = regexp.MustCompile(`(?is)([a-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))`)
)

// tag returns the attributes of the first input, meta or img tag whose
// attribute name has the value, or nil.
func (a answer) tag(name, value string) map[string]string {
	for _, tag := range tags.FindAllString(a.body, -1) {
		found := map[string]string{}
		for _, m := range attributes.FindAllStringSubmatch(tag, -1) {
			found[strings.ToLower(m[1])] = html.UnescapeString(m[2] + m[3] + m[4])
		}
		if found[name] == value {
			return found
		}
	}
	return nil
}

// token returns the form token of the home page.
func (b *browser) token(t *testing.T) string {
	t.Helper()
	a := b.get(t, "/")
	a.is(t, 200)
	token := a.tag("name", "atlassian-token")["content"]
	if token == "" {
		t.Fatalf("no meta tag atlassian-token with a value in %.1000s", a.body)
	}
	return token
}

func formLogin(t *testing.T, p *program) {
	b := &browser{p: p}
	page := b.get(t, "/login")
	page.is(t, 200)
	for _, name := range []string{"os_username", "os_password"} {
		if page.tag("name", name) == nil {
			t.Errorf("the login page has no field %s", name)
		}
	}
	a := b.post(t, "/login", "os_username", "fred", "os_password", "pw-wrong")
	a.is(t, 401, p.oauth(), "X-Seraph-LoginReason: AUTHENTICATED_FAILED", "Set-Cookie:")
	if a.tag("name", "os_username") == nil {
		t.Errorf("after a failure the page is not shown again: %.300s", a.body)
	}
	a = b.post(t, "/login", "os_username", "fred", "os_password", "fredpass")
	a.is(t, 303, "X-Seraph-LoginReason: OK")
	if got, want := b.location(t, a), p.context+"/"; got != want {
		t.Errorf("after the login Location %q, want home, %q", got, want)
	}
	b.get(t, "/").is(t, 200, "X-AUSERNAME: fred")
	token, cookie := b.token(t), b.cookie
	a = b.post(t, "/logout", "atl_token", token)
	a.is(t, 303, "X-Seraph-LoginReason: OUT")
	p.do(t, call{method: "GET", path: "/rest/auth/1/session", cookie: cookie}).is(t, 401)
}

// formComesBack asks for a page that needs a login, as far as the page itself.
func formComesBack(t *testing.T, p *program) {
	b := &browser{p: p}
	a := b.get(t, "/secure/admin")
	a.is(t, 303)
	to, err := url.Parse(b.location(t, a))
	if err != nil || to.Path != p.context+"/login" {
		t.Fatalf("Location %q, want the login page (%v)", a.header.Get("Location"), err)
	}
	page := b.get(t, strings.TrimPrefix(to.RequestURI(), p.context))
	page.is(t, 200)
	destination := page.tag("name", "os_destination")["value"]
	a = b.post(t, strings.TrimPrefix(to.RequestURI(), p.context), "os_username", "admin", "os_password", "adminpass", "os_destination", destination)
	a.is(t, 303)
	if got, want := b.location(t, a), p.context+"/secure/admin"; got != want {
		t.Errorf("after the login Location %q, want the page first asked for, %q", got, want)
	}
}

func formDestinations(t *testing.T, p *program) {
	home := p.context + "/"
	outside := home // at the root there is no outside
	if p.context == "" {
		outside = "/other/page"
	}
	for _, tt := range []struct{ destination, want string }{
		{p.context + "/whoami?a=b", p.context + "/whoami?a=b"},
		{p.base + "/whoami", p.context + "/whoami"},
		{"/other/page", outside},
		{"//evil.example", home},
		{`/\evil.example`, home},
		{"https:evil.example", home},
		{"https://evil.example/", home},
		{"javascript:alert(1)", home},
		{p.context + "/a\r\nSet-Cookie: x=y", home},
		{p.context + "/login", home},
		{p.context + "/logout", home},
	} {
		t.Run(tt.destination, func(t *testing.T) {
			b := &browser{p: p}
			a := b.post(t, "/login", "os_username", "fred", "os_password", "fredpass", "os_destination", tt.destination)
			a.is(t, 303)
			if got := b.location(t, a); got != tt.want {
				t.Errorf("Location %q, want %q", got, tt.want)
			}
		})
	}
}

func formAdmin(t *testing.T, p *program) {
	const marker = `<p id="admin-only">`
	if a := p.do(t, call{method: "GET", path: "/secure/admin", cookie: p.login(t, "fred", "fredpass")}); a.status != 403 || strings.Contains(a.body, marker) {
		t.Errorf("somebody who is no administrator gets %d", a.status)
	}
	a := p.do(t, call{method: "GET", path: "/secure/admin", user: "admin", password: "adminpass"})
	a.is(t, 200)
	a.contains(t, marker)
	a.contains(t, strings.TrimPrefix(p.w.slapd.TLSURL(), "ldaps://")) // the node
	a.contains(t, "<td>serves</td>")
	for _, trick := range []string{"/secure/admin;", "/secure/admin;a=b", "/./secure/admin", "//secure/admin", "/%2e/secure/admin", "/secure/admin%3b", "/secure%2fadmin", "/x/../secure/admin"} {
		if a := p.do(t, call{method: "GET", path: trick}); a.status == 200 || strings.Contains(a.body, marker) {
			t.Errorf("%s reaches a protected page: %d", trick, a.status)
		}
	}
}

func formComment(t *testing.T, p *program) {
	b := &browser{p: p}
	b.post(t, "/login", "os_username", "fred", "os_password", "fredpass")
	token := b.token(t)
	text := "seen by the end-to-end test " + p.context
	a := b.post(t, "/issue/TEST-1/comment", "body", text)
	a.is(t, 403)
	a.contains(t, "<title>XSRF Security Token Missing")
	b.post(t, "/issue/TEST-1/comment", "body", text, "atl_token", "AAAA"+token[4:]).is(t, 403)
	// Never from the query of a POST: it ends in logs and Referer headers.
	b.post(t, "/issue/TEST-1/comment?atl_token="+url.QueryEscape(token), "body", text).is(t, 403)
	elsewhere := call{method: "POST", path: "/issue/TEST-1/comment", cookie: b.cookie,
		header: []string{formType, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"},
		body:   url.Values{"body": {text}, "atl_token": {token}}.Encode()}
	p.do(t, elsewhere).is(t, 403)
	before := strings.Count(b.comments(t), text)
	if a := b.post(t, "/issue/TEST-1/comment", "body", text, "atl_token", token); a.status != 303 {
		t.Errorf("with the token: status %d, want 303; %.300s", a.status, a.body)
	}
	if before != 0 || !strings.Contains(b.comments(t), text) {
		t.Errorf("the comment was there %d times without a token, and must be there with one", before)
	}
	// A token from before a login is worth nothing after it.
	b.post(t, "/login", "os_username", "fred", "os_password", "fredpass")
	b.post(t, "/issue/TEST-1/comment", "body", text, "atl_token", token).is(t, 403)
}

// comments returns what REST tells about the issue.
func (b *browser) comments(t *testing.T) string {
	t.Helper()
	a := b.get(t, "/rest/api/2/issue/TEST-1")
	a.is(t, 200)
	return a.body
}

func formREST(t *testing.T, p *program) {
	b := &browser{p: p}
	b.post(t, "/login", "os_username", "fred", "os_password", "fredpass")
	token := b.token(t)
	const path, comment = "/rest/api/2/issue/TEST-2/comment", `{"body":"by REST"}`
	for _, tt := range []struct {
		name   string
		header []string
		status int
	}{
		{"JSON cannot be sent by a form", []string{jsonType}, 201},
		{"a media type of forms", []string{formType}, 403},
		{"text", []string{"Content-Type: text/plain"}, 403},
		{"no media type", nil, 403},
		{"JSON from another site", []string{jsonType, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, 403},
		{"even with no-check", []string{jsonType, "X-Atlassian-Token: no-check", "Sec-Fetch-Site: cross-site"}, 403},
		{"from another origin, an older browser", []string{jsonType, "Origin: https://evil.example"}, 403},
		{"JSON with a token", []string{jsonType, "X-XSRF-Token: " + token}, 201},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := p.do(t, call{method: "POST", path: path, cookie: b.cookie, header: tt.header, body: comment})
			a.is(t, tt.status)
			if tt.status == 403 {
				a.contains(t, "XSRF check failed")
			}
		})
	}
}

func formAttachments(t *testing.T, p *program) {
	b := &browser{p: p}
	b.post(t, "/login", "os_username", "fred", "os_password", "fredpass")
	token := b.token(t)
	basic := call{user: "fred", password: "fredpass"}
	for _, tt := range []struct {
		name   string
		header string
		basic  bool
		field  string // value of atl_token
		status int
	}{
		{name: "neither token nor header", status: 403},
		{name: "no-check", header: "X-Atlassian-Token: no-check", status: 200},
		{name: "nocheck", header: "X-Atlassian-Token: nocheck", status: 200},
		{name: "another value", header: "X-Atlassian-Token: yes", status: 403},
		{name: "token in the header", header: "X-XSRF-Token: " + token, status: 200},
		{name: "token in the body", field: token, status: 200},
		{name: "own Authorization", basic: true, status: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body, contentType := upload(t, tt.field)
			c := call{method: "POST", path: "/rest/api/2/issue/TEST-3/attachments", cookie: b.cookie, body: body, header: []string{contentType}}
			if tt.header != "" {
				c.header = append(c.header, tt.header)
			}
			if tt.basic {
				c.cookie, c.user, c.password = "", basic.user, basic.password
			}
			a := p.do(t, c)
			a.is(t, tt.status)
			if tt.status == 403 {
				a.contains(t, "XSRF check failed")
			} else {
				a.contains(t, "notes.txt")
			}
		})
	}
}

// upload returns a multipart body with a file and its Content-Type header.
func upload(t *testing.T, token string) (body, header string) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	if token != "" {
		if err := m.WriteField("atl_token", token); err != nil {
			t.Fatal(err)
		}
	}
	file, err := m.CreateFormFile("file", "notes.txt")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(file, "what was said")
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), "Content-Type: " + m.FormDataContentType()
}
