// Package authtest puts a logged-in user into the tests of an application
// that uses gatehouse: without a directory, a login, or a mock of its own.
//
// [As] is enough for a handler under test; [New] and [Login] make the whole
// way, with passwords and sessions in memory.
package authtest

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/internal/request"
	"github.com/seed-244866eb/gatehouse/middleware"
)

// As returns a copy of r that was sent by user, for handlers with and without
// a middleware.Auth around them. The user's groups count as known; a nil user
// is nobody. Such a request belongs to no session and so needs no form token.
func As(r *http.Request, user *directory.User) *http.Request {
	rec, r := request.Fork(r)
	id := &middleware.Identity{}
	if user != nil {
		u := *user
		if u.GroupsRead.IsZero() {
			u.GroupsRead = time.Now()
		}
		id.User, id.AuthType, id.LoginReason = &u, "cookie", "OK"
	}
	rec.Identity, rec.Auth = id, nil
	return r
}

// New returns an Auth whose directory holds people, and closes it when the
// test ends. Failed logins have no limit, so that the order of tests does not
// matter; a test of the limit itself makes its own middleware.Config.
func New(t testing.TB, people ...directory.Person) *middleware.Auth {
	t.Helper()
	dir, err := directory.NewStatic(people...)
	if err != nil {
		t.Fatal(err)
	}
	c := middleware.Config{Directory: dir}
	c.Attempts.InsecureUnlimited = true
	a, err := middleware.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// Login logs client in on the login page of the server at baseURL, which
// serves it at baseURL + "/login", and fails the test if that does not
// succeed. The client needs a cookie jar.
func Login(t testing.TB, client *http.Client, baseURL, user, password string) {
	t.Helper()
	if client.Jar == nil {
		t.Fatal("authtest: the client has no cookie jar")
	}
	once := *client // the jar is shared; the redirect is the answer
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := once.PostForm(baseURL+"/login", url.Values{"os_username": {user}, "os_password": {password}})
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	// A page that only sends people to the login page answers 303 as well.
	if reason := res.Header.Get("X-Seraph-LoginReason"); res.StatusCode != http.StatusSeeOther || reason != "OK" {
		t.Fatalf("authtest: POST %s/login as %q: %s, X-Seraph-LoginReason %q, Location %q; want a login page that says 303 and OK",
			baseURL, user, res.Status, reason, res.Header.Get("Location"))
	}
}
