package ldapdir

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory"
)

// maxGroups is how many groups a user may have. More is an error, and so is
// a shorter limit of the server that pages do not get round.
const maxGroups = 4096

// Groups returns the names of all groups of the entry, asking the entry's node
// first. With asked it is a second opinion, of a node that is not among them,
// or where there is none that works, of one of them over a connection of its
// own.
//
// An entry that this node has not shown yet is read first: for a second
// opinion, where another node has to answer, or where it was made from
// Config.UserDNTemplate and not verified. Then [directory.ErrNoUser] says that
// it does not exist there, is disabled, or is another entry by now.
func (d *Dir) Groups(ctx context.Context, e directory.Entry, asked ...string) (directory.GroupSet, error) {
	ctx, end, err := d.begin(ctx)
	if err != nil {
		return directory.GroupSet{}, err
	}
	defer end()
	nodes := d.order(e.Node)
	known := func(n *node) bool { return slices.ContainsFunc(asked, n.is) }
	slices.SortStableFunc(nodes, func(a, b *node) int {
		switch {
		case known(a) == known(b):
			return 0
		case known(a):
			return 1
		}
		return -1
	})
	var set directory.GroupSet
	err = d.each(ctx, nodes, func(ctx context.Context, n *node) (bool, error) {
		own := []string(nil)
		if known(n) {
			own = asked
		}
		set, err = d.groupsOf(ctx, n, e, own, len(asked) > 0)
		set.Unheard = unheard(nodes[:slices.Index(nodes, n)], known)
		return true, err
	})
	if errors.Is(err, directory.ErrNoUser) {
		return directory.GroupSet{Node: set.Node, Preferred: set.Preferred, Unheard: set.Unheard}, err
	}
	if err != nil {
		return directory.GroupSet{}, unavailable(err)
	}
	return set, nil
}

// unheard returns when the last of the nodes before the one that answers was
// well: all that were not asked before and do not answer now.
func unheard(before []*node, known func(*node) bool) (last time.Time) {
	for _, n := range before {
		if known(n) {
			continue
		}
		if since := n.wellUntil(); since.After(last) {
			last = since
		}
	}
	return last
}

// groupsOf reads the groups from one node: where its word is asked for a second
// time, over a connection of its own.
func (d *Dir) groupsOf(ctx context.Context, n *node, e directory.Entry, asked []string, second bool) (set directory.GroupSet, err error) {
	read := func(w *way) error {
		began := time.Now()
		names, err := d.groups(ctx, w, e, second)
		set = directory.GroupSet{Names: names, Node: w.name(), Read: began}
		// Behind a load balancer the node's word is that of the server which
		// is kept to.
		set.Preferred = d.preferred(n) && set.Node == n.kept()
		second = true // what came with the entry is of another server, should there be a second try
		return err
	}
	w, err := d.groupsWay(ctx, n, e, asked)
	switch {
	case err != nil:
		return directory.GroupSet{}, err
	case w == nil:
		err = n.once(read)
		return set, err
	}
	defer w.close()
	err = read(w)
	return set, err
}

// groupsWay returns a way over a connection of its own, or nil where the
// service connections serve.
func (d *Dir) groupsWay(ctx context.Context, n *node, e directory.Entry, asked []string) (*way, error) {
	if len(asked) > 0 {
		return n.opinion(ctx, asked)
	}
	if !n.elsewhere(e.Node) {
		return nil, nil
	}
	return n.wayTo(ctx, e.Node)
}

// groups reads the groups from one node.
func (d *Dir) groups(ctx context.Context, w *way, e directory.Entry, second bool) ([]string, error) {
	n := w.node
	s, err := d.schemaBy(ctx, n, w.search)
	if err != nil {
		return nil, err
	}
	// What another node has read says nothing about the groups on this one.
	if second || e.Node != w.name() || e.Attributes == nil && len(s.groupAttributes()) > 0 {
		if e, err = d.readAgain(ctx, n, e, w.search); err != nil {
			return nil, err
		}
	} else {
		w.from = e.Node
	}
	r := &reading{dir: d, node: n, schema: s, way: w, entry: e, seen: map[string]bool{}}
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	return sorted(r.names), nil
}

// readAgain returns the entry as the node has it, or [directory.ErrNoUser]
// where it has it no more, or has disabled it, or another one has its place.
func (d *Dir) readAgain(ctx context.Context, n *node, e directory.Entry, run runner) (directory.Entry, error) {
	read, err := d.read(ctx, n, e.DN, run)
	switch {
	case hasCode(err, ldap.LDAPResultNoSuchObject):
		return read, directory.ErrNoUser
	case err != nil:
		return read, err
	case read.Disabled:
		return read, directory.ErrNoUser
	case read.ID == e.ID, e.ID == "", d.config.UserDNTemplate != "":
		return read, nil // of a template the DN is all there is of an ID
	case (read.ID == read.DN) != (e.ID == e.DN):
		return read, badAnswer("the entry %q has an ID on one server and none on another", e.DN)
	case read.ID == read.DN && equalDN(read.DN, e.DN):
		return read, nil
	}
	return read, directory.ErrNoUser
}

// equalDN compares DNs as far as that is possible without the schema.
func equalDN(a, b string) bool {
	one, err1 := ldap.ParseDN(a)
	other, err2 := ldap.ParseDN(b)
	return err1 == nil && err2 == nil && one.EqualFold(other)
}

func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
