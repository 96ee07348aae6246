package main_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var clientSteps = []step{
	{"the curl recipes", curlRecipes},
	{"node-rest-client, the sample of Atlassian's page", nodeRESTClient},
	{"jira-connector, by cookie and by Basic", jiraConnector},
}

// run runs a client to its end and returns its standard output.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", filepath.Base(name), err, out, errors.String())
	}
	return string(out)
}

// curlRecipes are those of Jira's documentation, with the address alone
// changed.
func curlRecipes(t *testing.T, p *program) {
	curl := func(args ...string) string {
		return run(t, "", need(t, "curl"), append([]string{"-sS", "-w", "\n%{http_code}"}, args...)...)
	}
	out := curl("-X", "POST", p.base+"/rest/auth/1/session", "-H", "content-type: application/json",
		"-d", `{"username":"fred","password":"fredpass"}`)
	body, status, _ := strings.Cut(out, "\n")
	var login sessionBody
	if err := json.Unmarshal([]byte(body), &login); err != nil || status != "200" || login.Session == nil {
		t.Fatalf("login: %s (%v)", out, err)
	}
	file := writeFile(t, "attached by curl\n")
	for _, tt := range []struct {
		name, status string
		args         []string
	}{
		{"the cookie, its pair ended with ;", "200", []string{"-b", "JSESSIONID=" + login.Session.Value + ";", p.base + "/rest/api/2/issue/TEST-3"}},
		{"the cookie as a header", "200", []string{"-H", "cookie: JSESSIONID=" + login.Session.Value, p.base + "/rest/api/2/issue/TEST-3"}},
		{"Basic", "200", []string{"-u", "fred:fredpass", "-X", "GET", "-H", "Content-Type: application/json", p.base + "/rest/api/2/issue/TEST-3"}},
		{"Basic, wrong", "401", []string{"-u", p.w.nobody() + ":pw-wrong", p.base + "/rest/api/2/issue/TEST-3"}},
		{"an attachment", "200", []string{"-u", "fred:fredpass", "-X", "POST", "-H", "X-Atlassian-Token: no-check", "-F", "file=@" + file, p.base + "/rest/api/2/issue/TEST-3/attachments"}},
		{"a search", "200", []string{"-u", "fred:fredpass", "-X", "POST", "-H", "Content-Type: application/json", "--data", `{"jql":"type=Bug AND status=Closed"}`, p.base + "/rest/api/2/search"}},
		{"nobody", "401", []string{p.base + "/rest/api/2/issue/TEST-3"}},
		{"the end", "204", []string{"-X", "DELETE", "-b", "JSESSIONID=" + login.Session.Value + ";", p.base + "/rest/auth/1/session"}},
		{"after the end", "401", []string{"-b", "JSESSIONID=" + login.Session.Value + ";", p.base + "/rest/api/2/issue/TEST-3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := curl(tt.args...)
			if got := out[strings.LastIndexByte(out, '\n')+1:]; got != tt.status {
				t.Errorf("curl %q answers %s, want %s; %.300s", tt.args, got, tt.status, out)
			}
		})
	}
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// script installs the packages once and returns the path of a script of
// testdata/e2e beside them.
func (w *world) script(t *testing.T, name string) string {
	t.Helper()
	npm := need(t, "npm")
	if w.node == "" {
		dir, err := os.MkdirTemp("", "e2e-npm")
		if err != nil {
			t.Fatal(err)
		}
		w.cleanup(func() { os.RemoveAll(dir) })
		run(t, dir, npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "--prefix", dir,
			"node-rest-client@3.1.1", "jira-connector@3.1.0")
		w.node = dir
	}
	source, err := os.ReadFile(filepath.Join("testdata", "e2e", name))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(w.node, name)
	if err := os.WriteFile(file, source, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func nodeRESTClient(t *testing.T, p *program) {
	script := p.w.script(t, "node-rest-client.js")
	const want = "login 200 object\nsearch 200 true\n"
	if got := run(t, p.w.node, need(t, "node"), script, p.base, "fred", "fredpass"); got != want {
		t.Errorf("the sample prints\n%swant\n%s", got, want)
	}
	if got, want := run(t, p.w.node, need(t, "node"), script, p.base, p.w.nobody(), "pw-wrong"), "login 401 object\n"; got != want {
		t.Errorf("with a wrong password the sample prints\n%swant\n%s", got, want)
	}
}

func jiraConnector(t *testing.T, p *program) {
	script := p.w.script(t, "jira-connector.js")
	const want = `before 401
current user fred
cookie myself cookie
cookie issue TEST-3
cookie search true
cookie attachment ok
cookie comment ok
logout ok
after 401
basic myself basic
basic issue TEST-3
basic search true
basic attachment ok
basic comment ok
wrong 401
`
	if got := run(t, p.w.node, need(t, "node"), script, p.base, "fred", "fredpass", writeFile(t, "attached by jira-connector\n"), p.w.nobody()); got != want {
		t.Errorf("the script prints\n%swant\n%s", got, want)
	}
}
