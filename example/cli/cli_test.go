package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFilesAreReadAndRefusedByName(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("the first line is the password, spaces and all", func(t *testing.T) {
		got, err := ReadPassword("-f", write("w", " se cret \r\nmore\n"))
		if err != nil || got != " se cret " {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("faults name the flag and the file", func(t *testing.T) {
		empty := write("empty", "\n")
		_, noPassword := ReadPassword("-f", empty)
		_, noCA := ReadCAs("-f", empty)
		_, missing := ReadFile("-f", filepath.Join(dir, "missing"))
		_, isDir := ReadFile("-f", dir)
		for i, err := range []error{noPassword, noCA, missing, isDir} {
			if err == nil || !strings.HasPrefix(err.Error(), "-f: ") || !strings.Contains(err.Error(), dir) {
				t.Errorf("%d: got %v", i, err)
			}
		}
	})
}

// TestOwnFlagsHaveNoVariable: GATEHOUSE_USER may be set for something else.
func TestOwnFlagsHaveNoVariable(t *testing.T) {
	c := New("test")
	c.Own = []string{"user"}
	var d Directory
	d.AddTo(c, "none")
	user := c.Flags.String("user", "", "")
	unknown, err := c.Parse(nil, []string{"GATEHOUSE_USER=x", "GATEHOUSE_LDAP=ldaps://a", "GATEHOUSE_LDAP_BIND_PASSWORD=y"})
	if err != nil || *user != "" || !slices.Equal(d.URLs, []string{"ldaps://a"}) || d.BindPassword != "y" {
		t.Errorf("user %q, servers %q, %v", *user, d.URLs, err)
	}
	if !slices.Equal(unknown, []string{"GATEHOUSE_USER"}) {
		t.Errorf("unknown: %q", unknown)
	}
}
