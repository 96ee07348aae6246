package main_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// readme returns the README of the repository.
func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wiring returns the program of the README, whole.
func wiring(t *testing.T, packages ...string) string {
	t.Helper()
	_, rest, ok := strings.Cut(readme(t), "```go\n")
	code, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("the README has no Go block")
	}
	imports := `"context"; "errors"; "fmt"; "log"; "net/http"; "os"; "os/signal"; "syscall"; "time"`
	for _, p := range packages {
		imports += `; "github.com/seed-244866eb/gatehouse/` + p + `"`
	}
	return "package main\n\nimport (" + imports + ")\n\n" + code
}

// module writes program into a module of its own and returns its directory.
func module(t *testing.T, program string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": strings.Replace(string(mod), "module github.com/seed-244866eb/gatehouse", "module app", 1) +
			"\nrequire github.com/seed-244866eb/gatehouse v0.0.0\nreplace github.com/seed-244866eb/gatehouse => " + root + "\n",
		"go.sum":  string(sum),
		"main.go": program,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// goTool runs the go command in dir.
func goTool(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestREADMEWiringCompiles vets the program of the README as a module of its
// own: what a newcomer copies must be right.
func TestREADMEWiringCompiles(t *testing.T) {
	goTool(t, module(t, wiring(t, "directory/ldapdir", "middleware")), "vet", "-mod=mod", ".")
}

// span returns the code that the README has between backquotes and that begins
// with start.
func span(t *testing.T, start string) string {
	t.Helper()
	m := regexp.MustCompile("`(" + regexp.QuoteMeta(start) + "[^`]*)`").FindStringSubmatch(readme(t))
	if m == nil {
		t.Fatalf("the README has no code that begins with %s", start)
	}
	return m[1]
}

// TestREADMEVariantWorks does to the program what the README tells in words:
// a list of people, another cookie, a trusted proxy. It then lets somebody in,
// ends in good order, and tells a fault by its status.
func TestREADMEVariantWorks(t *testing.T) {
	address := freeAddress(t)
	program := wiring(t, "directory", "middleware", "proxytrust", "session")
	for _, r := range [][2]string{
		{`ldapdir\.New\(.*\)`, span(t, "directory.NewStatic(")},
		{`\tdefer dir\.Close\(\)\n`, "\ttrust, err := " + span(t, "proxytrust.New(") + "\n\tif err != nil {\n\t\treturn err\n\t}\n\tdefer trust.Close()\n"},
		{`Directory: dir`, "Directory: dir, Trust: trust, " + span(t, "Session: session.Config{")},
		{`":8080"`, `"` + address + `"`},
	} {
		old := regexp.MustCompile(r[0])
		if n := len(old.FindAllString(program, -1)); n != 1 {
			t.Fatalf("%s is %d times in the program", old, n)
		}
		program = old.ReplaceAllLiteralString(program, r[1])
	}
	dir := module(t, program)
	goTool(t, dir, "build", "-mod=mod", "-o", "app", ".")
	app := exec.Command(filepath.Join(dir, "app"))
	var log bytes.Buffer
	app.Stderr = &log
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Process.Kill() })
	if got := helloOf(t, "http://"+address); !strings.HasPrefix(got, "Hello fred, ") {
		t.Errorf("answers %q", got)
	}
	if err := exec.Command(filepath.Join(dir, "app")).Run(); err == nil {
		t.Error("a second one at the same address ends with status 0")
	}
	app.Process.Signal(syscall.SIGTERM)
	if err := app.Wait(); err != nil || strings.Contains(log.String(), "nil") {
		t.Errorf("after SIGTERM: %v, standard error:\n%s", err, log.String())
	}
}

// helloOf returns what fred is answered, once there is an answer.
func helloOf(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("fred", "secret")
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.DefaultClient.Do(r)
		if err != nil && time.Now().Before(end) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return string(body)
	}
}

// TestREADMELinks fails for a link to a file that is not there.
func TestREADMELinks(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(readme(t), -1)
	if len(links) < 10 {
		t.Fatalf("found %d links to files: this test reads the wrong thing", len(links))
	}
	for _, m := range links {
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Errorf("README.md links to %s: %v", m[1], err)
		}
	}
}
