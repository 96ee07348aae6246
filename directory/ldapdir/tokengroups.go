package ldapdir

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

const (
	sidFound  = 10 * time.Minute // how long the name of a SID is kept
	sidAbsent = time.Minute      // and that no group below the base has it
	sidBytes  = 8 << 20          // of all that is kept
)

// A sidGroup is the group of a SID; without a name there is none below the
// base.
type sidGroup struct {
	name, dn string
	until    time.Time
}

type sidKey struct {
	node string // one that lags may not have a group yet
	base string
	sid  string
}

// A sidCache remembers the names of groups, so that a login at steady state
// reads none.
type sidCache struct {
	mu     sync.Mutex
	groups map[sidKey]sidGroup
	bytes  int
}

func (c *sidCache) get(k sidKey, now time.Time) (sidGroup, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.groups[k]
	return g, ok && now.Before(g.until)
}

// put keeps a group. Full, the cache begins anew: it holds the groups of a
// large domain, and more only if a server makes them up.
func (c *sidCache) put(k sidKey, g sidGroup) {
	const overhead = 256
	cost := len(k.sid) + len(g.name) + len(g.dn) + overhead
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.groups == nil || c.bytes+cost > sidBytes {
		c.groups, c.bytes = make(map[sidKey]sidGroup), 0
	}
	if old, ok := c.groups[k]; ok {
		c.bytes -= len(k.sid) + len(old.name) + len(old.dn) + overhead
	}
	c.groups[k] = g
	c.bytes += cost
}

// primarySID returns the SID of the primary group: the domain of the user's,
// with the number of the group (MS-ADTS section 3.1.1.4.5.19).
func (r *reading) primarySID() (string, error) {
	sids, ids := r.entry.Attributes["objectSid"], r.entry.Attributes["primaryGroupID"]
	if len(sids) != 1 || len(ids) != 1 {
		return "", badAnswer("the entry %q shows no objectSid or no primaryGroupID", r.entry.DN)
	}
	sid, ok := siblingSID(sids[0], ids[0])
	if !ok {
		return "", badAnswer("the entry %q has the primary group %q of %x", r.entry.DN, ids[0], sids[0])
	}
	return sid, nil
}

// tokenGroups adds the groups of which the server lists the SIDs: all levels,
// the primary group included. A SID that the server has no group for below the
// base is none of a group that could be asked for: one of another domain, or
// outside the base as the built-in ones mostly are.
func (r *reading) tokenGroups(ctx context.Context) error {
	e, err := r.dir.readEntry(ctx, r.node, r.entry.DN, []string{"tokenGroups"}, r.way.search)
	if err != nil {
		return err
	}
	sids, err := r.dir.values(ctx, r.node, e, "tokenGroups", r.way.search)
	if err != nil {
		return err
	}
	if len(sids) == 0 {
		// At least the primary group is in it, whenever it may be read.
		return badAnswer("the tokenGroups of %q may not be read", r.entry.DN)
	}
	if len(sids) > maxGroups {
		return ldap.ErrSizeLimitExceeded
	}
	known, err := r.resolve(ctx, r.schema.groupBase, sids)
	if err != nil {
		return err
	}
	for _, g := range known {
		if g.name != "" {
			r.addOne(g.dn, g.name)
		}
	}
	return nil
}

// resolve returns the groups of the SIDs, one for each.
func (r *reading) resolve(ctx context.Context, base string, sids []string) (map[string]sidGroup, error) {
	now := time.Now()
	known := make(map[string]sidGroup, len(sids))
	var terms, open []string
	for _, sid := range sids {
		if !validSID(sid) {
			return nil, badAnswer("%x among the groups of %q is no SID", sid, r.entry.DN)
		}
		if g, ok := r.dir.sids.get(sidKey{r.way.name(), base, sid}, now); ok {
			known[sid] = g
			continue
		}
		terms, open = append(terms, "(objectSid="+escapeBytes(sid)+")"), append(open, sid)
	}
	read := make(map[string]sidGroup, len(open))
	for _, sid := range open {
		read[sid] = sidGroup{until: now.Add(sidAbsent)}
	}
	for filter := range batches(terms) {
		groups, err := r.search(ctx, base, ofClass("group", filter), r.schema.groupName, "objectSid")
		if err != nil {
			return nil, err
		}
		if err := r.takeSIDs(groups, read, now); err != nil {
			return nil, err
		}
	}
	for sid, g := range read {
		r.dir.sids.put(sidKey{r.way.name(), base, sid}, g)
	}
	maps.Copy(known, read)
	return known, nil
}

// takeSIDs sets the groups of the SIDs that were asked for.
func (r *reading) takeSIDs(groups []*ldap.Entry, asked map[string]sidGroup, now time.Time) error {
	for _, e := range groups {
		name, err := nameOf(e, r.schema.groupName)
		if err != nil {
			return err
		}
		sids := e.GetEqualFoldAttributeValues("objectSid")
		if len(sids) != 1 || asked[sids[0]].until.IsZero() {
			return badAnswer("the group %q has not the SID that was asked for", e.DN)
		}
		asked[sids[0]] = sidGroup{name, e.DN, now.Add(sidFound)}
	}
	return nil
}

// addPrimary adds the primary group.
func (r *reading) addPrimary(ctx context.Context) error {
	sid, err := r.primarySID()
	if err != nil {
		return err
	}
	known, err := r.resolve(ctx, r.schema.groupBase, []string{sid})
	if g := known[sid]; g.name != "" {
		r.addOne(g.dn, g.name)
	}
	return err
}
