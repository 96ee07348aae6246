package main

import (
	"slices"
	"strings"
	"testing"
)

func TestJQLFinds(t *testing.T) {
	tr := newTracker(seedIssues(), nil)
	for _, tt := range []struct {
		name, jql, me string
		want          func(issue) bool
	}{
		{"the query of the documentation", "type=Bug AND status=Closed", "", func(i issue) bool { return i.Type == "Bug" && i.Status == "Closed" }},
		{"everything by the empty query", "  ", "", func(issue) bool { return true }},
		{"fields, words and AND in any case", "TYPE = bug and Status = cLOSED", "", func(i issue) bool { return i.Type == "Bug" && i.Status == "Closed" }},
		{"issuetype for type", "issuetype=Story", "", func(i issue) bool { return i.Type == "Story" }},
		{"quoted values", `status="In Progress" AND type='Bug'`, "", func(i issue) bool { return i.Type == "Bug" && i.Status == "In Progress" }},
		{"no space at all", `project=TEST AND"assignee"="fred"`, "", func(i issue) bool { return i.Assignee == &fred }},
		{"names beyond ASCII", "assignee=zoë", "", func(i issue) bool { return i.Assignee == &zoe }},
		{"currentUser() as who asks", "assignee = CurrentUser()", "admin", func(i issue) bool { return i.Assignee == &admin }},
		{"nobody's issues never as currentUser()", "assignee = currentUser()", "", func(issue) bool { return false }},
		{"!= without nobody's issues", "assignee != fred", "", func(i issue) bool { return i.Assignee != nil && i.Assignee != &fred }},
		{"nothing in another project", "project = OTHER", "", func(issue) bool { return false }},
		{"a lone word in summary or description", "UMLAUT and type=Bug", "", func(i issue) bool { return i.Key == "TEST-3" }},
		{"a lone quoted value", `"ISO 8859-1"`, "", func(i issue) bool { return i.Key == "TEST-3" }},
		{"a quoted field name alone is text", `'assignee'`, "", func(i issue) bool { return i.mentions("assignee") }},
		{"currentUser as a quoted word", "assignee='currentUser'", "fred", func(issue) bool { return false }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, err := parseJQL(tt.jql)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, is := range seedIssues() {
				if tt.want(is) {
					want = append(want, is.Key)
				}
			}
			var got []string
			for _, is := range tr.search(q, tt.me) {
				got = append(got, is.Key)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", tt.jql, got, want)
			}
		})
	}
}

func TestJQLRefuses(t *testing.T) {
	for _, tt := range []struct{ name, jql, want string }{
		{"an unknown field", "x=1", "field 'x' does not exist"},
		{"two lone words", "x y", "expecting '=' or '!=' but got 'y'"},
		{"a lone field", "type", "expecting '=' or '!=' but got the end of the query"},
		{"no value", "type=", "expecting a value but got the end of the query"},
		{"AND for a value", "type=AND status=Open", "expecting a value but got 'AND'"},
		{"AND at the end", "type=Bug AND", "expecting a field but got the end of the query"},
		{"AND at the start", "AND type=Bug", "expecting a field but got 'AND'"},
		{"OR", "type=Bug OR type=Task", "expecting 'AND' or the end of the query but got 'OR'"},
		{"IN", "type in (Bug)", "but got 'in'"},
		{"an operator of its own", "type ~ Bug", "but got '~'"},
		{"a lone !", "type ! Bug", "but got '!'"},
		{"an open quote", `status="In Progress`, `the quote " is not closed`},
		{"an open quote after a backslash", `status="Open\`, `the quote " is not closed`},
		{"another function", "assignee=membersOf(x)", "but got '('"},
		{"text that is not UTF-8", "type=\xff", "not UTF-8"},
		{"a huge query", "type=" + strings.Repeat("B", maxJQL), "longer than"},
		{"very many clauses", strings.Repeat("type=a AND ", maxClauses) + "type=b", "more than 50"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, err := parseJQL(tt.jql)
			if err == nil {
				t.Fatalf("read as %q", q)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want it to say %q", err, tt.want)
			}
		})
	}
}

// FuzzJQL holds that whatever is read can be written and read again, as the
// same query, and that matching never fails.
func FuzzJQL(f *testing.F) {
	for _, s := range []string{
		"type=Bug AND status=Closed", "", "x", `assignee != "zoë" and project='TEST'`,
		`status="a\"b\\"`, "assignee=currentUser()", "type!==Bug", `type="`, "type=Bug AND AND",
	} {
		f.Add(s)
	}
	tr := newTracker(seedIssues(), nil)
	f.Fuzz(func(t *testing.T, s string) {
		q, err := parseJQL(s)
		if err != nil {
			return
		}
		again, err := parseJQL(q.String())
		// Quoting may lengthen a query past the bound; nothing else may fail.
		if err != nil && len(q.String()) <= maxJQL {
			t.Fatalf("%q, written as %q: %v", s, q, err)
		}
		if err == nil && !slices.Equal(again, q) {
			t.Fatalf("%q read as %q, read again as %q", s, q, again)
		}
		tr.search(q, "fred")
	})
}
