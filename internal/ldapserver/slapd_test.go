package ldapserver

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// TestFiltersAsSlapd asks a real OpenLDAP the questions of filterTests, so
// that the expected values are not our own invention.
func TestFiltersAsSlapd(t *testing.T) {
	c := dial(t, startSlapd(t, testEntries()))
	for _, tt := range filterTests {
		if tt.slapd {
			t.Run(tt.name, func(t *testing.T) { checkFilter(t, c, tt.filter, tt.want) })
		}
	}
}

// TestBindsAsSlapd compares the results of binds with those of OpenLDAP.
func TestBindsAsSlapd(t *testing.T) {
	real := startSlapd(t, testEntries())
	ours := start(t, Config{Entries: testEntries()}).URL()
	for _, tt := range bindTests {
		for where, url := range map[string]string{"slapd": real, "ours": ours} {
			t.Run(tt.name+"/"+where, func(t *testing.T) {
				r := ldap.NewSimpleBindRequest(tt.dn, tt.password, nil)
				r.AllowEmptyPassword = true
				_, err := dial(t, url).SimpleBind(r)
				if got := resultOf(err); got != tt.want {
					t.Errorf("result %d, want %d: %v", got, tt.want, err)
				}
			})
		}
	}
}

// program returns the path of a program, or skips the test. Under CI=true a
// missing program is a failure.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path = filepath.Join("/usr/sbin", name); fileExists(path) {
			return path
		}
		slapdtest.Skip(t, name+" is not installed")
	}
	return path
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func startSlapd(t *testing.T, entries []Entry) (url string) {
	t.Helper()
	slapd, slapadd := program(t, "slapd"), program(t, "slapadd")
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := write("slapd.conf", `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile `+dir+`/pid
database mdb
suffix `+suffix+`
directory `+dir+`/db
access to attrs=userPassword by anonymous auth by * none
access to * by * read
`)
	if out, err := exec.Command(slapadd, "-q", "-f", config, "-l", write("data.ldif", ldif(entries))).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	addr := freeAddress(t)
	cmd := exec.Command(slapd, "-d", "0", "-h", "ldap://"+addr, "-f", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return "ldap://" + addr
		}
		if time.Now().After(deadline) {
			t.Fatal("slapd does not listen")
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ldif writes values in base64, so that none needs a look.
func ldif(entries []Entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "dn:: %s\n", base64Of(e.DN))
		names := attributes(e.Attributes)
		sort.Strings(names)
		for _, n := range names {
			for _, v := range e.Attributes[n] {
				fmt.Fprintf(&b, "%s:: %s\n", n, base64Of(v))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
