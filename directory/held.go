package directory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Held is somebody about whom the directory nodes disagree, so that what is
// known stays for a while; the package comment says how long.
type Held struct {
	User  string
	Since time.Time
	// Groups are what the user has still, although some node lacks it.
	Groups []string
	// Gone reports that some node lacks the whole entry, or has it disabled.
	Gone bool
	// Refused are groups that some node has, and that the user has not: the
	// preferred node's word has ended the time that they were held.
	Refused []string
	Nodes   []NodeView // what each node said last
}

// A NodeView is what one node said about somebody, about whom others disagree.
type NodeView struct {
	Node    string
	Read    time.Time
	Gone    bool     // there is no such entry, or it is disabled
	Missing []string // those of Held.Groups and Held.Refused that it lacks
}

// Held returns about whom the nodes disagree, the longest first. It asks
// nobody.
func (d *Directory) Held() []Held {
	d.mu.Lock()
	held := maps.Clone(d.held)
	d.mu.Unlock()
	all := make([]Held, 0, len(held))
	for s, h := range held {
		all = append(all, h.show(s.name))
	}
	slices.SortFunc(all, func(a, b Held) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.User, b.User)
	})
	return all
}

// show returns the hold as operators see it.
func (h *hold) show(user string) Held {
	shown := Held{User: user, Since: h.begun, Refused: h.out()}
	disputed := make([]string, 0, len(h.lost))
	for _, l := range h.lost {
		disputed = append(disputed, l.group)
	}
	shown.Groups = without(disputed, shown.Refused)
	for _, v := range h.views {
		n := NodeView{Node: v.node, Read: v.read, Gone: v.gone}
		if !v.gone {
			n.Missing = without(disputed, v.names)
		}
		shown.Gone = shown.Gone || v.gone
		shown.Nodes = append(shown.Nodes, n)
	}
	return shown
}

// mark notes whether the nodes disagree about the user, and returns about
// what. The caller holds mu.
func (d *Directory) mark(s *slot) *hold {
	k := s.known.Load()
	if s.index < 0 || k == nil || k.held == nil {
		delete(d.held, s)
		return nil
	}
	d.held[s] = k.held
	return k.held
}

// logHold writes one line when nodes begin to disagree about a user and one
// when they no longer do.
func (d *Directory) logHold(user string, was, held *hold, now time.Time) {
	switch {
	case was == nil && held != nil:
		h := held.show(user)
		d.config.Logger.Warn("directory nodes disagree about a user; what was known is held",
			"user", user, "groups", shorten(h.Groups), "gone", h.Gone, "nodes", h.summary())
	case was != nil && held == nil:
		d.config.Logger.Info("directory nodes agree about a user again", "user", user, "after", now.Sub(was.begun))
	}
}

// summary says in one line how much each node lacks.
func (h *Held) summary() string {
	parts := make([]string, 0, len(h.Nodes))
	for _, n := range h.Nodes {
		if n.Gone {
			parts = append(parts, n.Node+" lacks the user")
			continue
		}
		parts = append(parts, fmt.Sprintf("%s lacks %d", n.Node, len(n.Missing)))
	}
	return strings.Join(parts, ", ")
}

// shorten returns what a log line shows of names.
func shorten(names []string) string {
	const most = 10
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
