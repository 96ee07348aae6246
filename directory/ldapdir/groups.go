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
// any shorter limit of the server.
const maxGroups = 4096

// Groups returns the names of all groups of the entry, asking the entry's node
// first. With asked it is a second opinion, of a node that is not among them,
// or where there is none that works, of one of them over a connection of its
// own. An entry that was made from Config.UserDNTemplate and not verified is
// read first, and [directory.ErrNoUser] says that it does not exist.
func (d *Dir) Groups(ctx context.Context, e directory.Entry, asked ...string) (directory.GroupSet, error) {
	ctx, end, err := d.begin(ctx)
	if err != nil {
		return directory.GroupSet{}, err
	}
	defer end()
	nodes := d.order(e.Node)
	known := func(n *node) bool { return slices.Contains(asked, n.name) }
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
		run := n.search
		if known(n) {
			run = n.searchFresh
		}
		began := time.Now()
		names, err := d.groups(ctx, n, e, run, len(asked) > 0)
		set = directory.GroupSet{Names: names, Node: n.name, Preferred: n == d.nodes[0], Read: began}
		return true, err
	})
	if errors.Is(err, directory.ErrNoUser) {
		return directory.GroupSet{Node: set.Node, Preferred: set.Preferred}, err
	}
	if err != nil {
		return directory.GroupSet{}, unavailable(err)
	}
	return set, nil
}

// groups reads the groups from one node.
func (d *Dir) groups(ctx context.Context, n *node, e directory.Entry, run runner, second bool) ([]string, error) {
	if e.Node == "" || second {
		read, err := d.read(ctx, n, e.DN, run)
		if hasCode(err, ldap.LDAPResultNoSuchObject) {
			return nil, directory.ErrNoUser
		}
		if err != nil {
			return nil, err
		}
		e = read
	}
	if names, ok := d.memberOf(e); ok {
		return names, nil
	}
	request := d.request(ctx, d.config.GroupBaseDN,
		expandFilter(d.config.GroupFilter, e.Name, e.DN), []string{d.config.GroupNameAttribute})
	request.SizeLimit = maxGroups
	result, err := d.search(ctx, n, request, run)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(result.Entries))
	for _, g := range result.Entries {
		name, err := nameOf(g, d.config.GroupNameAttribute)
		if err != nil {
			return nil, err // a group without its name is a part of the list missing
		}
		names = append(names, name)
	}
	return sorted(names), nil
}

// memberOf returns the names in the DNs of the groups that came with the
// entry, if they are to be used and each of them tells its name.
func (d *Dir) memberOf(e directory.Entry) (names []string, ok bool) {
	if !d.config.MemberOf || len(e.Attributes["memberOf"]) == 0 {
		return nil, false
	}
	base, err := ldap.ParseDN(d.config.GroupBaseDN)
	if err != nil {
		return nil, false
	}
	for _, value := range e.Attributes["memberOf"] {
		dn, err := ldap.ParseDN(value)
		if err != nil {
			return nil, false
		}
		if !base.EqualFold(dn) && !base.AncestorOfFold(dn) {
			continue
		}
		name, ok := rdnValue(dn, d.config.GroupNameAttribute)
		if !ok {
			return nil, false
		}
		names = append(names, name)
	}
	return sorted(names), true
}

func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
