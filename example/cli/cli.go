// Package cli holds what the demo and the tools below it share: flags with
// their environment variables, faults in one line, and the flags that say where
// the LDAP directory is.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

const envPrefix = "GATEHOUSE_"

// A Command is the flags of a program and what else its environment may say.
type Command struct {
	// Flags are the flags. Each has a variable, GATEHOUSE_LDAP_BASE for
	// ldap-base, but for those in Own.
	Flags *flag.FlagSet
	// Secrets are variables without a flag, which the list of processes would
	// show: where to put ldap-bind-password is what
	// GATEHOUSE_LDAP_BIND_PASSWORD says.
	Secrets map[string]*string
	// Own are flags that only make sense as such.
	Own []string
}

// New returns a command without flags. It prints nothing by itself: a fault is
// for the caller to report, in one line.
func New(name string) Command {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return Command{Flags: fs, Secrets: make(map[string]*string)}
}

// Parse sets the flags from the arguments, and from environ, which has the form
// of os.Environ. A flag wins over its variable; an empty variable is none. It
// returns the variables with our prefix that mean nothing to the command: no
// error, because orchestrators make such names themselves (GATEHOUSE_PORT for
// a service of this name). The error is [flag.ErrHelp] where help is asked for.
func (c Command) Parse(args, environ []string) (unknown []string, err error) {
	if err := c.Flags.Parse(args); err != nil {
		return nil, err
	}
	if c.Flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", c.Flags.Arg(0))
	}
	return c.fromEnv(environ)
}

// fromEnv sets what the arguments left open.
func (c Command) fromEnv(environ []string) (unknown []string, err error) {
	vars := make(map[string]string)
	for _, kv := range environ {
		if name, value, _ := strings.Cut(kv, "="); strings.HasPrefix(name, envPrefix) {
			vars[name] = value
		}
	}
	for name, to := range c.Secrets {
		*to = vars[envName(name)]
		delete(vars, envName(name))
	}
	given := make(map[string]bool)
	c.Flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var errs []error
	c.Flags.VisitAll(func(f *flag.Flag) {
		name := envName(f.Name)
		if slices.Contains(c.Own, f.Name) {
			return
		}
		if value := vars[name]; value != "" && !given[f.Name] {
			errs = append(errs, setFromEnv(f, name, value))
		}
		delete(vars, name)
	})
	for name := range vars {
		unknown = append(unknown, name)
	}
	slices.Sort(unknown)
	return unknown, errors.Join(errs...)
}

// envName returns the environment variable of a flag.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// setFromEnv gives f the value of the environment variable name.
func setFromEnv(f *flag.Flag, name, value string) error {
	set := f.Value.Set
	if l, ok := f.Value.(*List); ok {
		set = l.setAll
	}
	if err := set(value); err != nil {
		return fmt.Errorf("invalid value %q for %s: %w", value, name, err)
	}
	return nil
}

// Environment is the part of a -help text about the variables.
const Environment = `Each flag can also be given in the environment: GATEHOUSE_LDAP_BASE for
-ldap-base. A flag wins over its variable, and an empty variable counts as
none. Several values of a repeatable flag are separated by commas there, or
stand one on a line. Values are not trimmed.
`

// Usage writes what -help prints: the text and the flags.
func (c Command) Usage(w io.Writer, text string) {
	// A write to a closed standard output has nobody left to tell.
	_, _ = io.WriteString(w, text+"\n")
	c.Flags.SetOutput(w)
	c.Flags.PrintDefaults()
}

// OneLine returns the text of err in one line: joined errors come one a line.
func OneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
