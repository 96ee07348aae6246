// The tests of this package's e2e files drive the built program from outside,
// as its users do: a real slapd behind it, real clients before it. What they
// expect comes from the protocol of Jira's clients, not from what the program
// prints.
package main_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// people are the ones of the embedded directory, so that the recipes run
// unchanged; the rest of the 10,000 is generated.
var people = []slapdtest.Person{
	{Name: "fred", Password: "fredpass", DisplayName: "Fred Normal", Email: "fred@example.org", Groups: []string{"jira-users", "jira-developers"}},
	{Name: "admin", Password: "adminpass", Groups: []string{"jira-users", "jira-administrators"}},
	{Name: "nogroups", Password: "nogroupspass"},
	{Name: "zoë", Password: "pässwörd", Groups: []string{"jira-users"}},
}

// fresh returns how many more people there are: each step that fails logins
// takes one whom nobody has counted yet, and a soak many.
func fresh() int { return 60 + 6*rounds() }

// A world is what both runs of the program share.
type world struct {
	slapd  *slapdtest.Server
	url    string // of the directory, and the file of its authority
	caFile string
	binary string
	node   string // directory with the npm packages; "" until a step asks

	given    int // fresh people handed out
	invented int // unknown names handed out

	cleanup func(func()) // of the whole test: t.Cleanup of a step is too early
}

// A step is one promise, tried on a running program.
type step struct {
	name string
	run  func(*testing.T, *program)
}

// steps are in order: floods late, because they use up the address limiter,
// and outages last, because they hurt everybody.
var steps = [][]step{sessionSteps, identitySteps, formSteps, lockoutSteps, clientSteps, floodSteps, outageSteps}

func TestEndToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a slapd, npm and half a minute")
	}
	w := newWorld(t)
	for _, where := range []struct{ name, context string }{
		{"at the root", ""},
		{"below a context path", "/jira"},
	} {
		t.Run(where.name, func(t *testing.T) {
			p := start(t, w, where.context)
			for _, group := range steps {
				for _, s := range group {
					t.Run(s.name, func(t *testing.T) { s.run(t, p) })
				}
			}
			p.stop(t)
		})
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	all := people
	for i := range fresh() {
		all = append(all, slapdtest.Person{Name: freshName(i), Groups: []string{"jira-users"}})
	}
	return newWorldWith(t, slapdtest.Config{Users: 10_000, Groups: 1_000, People: all})
}

func newWorldWith(t *testing.T, c slapdtest.Config) *world {
	t.Helper()
	slapd := slapdtest.Start(t, c)
	w := newWorldOf(t, slapd.TLSURL(), slapd.CAFile())
	w.slapd = slapd
	return w
}

// newWorldOf returns a world around the directory at url.
func newWorldOf(t *testing.T, url, caFile string) *world {
	t.Helper()
	w := &world{url: url, caFile: caFile, binary: filepath.Join(t.TempDir(), "example"), cleanup: t.Cleanup}
	build := exec.Command("go", "build", "-o", w.binary, ".")
	if raceEnabled {
		build = exec.Command("go", "build", "-race", "-o", w.binary, ".")
	}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return w
}

func freshName(i int) string { return fmt.Sprintf("person%03d", i) }

// person returns the name of somebody who has never logged in or failed to.
// The password is "pw-" and the name.
func (w *world) person(t *testing.T) string {
	t.Helper()
	if w.given == fresh() {
		t.Fatalf("all %d fresh people are used up", fresh())
	}
	w.given++
	return freshName(w.given - 1)
}

// nobody returns a name that the directory does not hold and that nobody has
// counted yet.
func (w *world) nobody() string {
	w.invented++
	return fmt.Sprintf("nobody%02d", w.invented)
}

// need returns the path of a command, or skips the test; under CI=true it
// fails, since a build server must not pass by not looking.
func need(t *testing.T, command string) string {
	t.Helper()
	path, err := exec.LookPath(command)
	if err == nil {
		return path
	}
	slapdtest.Skip(t, command+" is not installed")
	return ""
}
