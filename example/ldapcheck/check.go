package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/example/cli"
)

// looks is how many connections are opened to each node: behind a load balancer
// that takes servers in turn, the second or third already shows another one.
const looks = 3

// A checker takes the steps on every node.
type checker struct {
	options
	dir  *ldapdir.Dir
	over func() error // why the whole check has ended; nil: it has not
}

// A visit is the work on one node.
type visit struct {
	*checker
	node   *Node
	source directory.Source
	entry  *directory.Entry // of the user, once it was found
}

// check asks all nodes at once, as far as nothing can come to harm by it, and
// compares what they said.
func (c *checker) check(ctx context.Context) *Report {
	c.over = func() error { return over(ctx) }
	r := &Report{User: c.user, Nodes: []Node{}, Findings: []Finding{}}
	resolved := c.dir.Resolve(ctx)
	states := c.dir.Nodes()
	visits := make([]*visit, len(states))
	r.Nodes = make([]Node, len(states))
	for i, s := range states {
		r.Nodes[i] = Node{Name: s.Name, Address: s.Address, Preferred: s.Preferred}
		visits[i] = &visit{checker: c, node: &r.Nodes[i], source: c.dir.Only(s.Name)}
	}
	c.each(visits, func(v *visit) { v.inspect(ctx); v.find(ctx) })
	c.passwords(ctx, visits)
	c.each(visits, func(v *visit) { v.groups(ctx) })
	for i, s := range c.dir.Nodes() {
		if i < len(r.Nodes) && s.Name == r.Nodes[i].Name && s.Balanced != "" {
			r.Nodes[i].Balanced = s.Balanced
		}
	}
	if err := c.over(); err != nil {
		r.Findings = append(r.Findings, c.unfinished(err))
	} else {
		r.Findings = append(r.Findings, c.unresolved(r.Nodes, resolved)...)
	}
	r.Findings = append(r.Findings, compare(r.Nodes, c.options)...)
	r.Status = status(r)
	return r
}

// over returns why ctx has ended. A connection may notice its deadline a moment
// before ctx does.
func over(ctx context.Context) error {
	if d, ok := ctx.Deadline(); ok && time.Until(d) <= 0 {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// unfinished tells that the nodes are not to blame.
func (c *checker) unfinished(err error) Finding {
	f := Finding{Kind: kindUnfinished, Nodes: []string{}, Text: "the check was not finished: it was interrupted", Suggestion: "run it again"}
	if errors.Is(err, context.DeadlineExceeded) {
		f.Text = fmt.Sprintf("the check was not finished: the %s of -timeout ran out", c.timeout)
		f.Suggestion = "give it more time with -timeout, or each step less with -ldap-timeout"
	}
	return f
}

// end takes the blame from a step that failed as the whole check did.
func (c *checker) end(s *Step) {
	if c.over() != nil && !s.OK {
		s.Error, s.unfinished = "not finished", true
	}
}

// each runs f for all nodes at once: one that hangs holds up no other.
func (c *checker) each(visits []*visit, f func(*visit)) {
	var wg sync.WaitGroup
	for _, v := range visits {
		wg.Go(func() { f(v) })
	}
	wg.Wait()
}

// passwords tries the password: on the first node that has the user, as a
// login does, and on the others only if that was asked for.
func (c *checker) passwords(ctx context.Context, visits []*visit) {
	if c.password == "" {
		return
	}
	for _, v := range visits {
		if v.entry == nil {
			continue
		}
		v.verify(ctx)
		if !c.everyNode {
			return
		}
	}
}

// works reports whether every step so far went well.
func (n *Node) works() bool {
	for _, s := range n.Steps {
		if !s.OK {
			return false
		}
	}
	return len(n.Steps) > 0
}

// add adds a step that took as long as its requests did.
func (v *visit) add(s Step, err error) {
	s.OK = err == nil
	if err != nil {
		s.Error = v.reason(err)
	}
	v.end(&s)
	v.node.Steps = append(v.node.Steps, s)
	if s.Name != "password" {
		v.node.Milliseconds += s.Milliseconds
	}
}

// reason returns the text of err without what every line would begin with.
func (v *visit) reason(err error) string {
	text := strings.TrimPrefix(cli.OneLine(err), directory.ErrUnavailable.Error()+": ")
	return strings.TrimPrefix(text, v.node.Name+": ")
}

// find looks for the user.
func (v *visit) find(ctx context.Context) {
	if v.user == "" || !v.node.works() {
		return
	}
	ctx, t := trace(ctx)
	e, err := v.source.Find(ctx, v.user)
	s := t.step("user")
	switch {
	case err == nil:
		v.entry = &e
		v.node.Entry = &Entry{DN: e.DN, ID: e.ID, Name: e.Name, Disabled: e.Disabled}
		s.Detail = v.describeUser(e)
	case errors.Is(err, directory.ErrBadName):
		err = errors.New("not a user name")
	case errors.Is(err, directory.ErrNoUser) && t.entries() > 1:
		err = errors.New("the name stands for more than one entry, so nobody is let in")
	case errors.Is(err, directory.ErrNoUser):
		v.node.missing = true
		err = errors.New("no such user")
	}
	v.add(s, err)
}

// describeUser returns what the step shows of the user.
func (v *visit) describeUser(e directory.Entry) string {
	if v.ldap.Template != "" {
		return e.DN + ", made from the template, not looked for"
	}
	text := fmt.Sprintf("%s, name %s, ID %s", e.DN, e.Name, e.ID)
	if e.Disabled {
		text += ", disabled"
	}
	return text
}

// How the verdict on a password begins.
const (
	accepted  = "accepted"
	refused   = "refused"
	noVerdict = "no verdict"
)

// verify binds once.
func (v *visit) verify(ctx context.Context) {
	ctx, t := trace(ctx)
	e, err := v.source.Verify(ctx, *v.entry, v.password)
	s := t.step("password")
	var state *directory.AccountError
	switch {
	case err == nil:
		v.entry = &e
		s.Detail = accepted + notice(e.Notice)
	case errors.As(err, &state) && state.PasswordRight:
		err = fmt.Errorf(refused+", and the password is right: %s (%s)", state.State, state.Detail)
	case errors.As(err, &state):
		err = fmt.Errorf(refused+", whatever the password: %s (%s)", state.State, state.Detail)
	case errors.Is(err, directory.ErrBadCredentials):
		err = errors.New(refused + ": wrong password")
	default:
		err = fmt.Errorf(noVerdict+": %s", v.reason(err))
	}
	v.add(s, err)
	if v.node.Password = s.Detail; err != nil {
		v.node.Password = cli.OneLine(err)
	}
}

func notice(n directory.PasswordNotice) string {
	switch {
	case n.Expired:
		return fmt.Sprintf("; it has expired, and %d more logins are allowed to change it", n.GraceLogins)
	case !n.Expires.IsZero():
		return "; it expires " + n.Expires.Format(time.DateTime)
	}
	return ""
}

// groups reads the groups of the user.
func (v *visit) groups(ctx context.Context) {
	if v.entry == nil {
		return
	}
	ctx, t := trace(ctx)
	set, err := v.source.Groups(ctx, *v.entry)
	s := t.step("groups")
	switch {
	case err == nil:
		v.node.Groups = append([]string{}, set.Names...)
		s.Detail = fmt.Sprintf("%d", len(set.Names))
		if len(set.Names) > 0 {
			s.Detail += ": " + list(set.Names)
		}
	case errors.Is(err, directory.ErrNoUser):
		// Only here with a DN template: nobody has looked before.
		v.node.missing, v.node.Entry = true, nil
		err = errors.New("no such user, or a disabled one")
	}
	v.add(s, err)
}

// list returns some of the names.
func list(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// status returns what the report comes to.
func status(r *Report) string {
	s := statusUnreachable
	for i := range r.Nodes {
		if steps := r.Nodes[i].Steps; len(steps) > 0 && steps[0].OK {
			s = statusOK
		}
	}
	for _, f := range r.Findings {
		if f.Kind == kindUnfinished {
			return statusProblems // whether a node can be reached is not known
		}
		if s == statusOK && !f.Warning {
			s = statusProblems
		}
	}
	return s
}
