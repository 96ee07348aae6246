package main

import (
	"errors"
	"flag"
	"io"

	"github.com/seed-244866eb/gatehouse/example/cli"
)

// parse reads options from the arguments and from environ, as
// [cli.Command.Parse] says. For -help it writes to stdout and returns
// [flag.ErrHelp].
func parse(args, environ []string, stdout io.Writer) (options, []string, error) {
	var o options
	c := o.flags()
	unknown, err := c.Parse(args, environ)
	if errors.Is(err, flag.ErrHelp) {
		c.Usage(stdout, "example is a small issue tracker behind gatehouse.\n\n"+cli.Environment)
	}
	if err != nil {
		return o, nil, err
	}
	if len(o.accessGroups) == 0 {
		o.accessGroups = []string{"jira-users"}
	}
	return o, unknown, o.check()
}
