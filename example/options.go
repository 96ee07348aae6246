package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/seed-244866eb/gatehouse/example/cli"
)

// An options value is what the command line and the environment ask for.
type options struct {
	addr            string
	baseURL         baseURL
	tlsCert, tlsKey string

	ldap cli.Directory

	trustedProxies     []string
	trustedProxiesFile string

	maxAttempts    int
	captchaAnswers string
	accessGroups   []string
	adminGroup     string

	sessionIdle, sessionLifetime time.Duration
	groupTTL, proofTTL           time.Duration
	groupUpdate                  string

	logFormat string
	logLevel  slog.Level
	bare      bool
}

// flags returns the flags that fill o, and sets o to their defaults. Scripts
// elsewhere rely on names and defaults: flags may be added, and none changed.
func (o *options) flags() cli.Command {
	c := cli.New("example")
	fs := c.Flags
	fs.StringVar(&o.addr, "addr", "127.0.0.1:8080", "listen on `HOST:PORT`; port 0 picks one")
	fs.Var(&o.baseURL, "base-url", "the `URL` that clients see; its path is the context path (default: from the request)")
	fs.StringVar(&o.tlsCert, "tls-cert", "", "serve TLS with the certificate chain in `FILE` (PEM)")
	fs.StringVar(&o.tlsKey, "tls-key", "", "the key of -tls-cert, in `FILE` (PEM)")
	o.ldap.AddTo(c, "default: a server of its own with four people")
	fs.Var((*cli.List)(&o.trustedProxies), "trusted-proxy", "believe forwarding headers from `PATTERN`: an address, 192.168.*, a CIDR or a host name; repeatable")
	fs.StringVar(&o.trustedProxiesFile, "trusted-proxies-file", "", "more such patterns in `FILE`, one a line, read at the start; lines that begin with # are comments")
	o.maxAttempts = 3
	fs.Var((*cli.Number)(&o.maxAttempts), "max-attempts", "ask for a CAPTCHA after `N` failed logins; 0: no limit of any kind on failed logins, neither CAPTCHA nor delay nor address limit")
	fs.StringVar(&o.captchaAnswers, "insecure-captcha-answers", "", "append a line of ID and ANSWER for each CAPTCHA to `FILE`: for tests alone")
	fs.Var((*cli.List)(&o.accessGroups), "access-group", "members of the group `NAME` may use the tracker; * is everybody in the directory; repeatable (default jira-users)")
	fs.StringVar(&o.adminGroup, "admin-group", "jira-administrators", "members of the group `NAME` are administrators")
	cli.DurationVar(fs, &o.sessionIdle, "session-idle", 30*time.Minute, "end a session that was not used for `D`")
	cli.DurationVar(fs, &o.sessionLifetime, "session-lifetime", 12*time.Hour, "end a session `D` after the login")
	cli.DurationVar(fs, &o.groupTTL, "group-ttl", 5*time.Minute, "cached groups count as fresh for `D`")
	fs.StringVar(&o.groupUpdate, "group-update", "always", "which logins read the groups anew, `WHICH`: always, new (nothing is known that may be used) or never (only if it must be known)")
	cli.DurationVar(fs, &o.proofTTL, "proof-ttl", time.Minute, "remember for `D` that a password of Basic credentials was right; 0 asks the directory each time")
	fs.StringVar(&o.logFormat, "log-format", "text", "write the log as `FORMAT`: text or json")
	fs.Var((*cli.Level)(&o.logLevel), "log-level", "log from `LEVEL` on: debug, info, warn or error (default info)")
	fs.Var((*cli.Toggle)(&o.bare), "bare", "the same pages with no gatehouse handler at all, open to everybody, for comparison of speed")
	return c
}

// check returns all faults of o that can be told without opening a file.
func (o *options) check() error {
	return errors.Join(
		checkAddr(o.addr),
		checkPair("-tls-cert", o.tlsCert, "-tls-key", o.tlsKey),
		cli.CheckOneOf("-log-format", o.logFormat, "text", "json"),
		checkSecond("-session-idle", o.sessionIdle),
		checkSecond("-session-lifetime", o.sessionLifetime),
		cli.CheckPositive("-group-ttl", o.groupTTL),
		cli.CheckOneOf("-group-update", o.groupUpdate, "always", "new", "never"),
		cli.CheckNotNegative("-proof-ttl", o.proofTTL),
		cli.CheckGiven("-admin-group", o.adminGroup),
		o.checkAttempts(),
		o.ldap.Check(),
	)
}

func (o *options) checkAttempts() error {
	if o.maxAttempts < 0 || o.maxAttempts > 100 {
		return fmt.Errorf("-max-attempts: %d is not from 0 to 100", o.maxAttempts)
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

// checkSecond refuses what is below the grain of cookies and stores.
func checkSecond(name string, d time.Duration) error {
	if d < time.Second {
		return fmt.Errorf("%s: %v is less than a second", name, d)
	}
	return nil
}
