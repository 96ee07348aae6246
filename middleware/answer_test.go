package middleware

import (
	"net/http/httptest"
	"testing"
	"time"
)

func TestWantsJSON(t *testing.T) {
	a := &Auth{context: "/jira"}
	for _, tt := range []struct {
		name, path string
		accept     []string
		want       bool
	}{
		{"no Accept under /rest/", "/jira/rest/api/2/myself", nil, true},
		{"no Accept on a page", "/jira/secure/admin", nil, false},
		{"anything under /rest/", "/jira/rest/x", []string{"*/*"}, true},
		{"anything on a page", "/jira/x", []string{"*/*"}, false},
		{"a browser under /rest/", "/jira/rest/x", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, false},
		{"a script on a page", "/jira/x", []string{"application/json"}, true},
		{"the higher quality wins", "/jira/x", []string{"text/html;q=0.5, application/json;q=0.9"}, true},
		{"the specific range wins", "/jira/x", []string{"*/*;q=0.1, application/json"}, true},
		{"named exactly among equals", "/jira/x", []string{"application/json, text/plain, */*"}, true},
		{"several lines are one list", "/jira/x", []string{"text/plain", "application/json"}, true},
		{"excluded by q=0", "/jira/rest/x", []string{"application/json;q=0, */*"}, false},
		{"without the context path", "/rest/x", nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", tt.path, nil)
			r.Header["Accept"] = tt.accept
			if got := a.wantsJSON(r); got != tt.want {
				t.Errorf("wantsJSON = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestJiraTime(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 9_000_000, time.UTC)
	if got, want := jiraTime(at), "2026-05-04T03:02:01.009+0000"; got != want {
		t.Errorf("jiraTime = %q, want %q", got, want)
	}
	if got := jiraTime(time.Time{}); got != "" {
		t.Errorf("jiraTime of never = %q", got)
	}
}

func TestHeaderName(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "fred", "fred"},
		{"UPN", "fred@example.org", "fred@example.org"},
		{"not ASCII", "zoë", "zo%C3%AB"},
		{"a per cent sign must not be taken for an escape", "50%41", "50%2541"},
		{"a space", "a b", "a%20b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := headerName(tt.in); got != tt.want {
				t.Errorf("headerName(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}
