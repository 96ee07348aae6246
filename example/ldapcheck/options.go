package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seed-244866eb/gatehouse/example/cli"
)

// An options value is what the command line and the environment ask for.
type options struct {
	ldap         cli.Directory
	accessGroups []string

	user          string
	password      string // from a file, the environment or standard input, never a flag: ps shows those
	passwordFile  string
	passwordStdin bool
	everyNode     bool

	json, verbose bool
	timeout       time.Duration
}

const help = `ldapcheck shows what each node of an LDAP directory does in a login, step by
step, and in what the nodes differ. One of -ldap and -ldap-srv-domain says
where the directory is; -user adds a user, with groups, and a password if one
is given.

A password is tried exactly once, on one node: the first in the order that
has the user. The same wrong password on every node would lock the account.

Exit status: 0 all nodes work and agree; 1 a step failed or nodes differ;
2 a wrong flag or value; 3 no node can be connected to.

The -ldap flags and -access-group can also be given in the environment, as
for the demo: GATEHOUSE_LDAP_BASE for -ldap-base. A flag wins over its
variable, and an empty variable counts as none.
`

// own are the flags without a variable. GATEHOUSE_USER may be set for
// something else.
var own = [...]string{"user", "password-file", "password-stdin", "bind-every-node", "json", "v", "timeout"}

// flags returns the flags that fill o, and sets o to their defaults.
func (o *options) flags() cli.Command {
	c := cli.New("ldapcheck")
	c.Own = own[:]
	fs := c.Flags
	o.ldap.AddTo(c, "this or -ldap-srv-domain is required")
	fs.Var((*cli.List)(&o.accessGroups), "access-group", "a login needs the group `NAME`, or another one of these; repeatable (default, and *: none)")
	fs.StringVar(&o.user, "user", "", "look for the user `NAME`, as it is typed at a login")
	fs.StringVar(&o.passwordFile, "password-file", "", "the password of -user is the first line of `FILE` (or GATEHOUSE_CHECK_PASSWORD)")
	fs.Var((*cli.Toggle)(&o.passwordStdin), "password-stdin", "the password of -user is the first line of standard input")
	fs.Var((*cli.Toggle)(&o.everyNode), "bind-every-node", "try the password on each node; a wrong one counts as often, and may lock the account")
	fs.Var((*cli.Toggle)(&o.json), "json", "print one JSON document")
	fs.Var((*cli.Toggle)(&o.verbose), "v", "show each operation, with its filter")
	cli.DurationVar(fs, &o.timeout, "timeout", time.Minute, "the whole check takes at most `D`; -ldap-timeout bounds each step")
	c.Secrets["check-password"] = &o.password
	return c
}

// parse reads options from the arguments, environ and standard input. For
// -help it writes to stdout and returns [flag.ErrHelp].
func parse(args, environ []string, stdin io.Reader, stdout io.Writer) (options, error) {
	var o options
	c := o.flags()
	_, err := c.Parse(args, environ)
	if errors.Is(err, flag.ErrHelp) {
		c.Usage(stdout, help)
	}
	if err != nil {
		return o, err
	}
	if slices.Contains(o.accessGroups, "*") {
		o.accessGroups = nil
	}
	if err := o.check(); err != nil {
		return o, err
	}
	return o, o.readPassword(stdin)
}

func (o *options) check() error {
	errs := []error{cli.CheckPositive("-timeout", o.timeout), o.ldap.Check()}
	if len(o.ldap.URLs) == 0 && o.ldap.SRVDomain == "" {
		errs = append(errs, errors.New("-ldap or -ldap-srv-domain is required: there is no directory to check"))
	}
	if o.user == "" && (o.passwordFile != "" || o.passwordStdin || o.everyNode) {
		errs = append(errs, errors.New("-password-file, -password-stdin and -bind-every-node go with -user"))
	}
	if o.passwordFile != "" && o.passwordStdin {
		errs = append(errs, errors.New("-password-file and -password-stdin: one is enough"))
	}
	return errors.Join(errs...)
}

// readPassword reads the password from where the flags say; they win over the
// environment.
func (o *options) readPassword(stdin io.Reader) (err error) {
	switch {
	case o.passwordFile != "":
		o.password, err = cli.ReadPassword("-password-file", o.passwordFile)
	case o.passwordStdin:
		o.password, err = firstLine(stdin)
	}
	switch {
	case err != nil:
		return err
	case o.user == "":
		o.password = "" // of an environment that serves several commands
	case o.everyNode && o.password == "":
		return errors.New("-bind-every-node: needs a password")
	}
	return nil
}

// firstLine returns the first line of standard input. Spaces are kept: they
// may belong to the password.
func firstLine(stdin io.Reader) (string, error) {
	const most = 64 << 10
	line, err := bufio.NewReader(io.LimitReader(stdin, most+1)).ReadString('\n')
	if len(line) > most {
		return "", errors.New("-password-stdin: the first line is longer than 64 KiB") // half a password is a wrong one
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("-password-stdin: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", errors.New("-password-stdin: standard input begins with an empty line")
	}
	return line, nil
}
