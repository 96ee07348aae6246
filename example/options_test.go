package main

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/example/cli"
	"github.com/seed-244866eb/gatehouse/middleware"
)

// defaults returns the options of the contract when nothing is given.
func defaults() options {
	return options{
		addr: "127.0.0.1:8080", ldap: cli.Directory{Base: "dc=example,dc=org", Schema: "auto", Timeout: 5 * time.Second},
		maxAttempts: 3, accessGroups: []string{"jira-users"},
		adminGroup: "jira-administrators", sessionIdle: 30 * time.Minute,
		sessionLifetime: 12 * time.Hour, groupTTL: 5 * time.Minute, groupUpdate: "always", proofTTL: time.Minute, logFormat: "text",
	}
}

func TestOptionsAreRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		env  []string
		want func(*options)
	}{
		{"the defaults of the contract", nil, nil, func(*options) {}},
		{"port 0", []string{"-addr", "127.0.0.1:0"}, nil, func(o *options) { o.addr = "127.0.0.1:0" }},
		{"a base URL with a context path", []string{"-base-url", "http://127.0.0.1:8080/jira"}, nil, func(o *options) { o.baseURL = baseURL{"http://127.0.0.1:8080/jira", "http://127.0.0.1:8080", "/jira"} }},
		{"a base URL with slashes at the end", []string{"-base-url", "https://Jira.example.org/"}, nil, func(o *options) { o.baseURL = baseURL{"https://Jira.example.org/", "https://jira.example.org", ""} }},
		{"several LDAP servers in order", []string{"-ldap", "ldaps://b", "-ldap", "ldaps://a"}, nil, func(o *options) { o.ldap.URLs = []string{"ldaps://b", "ldaps://a"} }},
		{"domains of user names", []string{"-ldap-domain", "AD", "-ldap-domain", "ad.example.org"}, nil, func(o *options) { o.ldap.Domains = []string{"AD", "ad.example.org"} }},
		{"a kind of directory", []string{"-ldap-schema", "freeipa"}, nil, func(o *options) { o.ldap.Schema = "freeipa" }},
		{"several LDAP servers from the environment", nil, []string{"GATEHOUSE_LDAP=ldaps://b, ldaps://a"}, func(o *options) { o.ldap.URLs = []string{"ldaps://b", "ldaps://a"} }},
		{"switches by their names and by a value", []string{"-bare", "-ldap-starttls=true", "-ldap-insecure-plaintext=false"}, nil, func(o *options) { o.bare, o.ldap.StartTLS = true, true }},
		{"names with a comma, one a line", nil, []string{"GATEHOUSE_ACCESS_GROUP=Smith, Jones\nothers\n"}, func(o *options) { o.accessGroups = []string{"Smith, Jones", "others"} }},
		{"an access group instead of the default", []string{"-access-group", "*"}, nil, func(o *options) { o.accessGroups = []string{"*"} }},
		{"a flag before its variable", []string{"-trusted-proxy", "10.0.0.1"}, []string{"GATEHOUSE_TRUSTED_PROXY=10.0.0.2"}, func(o *options) { o.trustedProxies = []string{"10.0.0.1"} }},
		{"servers found by their domain", []string{"-ldap-srv-domain", "example.org", "-ldap-srv-site", "Oslo"}, nil, func(o *options) { o.ldap.SRVDomain, o.ldap.Site = "example.org", "Oslo" }},
		{"no remembered passwords", []string{"-proof-ttl", "0"}, nil, func(o *options) { o.proofTTL = 0 }},
		{"an empty variable as none", nil, []string{"GATEHOUSE_LDAP_TIMEOUT="}, func(*options) {}},
		{"durations, numbers, levels and switches from the environment", nil,
			[]string{"GATEHOUSE_GROUP_TTL=1m", "GATEHOUSE_MAX_ATTEMPTS=0", "GATEHOUSE_LOG_LEVEL=debug", "GATEHOUSE_LDAP_STARTTLS=true"},
			func(o *options) {
				o.groupTTL, o.maxAttempts, o.logLevel, o.ldap.StartTLS = time.Minute, 0, slog.LevelDebug, true
			}},
		{"the bind password from the environment", []string{"-ldap-bind-dn", "cn=x"}, []string{"GATEHOUSE_LDAP_BIND_PASSWORD=s,e\ncret"},
			func(o *options) { o.ldap.BindDN, o.ldap.BindPassword = "cn=x", "s,e\ncret" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := defaults()
			tt.want(&want)
			got, unknown, err := parse(tt.args, tt.env, nil)
			if err != nil || len(unknown) > 0 {
				t.Fatal(err, unknown)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestOptionsAreRefusedByName(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		env  []string
		want string // in the one line
	}{
		{"an unknown flag", []string{"-nonsense"}, nil, "-nonsense"},
		{"an argument", []string{"serve"}, nil, `"serve"`},
		{"a proxy with a line break", []string{"-trusted-proxy", "10.0.0.1\n"}, nil, "-trusted-proxy: begins or ends with white space"},
		{"a proxy with a space", []string{"-trusted-proxy", " 10.0.0.1"}, nil, "-trusted-proxy: begins or ends with white space"},
		{"a proxy with a space from the environment", nil, []string{"GATEHOUSE_TRUSTED_PROXY=10.0.0.1 , 10.0.0.2"}, "GATEHOUSE_TRUSTED_PROXY: begins or ends with white space"},
		{"a proxy with a return from the environment", nil, []string{"GATEHOUSE_TRUSTED_PROXY=10.0.0.1\r\n10.0.0.2"}, "GATEHOUSE_TRUSTED_PROXY: begins or ends with white space"},
		{"a group with a control character", []string{"-access-group", "a\x00b"}, nil, "-access-group: holds a control character"},
		{"an address without port", []string{"-addr", "localhost"}, nil, "-addr"},
		{"a named port", []string{"-addr", "localhost:http"}, nil, "-addr"},
		{"a port too high", []string{"-addr", "localhost:65536"}, nil, "-addr"},
		{"a relative base URL", []string{"-base-url", "/jira"}, nil, "-base-url: not an absolute URL"},
		{"a base URL that is none", []string{"-base-url", "http://a b/"}, nil, "-base-url"},
		{"a certificate without key", []string{"-tls-cert", "x"}, nil, "-tls-key"},
		{"an empty LDAP URL", []string{"-ldap", ""}, nil, "-ldap"},
		{"an empty LDAP base", []string{"-ldap-base", ""}, nil, "-ldap-base"},
		{"an unknown schema", []string{"-ldap-schema", "x500"}, nil, "-ldap-schema"},
		{"a timeout of zero", []string{"-ldap-timeout", "0s"}, nil, "-ldap-timeout"},
		{"a timeout that is none", []string{"-ldap-timeout", "soon"}, nil, "-ldap-timeout: not a duration such as 30m"},
		{"a duration without unit", []string{"-session-idle", "5"}, nil, "-session-idle: not a duration such as 30m"},
		{"a bind DN without password", []string{"-ldap-bind-dn", "cn=x"}, nil, "-ldap-bind-dn"},
		{"a password without bind DN", nil, []string{"GATEHOUSE_LDAP_BIND_PASSWORD=x"}, "-ldap-bind-dn"},
		{"negative attempts", []string{"-max-attempts", "-1"}, nil, "-max-attempts"},
		{"a negative lifetime", []string{"-session-lifetime", "-1h"}, nil, "-session-lifetime"},
		{"an update nobody knows", []string{"-group-update", "sometimes"}, nil, `-group-update: "sometimes"`},
		{"a negative time of remembering", []string{"-proof-ttl", "-1s"}, nil, "-proof-ttl: -1s is negative"},
		{"an idle time of zero", []string{"-session-idle", "0"}, nil, "-session-idle"},
		{"an unknown log format", []string{"-log-format", "xml"}, nil, "-log-format"},
		{"an unknown log level", []string{"-log-level", "loud"}, nil, "-log-level: none of debug, info, warn, error"},
		{"a wrong variable", nil, []string{"GATEHOUSE_MAX_ATTEMPTS=three"}, "GATEHOUSE_MAX_ATTEMPTS: not a whole number"},
		{"a wrong switch", nil, []string{"GATEHOUSE_BARE=perhaps"}, "GATEHOUSE_BARE: not true or false"},
		{"two faults in one line", []string{"-addr", "x", "-log-format", "xml"}, nil, "; -log-format"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := parse(tt.args, tt.env, nil)
			if err == nil {
				t.Fatal("accepted")
			}
			if line := cli.OneLine(err); !strings.Contains(line, tt.want) || strings.Contains(line, "\n") {
				t.Errorf("got %q, want one line with %q", line, tt.want)
			}
		})
	}
}

// TestOptionsReachTheMiddleware where a word or a zero means something else
// there.
func TestOptionsReachTheMiddleware(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		ok   func(middleware.Config) bool
	}{
		{"a minute of remembering", nil, func(c middleware.Config) bool { return c.ProofTTL == time.Minute && !c.NoProofs }},
		{"none", []string{"-proof-ttl", "0"}, func(c middleware.Config) bool { return c.NoProofs }},
		{"groups at every login", nil, func(c middleware.Config) bool { return c.UpdateAtLogin == directory.UpdateAlways }},
		{"of new users", []string{"-group-update", "new"}, func(c middleware.Config) bool { return c.UpdateAtLogin == directory.UpdateNewUsers }},
		{"never", []string{"-group-update", "never"}, func(c middleware.Config) bool { return c.UpdateAtLogin == directory.UpdateNever }},
		{"everybody", []string{"-access-group", "*"}, func(c middleware.Config) bool { return c.AccessGroups == nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, _, err := parse(tt.args, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c := configure(o, slog.New(slog.DiscardHandler)); !tt.ok(c) {
				t.Errorf("%v made ProofTTL %v, NoProofs %v, UpdateAtLogin %v, AccessGroups %q", tt.args, c.ProofTTL, c.NoProofs, c.UpdateAtLogin, c.AccessGroups)
			}
		})
	}
}

func TestNoErrorShowsTheBindPassword(t *testing.T) {
	_, _, err := parse(nil, []string{"GATEHOUSE_LDAP_BIND_PASSWORD=canary"}, nil)
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
}

func TestForeignVariablesAreNamed(t *testing.T) {
	_, unknown, err := parse(nil, []string{"GATEHOUSE_PORT=tcp://10.0.0.1:80", "GATEHOUSE_LDAPS=x", "PATH=/bin", "GATEHOUSE_ADDR=:0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"GATEHOUSE_LDAPS", "GATEHOUSE_PORT"}; !slices.Equal(unknown, want) {
		t.Errorf("got %v, want %v", unknown, want)
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	var out bytes.Buffer
	if _, _, err := parse([]string{"-help"}, nil, &out); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	new(options).flags().Flags.VisitAll(func(f *flag.Flag) {
		if !strings.Contains(out.String(), "  -"+f.Name+" ") && !strings.Contains(out.String(), "  -"+f.Name+"\n") {
			t.Errorf("-%s is missing", f.Name)
		}
	})
}

func TestFilesAreReadAndRefusedByName(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("patterns as they are written, without comments and empty lines", func(t *testing.T) {
		path := write("p", "\ufeff# ours\n10.44.*\r\n\n  2001:db8::/32  \n\r\n#10.0.0.1\n10.0.0.2")
		got, err := readPatterns("-f", path)
		want := []source{{"10.44.*", "-f: " + path + ", line 2"}, {"  2001:db8::/32  ", "-f: " + path + ", line 4"}, {"10.0.0.2", "-f: " + path + ", line 7"}}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
	t.Run("faults name the flag and the file", func(t *testing.T) {
		_, missing := readPatterns("-f", filepath.Join(dir, "missing"))
		_, isDir := readPatterns("-f", dir)
		_, unopened := openAnswers("-f", filepath.Join(dir, "no", "such"))
		for i, err := range []error{missing, isDir, unopened} {
			if err == nil || !strings.HasPrefix(err.Error(), "-f: ") || !strings.Contains(err.Error(), dir) {
				t.Errorf("%d: got %v", i, err)
			}
		}
	})
	t.Run("CAPTCHA answers are for the owner alone and are appended", func(t *testing.T) {
		path := write("answers", "old\n")
		f, err := openAnswers("-f", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("new\n"); err != nil {
			t.Fatal(err)
		}
		f.Close()
		info, _ := os.Stat(path)
		b, _ := os.ReadFile(path)
		if info.Mode().Perm() != 0o600 || string(b) != "old\nnew\n" {
			t.Errorf("mode %v, content %q", info.Mode(), b)
		}
	})
}
