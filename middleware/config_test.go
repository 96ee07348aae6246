package middleware_test

import (
	"html/template"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/captcha"
	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/middleware"
	"github.com/seed-244866eb/gatehouse/session"
)

func TestNewReportsAllFaults(t *testing.T) {
	c := middleware.Config{
		BaseURL: "jira.example.com/jira", LoginPath: "login", LogoutPath: "//logout", HomePath: "/?home",
		AccessGroups: []string{""}, LoginTimeout: -time.Second, ProofTTL: -1, GroupHold: -1, Realm: `a"b`,
	}
	c.Session.Name = "a;b"
	c.Attempts.Max = 1000
	c.Captcha.Lifetime = -1
	c.FormToken.TrustedOrigins = []string{"*"}
	_, err := middleware.New(c)
	if err == nil {
		t.Fatal("New accepts it all")
	}
	for _, want := range []string{
		"Config.Directory is required", `"jira.example.com/jira"`, `Config.LoginPath "login"`, `Config.LogoutPath "//logout"`, `Config.HomePath "/?home"`,
		"Config.AccessGroups", "Config.LoginTimeout", "Config.ProofTTL", "Config.GroupHold", "Config.Realm", "a;b", "1000", "Lifetime", `"*"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s:\n%v", want, err)
		}
	}
}

// A oneStore is three stores in one value, as a shared one would be.
type oneStore struct {
	sessionStore
	attemptStore
	captchaStore
}

type (
	sessionStore = session.Store
	attemptStore = attempts.Store
	captchaStore = captcha.Store
)

func TestNewRefusesWhatItWouldOverwrite(t *testing.T) {
	dir, err := directory.NewStatic()
	if err != nil {
		t.Fatal(err)
	}
	store := session.NewMemory(session.MemoryConfig{})
	for _, tt := range []struct {
		name   string
		change func(*middleware.Config)
		want   string
	}{
		{"a path of its own", func(c *middleware.Config) { c.Session.Path = "/x" }, "Config.Session.Path"},
		{"two deadlines", func(c *middleware.Config) { c.Attempts.LoginTimeout = time.Second }, "Config.Attempts.LoginTimeout"},
		{"a challenge", func(c *middleware.Config) { c.Attempts.Challenge = true }, "Config.Attempts.Challenge"},
		{"a secret", func(c *middleware.Config) { c.FormToken.Secret = func(*http.Request) []byte { return nil } }, "Config.FormToken.Secret"},
		{"a revocation", func(c *middleware.Config) { c.Session.Revoked = func(string) {} }, "Config.Session.Revoked"},
		{"proofs and none", func(c *middleware.Config) { c.NoProofs, c.ProofTTL = true, time.Second }, "Config.ProofTTL"},
		{"two stores", func(c *middleware.Config) {
			c.Session.Store = store
			c.Store = oneStore{store, attempts.NewMemory(attempts.MemoryConfig{}), captcha.NewMemory(captcha.MemoryConfig{})}
		}, "Config.Session.Store"},
		{"a login page that fails", func(c *middleware.Config) { c.LoginPage = template.Must(template.New("x").Parse("{{.Foo}}")) }, "Config.LoginPage"},
		{"an update nobody knows", func(c *middleware.Config) { c.UpdateAtLogin = -1 }, "Config.UpdateAtLogin"},
		{"a password page that fails", func(c *middleware.Config) { c.PasswordPage = template.Must(template.New("x").Parse("{{.Foo}}")) }, "Config.PasswordPage"},
		{"one that fails with a CAPTCHA", func(c *middleware.Config) {
			c.LoginPage = template.Must(template.New("x").Parse("{{if .CaptchaID}}{{.Foo}}{{end}}"))
		}, "Config.LoginPage"},
		{"one path for two", func(c *middleware.Config) { c.LoginPath, c.LogoutPath = "/x", "/x" }, "Config.LoginPath"},
		{"a realm with a NUL", func(c *middleware.Config) { c.Realm = "a\x00" }, "Config.Realm"},
		{"a negative age", func(c *middleware.Config) { c.GroupTTL = -1 }, "middleware: Config.GroupTTL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := middleware.Config{Directory: dir}
			tt.change(&c)
			_, err := middleware.New(c)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("New: %v, want one line with %s", err, tt.want)
			}
		})
	}
}

func TestOneStoreServesTwoNodes(t *testing.T) {
	store := oneStore{session.NewMemory(session.MemoryConfig{}), attempts.NewMemory(attempts.MemoryConfig{}), captcha.NewMemory(captcha.MemoryConfig{})}
	share := func(c *middleware.Config) { c.Store = store }
	one, two := newWorld(t, share), newWorld(t, share)
	if rec := two.get("/secure/x", one.login("fred", "fredpass")); rec.Code != 200 {
		t.Errorf("a session of the other node: %d", rec.Code)
	}
	for _, w := range []*world{one, two, one} {
		w.rest("alice", "wrong")
	}
	page := one.form("alice", "right")
	id, answer := one.challenge(page.Body.String())
	if rec := two.form("alice", "right", "os_captcha_id", id, "os_captcha", answer); rec.Code != 303 {
		t.Errorf("count and challenge of the other node: %d", rec.Code)
	}
	if rec := one.form("alice", "right", "os_captcha_id", id, "os_captcha", answer); rec.Code != 303 {
		t.Errorf("after the success: %d", rec.Code)
	}
}

// TestBaseURLIsWhatClientsSee: with it a proxy that nobody trusts costs
// neither the cookie its Secure nor the login page its origin.
func TestBaseURLIsWhatClientsSee(t *testing.T) {
	for _, tt := range []struct {
		name, base, origin string
		status             int
		secure             bool
	}{
		{"https", "https://jira.example.com", "https://jira.example.com", 303, true},
		{"http", "http://jira.example.com", "http://jira.example.com", 303, false},
		{"the default port is none", "https://jira.example.com:443", "https://jira.example.com", 303, true},
		{"another site", "https://jira.example.com", "https://evil.example", 403, false},
		{"another scheme", "https://wiki.example.com", "http://wiki.example.com", 403, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *middleware.Config) { c.BaseURL = tt.base })
			rec := w.do(call{
				method: "POST", path: "/login", body: "os_username=fred&os_password=fredpass",
				header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {tt.origin}},
			})
			if rec.Code != tt.status {
				t.Fatalf("got %d, want %d", rec.Code, tt.status)
			}
			if got := strings.Contains(rec.Header().Get("Set-Cookie"), "Secure"); got != tt.secure {
				t.Errorf("Set-Cookie = %q", rec.Header().Get("Set-Cookie"))
			}
		})
	}
}

func TestLoginPageOfTheApplication(t *testing.T) {
	w := newWorld(t, func(c *middleware.Config) {
		c.LoginPage = template.Must(template.New("own").Parse(`own {{.Action}} {{.Message}}`))
	})
	if rec := w.get("/login"); rec.Code != 200 || rec.Body.String() != "own /login " {
		t.Errorf("got %d %q", rec.Code, rec.Body)
	}
}

func TestBaseURL(t *testing.T) {
	dir, err := directory.NewStatic()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, url string
		ok        bool
	}{
		{"origin", "https://jira.example.com", true},
		{"with a slash", "https://jira.example.com/", true},
		{"with port and context path", "http://127.0.0.1:8080/jira", true},
		{"relative", "/jira", false},
		{"another scheme", "ldap://jira.example.com", false},
		{"user info", "https://u:secret@jira.example.com", false},
		{"a query", "https://jira.example.com/?x", false},
		{"a fragment", "https://jira.example.com/#x", false},
		{"an empty segment", "https://jira.example.com//jira", false},
		{"an escape in the path", "https://jira.example.com/j%C3%AFra", false},
		{"dots in the path", "https://jira.example.com/a/../jira", false},
		{"a path parameter", "https://jira.example.com/jira;x", false},
		{"a port without a host", "https://:443", false},
		{"a port that is too high", "http://jira.example.com:99999", false},
		{"port 0", "http://jira.example.com:0", false},
		{"a port with a leading zero", "http://jira.example.com:0080", false},
		{"an IPv6 zone", "http://[fe80::1%25eth0]", false},
		{"an underscore, as compose files have it", "http://jira_web:8080", true},
		{"a colon without a port", "http://jira.example.com:/x", false},
		{"a host beyond ASCII", "http://jirä.example", false},
		{"an IPv6 address", "http://[::1]:8080/jira", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := middleware.New(middleware.Config{Directory: dir, BaseURL: tt.url})
			if (err == nil) != tt.ok {
				t.Fatalf("New: %v", err)
			}
			if err != nil {
				if strings.Contains(err.Error(), "secret") {
					t.Errorf("the error tells the password: %v", err)
				}
				return
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			if err := a.Close(); err != nil {
				t.Errorf("a second Close: %v", err)
			}
		})
	}
}
