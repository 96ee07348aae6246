package sambatest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// copyDomain returns a directory with a fresh copy of the domain of c for a
// server on the address. The directory goes with the test.
func copyDomain(t testing.TB, c Config, address string) string {
	t.Helper()
	// Not t.TempDir: the name of the test would make the paths of Samba's
	// sockets longer than the 107 bytes that the kernel takes.
	dir, err := os.MkdirTemp("", "sambatest")
	if err != nil {
		t.Fatalf("sambatest: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	from, err := template(c.Members)
	if err == nil {
		err = os.CopyFS(dir, os.DirFS(from))
	}
	if err == nil {
		err = write(dir, address, c.AllowPlain)
	}
	if err == nil {
		err = modify(dir, c.LDIF)
	}
	if err != nil {
		t.Fatalf("sambatest: %v", err)
	}
	return dir
}

// template returns the directory of a domain with so many members of the group
// Big, which must only be copied. It is made when nobody has made it before,
// and kept from run to run under the hash of all that went into it.
func template(members int) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	steps := []step{
		{ldif: domainLDIF()},
		{ldif: peopleLDIF()},
		{ldif: oldPassLDIF(), args: []string{"--controls=local_oid:" + bypassPasswordHash + ":0"}},
	}
	base, err := cached(cache, provisionArgs("DIR"), steps, func(dir string) error {
		return tool("", "samba-tool", provisionArgs(dir)...)
	})
	if err != nil || members == 0 {
		return base, err
	}
	steps = []step{{ldif: membersLDIF(members)}}
	return cached(cache, []string{filepath.Base(base)}, steps, func(dir string) error {
		return os.CopyFS(dir, os.DirFS(base))
	})
}

// bypassPasswordHash is the control of Samba that leaves out its module
// password_hash (DSDB_CONTROL_BYPASS_PASSWORD_HASH_OID in samdb.h).
const bypassPasswordHash = "1.3.6.1.4.1.7165.4.3.12"

// A step is a change of a domain while no server runs on it.
type step struct {
	ldif string
	args []string // for ldbmodify
}

// cached returns a directory below cache that begin and the steps have
// filled. The name is a hash of recipe and steps, and a directory under its
// final name is whole: other programs may want the same one right now, and
// may be killed while they make it.
func cached(cache string, recipe []string, steps []step, begin func(dir string) error) (string, error) {
	name := fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%q %q %s", recipe, steps, smbConf)))[:20]
	final := filepath.Join(cache, name)
	unlock, err := lock(final + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	building := final + ".building"
	if err := os.RemoveAll(building); err != nil {
		return "", err
	}
	if err := begin(building); err != nil {
		return "", err
	}
	if err := write(building, "127.0.0.1", false); err != nil {
		return "", err
	}
	for _, s := range steps {
		if err := modify(building, s.ldif, s.args...); err != nil {
			return "", err
		}
	}
	// The places of sockets, whose modes Samba checks and a copy loses.
	if err := os.RemoveAll(filepath.Join(building, "run")); err != nil {
		return "", err
	}
	return final, os.Rename(building, final)
}

// cacheDir returns a directory that is this user's alone: what lies in it is
// run by root.
func cacheDir() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("gatehouse-sambatest-%d", os.Geteuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s is open to others: remove it", dir)
	}
	return dir, nil
}

// lock waits until the file is this process's and this call's alone.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// modify applies LDIF to the database in dir, whether a server runs on it or
// not.
func modify(dir, ldif string, args ...string) error {
	if strings.TrimSpace(ldif) == "" {
		return nil
	}
	args = append(args, "-H", filepath.Join(dir, "private", "sam.ldb"), "--configfile="+filepath.Join(dir, "etc", "smb.conf"))
	return tool(ldif, "ldbmodify", args...)
}
