// Package arrows holds the tests of what the compiler does not check: which
// package may import which, and that each shows an Example. The drawing is in
// CONTRIBUTING.md; each row below is one of its arrows, and what has no row may
// not be imported.
package arrows

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/seed-244866eb/gatehouse"

// rooms are the packages that stand alone: none of them imports another.
var rooms = []string{"directory", "session", "attempts", "captcha", "formtoken", "proxytrust"}

// shared are the internal packages that production code may import. The other
// internal ones are servers and checks for tests: a room that imported one
// would carry a test server into its users' binaries.
var shared = []string{"internal/request"}

// A row says what the package in dir may import besides the standard library
// and the shared internal packages: packages of this module by their directory,
// others by module path. A dir that ends in "/..." holds for what is below it.
type row struct {
	dir     string
	imports []string
}

var rows = []row{
	{"directory", []string{"github.com/patrickmn/go-cache"}},
	{"session", []string{"github.com/gorilla/sessions"}},
	{"attempts", []string{"golang.org/x/time/rate", "golang.org/x/text"}},
	{"captcha", []string{"github.com/mojocn/base64Captcha"}},
	{"formtoken", nil},
	{"proxytrust", []string{"github.com/gaissmai/bart"}},
	{"directory/ldapdir", []string{"directory", "github.com/go-ldap/ldap/v3", "github.com/go-asn1-ber/asn1-ber"}},
	// A Basic user name is compared in NFC (RFC 7617 section 2.1 and its
	// PRECIS profile). The module comes with attempts anyway.
	{"middleware", append([]string{"golang.org/x/text/unicode/norm"}, rooms...)},
	{"middleware/authtest", append([]string{"middleware"}, rooms...)},
	// The demo is an application: any public package, and one server of the
	// tests as its embedded directory.
	{"example/...", append([]string{"example/cli", "middleware", "directory/ldapdir", "internal/ldapserver"}, rooms...)},

	{"internal/request", nil},
	{"internal/casefile", nil},
	{"internal/ldapserver", []string{"github.com/go-asn1-ber/asn1-ber", "github.com/go-ldap/ldap/v3"}},
	{"internal/sambatest", []string{"internal/testservers"}},
	{"internal/slapdtest", []string{"internal/testservers"}},
	{"internal/soak", nil},
	{"internal/storetest", []string{"session", "attempts", "captcha"}},
	{"internal/testservers", nil},
}

// find returns the row that holds for dir.
func find(dir string) (row, bool) {
	for _, r := range rows {
		below, tree := strings.CutSuffix(r.dir, "/...")
		if dir == below || tree && strings.HasPrefix(dir, below+"/") {
			return r, true
		}
	}
	return row{}, false
}

// allowed reports whether a package with this row may import name.
func (r row) allowed(name string) bool {
	inside, ours := strings.CutPrefix(name, module+"/")
	switch {
	case ours:
		return slices.Contains(shared, inside) || slices.Contains(r.imports, inside)
	case name == "C":
		return false
	case !strings.Contains(strings.Split(name, "/")[0], "."):
		return true // no dot in the first element: the standard library
	}
	return slices.ContainsFunc(r.imports, func(m string) bool {
		return strings.Contains(m, ".") && (name == m || strings.HasPrefix(name, m+"/"))
	})
}

// faults returns one sentence for each import of a package in dir that no
// arrow allows.
func faults(dir string, imports []string) []string {
	r, ok := find(dir)
	if !ok {
		return []string{dir + " has no row: say in internal/arrows what it may import"}
	}
	var out []string
	for _, name := range imports {
		if !r.allowed(name) {
			out = append(out, dir+" must not import "+name)
		}
	}
	return out
}

// importsOf reads the imports of all Go files below root that are not tests,
// whatever their build tags, by directory.
func importsOf(root string) (map[string][]string, error) {
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == root {
			return err
		}
		if d.IsDir() {
			return skipDir(file, d.Name())
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		names, err := importsOfFile(file)
		rel, relErr := filepath.Rel(root, filepath.Dir(file))
		dir := filepath.ToSlash(rel)
		found[dir] = append(found[dir], names...)
		return errors.Join(err, relErr)
	})
	return found, err
}

// skipDir leaves out what the go command leaves out, and modules of their own.
func skipDir(dir, name string) error {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	if err == nil || name == "testdata" || name[0] == '.' || name[0] == '_' {
		return fs.SkipDir
	}
	return nil
}

func importsOfFile(file string) ([]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range f.Imports {
		name, err := strconv.Unquote(s.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		names = append(names, name)
	}
	return names, nil
}

func TestNoOtherArrow(t *testing.T) {
	found, err := importsOf(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append([]string{"middleware", "directory/ldapdir", "example"}, rooms...) {
		if len(found[dir]) == 0 {
			t.Errorf("read no import of %s: this test looks in the wrong place", dir)
		}
	}
	for dir, imports := range found {
		for _, fault := range faults(dir, imports) {
			t.Error(fault)
		}
	}
}

// TestEveryPackageHasAnExample looks for the Example by which a reader meets a
// package.
func TestEveryPackageHasAnExample(t *testing.T) {
	root := filepath.Join("..", "..")
	found, err := importsOf(root)
	if err != nil {
		t.Fatal(err)
	}
	for dir := range found {
		if strings.HasPrefix(dir, "internal/") || strings.HasPrefix(dir, "example") {
			continue
		}
		if n := countExamples(t, filepath.Join(root, dir)); n == 0 {
			t.Errorf("%s has no Example", dir)
		}
	}
}

// countExamples returns how many functions of the tests in dir godoc shows.
func countExamples(t *testing.T, dir string) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Example") && strings.HasSuffix(f.Name.Name, "_test") {
				n++
			}
		}
	}
	return n
}

// TestCheckerCanFail keeps the test above honest: a checker that finds nothing
// passes on everything.
func TestCheckerCanFail(t *testing.T) {
	for _, tt := range []struct {
		name, dir, imports string
		ok                 bool
	}{
		{"the standard library is everybody's", "formtoken", "net/http", true},
		{"the request record is everybody's", "session", module + "/internal/request", true},
		{"a room's own module", "attempts", "golang.org/x/time/rate", true},
		{"a package below an allowed module", "attempts", "golang.org/x/text/unicode/norm", true},
		{"middleware imports a room", "middleware", module + "/captcha", true},
		{"the demo embeds the LDAP server", "example", module + "/internal/ldapserver", true},
		{"a command of the demo too", "example/ldapcheck", module + "/directory/ldapdir", true},

		{"a room imports a room", "session", module + "/attempts", false},
		{"a room imports middleware", "captcha", module + "/middleware", false},
		{"a room imports another room's module", "session", "github.com/patrickmn/go-cache", false},
		{"a module whose name only begins alike", "attempts", "golang.org/x/textual", false},
		{"middleware imports an LDAP client", "middleware", "github.com/go-ldap/ldap/v3", false},
		{"middleware imports the LDAP source", "middleware", module + "/directory/ldapdir", false},
		{"directory imports its source", "directory", module + "/directory/ldapdir", false},
		{"a room imports a test server", "directory/ldapdir", module + "/internal/ldapserver", false},
		{"the demo imports another internal package", "example", module + "/internal/slapdtest", false},
		{"the record imports a room", "internal/request", module + "/session", false},
		{"cgo", "proxytrust", "C", false},
		{"the module itself", "session", module, false},
		{"a package nobody has drawn", "util", "fmt", false},
		{"nor below a room", "session/sub", "fmt", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := faults(tt.dir, []string{tt.imports}); (len(got) == 0) != tt.ok {
				t.Errorf("%s importing %s: faults %q, want none: %v", tt.dir, tt.imports, got, tt.ok)
			}
		})
	}
}

// TestReaderSeesForbiddenImport runs the way from file to fault on a tree with
// a fault in a file with a build tag, one in a test, and one in testdata.
func TestReaderSeesForbiddenImport(t *testing.T) {
	root := t.TempDir()
	for name, body := range map[string]string{
		"session/a.go":          "package session\nimport \"fmt\"\nvar _ = fmt.Sprint\n",
		"session/b.go":          "//go:build windows\n\npackage session\nimport _ \"" + module + "/attempts\"\n",
		"session/b_test.go":     "package session\nimport _ \"" + module + "/middleware\"\n",
		"session/testdata/c.go": "package c\nimport _ \"" + module + "/captcha\"\n",
		"other/go.mod":          "module other\n",
		"other/d.go":            "package other\n",
	} {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := importsOf(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 {
		t.Errorf("read %v, want the directory session alone", found)
	}
	want := []string{"session must not import " + module + "/attempts"}
	if got := faults("session", found["session"]); !slices.Equal(got, want) {
		t.Errorf("faults %q, want %q", got, want)
	}
}
