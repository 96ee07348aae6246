package main

import (
	"fmt"
	"slices"
	"strings"
)

// groups tells which nodes lack groups that others have. Nodes that lack the
// same ones come in one finding.
func (c *comparison) groups() {
	all := c.allGroups()
	var keys []string
	found := make(map[string]*Finding)
	for i := range c.nodes {
		n := &c.nodes[i]
		if n.Groups == nil {
			continue
		}
		missing := slices.DeleteFunc(slices.Clone(all), func(g string) bool { return holds(n.Groups, g) })
		if len(missing) == 0 {
			continue
		}
		key := strings.Join(missing, "\x00")
		if found[key] == nil {
			keys = append(keys, key)
			found[key] = &Finding{Kind: "groups-differ", Groups: missing}
		}
		found[key].Nodes = append(found[key].Nodes, n.Name)
	}
	for _, key := range keys {
		f := found[key]
		c.describe(f, all)
		c.add(*f)
	}
}

// allGroups returns the groups that any node has, access groups first.
func (c *comparison) allGroups() (all []string) {
	for i := range c.nodes {
		for _, g := range c.nodes[i].Groups {
			if !holds(all, g) {
				all = append(all, g)
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int {
		x, y := holds(c.accessGroups, a), holds(c.accessGroups, b)
		switch {
		case x == y:
			return strings.Compare(a, b)
		case x:
			return -1
		}
		return 1
	})
	return all
}

// describe says what the missing groups mean, and what to do.
func (c *comparison) describe(f *Finding, all []string) {
	f.Text = fmt.Sprintf("%s %d of %d groups of %s: %s", verb(f.Nodes, "lacks", "lack"), len(f.Groups), len(all), c.user, list(f.Groups))
	left := slices.DeleteFunc(slices.Clone(all), func(g string) bool { return holds(f.Groups, g) })
	if c.admits(all) && !c.admits(left) {
		f.Text += ". No access group is left there: a plain login that asks it is refused"
	}
	others := c.names(func(n *Node) bool {
		return slices.ContainsFunc(f.Groups, func(g string) bool { return holds(n.Groups, g) }) && !slices.Contains(f.Nodes, n.Name)
	})
	check := "the replication from " + join(others) + " to " + join(f.Nodes)
	taken := ". If the groups were taken from " + c.user + " of late, it is " + join(others) + " that " + lags(others)
	f.Suggestion = "gatehouse keeps to " + c.first() + ", the first in the order, so its users notice only after a failover; those of other clients do now and then. Check " + check + taken
	if slices.Contains(f.Nodes, c.first()) {
		f.Suggestion = "gatehouse goes by " + c.first() + ", the first in the order, and holds what others have said for a while only: name a complete node first, and check " + check + taken
	}
}

// admits reports whether one of the groups lets a user in.
func (c *comparison) admits(groups []string) bool {
	return slices.ContainsFunc(c.accessGroups, func(g string) bool { return holds(groups, g) })
}

// access tells that no node has an access group of the user.
func (c *comparison) access() {
	known := c.names(func(n *Node) bool { return n.Groups != nil })
	if len(known) == 0 || len(c.accessGroups) == 0 || c.admits(c.allGroups()) {
		return
	}
	c.add(Finding{Kind: "access", Nodes: known, Groups: c.accessGroups,
		Text:       fmt.Sprintf("%s is in none of the access groups on any node: every login is refused", c.user),
		Suggestion: "put the user into one of them: " + list(c.accessGroups)})
}

// holds compares names of groups as gatehouse does, in any letter case.
func holds(groups []string, name string) bool {
	return slices.ContainsFunc(groups, func(g string) bool { return strings.EqualFold(g, name) })
}
