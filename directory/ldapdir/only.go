package ldapdir

import (
	"context"
	"fmt"
	"slices"

	"github.com/seed-244866eb/gatehouse/directory"
)

type onlyKey struct{}

// onlyNode returns the name of the one node that a call may ask.
func onlyNode(ctx context.Context) (name string, ok bool) {
	name, ok = ctx.Value(onlyKey{}).(string)
	return name, ok
}

// eachOnly makes the attempt on the node of that name, whether it is up or
// not. How it goes changes nothing for others.
func (d *Dir) eachOnly(ctx context.Context, nodes []*node, name string, try attempt) error {
	i := slices.IndexFunc(nodes, func(n *node) bool { return n.is(name) })
	if i < 0 {
		return fmt.Errorf("%w of the name %q", errNoNode, name)
	}
	if _, err := try(ctx, nodes[i]); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Only returns a source that asks the node of that name and no other, for
// tools that compare nodes. It asks a node in its pause too, and what it finds
// takes no node out of use and brings none back. [Dir.Nodes] has the names; a
// name that is not there is [directory.ErrUnavailable] with each call.
func (d *Dir) Only(name string) directory.Source { return only{d, name} }

type only struct {
	dir  *Dir
	name string
}

func (o only) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, onlyKey{}, o.name)
}

func (o only) Find(ctx context.Context, name string) (directory.Entry, error) {
	return o.dir.Find(o.context(ctx), name)
}

func (o only) Verify(ctx context.Context, e directory.Entry, password string) (directory.Entry, error) {
	return o.dir.Verify(o.context(ctx), e, password)
}

func (o only) Groups(ctx context.Context, e directory.Entry, asked ...string) (directory.GroupSet, error) {
	return o.dir.Groups(o.context(ctx), e, asked...)
}
