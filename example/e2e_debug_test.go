package main_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// TestDebugLines: what an operator looks for at debug level is there for one
// login (which server answered, base DN and filter, number of results, time
// taken, "updating groups on login"), a failover is told, and no secret is.
func TestDebugLines(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two slapd")
	}
	config := slapdtest.Config{People: people}
	nodes := slapdtest.StartNodes(t, config, config)
	w := newWorldOf(t, nodes[0].TLSURL(), nodes[0].CAFile())
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(slapdtest.ReaderPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, w, "", "-ldap", nodes[1].TLSURL(), "-log-level", "debug",
		"-ldap-bind-dn", slapdtest.ReaderDN, "-ldap-bind-password-file", file)
	cookie := p.login(t, "fred", "fredpass")
	p.do(t, credentials("fred", "pw-wrong")).is(t, 401)
	basic := call{method: "GET", path: "/rest/api/2/myself", user: "zoë", password: "pässwörd"}
	p.do(t, basic).is(t, 200)
	nodes[0].Kill()
	p.login(t, "admin", "adminpass")
	p.stop(t) // looks for passwords too

	all := p.log.String()
	first, _, _ := strings.Cut(all, "The user 'fred' has PASSED")
	server, dn := `component=ldapdir server=`+nodes[0].TLSURL(), slapdtest.UserDN("fred")
	for _, want := range []string{
		`msg=dial ` + server + ` took=\S+ detail=127\.0\.1\.1:\d+`,
		`msg=tls ` + server + ` took=\S+ detail="TLS 1\.3 for the name 127\.0\.1\.1"`,
		`msg=bind ` + server + ` took=\S+ base="` + slapdtest.ReaderDN + `" detail="service account"`,
		`msg=search ` + server + ` took=\S+ base="` + slapdtest.BaseDN + `" filter="\(uid=fred\)" results=1`,
		`msg=bind ` + server + ` took=\S+ base="` + dn + `"`,
		`msg=search ` + server + ` took=\S+ base="` + slapdtest.BaseDN + `" filter="[^"]*\(member=` + dn + `\)[^"]*" results=2`,
		`msg="updating groups on login" .*user=fred node=` + nodes[0].TLSURL() + ` groups=2 took=\S+`,
	} {
		if n := len(regexp.MustCompile(`level=DEBUG `+want).FindAllString(first, -1)); n == 0 {
			t.Errorf("one login logs no %s\n%s", want, first)
		}
	}
	for _, want := range []string{
		`level=DEBUG msg=bind ` + server + ` took=\S+ base="` + dn + `" error="[^"]*bad credentials"`,
		`level=WARN msg="directory node does not answer" ` + server,
		`level=DEBUG msg=failover component=ldapdir server=` + nodes[1].TLSURL(),
		`level=DEBUG msg=search component=ldapdir server=` + nodes[1].TLSURL() + ` .*filter="\(uid=admin\)" results=1`,
	} {
		if !regexp.MustCompile(want).MatchString(all) {
			t.Errorf("the log has no %s\n%s", want, all)
		}
	}
	for _, secret := range []string{"adminpass", cookie, base64.StdEncoding.EncodeToString([]byte(basic.user + ":" + basic.password))} {
		if strings.Contains(all, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}
