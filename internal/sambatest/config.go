package sambatest

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// provisionArgs are the arguments of samba-tool that make a domain in dir.
// The host's own names and addresses are not asked: the same domain comes out
// on every machine.
func provisionArgs(dir string) []string {
	return []string{"domain", "provision", "--targetdir=" + dir, "--realm=" + Realm, "--domain=" + Domain,
		"--server-role=dc", "--dns-backend=NONE", "--host-name=dc1", "--host-ip=127.0.0.1", "--adminpass=" + AdminPassword}
}

// write writes smb.conf and makes the directories that Samba insists on.
func write(dir, address string, allowPlain bool) error {
	strong := "yes"
	if allowPlain {
		strong = "no"
	}
	conf := strings.NewReplacer("@DIR@", dir, "@IP@", address, "@STRONG@", strong,
		"@REALM@", Realm, "@DOMAIN@", Domain).Replace(smbConf)
	return errors.Join(
		os.MkdirAll(filepath.Join(dir, "run", "ncalrpc", "np"), 0o700),
		os.MkdirAll(filepath.Join(dir, "run", "winbindd"), 0o755),
		os.WriteFile(filepath.Join(dir, "etc", "smb.conf"), []byte(conf), 0o600))
}

// smbConf runs the LDAP server of a domain controller and nothing else. All
// paths are in its directory. The old password of a person would be good for
// another hour, as in Active Directory; a test of a changed password cannot
// wait for that.
const smbConf = `[global]
	netbios name = DC1
	realm = @REALM@
	workgroup = @DOMAIN@
	server role = active directory domain controller
	server services = ldap
	interfaces = @IP@/8
	bind interfaces only = yes
	ldap server require strong auth = @STRONG@
	old password allowed period = 0
	tls keyfile = @DIR@/server.key
	tls certfile = @DIR@/server.crt
	tls cafile = @DIR@/ca.crt
	private dir = @DIR@/private
	state directory = @DIR@/state
	cache directory = @DIR@/cache
	lock directory = @DIR@
	binddns dir = @DIR@/bind-dns
	pid directory = @DIR@/run
	ncalrpc dir = @DIR@/run/ncalrpc
	winbindd socket directory = @DIR@/run/winbindd
	log file = @DIR@/log.%m
	panic action =
`

// claimAddress returns a loopback address on which the ports of Active
// Directory are free, and which no other test takes while this one runs.
func claimAddress(t testing.TB) string {
	t.Helper()
	cache, err := cacheDir()
	if err != nil {
		t.Fatalf("sambatest: %v", err)
	}
	for n := 2; n < 255; n++ {
		address := "127.77.0." + strconv.Itoa(n)
		if release, ok := claim(filepath.Join(cache, address+".lock")); ok {
			if portsFree(address) {
				t.Cleanup(release)
				return address
			}
			release()
		}
	}
	t.Fatal("sambatest: no loopback address has the ports of Active Directory free")
	return ""
}
