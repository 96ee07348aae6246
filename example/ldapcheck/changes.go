package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// settle is how long a change may be on its way to the other nodes.
const settle = 10 * time.Second

// lastChanges returns the contextCSN values by the server that made the
// change: 20060102150405.000000Z#000000#001#000000 is one of server 001. Values
// of one server compare as text.
func lastChanges(values []string) map[string]string {
	last := make(map[string]string)
	for _, v := range values {
		if parts := strings.Split(v, "#"); len(parts) == 4 {
			last[parts[2]] = max(last[parts[2]], v)
		}
	}
	return last
}

// wentBack reports whether the later values know less than the earlier ones.
func wentBack(earlier, later []string) bool {
	after := lastChanges(later)
	for server, csn := range lastChanges(earlier) {
		if after[server] < csn {
			return true
		}
	}
	return false
}

// timeOf returns when the change was made.
func timeOf(csn string) time.Time {
	t, _ := time.Parse("20060102150405.999999Z", strings.SplitN(csn, "#", 2)[0])
	return t
}

// behind tells nodes that have not seen the last change of some server, unless
// it is so fresh that it may be on its way.
func (c *comparison) behind() {
	newest := make(map[string]string)
	for i := range c.nodes {
		for server, csn := range lastChanges(c.nodes[i].Changes) {
			newest[server] = max(newest[server], csn)
		}
	}
	for i := range c.nodes {
		n := &c.nodes[i]
		if len(n.Changes) == 0 {
			continue // it does not tell
		}
		var since []time.Time
		has := lastChanges(n.Changes)
		for server, csn := range newest {
			if has[server] < csn && time.Since(timeOf(csn)) > settle {
				since = append(since, timeOf(cmp.Or(has[server], n.Changes[0])))
			}
		}
		if len(since) == 0 {
			continue
		}
		c.add(Finding{Kind: "behind", Nodes: []string{n.Name},
			Text:       fmt.Sprintf("%s has not seen the latest changes: its own end %s (contextCSN)", n.Name, slices.MinFunc(since, time.Time.Compare).UTC().Format(time.DateTime)),
			Suggestion: "check the replication to " + n.Name})
	}
}
