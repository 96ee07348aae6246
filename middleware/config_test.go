package middleware_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/middleware"
)

func TestNewReportsAllFaults(t *testing.T) {
	c := middleware.Config{
		BaseURL: "jira.example.com/jira", LoginPath: "login", LogoutPath: "//logout", HomePath: "home",
		AccessGroups: []string{""}, LoginTimeout: -time.Second, Realm: `a"b`,
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
		"Config.Directory is required", `"jira.example.com/jira"`, `Config.LoginPath "login"`, `Config.LogoutPath "//logout"`, `Config.HomePath "home"`,
		"Config.AccessGroups", "Config.LoginTimeout", "Config.Realm", "a;b", "1000", "Lifetime", `"*"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s:\n%v", want, err)
		}
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
