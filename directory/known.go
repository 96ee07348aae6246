package directory

import (
	"slices"
	"strings"
	"time"
)

// A known is what is known of one user. It is never modified after it was
// published.
type known struct {
	user *User  // GroupsRead is when a node showed all these groups, Node which
	dn   string // of the entry, to ask other nodes about it
	// origin is the node that has shown all groups that are not in dispute. The
	// user's Node may be another one, or one of before, that has shown all.
	origin string
	// checked is when nodes were asked last, which keeps what is held as fresh
	// as the rest.
	checked time.Time
	dead    time.Time // when it may not be used any more
	held    *hold     // nil: the nodes agree
}

// entry returns the entry for a second opinion, which reads the rest itself.
func (k *known) entry() Entry {
	return Entry{ID: k.user.ID, Name: k.user.Name, DN: k.dn, Node: k.user.Node}
}

// A hold is what nodes do not agree about.
type hold struct {
	begun time.Time
	asked time.Time // when another node than the one in use was asked last
	lost  []dispute // sorted by name
	// gone is since when it is in doubt whether there is an entry; zero: it is
	// not.
	gone  time.Time
	views []view // the last word of each node
}

// A dispute is a group that some nodes have and some lack.
type dispute struct {
	group string
	by    string // the node that has shown it last
	since time.Time
	// out: the preferred node's word has taken it from the user, and no other
	// node's gives it back, or it would come and go for ever.
	out bool
}

// find returns the dispute about a group, or nil; also of nil.
func (h *hold) find(group string) *dispute {
	all := h.disputes()
	i, ok := slices.BinarySearchFunc(all, group, func(d dispute, g string) int { return strings.Compare(d.group, g) })
	if !ok {
		return nil
	}
	return &all[i]
}

// disputed returns when the dispute about a group that the user has began;
// zero: there is none.
func (h *hold) disputed(group string) time.Time {
	if d := h.find(group); d != nil {
		return d.since
	}
	return time.Time{}
}

// since returns gone, also of nil.
func (h *hold) since() time.Time {
	if h == nil {
		return time.Time{}
	}
	return h.gone
}

// absent reports whether some node lacks the whole entry.
func (h *hold) absent() bool {
	return h != nil && slices.ContainsFunc(h.views, func(v view) bool { return v.gone })
}

// disputes is lost, also of nil.
func (h *hold) disputes() []dispute {
	if h == nil {
		return nil
	}
	return h.lost
}

// out returns the groups that the preferred node's word has taken.
func (h *hold) out() (groups []string) {
	for _, d := range h.disputes() {
		if d.out {
			groups = append(groups, d.group)
		}
	}
	return groups
}

// A view is what one node says about one user.
type view struct {
	node      string
	preferred bool
	gone      bool     // there is no such entry, or it is disabled
	names     []string // of all groups
	read      time.Time
	unheard   time.Time // when a node that could not be asked was well; zero: none
}

// holds reports whether name is among names, as [User.In] compares.
func holds(names []string, name string) bool {
	if _, ok := slices.BinarySearch(names, name); ok {
		return true
	}
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// holdsAny reports whether one of wanted is among names.
func holdsAny(names, wanted []string) bool {
	return slices.ContainsFunc(wanted, func(w string) bool { return holds(names, w) })
}

// without returns those of names that are not among others.
func without(names, others []string) []string {
	var rest []string
	for _, n := range names {
		if !holds(others, n) {
			rest = append(rest, n)
		}
	}
	return rest
}

// union returns all of both, sorted; one spelling of a name is enough.
func union(names, more []string) []string {
	extra := without(more, names)
	if len(extra) == 0 {
		return names
	}
	all := slices.Concat(names, extra)
	slices.Sort(all)
	return all
}
