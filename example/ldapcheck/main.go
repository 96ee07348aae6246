// Command ldapcheck shows an operator what each node of an LDAP directory does
// in a login, step by step, and then in what the nodes differ: the tool for the
// day on which a valid user is refused now and then. It takes the -ldap flags
// and the environment of the demo:
//
//	go run ./example/ldapcheck -ldap ldaps://dc1.example.org -ldap ldaps://dc2.example.org -ldap-base dc=example,dc=org -user fred
//
// The type [Report] is what -json prints.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/seed-244866eb/gatehouse/example/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	exitOK          = 0 // all nodes work and agree
	exitProblem     = 1 // a step failed, or nodes differ
	exitUsage       = 2 // a wrong flag or value
	exitUnreachable = 3 // no node can be connected to
)

// run is the whole program. It returns the exit status.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, environ, stdin, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return fail(stderr, fmt.Errorf("%w (-help lists the flags)", err))
	}
	dir, err := o.ldap.Open(nil)
	if err != nil {
		return fail(stderr, err)
	}
	defer dir.Close()
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	report := (&checker{options: o, dir: dir}).check(ctx)
	if err := write(stdout, report, o); err != nil {
		_, _ = fmt.Fprintln(stderr, "ldapcheck: "+cli.OneLine(err))
		return exitProblem
	}
	return exitStatus(report)
}

// fail says in one line what is wrong with the command line.
func fail(stderr io.Writer, err error) int {
	// Nobody is left to tell that standard error is closed.
	_, _ = fmt.Fprintln(stderr, "ldapcheck: "+cli.OneLine(err))
	return exitUsage
}

func write(w io.Writer, r *Report, o options) error {
	if !o.json {
		return writeText(w, r, o)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func exitStatus(r *Report) int {
	switch r.Status {
	case statusOK:
		return exitOK
	case statusUnreachable:
		return exitUnreachable
	}
	return exitProblem
}
