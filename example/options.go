package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"
)

// An options value is what the command line and the environment ask for.
type options struct {
	addr            string
	baseURL         baseURL
	tlsCert, tlsKey string

	ldap             []string
	ldapBase         string
	ldapUserBase     string
	ldapGroupBase    string
	ldapBindDN       string
	ldapBindPassword string // from the file or the environment, never a flag: ps shows those
	ldapBindFile     string
	ldapSchema       string
	ldapTimeout      time.Duration
	ldapTemplate     string
	ldapCA           string
	ldapStartTLS     bool
	ldapPlaintext    bool

	trustedProxies     []string
	trustedProxiesFile string

	maxAttempts    int
	captchaAnswers string
	accessGroups   []string
	adminGroup     string

	sessionIdle, sessionLifetime time.Duration
	groupTTL, proofTTL           time.Duration

	logFormat string
	logLevel  slog.Level
	bare      bool
}

// flags returns the flags that fill o, and sets o to their defaults. Scripts
// elsewhere rely on names and defaults: flags may be added, and none changed.
func (o *options) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("example", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // parse reports a fault in one line of its own
	fs.Usage = func() {}
	fs.StringVar(&o.addr, "addr", "127.0.0.1:8080", "listen on `HOST:PORT`; port 0 picks one")
	fs.Var(&o.baseURL, "base-url", "the `URL` that clients see; its path is the context path (default: from the request)")
	fs.StringVar(&o.tlsCert, "tls-cert", "", "serve TLS with the certificate chain in `FILE` (PEM)")
	fs.StringVar(&o.tlsKey, "tls-key", "", "the key of -tls-cert, in `FILE` (PEM)")
	o.directoryFlags(fs)
	fs.Var((*list)(&o.trustedProxies), "trusted-proxy", "believe forwarding headers from `PATTERN`: an address, 192.168.*, a CIDR or a host name; repeatable")
	fs.StringVar(&o.trustedProxiesFile, "trusted-proxies-file", "", "more such patterns in `FILE`, one a line, read at the start; lines that begin with # are comments")
	o.maxAttempts = 3
	fs.Var((*number)(&o.maxAttempts), "max-attempts", "ask for a CAPTCHA after `N` failed logins; 0: no limit of any kind on failed logins, neither CAPTCHA nor delay nor address limit")
	fs.StringVar(&o.captchaAnswers, "insecure-captcha-answers", "", "append a line of ID and ANSWER for each CAPTCHA to `FILE`: for tests alone")
	fs.Var((*list)(&o.accessGroups), "access-group", "members of the group `NAME` may use the tracker; * is everybody in the directory; repeatable (default jira-users)")
	fs.StringVar(&o.adminGroup, "admin-group", "jira-administrators", "members of the group `NAME` are administrators")
	durationFlag(fs, &o.sessionIdle, "session-idle", 30*time.Minute, "end a session that was not used for `D`")
	durationFlag(fs, &o.sessionLifetime, "session-lifetime", 12*time.Hour, "end a session `D` after the login")
	durationFlag(fs, &o.groupTTL, "group-ttl", 5*time.Minute, "cached groups count as fresh for `D`")
	durationFlag(fs, &o.proofTTL, "proof-ttl", time.Minute, "remember for `D` that a password of Basic credentials was right; 0 asks the directory each time")
	fs.StringVar(&o.logFormat, "log-format", "text", "write the log as `FORMAT`: text or json")
	fs.Var((*level)(&o.logLevel), "log-level", "log from `LEVEL` on: debug, info, warn or error (default info)")
	fs.Var((*toggle)(&o.bare), "bare", "the same pages with no gatehouse handler at all, open to everybody, for comparison of speed")
	return fs
}

// directoryFlags adds the flags about the LDAP directory.
func (o *options) directoryFlags(fs *flag.FlagSet) {
	fs.Var((*list)(&o.ldap), "ldap", "`URL` of an LDAP server, ldaps:// or ldap://; repeatable, in order of preference (default: a server of its own with four people)")
	fs.StringVar(&o.ldapBase, "ldap-base", "dc=example,dc=org", "search below `DN`")
	fs.StringVar(&o.ldapUserBase, "ldap-user-base", "", "search people below `DN` (default: the base)")
	fs.StringVar(&o.ldapGroupBase, "ldap-group-base", "", "search groups below `DN` (default: the base)")
	fs.StringVar(&o.ldapBindDN, "ldap-bind-dn", "", "search as `DN` (default: anonymous)")
	fs.StringVar(&o.ldapBindFile, "ldap-bind-password-file", "", "the password of -ldap-bind-dn is the first line of `FILE` (or GATEHOUSE_LDAP_BIND_PASSWORD)")
	fs.StringVar(&o.ldapSchema, "ldap-schema", "auto", "the `KIND` of directory: auto or openldap")
	durationFlag(fs, &o.ldapTimeout, "ldap-timeout", 5*time.Second, "a whole login takes at most `D`")
	fs.StringVar(&o.ldapTemplate, "ldap-user-dn-template", "", "`T`, for example uid=%s,ou=people,dc=example,dc=com: no search before the bind")
	fs.StringVar(&o.ldapCA, "ldap-ca", "", "trust the certificate authorities in `FILE` (PEM) for LDAP (default: those of the system)")
	fs.Var((*toggle)(&o.ldapStartTLS), "ldap-starttls", "secure ldap:// by StartTLS")
	fs.Var((*toggle)(&o.ldapPlaintext), "ldap-insecure-plaintext", "send passwords in clear text to ldap:// servers on other machines")
}

// check returns all faults of o that can be told without opening a file.
func (o *options) check() error {
	return errors.Join(
		checkAddr(o.addr),
		checkPair("-tls-cert", o.tlsCert, "-tls-key", o.tlsKey),
		checkOneOf("-ldap-schema", o.ldapSchema, "auto", "openldap"),
		checkOneOf("-log-format", o.logFormat, "text", "json"),
		checkPositive("-ldap-timeout", o.ldapTimeout),
		checkSecond("-session-idle", o.sessionIdle),
		checkSecond("-session-lifetime", o.sessionLifetime),
		checkPositive("-group-ttl", o.groupTTL),
		checkNotNegative("-proof-ttl", o.proofTTL),
		checkGiven("-ldap-base", o.ldapBase),
		checkGiven("-admin-group", o.adminGroup),
		o.checkAttempts(),
		o.checkBind(),
	)
}

func (o *options) checkAttempts() error {
	if o.maxAttempts < 0 || o.maxAttempts > 100 {
		return fmt.Errorf("-max-attempts: %d is not from 0 to 100", o.maxAttempts)
	}
	return nil
}

// checkBind holds name and password of the service account together: half of
// them would fall back to an anonymous search without a word.
func (o *options) checkBind() error {
	password := o.ldapBindFile != "" || o.ldapBindPassword != ""
	switch {
	case o.ldapBindDN != "" && !password:
		return errors.New("-ldap-bind-dn: needs -ldap-bind-password-file or GATEHOUSE_LDAP_BIND_PASSWORD")
	case o.ldapBindDN == "" && password:
		return errors.New("-ldap-bind-password-file (or GATEHOUSE_LDAP_BIND_PASSWORD): needs -ldap-bind-dn")
	}
	return nil
}

// checkAddr wants a number for the port: names of services differ between
// machines.
func checkAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("-addr: %q is not HOST:PORT", addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("-addr: %q has no port from 0 to 65535", addr)
	}
	return nil
}

// checkPair wants both of two flags, or none.
func checkPair(a, va, b, vb string) error {
	if (va == "") != (vb == "") {
		return fmt.Errorf("%s and %s: one is given without the other", a, b)
	}
	return nil
}

func checkOneOf(name, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fmt.Errorf("%s: %q is none of %s", name, value, strings.Join(allowed, ", "))
}

// checkPositive refuses zero, which the packages would read as their default
// and people mean as "off" or "at once".
func checkPositive(name string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s: %v is not positive", name, d)
	}
	return nil
}

func checkNotNegative(name string, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%s: %v is negative", name, d)
	}
	return nil
}

// checkSecond refuses what is below the grain of cookies and stores.
func checkSecond(name string, d time.Duration) error {
	if d < time.Second {
		return fmt.Errorf("%s: %v is less than a second", name, d)
	}
	return nil
}

func checkGiven(name, value string) error {
	if value == "" {
		return fmt.Errorf("%s: is empty", name)
	}
	return nil
}
