package main

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLdapcheckPassesTheDirectoryOfTheDemo is what the README says.
func TestLdapcheckPassesTheDirectoryOfTheDemo(t *testing.T) {
	program := filepath.Join(t.TempDir(), "ldapcheck")
	if out, err := exec.Command("go", "build", "-o", program, "./ldapcheck").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, base := range []string{"dc=example,dc=org", "o=Example", "ou=all,o=Example", "c=DE"} {
		people, err := newPeople(base)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { people.Close() })
		if err := people.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(program, "-ldap", people.URL(), "-ldap-base", base, "-user", "fred", "-password-stdin", "-v")
		c.Stdin, c.Env = strings.NewReader("fredpass\n"), []string{}
		out, err := c.CombinedOutput()
		// The base has an entry: LDAP clients that are pasted its DN show that first.
		if err != nil || !strings.Contains(string(out), "accepted") || !strings.Contains(string(out), `read base "`+base+`" filter "(objectClass=*)" results 1`) {
			t.Errorf("%s: %v\n%s", base, err, out)
		}
	}
}

func TestDemoShowsNoPasswordInAURL(t *testing.T) {
	const secret = "canary-in-the-mine"
	for _, url := range []string{"ldap://u:" + secret + "@dc1", "ldap://u:" + secret + "/x@dc1", "ldaps://dc1/??sub??x=" + secret} {
		var stderr bytes.Buffer
		status := run(context.Background(), []string{"-addr", "127.0.0.1:0", "-ldap", url}, nil, io.Discard, &stderr)
		if status != exitUsage || strings.Contains(stderr.String(), secret) || !strings.Contains(stderr.String(), "-ldap") {
			t.Errorf("%s: status %d, %s", url, status, stderr.String())
		}
	}
}
