package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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

// TestREADMEWiringCompiles builds the program of the README as a module of its
// own: what a newcomer copies must be right.
func TestREADMEWiringCompiles(t *testing.T) {
	_, rest, ok := strings.Cut(readme(t), "```go\n")
	code, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("the README has no Go block")
	}
	const imports = `import (
	"context"; "errors"; "fmt"; "log"; "net/http"; "os"; "os/signal"; "syscall"; "time"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/middleware"
)
`
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
		"main.go": "package main\n\n" + imports + code,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "vet", "-mod=mod", ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("the program of the README: %v\n%s", err, out)
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
