package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/middleware/authtest"
)

func TestHomeShowsTheIssuesToUsers(t *testing.T) {
	s := newTestSite(t)
	expiring := new(*userFred)
	expiring.Notice.Expires = time.Now().Add(73 * time.Hour)
	for _, tt := range []struct {
		name, target string
		user         *directory.User
		status       int
		with         []string
		without      []string
	}{
		{"to nobody none", "/", nil, 200, []string{`<meta name="atlassian-token"`, `href="/login"`, "Not logged in"}, []string{"TEST-1"}},
		{"to nobody none by a search", "/?jql=type=Bug", nil, 200, nil, []string{"TEST-1", "jql"}},
		{"all", "/", userFred, 200, []string{"TEST-1", "TEST-20", "20 issues", `<strong id="user">Fred Normal</strong>`, `action="/logout"`}, []string{"Not logged in"}},
		{"the ones searched for", "/?jql=" + url.QueryEscape("type=Bug AND status=Closed"), userFred, 200, []string{"TEST-3"}, []string{"TEST-20"}},
		{"none where none matches", "/?jql=project=X", userFred, 200, []string{"No issue matches"}, []string{"TEST-1"}},
		{"a fault of the search", "/?jql=" + url.QueryEscape("<i>"), userFred, 400, []string{`role="alert"`, `value="&lt;i&gt;"`, "not understood"}, []string{"<i>", "TEST-1"}},
		{"a password that expires", "/", expiring, 200, []string{`role="status"`, "Your password expires in 3 days.", `href="/login?password"`}, nil},
		{"names as text", "/", userMarkup, 200, []string{"&lt;script&gt;"}, []string{"<script"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := s.send(tt.user, "GET", tt.target, "")
			if w.Code != tt.status {
				t.Errorf("%d, want %d", w.Code, tt.status)
			}
			contains(t, w.Body.String(), tt.with, tt.without)
		})
	}
}

func TestPasswordNotice(t *testing.T) {
	now := time.Now()
	in := func(d time.Duration) directory.PasswordNotice { return directory.PasswordNotice{Expires: now.Add(d)} }
	grace := func(n int) directory.PasswordNotice {
		return directory.PasswordNotice{Expired: true, GraceLogins: n}
	}
	for _, tt := range []struct {
		name string
		n    directory.PasswordNotice
		want string
	}{
		{"nothing", directory.PasswordNotice{}, ""},
		{"a week", in(7 * 24 * time.Hour), "Your password expires in 7 days."},
		{"begun days do not count", in(3*24*time.Hour - 1), "Your password expires in 2 days."},
		{"one day", in(24 * time.Hour), "Your password expires in one day."},
		{"hours", in(24*time.Hour - 1), "Your password expires within a day."},
		{"over since the login", in(-time.Hour), "Your password has expired: you cannot log in with it again."},
		{"grace logins", grace(3), "Your password has expired: you can log in with it 3 more times."},
		{"one grace login", grace(1), "Your password has expired: you can log in with it once more."},
		{"no grace login", grace(0), "Your password has expired: you cannot log in with it again."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := notice(tt.n, now); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func contains(t *testing.T, body string, with, without []string) {
	t.Helper()
	for _, text := range with {
		if !strings.Contains(body, text) {
			t.Errorf("lacks %q:\n%s", text, body)
		}
	}
	for _, text := range without {
		if strings.Contains(body, text) {
			t.Errorf("holds %q:\n%s", text, body)
		}
	}
}

func TestCommentForm(t *testing.T) {
	long := strings.Repeat("ä", maxComment/2)
	for _, tt := range []struct {
		name, body string
		status     int
		kept       string // as REST shows it; "": nothing
		shown      string // on the page of the answer
	}{
		{"is kept", "body=" + url.QueryEscape("one\r\ntwo <b>"), 303, "one\ntwo <b>", ""},
		{"is kept at the bound", "body=" + url.QueryEscape(long), 303, long, ""},
		{"is kept as UTF-8", "body=%ff", 303, "\uFFFD", ""},
		{"needs text", "body=+%0D%0A", 400, "", "can not be empty"},
		{"needs a field", "x=y", 400, "", "can not be empty"},
		{"gives a draft back", "body=" + url.QueryEscape(long+"<b>"), 400, "", long + "&lt;b&gt;</textarea>"},
		{"is bounded before it is read", "body=" + strings.Repeat("x", 4*maxComment), 413, "", "longer than"},
		{"is a form", "body=%zz", 400, "", "could not be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestSite(t)
			w := s.send(userFred, "POST", "/issue/TEST-7/comment", tt.body, formHeader)
			if w.Code != tt.status {
				t.Errorf("%d, want %d", w.Code, tt.status)
			}
			contains(t, w.Body.String(), []string{tt.shown}, nil)
			var kept string
			for _, c := range s.tracker.commentsOf("TEST-7") {
				kept += c.Body
				if c.Author != (author{"fred", "Fred Normal"}) {
					t.Errorf("by %v", c.Author)
				}
			}
			if kept != tt.kept {
				t.Errorf("kept %.100q, want %.100q", kept, tt.kept)
			}
		})
	}
}

func TestCommentInTheQueryIsNone(t *testing.T) {
	s := newTestSite(t)
	if w := s.send(userFred, "POST", "/issue/TEST-1/comment?body=x", "", formHeader); w.Code != 400 || len(s.tracker.commentsOf("TEST-1")) > 0 {
		t.Errorf("%d, %d comments", w.Code, len(s.tracker.commentsOf("TEST-1")))
	}
}

func TestIssuePageEscapesWhatPeopleTyped(t *testing.T) {
	s := newTestSite(t)
	s.tracker.addComment("TEST-1", author{"x", "<i>x"}, "<script>alert(1)</script>")
	s.tracker.attach(attachment{Issue: "TEST-1", Name: `"><img src=x>.txt`, Author: author{"x", "<i>x"}})
	page := s.send(userFred, "GET", "/issue/TEST-1", "").Body.String()
	contains(t, page, []string{"&lt;script&gt;", "&lt;i&gt;x", `name="atl_token"`}, []string{"<script", "<i>x", "<img"})
}

// TestLoginByThePagesThemselves goes the way of a person with a browser:
// everything that a form sends is taken from the page that shows it.
func TestLoginByThePagesThemselves(t *testing.T) {
	s := newTestSite(t)
	server := httptest.NewServer(s.handler())
	defer server.Close()
	client := newBrowser(t)
	authtest.Login(t, client, server.URL, "fred", "fredpass")
	page := get(t, client, server.URL+"/issue/TEST-9")
	token := between(page, `name="atlassian-token" content="`, `"`)
	if token == "" || !strings.Contains(page, `name="atl_token" value="`+token+`"`) {
		t.Fatalf("no form token on the page:\n%s", page)
	}
	if status := post(t, client, server.URL+"/issue/TEST-9/comment", url.Values{"body": {"no token"}}); status != 403 {
		t.Errorf("a comment without a token: %d", status)
	}
	if status := post(t, client, server.URL+"/issue/TEST-9/comment", url.Values{"body": {"Seen here too."}, "atl_token": {token}}); status != 200 {
		t.Errorf("a comment with a token: %d", status)
	}
	page = get(t, client, server.URL+"/issue/TEST-9")
	contains(t, page, []string{"Seen here too."}, []string{"no token"})
	if status := post(t, client, server.URL+"/logout", url.Values{"atl_token": {token}}); status != 200 {
		t.Errorf("logout: %d", status)
	}
	contains(t, get(t, client, server.URL+"/"), []string{"Not logged in"}, nil)
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func post(t *testing.T, c *http.Client, url string, form url.Values) int {
	t.Helper()
	res, err := c.PostForm(url, form)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// between returns what stands in s between the first before and the next
// after.
func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}
