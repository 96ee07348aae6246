package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A ballot finds out from what nodes say what is to be known of one entry. It
// asks nobody: whoever reads adds a view as long as it is open, then takes the
// result.
type ballot struct {
	config *Config
	now    time.Time
	need   []string // groups of which one is needed; none: nothing hangs on it
	last   *known   // of this same entry; nil: nothing is known
	views  []view   // in the order in which they came; the first is of the node in use
	tried  bool     // another node was asked, whether or not it has answered
	voters int      // how many views there were, before those without the entry went
	// unheard is when a node was well that has no view; zero: all have one.
	unheard time.Time
}

// An outcome is what a read has brought.
type outcome struct {
	known *known // nil: what was known stays
	err   error  // of whoever waits; the known ones may still serve
	// doubt is why it is no verdict that a needed group is missing.
	doubt error
}

// The reasons for no verdict.
var (
	errDisputed = fmt.Errorf("%w: the nodes disagree whether there is such an entry", ErrUnavailable)
	errUnheard  = fmt.Errorf("%w: the preferred node was not heard about a group that is needed", ErrUnavailable)
)

// add takes in what one more node says.
func (b *ballot) add(v view) {
	b.views, b.unheard = append(b.views, v), v.unheard
}

// live reports whether the groups known before may still be used.
func (b *ballot) live() bool {
	return b.last != nil && b.now.Before(b.last.dead)
}

// base returns the groups known before.
func (b *ballot) base() []string {
	if !b.live() {
		return nil
	}
	return b.last.user.Groups
}

// open reports whether one more opinion could change the result.
func (b *ballot) open() bool {
	first := b.present()
	switch {
	case first == nil:
		return b.last != nil && !b.confirmedGone()
	case b.views[0].gone && !b.heard():
		return true
	case b.last != nil && !b.last.held.since().IsZero() && !b.heard() && len(b.views) < 2:
		return true
	case b.wanting():
		return true
	case !b.live():
		return false
	}
	lost := without(b.base(), first.names)
	if h := b.last.held; h != nil && (!b.heard() || len(b.views) < 2 && len(lost) > 0) {
		// Not with every login: others were asked about the same a moment ago.
		return b.now.Sub(h.asked) > b.config.TTL/2 || slices.ContainsFunc(lost, b.due)
	}
	return slices.ContainsFunc(lost, func(g string) bool { return b.nobodyHas(g) && !b.confirmed(g) })
}

// due reports whether a group that the first view lacks is not held yet, or
// has been for so long that the preferred node's word can end it.
func (b *ballot) due(group string) bool {
	since := b.last.held.disputed(group)
	return since.IsZero() || b.heard() && b.now.Sub(since) >= b.config.Hold
}

// wanting reports whether nobody has shown a needed group so far.
func (b *ballot) wanting() bool {
	return len(b.need) > 0 && !holdsAny(b.base(), b.need) && b.wanted() == nil
}

// wanted returns the first view with a needed group, or nil.
func (b *ballot) wanted() *view {
	need := b.need
	if b.live() {
		need = without(need, b.last.held.out())
	}
	for i := range b.views {
		if v := &b.views[i]; !v.gone && holdsAny(v.names, need) {
			return v
		}
	}
	return nil
}

// nobodyHas reports whether no view has the group.
func (b *ballot) nobodyHas(group string) bool {
	return b.count(func(v *view) bool { return !v.gone && holds(v.names, group) }) == 0
}

// everybodyHas reports whether all views have the group.
func (b *ballot) everybodyHas(group string) bool {
	return b.count(func(v *view) bool { return !v.gone && holds(v.names, group) }) == len(b.views)
}

func (b *ballot) count(is func(*view) bool) (n int) {
	for i := range b.views {
		if is(&b.views[i]) {
			n++
		}
	}
	return n
}

// present returns the first view of a node that has the entry, or nil.
func (b *ballot) present() *view {
	for i := range b.views {
		if !b.views[i].gone {
			return &b.views[i]
		}
	}
	return nil
}

// preferred returns the view of the preferred node, or nil.
func (b *ballot) preferred() *view {
	for i := range b.views {
		if b.views[i].preferred {
			return &b.views[i]
		}
	}
	return nil
}

// heard reports whether the preferred node has spoken.
func (b *ballot) heard() bool { return b.preferred() != nil }

// confirmed reports whether it is certain that the user is not in a group that
// no view has. One opinion is not, and neither are two laggards that miss the
// same groups and so agree, even if the preferred node is one of them: the
// node that has shown the group must say so too. While that one does not
// answer, Config.Hold passes before the preferred node's word counts.
func (b *ballot) confirmed(group string) bool {
	return b.agreed(false, b.shower(group))
}

// confirmedGone reports the same of an entry that no view has.
func (b *ballot) confirmedGone() bool {
	return b.last != nil && b.agreed(true, b.last.origin)
}

// agreed reports whether at least two nodes have the entry, or have it not,
// and one of a name is among them.
func (b *ballot) agreed(gone bool, node string) bool {
	voters := b.count(func(v *view) bool { return v.gone == gone })
	return voters >= 2 && b.count(func(v *view) bool { return v.gone == gone && v.node == node }) > 0
}

// shower returns the node that has shown a group which was known before: now,
// or else then.
func (b *ballot) shower(group string) string {
	for i := range b.views {
		if v := &b.views[i]; !v.gone && holds(v.names, group) {
			return v.node
		}
	}
	if d := b.last.held.find(group); d != nil {
		return d.by
	}
	return b.last.origin
}

// result says what is known now of the entry e.
func (b *ballot) result(e Entry) outcome {
	all := b.views
	if out, decided := b.gone(); decided {
		return out
	}
	b.views = slices.DeleteFunc(slices.Clone(all), func(v view) bool { return v.gone })
	b.voters = len(all)
	var out outcome
	if b.wanting() && !(b.heard() && b.voters >= 2 && b.now.Sub(b.unheard) >= b.config.Hold) {
		out.doubt = errUnheard
		if !b.live() {
			out.err = errUnheard
			return out
		}
	}
	out.known = b.merge(e)
	if h := out.known.held; h != nil || len(b.views) < len(all) {
		out.known.held = b.holding(h, all)
	}
	return out
}

// gone decides about an entry that the node in use or the preferred one has
// not got. Others that have not got it are behind, and nothing follows. The
// preferred node's word that the entry is there is enough.
func (b *ballot) gone() (out outcome, decided bool) {
	word := b.preferred()
	switch {
	case b.last == nil:
		return outcome{err: ErrNoUser}, b.views[0].gone
	case b.present() == nil && b.confirmedGone():
		return outcome{err: ErrNoUser}, true
	case word != nil && !word.gone:
		return outcome{}, false
	case word == nil && !b.views[0].gone && (b.last.held.since().IsZero() || len(b.views) >= 2):
		return outcome{}, false
	}
	since := b.last.held.since()
	if since.IsZero() {
		since = b.now
	}
	until := since.Add(b.config.TTL)
	if !b.now.Before(until) && word != nil && len(b.views) >= 2 {
		return outcome{err: ErrNoUser}, true
	}
	k := *b.last
	k.checked = b.now
	if until.Before(k.dead) {
		k.dead = until
	}
	k.held = b.holding(&hold{lost: k.held.disputes(), gone: since}, b.views)
	out.known = &k
	if !b.now.Before(k.dead) {
		out.err = errDisputed
	}
	return out, true
}

// merge joins the views with what was known.
func (b *ballot) merge(e Entry) *known {
	first := b.views[0]
	names, h := first.names, &hold{}
	if b.live() {
		names = b.survivors(h)
	}
	yes := b.wanted()
	if yes != nil && !holdsAny(names, b.need) && !holdsAny(b.base(), b.need) {
		// As if that node had been read first, and then this one has lost
		// what only the other shows.
		more := without(without(yes.names, names), h.out())
		for _, g := range more {
			h.lost = append(h.lost, dispute{g, yes.node, b.now, false})
		}
		names = union(names, more)
	} else {
		yes = nil
	}
	set := GroupSet{Names: names, Node: first.node, Read: first.read}
	if len(without(names, first.names)) > 0 {
		set = b.source(set, yes)
	}
	k := &known{user: newUser(e, set), dn: e.DN, origin: first.node, checked: first.read, dead: set.Read.Add(b.config.StaleMax)}
	if len(h.lost) > 0 {
		slices.SortFunc(h.lost, func(x, y dispute) int { return strings.Compare(x.group, y.group) })
		k.held = h
	}
	return k
}

// source says who has shown all the groups of a set that the first view has
// not, and when: a node now, or else who did so before.
func (b *ballot) source(set GroupSet, yes *view) GroupSet {
	for _, v := range b.views[1:] {
		if len(without(set.Names, v.names)) == 0 {
			set.Node, set.Read = v.node, v.read
			return set
		}
	}
	switch {
	case yes != nil && !b.live():
		set.Node = yes.node
	case b.live():
		set.Node, set.Read = b.last.user.Node, b.last.user.GroupsRead
	}
	return set
}

// survivors returns the groups known before, but for those that are certainly
// lost, and those that the first view adds. What is in doubt goes into h.
func (b *ballot) survivors(h *hold) []string {
	first := b.views[0].names
	var lost []string
	for _, g := range b.base() {
		since := b.last.held.disputed(g)
		if since.IsZero() && holds(first, g) {
			continue
		}
		if since.IsZero() {
			since = b.now
		}
		switch b.judge(g, since) {
		case isLost:
			lost = append(lost, g)
		case isOut:
			lost = append(lost, g)
			h.lost = append(h.lost, dispute{g, b.shower(g), since, true})
		case isHeld:
			h.lost = append(h.lost, dispute{g, b.shower(g), since, false})
		}
	}
	back := b.reprieve(h)
	if len(lost) == 0 && len(h.lost) == 0 {
		return first // as it spells them
	}
	return union(union(without(b.base(), lost), without(first, h.out())), back)
}

// reprieve looks anew at the groups that the preferred node's word has taken,
// and returns those that it gives back.
func (b *ballot) reprieve(h *hold) (back []string) {
	word := b.preferred()
	for _, d := range b.last.held.disputes() {
		switch {
		case !d.out:
		case word != nil && holds(word.names, d.group):
			back = append(back, d.group)
			if !b.everybodyHas(d.group) {
				h.lost = append(h.lost, dispute{d.group, word.node, b.now, false})
			}
		case b.nobodyHas(d.group) && b.confirmed(d.group):
		default:
			h.lost = append(h.lost, d)
		}
	}
	return back
}

// A fate is what becomes of a group that some node has not shown.
type fate int

const (
	isKept fate = iota // the nodes agree that the user is in it
	isHeld
	isLost // they agree that not
	isOut  // by the preferred node's word, which another contradicts
)

// judge decides about a group that is disputed since a time.
func (b *ballot) judge(group string, since time.Time) fate {
	word, age := b.preferred(), b.now.Sub(since)
	switch {
	case b.everybodyHas(group) && (word != nil || len(b.views) >= 2):
		return isKept
	case b.nobodyHas(group) && b.confirmed(group):
		return isLost
	case word != nil && !holds(word.names, group) && age >= b.config.Hold && b.voters >= 2:
		return isOut
	case word == nil && !holds(b.views[0].names, group) && age >= b.config.StaleMax:
		return isLost // by the word of the node in use
	}
	return isHeld
}

// holding completes a hold by what all nodes have said and since when.
func (b *ballot) holding(h *hold, views []view) *hold {
	if h == nil {
		h = &hold{}
	}
	h.begun, h.asked = b.now, b.now
	if b.last != nil && b.last.held != nil {
		h.begun = b.last.held.begun
		if !b.tried {
			h.asked = b.last.held.asked
		}
		views = slices.Concat(b.last.held.views, views)
	}
	for _, v := range slices.Backward(views) { // the last word of each node
		same := func(w view) bool { return w.node == v.node }
		if !slices.ContainsFunc(h.views, same) && len(h.views) < maxOpinions {
			h.views = append(h.views, v)
		}
	}
	slices.SortFunc(h.views, func(v, w view) int { return strings.Compare(v.node, w.node) })
	return h
}

// isGone reports whether err says that there is no such entry.
func isGone(err error) bool {
	return errors.Is(err, ErrNoUser) && !errors.Is(err, ErrUnavailable)
}
