package ldapdir_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
)

const canary = "canary-in-the-mine"

// canaryConfig has secrets that spell the canary.
func canaryConfig() ldapdir.Config {
	key := make(ed25519.PrivateKey, ed25519.PrivateKeySize)
	copy(key, canary)
	return good(func(c *ldapdir.Config) {
		c.BindDN, c.BindPassword = "cn=reader", canary
		c.Certificates = []tls.Certificate{{PrivateKey: key}}
	})
}

// spellings are the ways in which package fmt and the encoders write the
// canary, as a text and as the bytes of a key.
func spellings() []string {
	return []string{
		canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("% x", canary),
		strings.Trim(fmt.Sprint([]byte(canary)), "[]"),
		strings.TrimPrefix(strings.Trim(fmt.Sprintf("%#v", []byte(canary)), "}"), "[]byte{"),
		"Y2FuYXJ5LWluLXRoZS1taW5l", // base64
	}
}

func mustHide(t *testing.T, what, text string) {
	t.Helper()
	for _, s := range spellings() {
		if strings.Contains(text, s) {
			t.Errorf("%s shows a secret as %q:\n%s", what, s, text)
		}
	}
}

// secretValues are what a program may print: the Config, a pointer to it, the client
// and what holds one of them.
func secretValues(t *testing.T) map[string]any {
	c := canaryConfig()
	d, still := open(t, c), open(t, c)
	still.Close() // to read the fields of a client that is at work would be a race
	return map[string]any{
		"Config": c, "*Config": &c, "[]Config": []ldapdir.Config{c}, "a struct with a Config": struct{ LDAP ldapdir.Config }{c},
		"*Dir": d, "Dir": reflect.ValueOf(still).Elem(), "a struct with a *Dir": struct{ Source *ldapdir.Dir }{d},
		"a struct that hides a *Dir": struct{ source *ldapdir.Dir }{still},
	}
}

func TestNothingShowsTheSecrets(t *testing.T) {
	for name, value := range secretValues(t) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%20v"} {
			mustHide(t, name+" with "+verb, fmt.Sprintf(verb, value))
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Errorf("json.Marshal of %s: %v", name, err)
		}
		mustHide(t, name+" in JSON", string(text))
		var log bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(h).With("with", value).Info("starting", "config", value, slog.Group("group", "config", value))
		}
		mustHide(t, name+" in a log", log.String())
	}
}

// A handler may walk through the fields by itself.
func TestLogValueHasNoSecret(t *testing.T) {
	v := reflect.ValueOf(slog.AnyValue(canaryConfig()).Resolve().Any())
	if got := v.FieldByName("BindPassword").String(); got != "[hidden]" {
		t.Errorf("BindPassword %q", got)
	}
	if key := v.FieldByName("Certificates").Index(0).FieldByName("PrivateKey"); !key.IsNil() {
		t.Errorf("PrivateKey %v", key)
	}
}

// What hides a secret must not hide all else, or people print field by field.
func TestWhatIsNoSecretShows(t *testing.T) {
	c := canaryConfig()
	d := open(t, c)
	var text, lines bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("starting", "config", c, "dir", d)
	slog.New(slog.NewJSONHandler(&lines, nil)).Info("starting", "config", c, "dir", d)
	js, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, got, want string }{
		{"%v", fmt.Sprint(c), "{[ldaps://dc1.example.org] dc=example,dc=org   cn=reader [hidden] "},
		{"%+v", fmt.Sprintf("%+v", c), "BindDN:cn=reader BindPassword:[hidden] "},
		{"%+v of a pointer", fmt.Sprintf("%+v", &c), "BindDN:cn=reader BindPassword:[hidden] "},
		{"%#v", fmt.Sprintf("%#v", c), `BindDN:"cn=reader", BindPassword:"[hidden]"`},
		{"no password", fmt.Sprintf("%+v", ldapdir.Config{}), "BindPassword: "},
		{"JSON", string(js), `"BindDN":"cn=reader"`},
		{"a line of text", text.String(), "BindDN:cn=reader BindPassword:[hidden] "},
		{"a line of JSON", lines.String(), `"BindDN":"cn=reader"`},
		{"the client", fmt.Sprint(d), `ldapdir client of ["ldaps://dc1.example.org"]`},
		{"the client in a line of JSON", lines.String(), `"dir":"ldapdir client of [\"ldaps://dc1.example.org\"]"`},
		{"no client", fmt.Sprint((*ldapdir.Dir)(nil)), "<nil>"},
		{"no Config", fmt.Sprint((*ldapdir.Config)(nil)), "<nil>"},
	} {
		if !strings.Contains(tt.got, tt.want) {
			t.Errorf("%s: no %q in\n%s", tt.name, tt.want, tt.got)
		}
	}
}

// Whoever writes a password into a URL hears that there is too much in it, and
// nobody who reads the error hears the password.
func TestNoErrorShowsAPasswordInAURL(t *testing.T) {
	for _, url := range []string{
		"ldap://cn=admin:" + canary + "@127.0.0.1:389", "ldaps://" + canary + "@dc1", canary + "@dc1", "ldap://a:" + canary + "@b@dc1",
		"ldap://127.0.0.1/??sub??x-bindpw=" + canary, "ldap://u:" + canary + "@dc1:%zz", "ldap://u:" + canary + "@dc1 :1",
		// What ends the host in a password that is not escaped.
		"ldap://u:" + canary + "/x@dc1", "ldap://u:" + canary + "?x@dc1", "ldap://u:" + canary + "#x@dc1", "ldap://u:x?" + canary + "@dc1",
		"ldap://u:" + canary, "ldap:u:" + canary, "ldap://dc1/" + canary, "ldap://dc1#" + canary, "ldap://dc1:1/?" + canary,
	} {
		_, err := ldapdir.New(good(func(c *ldapdir.Config) { c.URLs = []string{url} }))
		if err == nil {
			t.Fatalf("%s is accepted", url)
		}
		mustHide(t, url, err.Error())
	}
}
