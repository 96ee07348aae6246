package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

const envPrefix = "GATEHOUSE_"

// envName returns the environment variable of a flag: GATEHOUSE_LDAP_BASE
// for ldap-base.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// envPassword is the one variable that is not a flag.
const envPassword = envPrefix + "LDAP_BIND_PASSWORD"

// parse reads options from the arguments and from environ, which has the form
// of os.Environ. A flag wins over its variable; an empty variable is none. It
// also returns the variables with our prefix that mean nothing to us: no
// error, because orchestrators make such names themselves (GATEHOUSE_PORT for
// a service of this name). For -help it writes to stdout and returns
// flag.ErrHelp.
func parse(args, environ []string, stdout io.Writer) (options, []string, error) {
	var o options
	fs := o.flags()
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			usage(stdout, fs)
		}
		return o, nil, err
	}
	if fs.NArg() > 0 {
		return o, nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	unknown, err := o.fromEnv(fs, environ)
	if err != nil {
		return o, nil, err
	}
	if len(o.accessGroups) == 0 {
		o.accessGroups = []string{"jira-users"}
	}
	return o, unknown, o.check()
}

// fromEnv sets what the arguments left open, and returns the names of
// variables that nobody reads.
func (o *options) fromEnv(fs *flag.FlagSet, environ []string) (unknown []string, err error) {
	vars := make(map[string]string)
	for _, kv := range environ {
		if name, value, _ := strings.Cut(kv, "="); strings.HasPrefix(name, envPrefix) {
			vars[name] = value
		}
	}
	o.ldapBindPassword = vars[envPassword]
	delete(vars, envPassword)
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var errs []error
	fs.VisitAll(func(f *flag.Flag) {
		name := envName(f.Name)
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

// setFromEnv gives f the value of the environment variable name.
func setFromEnv(f *flag.Flag, name, value string) error {
	set := f.Value.Set
	if l, ok := f.Value.(*list); ok {
		set = l.setAll
	}
	if err := set(value); err != nil {
		return fmt.Errorf("invalid value %q for %s: %w", value, name, err)
	}
	return nil
}

// usage writes what -help prints.
func usage(w io.Writer, fs *flag.FlagSet) {
	// A write to a closed standard output has nobody left to tell.
	_, _ = io.WriteString(w, `example is a small issue tracker behind gatehouse.

Each flag can also be given in the environment: GATEHOUSE_LDAP_BASE for
-ldap-base. A flag wins over its variable, and an empty variable counts as
none. Several values of a repeatable flag are separated by commas there, or
stand one on a line. Values are not trimmed.

`)
	fs.SetOutput(w)
	fs.PrintDefaults()
}

// oneLine returns the text of err in one line: joined errors come one a line.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
