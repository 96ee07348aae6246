package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// TestREADMEShowsWhatIsPrinted runs the scene of the README against two slapd,
// and looks for each line that is shown there.
func TestREADMEShowsWhatIsPrinted(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "    go run ./example/ldapcheck ")
	command, rest, _ := strings.Cut(rest, "\n")
	_, rest, begun := strings.Cut(rest, "```text\n")
	shown, _, ended := strings.Cut(rest, "```")
	if !ok || !begun || !ended {
		t.Fatal("the README shows no run of ldapcheck")
	}
	lines := plain(shown)
	if len(lines) < 10 {
		t.Fatalf("found %d lines: this test reads the wrong thing", len(lines))
	}
	printed := scene(t, strings.Fields(command))
	for _, line := range lines {
		if !slices.Contains(printed, line) {
			t.Errorf("the README shows %q, and what is printed is\n%s", line, strings.Join(printed, "\n"))
		}
	}
}

// scene returns what is printed for two servers, of which the second lacks
// groups of fred.
func scene(t *testing.T, command []string) []string {
	t.Helper()
	node := func(groups ...string) slapdtest.Config {
		return slapdtest.Config{People: []slapdtest.Person{{Name: "fred", Password: "fredpass", Groups: groups}}}
	}
	nodes := slapdtest.StartNodes(t, node("jira-users", "jira-developers", "staff"), node("staff"))
	var names []string
	for i, n := range nodes {
		ours := fmt.Sprintf("ldaps://dc%d.example.org", i+1)
		at := slices.Index(command, ours)
		if at < 0 {
			t.Fatalf("the command does not name %s: %q", ours, command)
		}
		command[at] = n.TLSURL()
		names = append(names, n.TLSURL(), fmt.Sprintf("%s:636 (192.0.2.%d)", ours, i+1), host(n.TLSURL()), fmt.Sprintf("192.0.2.%d:636", i+1), "name "+n.IP(), fmt.Sprintf("name dc%d.example.org", i+1))
	}
	got := check(t, "fredpass", append(command, "-ldap-ca", nodes[0].CAFile())...)
	if got.status != exitProblem {
		t.Errorf("status %d\n%s", got.status, got.stderr)
	}
	return plain(strings.NewReplacer(names...).Replace(got.stdout))
}

// plain returns the lines without what is never the same: times, certificates
// and the numbers of the findings, among which are warnings here.
func plain(text string) (lines []string) {
	for _, r := range [][2]string{{` +[0-9.]+ ms`, " 1 ms"}, {`; certificate of .*`, ""}, {`(?m)^[0-9]+\. `, ""}} {
		text = regexp.MustCompile(r[0]).ReplaceAllString(text, r[1])
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
