package main

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-244866eb/gatehouse/example/cli"
)

// A comparison looks for what is wrong with the nodes, and for what they
// differ in.
type comparison struct {
	options
	nodes []Node
	found []Finding
}

// compare returns what there is to say about the nodes.
func compare(nodes []Node, o options) []Finding {
	c := &comparison{options: o, nodes: nodes}
	for i := range nodes {
		c.failures(&nodes[i])
		c.warnings(&nodes[i])
	}
	c.entries()
	c.groups()
	c.access()
	c.passwords()
	c.values("schema-differs", func(n *Node) string { return n.Schema }, false,
		"the nodes are different kinds of directories: %s",
		"gatehouse asks one node what kind it is and takes all for the same: name servers of one directory alone, or set -ldap-schema")
	c.values("issuer", func(n *Node) string {
		if n.Certificate == nil || !n.Certificate.Trusted {
			return ""
		}
		return n.Certificate.Issuer
	}, true,
		"the certificates come from different authorities: %s",
		"that may be meant so; after a change of the authority it is a server that was forgotten")
	c.behind()
	c.slow()
	return c.found
}

func (c *comparison) add(f Finding) { c.found = append(c.found, f) }

// first returns the name of the preferred node.
func (c *comparison) first() string { return c.nodes[0].Name }

// names returns the names of the nodes for which f holds.
func (c *comparison) names(f func(*Node) bool) (names []string) {
	for i := range c.nodes {
		if f(&c.nodes[i]) {
			names = append(names, c.nodes[i].Name)
		}
	}
	return names
}

// entries compares the entry of the user.
func (c *comparison) entries() {
	has := c.names(func(n *Node) bool { return n.Entry != nil })
	lacks := c.names(func(n *Node) bool { return n.missing })
	if len(has) > 0 && len(lacks) > 0 {
		c.add(Finding{Kind: "entry-missing", Nodes: lacks,
			Text:       fmt.Sprintf("%s no entry of %s: a plain login there is refused", verb(lacks, "has", "have"), c.user),
			Suggestion: "check the replication to " + join(lacks) + "; if " + c.user + " was deleted of late, it is " + join(has) + " that " + lags(has) + ". gatehouse takes a user for gone only when two nodes say so"})
	}
	disabled := c.names(func(n *Node) bool { return n.Entry != nil && n.Entry.Disabled })
	switch {
	case len(disabled) > 0 && len(disabled) == len(has):
		c.add(Finding{Kind: "entry-disabled", Nodes: disabled,
			Text:       c.user + " is disabled: every login is refused",
			Suggestion: "the nodes agree about it; enable the account in the directory if the user should get in"})
	case len(disabled) > 0:
		c.add(Finding{Kind: "entry-disabled", Nodes: disabled,
			Text:       fmt.Sprintf("on %s %s is disabled, and on the others not", join(disabled), c.user),
			Suggestion: "a change has not reached all nodes: check the replication between them"})
	}
	if c.ldap.Template == "" {
		c.values("entry-id", func(n *Node) string {
			if n.Entry == nil {
				return ""
			}
			return n.Entry.ID
		}, false,
			"the entries of "+c.user+" have different IDs: %s",
			"the nodes are no replicas of each other, or one may not read the ID: gatehouse would take the user for two people. Load one from the other, or let the service account read the ID")
	}
}

// passwords compares what became of the password, where it was tried on more
// than one node.
func (c *comparison) passwords() {
	right := c.names(func(n *Node) bool { return strings.HasPrefix(n.Password, accepted) })
	wrong := c.names(func(n *Node) bool { return strings.HasPrefix(n.Password, refused) })
	if len(right) > 0 && len(wrong) > 0 {
		c.add(Finding{Kind: "password-differs", Nodes: wrong,
			Text:       fmt.Sprintf("%s the password, and %s it", verb(right, "accepts", "accept"), verb(wrong, "refuses", "refuse")),
			Suggestion: "a change of the password has not reached all nodes, or one has locked the account on its own: check the replication"})
	}
}

// values compares a value of the nodes. Empty is not known.
func (c *comparison) values(kind string, of func(*Node) string, warning bool, text, suggestion string) {
	var order []string
	nodes := make(map[string][]string)
	for i := range c.nodes {
		v := of(&c.nodes[i])
		if v == "" {
			continue
		}
		if nodes[v] == nil {
			order = append(order, v)
		}
		nodes[v] = append(nodes[v], c.nodes[i].Name)
	}
	if len(order) < 2 {
		return
	}
	var parts, all []string
	for _, v := range order {
		parts = append(parts, v+" on "+join(nodes[v]))
		all = append(all, nodes[v]...)
	}
	c.add(Finding{Kind: kind, Warning: warning, Nodes: all, Text: fmt.Sprintf(text, strings.Join(parts, "; ")), Suggestion: suggestion})
}

// slow tells nodes that take much longer than the fastest.
func (c *comparison) slow() {
	const times, atLeast = 4, 100 // milliseconds
	fastest := -1.0
	for i := range c.nodes {
		if n := &c.nodes[i]; n.works() && (fastest < 0 || n.Milliseconds < fastest) {
			fastest = n.Milliseconds
		}
	}
	late := c.names(func(n *Node) bool {
		return n.works() && n.Milliseconds > times*fastest && n.Milliseconds > fastest+atLeast
	})
	for i := range c.nodes {
		n := &c.nodes[i]
		if !slices.Contains(late, n.Name) {
			continue
		}
		f := Finding{Kind: "slow", Nodes: []string{n.Name},
			Text:       fmt.Sprintf("%s takes %.0f ms, and the fastest node %.0f ms", n.Name, n.Milliseconds, fastest),
			Suggestion: "logins go to " + c.first() + " as long as it works, so this is felt after a failover: look at its load, its indexes and the way to it"}
		if n.Preferred {
			f.Suggestion = "every login goes there: look at its load, its indexes and the way to it, or name a faster one first"
		}
		c.add(f)
	}
}

// unresolved tells servers that have no address.
func (c *checker) unresolved(nodes []Node, err error) (all []Finding) {
	const suggestion = "check the name, and the DNS servers of this machine"
	for _, raw := range c.ldap.URLs {
		name := nodeName(raw)
		known := slices.ContainsFunc(nodes, func(n Node) bool { return n.Name == name || strings.HasPrefix(n.Name, name+" (") })
		if !known {
			all = append(all, Finding{Kind: "resolve", Nodes: []string{name}, Text: "no address is known of " + name, Suggestion: suggestion})
		}
	}
	if err != nil && len(all) == 0 {
		all = append(all, Finding{Kind: "resolve", Nodes: []string{}, Text: "no server is known: " + cli.OneLine(err), Suggestion: suggestion})
	}
	return all
}

// nodeName returns what a node of the URL is called, but for its address where
// there are several.
func nodeName(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "ldaps":
		port = "636"
	default:
		port = "389"
	}
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port)
}

// verb returns the names and the verb that goes with them.
func verb(names []string, one, several string) string {
	if len(names) == 1 {
		return names[0] + " " + one
	}
	return join(names) + " " + several
}

func lags(names []string) string {
	if len(names) == 1 {
		return "lags"
	}
	return "lag"
}

// join returns the names as in a sentence.
func join(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
