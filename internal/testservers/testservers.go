// Package testservers holds what the packages that run real servers for tests
// share: the program or a skipped test, a child process that dies with its
// parent, a certificate authority. install.sh beside it installs the servers.
//
// Only tests, and packages that only tests import, import this one.
package testservers

import (
	"os"
	"os/exec"
	"testing"
)

// Find returns the path of a program, or skips or fails the test as [Skip]
// does. Debian keeps servers in /usr/sbin, which is not on every user's PATH.
func Find(t testing.TB, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	Skip(t, name+" is not installed")
	return ""
}

// Skip skips the test for want of something that the machine lacks, or fails
// it where the environment says CI=true.
func Skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why + ", and CI=true forbids to skip")
	}
	t.Skip(why)
}
