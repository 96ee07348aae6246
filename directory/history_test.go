package directory

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/internal/soak"
)

// A history is what happened to fred's groups so far, to judge what he is
// shown next. It knows nothing of votes.
type history struct {
	*script
	groups []string // all there are
	had    []string // at the last login
	// contradicted is since when the preferred node, in use at every login,
	// has lacked a group that he was shown at every login.
	contradicted map[string]time.Time
}

// shown returns which of the nodes that are up have the group.
func (h *history) shown(group string) (with, lacking int) {
	for _, m := range h.c.nodes {
		switch {
		case m.down:
		case slices.Contains(m.groups, group):
			with++
		default:
			lacking++
		}
	}
	return with, lacking
}

// change lets one thing happen to a node.
func (h *history) change(r *rand.Rand) {
	m := h.c.nodes[r.IntN(len(h.c.nodes))]
	switch r.IntN(5) {
	case 0:
		m.fall(!m.down)
	default:
		g := h.groups[r.IntN(len(h.groups))]
		if i := slices.Index(m.groups, g); i >= 0 {
			m.groups = slices.Delete(slices.Clone(m.groups), i, i+1)
		} else {
			m.groups = union(m.groups, []string{g})
		}
	}
}

// judge holds a login against what the nodes show.
func (h *history) judge(u *User) {
	first := h.c.order("", nil)[0]
	preferred := h.c.nodes[0]
	for _, g := range h.groups {
		with, lacking := h.shown(g)
		has, had := u.In(g), slices.Contains(h.had, g)
		since, ok := h.contradicted[g]
		switch contradicted := has && first == preferred && !slices.Contains(preferred.groups, g); {
		case !contradicted:
			delete(h.contradicted, g)
		case !ok:
			h.contradicted[g] = time.Now()
		case time.Since(since) > h.d.config.Hold+h.d.config.TTL:
			h.t.Errorf("%s against the preferred node's word for %v", g, time.Since(since))
		}
		switch {
		case has && !had && with == 0:
			h.t.Errorf("gained %s, which no node shows", g)
		case !has && first == preferred && slices.Contains(first.groups, g):
			h.t.Errorf("lacks %s, which the preferred node shows", g)
		case had && !has && lacking == 0:
			h.t.Errorf("lost %s, which all nodes show", g)
		case had && !has && lacking == 1 && with > 0 && (preferred.down || slices.Contains(preferred.groups, g)):
			h.t.Errorf("lost %s for one node's no", g)
		}
	}
	h.had = u.Groups
}

// Nodes change, fall out and come back at random, and the one in use changes
// too. Whatever happens, a login shows no group that no node shows or showed,
// loses none that the preferred node shows, none by a single laggard's word,
// and keeps none for ever against the preferred node's.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(soak.Count(4000)) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 4))
			h := &history{script: newScript(t, Config{}), groups: []string{"a", "b", "c", "d"}, contradicted: map[string]time.Time{}}
			for range 80 {
				h.change(r)
				if h.c.first = 0; seed%2 == 1 {
					h.c.first = r.IntN(3) // no affinity
				}
				time.Sleep(time.Duration(r.IntN(120)) * time.Second)
				if len(h.c.order("", nil)) == 0 {
					continue
				}
				u, err := h.d.Login(t.Context(), Entry{ID: "id-1", Name: "fred", Node: h.c.order("", nil)[0].name})
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if h.judge(u); t.Failed() {
					t.Fatalf("seed %d: %v; held %+v", seed, u.Groups, h.d.Held())
				}
			}
		})
	}
}

// The same for an entry that comes and goes on each node. Nobody known is gone
// by a single laggard's word, or unknown while all nodes have him; and who is
// gone everywhere has no session after the TTL.
func TestRandomDepartures(t *testing.T) {
	for seed := range uint64(soak.Count(4000)) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			s := newScript(t, Config{})
			var absent time.Duration // since when he is gone everywhere
			s.run("login=a,b,c")
			for range 80 {
				m := s.c.nodes[r.IntN(3)]
				if r.IntN(4) == 0 {
					m.fall(!m.down)
				} else if m.id = ""; r.IntN(2) == 0 {
					m.id = "id-1"
				}
				if s.c.first = 0; seed%2 == 1 {
					s.c.first = r.IntN(3)
				}
				pause := time.Duration(r.IntN(120)) * time.Second
				time.Sleep(pause)
				up := s.c.order("", nil)
				lack := 0
				for _, m := range up {
					if m.id == "" {
						lack++
					}
				}
				if absent += pause; lack < len(up) || s.c.nodes[0].down {
					absent = 0
				}
				u, err := s.d.User(t.Context(), "fred", "id-1")
				synctest.Wait()
				word, most := s.c.nodes[0], 5*time.Minute
				if k := s.d.cached("fred"); k != nil && s.c.node(k.known.Load().user.Node).down {
					most *= 2 // who has shown him may still have him
				}
				got := s.answer(u, err, "")
				if slices.Contains(s.losses, "gone") { // by this call, or by the read behind it
					got, s.losses = "gone", nil
				}
				switch {
				case got == "a,b,c" && absent > most+2*time.Minute:
					t.Errorf("known still, %v after he has gone everywhere", absent)
				case got == "gone" && (word.down || word.id != "") && lack < 2 && len(up) > 1:
					t.Errorf("gone by the word of %d of %d nodes", lack, len(up))
				case got == "unknown" && lack == 0 && !word.down && pause > lastPause:
					t.Error("unknown, though all nodes have him")
				case got == "gone": // he logs in again when somebody has him
					for _, m := range s.c.nodes {
						m.id, m.down = "id-1", false
					}
					time.Sleep(firstPause)
					s.run("login=a,b,c")
				}
				if t.Failed() {
					t.Fatalf("seed %d, held %+v\n%s", seed, s.d.Held(), s.log.String())
				}
			}
		})
	}
}
