package main

import (
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
)

func TestMyself(t *testing.T) {
	for _, tt := range []struct {
		name string
		user *directory.User
		want map[string]any
	}{
		{"all fields of the contract", userFred, map[string]any{
			"self": "http://example.com/rest/api/2/user?username=fred", "name": "fred", "displayName": "Fred Normal",
			"emailAddress": "fred@example.org", "groups": []any{"jira-developers", "jira-users"}, "authType": "cookie"}},
		{"the name for a display name", &directory.User{Name: "zoë", Groups: []string{"x"}}, map[string]any{
			"self": "http://example.com/rest/api/2/user?username=zo%C3%AB", "name": "zoë", "displayName": "zoë",
			"emailAddress": "", "groups": []any{"x"}, "authType": "cookie"}},
		{"no groups as a list", &directory.User{Name: "x"}, map[string]any{
			"self": "http://example.com/rest/api/2/user?username=x", "name": "x", "displayName": "x",
			"emailAddress": "", "groups": []any{}, "authType": "cookie"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := decode(t, newTestSite(t).send(tt.user, "GET", "/rest/api/2/myself", "")); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %v\nwant %v", got, tt.want)
			}
		})
	}
}

func TestIssueInRESTHasWhatPeopleAdded(t *testing.T) {
	s := newTestSite(t)
	s.tracker.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC) }
	if w := s.send(userFred, "POST", "/rest/api/2/issue/TEST-3/comment", `{"body":"a \"b\" <c>"}`, jsonHeader); w.Code != 201 {
		t.Fatalf("comment: %d %s", w.Code, w.Body)
	} else if c := decode(t, w); c["body"] != `a "b" <c>` || c["id"] != "10021" || c["author"].(map[string]any)["name"] != "fred" {
		t.Errorf("the comment is answered as %v", c)
	}
	body, header := files(t, "file", "a b.txt=hello")
	if w := s.send(userFred, "POST", "/rest/api/2/issue/TEST-3/attachments", body, header, noCheck); w.Code != 200 || !strings.HasPrefix(w.Body.String(), "[{") {
		t.Fatalf("attachment: %d %s", w.Code, w.Body)
	}
	got := decode(t, s.send(userFred, "GET", "/rest/api/2/issue/TEST-3", ""))
	if got["key"] != "TEST-3" || got["id"] != "10003" || got["self"] != "http://example.com/rest/api/2/issue/TEST-3" {
		t.Errorf("key %v, id %v, self %v", got["key"], got["id"], got["self"])
	}
	fields := got["fields"].(map[string]any)
	for name, want := range map[string]any{
		"issuetype": map[string]any{"name": "Bug"},
		"status":    map[string]any{"name": "Closed"},
		"project":   map[string]any{"key": "TEST", "name": "TEST"},
		"assignee":  map[string]any{"self": "http://example.com/rest/api/2/user?username=fred", "name": "fred", "displayName": "Fred Normal"},
	} {
		if !reflect.DeepEqual(fields[name], want) {
			t.Errorf("%s is %v, want %v", name, fields[name], want)
		}
	}
	comments := fields["comment"].(map[string]any)
	if comments["total"] != 1.0 || comments["comments"].([]any)[0].(map[string]any)["created"] != "2026-01-02T03:04:05.006+0000" {
		t.Errorf("comments %v", comments)
	}
	a := fields["attachment"].([]any)[0].(map[string]any)
	if a["filename"] != "a b.txt" || a["size"] != 5.0 || a["content"] != "http://example.com/attachment/10022/a%20b.txt" {
		t.Errorf("attachment %v", a)
	}
	if w := s.send(userFred, "GET", a["content"].(string), ""); w.Body.String() != "hello" {
		t.Errorf("behind its link: %d %q", w.Code, w.Body)
	}
}

func TestNobodysIssueHasNoAssignee(t *testing.T) {
	fields := decode(t, newTestSite(t).send(userFred, "GET", "/rest/api/2/issue/TEST-7", ""))["fields"].(map[string]any)
	if a, ok := fields["assignee"]; !ok || a != nil {
		t.Errorf("assignee %v, %v, want null", a, ok)
	}
}

func TestSearch(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		status     int
		total      int
		keys       string
	}{
		{"the query of the documentation", `{"jql":"type=Bug AND status=Closed"}`, 200, 4, "TEST-3 TEST-7 TEST-11 TEST-17"},
		{"a page of it", `{"jql":"type=Bug AND status=Closed","startAt":1,"maxResults":2}`, 200, 4, "TEST-7 TEST-11"},
		{"past its end", `{"jql":"type=Bug AND status=Closed","startAt":9}`, 200, 4, ""},
		{"the total alone", `{"jql":"","maxResults":0}`, 200, 20, ""},
		{"who asks", `{"jql":"assignee=currentUser() and type=Story"}`, 200, 1, "TEST-16"},
		{"fields that mean nothing here", `{"jql":"type=Task and status=Closed","fields":["key"],"validateQuery":"strict"}`, 200, 2, "TEST-6 TEST-18"},
		{"a word of the text", `{"jql":"umlaut"}`, 200, 1, "TEST-3"},
		{"a query that is none", `{"jql":"x y"}`, 400, 0, ""},
		{"a negative start", `{"jql":"","startAt":-1}`, 400, 0, ""},
		{"a negative number", `{"jql":"","maxResults":-1}`, 400, 0, ""},
		{"no JSON", `jql=x`, 400, 0, ""},
		{"two values", `{} {}`, 400, 0, ""},
		{"another type", `{"jql":7}`, 400, 0, ""},
		{"nothing", ``, 400, 0, ""},
		{"very much", `{"jql":"` + strings.Repeat("x", maxBody) + `"}`, 413, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTestSite(t).send(userFred, "POST", "/rest/api/2/search", tt.body, jsonHeader)
			got := decode(t, w)
			if w.Code != tt.status {
				t.Fatalf("%d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if tt.status != 200 {
				if len(got["errorMessages"].([]any)) != 1 || got["errors"] == nil {
					t.Errorf("not an error of Jira: %s", w.Body)
				}
				return
			}
			var keys []string
			for _, is := range got["issues"].([]any) {
				keys = append(keys, is.(map[string]any)["key"].(string))
			}
			if got["total"] != float64(tt.total) || strings.Join(keys, " ") != tt.keys {
				t.Errorf("total %v, %v, want %d, %s", got["total"], keys, tt.total, tt.keys)
			}
			if got["startAt"] == nil || got["maxResults"] == nil {
				t.Errorf("no page: %s", w.Body)
			}
		})
	}
}

func TestSearchByQueryString(t *testing.T) {
	s := newTestSite(t)
	for _, tt := range []struct {
		query  string
		status int
		total  any
	}{
		{"jql=" + url.QueryEscape("type=Bug AND status=Closed") + "&maxResults=1", 200, 4.0},
		{"", 200, 20.0},
		{"maxResults=many", 400, nil},
		{"startAt=1x", 400, nil},
	} {
		w := s.send(userFred, "GET", "/rest/api/2/search?"+tt.query, "")
		if got := decode(t, w); w.Code != tt.status || got["total"] != tt.total {
			t.Errorf("%q: %d, total %v, want %d, %v", tt.query, w.Code, got["total"], tt.status, tt.total)
		}
	}
}

func TestRESTCommentRefuses(t *testing.T) {
	long := strings.Repeat("x", maxComment+1)
	for _, tt := range []struct {
		name, key, body string
		header          string
		status          int
		want            string
	}{
		{"an issue that does not exist", "TEST-99", `{"body":"x"}`, jsonHeader, 404, "Issue Does Not Exist"},
		{"an empty comment", "TEST-1", `{"body":" \n"}`, jsonHeader, 400, `"errors":{"comment":"`},
		{"no comment", "TEST-1", `{}`, jsonHeader, 400, `"errorMessages":[]`},
		{"a long comment", "TEST-1", `{"body":"` + long + `"}`, jsonHeader, 400, "longer than"},
		{"another media type", "TEST-1", `{"body":"x"}`, "Content-Type: text/plain", 415, "application/json"},
		{"broken JSON", "TEST-1", `{"body":`, jsonHeader, 400, "not the JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestSite(t)
			w := s.send(userFred, "POST", "/rest/api/2/issue/"+tt.key+"/comment", tt.body, tt.header)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("%d %s, want %d with %q", w.Code, w.Body, tt.status, tt.want)
			}
			if n := len(s.tracker.commentsOf(tt.key)); n > 0 {
				t.Errorf("%d comments kept", n)
			}
		})
	}
}

// A search without a bound would let one request ask for everything again and
// again; Jira, too, answers at most 1,000 issues.
func TestSearchIsBounded(t *testing.T) {
	got := decode(t, newTestSite(t).send(userFred, "GET", "/rest/api/2/search?maxResults="+strconv.Itoa(10*maxResult), ""))
	if got["maxResults"] != float64(maxResult) {
		t.Errorf("maxResults %v, want %d", got["maxResults"], maxResult)
	}
}
