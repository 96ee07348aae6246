package ldapdir

import (
	"context"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory"
)

// A reading is one look at the groups of one entry, on one node.
type reading struct {
	dir    *Dir
	node   *node
	schema *schema
	way    *way
	entry  directory.Entry

	names []string
	seen  map[string]bool // the DNs of the groups in names, in lower case
	level []string        // the DNs of those that the last step has added
	size  int             // bytes of names and DNs
}

// read fills names.
func (r *reading) read(ctx context.Context) error {
	switch r.schema.nested {
	case nestedTokenGroups:
		return r.tokenGroups(ctx)
	case nestedInChain:
		return r.inChain(ctx)
	}
	all, err := r.direct(ctx)
	if err != nil || all || r.schema.nested == nestedOff {
		return err
	}
	return r.parents(ctx)
}

// direct adds the groups that the user is a member of, and reports whether
// these are all there are.
func (r *reading) direct(ctx context.Context) (all bool, err error) {
	if r.memberOf() {
		if r.schema.kind == kindAD {
			return false, r.addPrimary(ctx)
		}
		// 389 keeps the groups of groups there too.
		return r.schema.kind == kind389 || r.schema.kind == kindFreeIPA, nil
	}
	filter := expandFilter(r.schema.groupFilter, r.entry.Name, r.entry.DN)
	if r.dir.config.GroupFilter == "" && r.schema.primary != "" {
		primary, err := r.primaryFilter()
		if err != nil {
			return false, err
		}
		filter = "(|" + filter + primary + ")"
	}
	return false, r.add(ctx, filter)
}

// primaryFilter returns the filter of the primary group, which has the user
// not among its members. It is empty where the user has none.
func (r *reading) primaryFilter() (string, error) {
	if r.schema.kind == kindAD {
		sid, err := r.primarySID()
		return ofClass("group", "(objectSid="+escapeBytes(sid)+")"), err
	}
	values := r.entry.Attributes[r.schema.primary]
	if len(values) == 0 {
		return "", nil
	}
	if _, err := strconv.ParseUint(values[0], 10, 32); err != nil || len(values) > 1 {
		return "", badAnswer("the %s of %q is %q", r.schema.primary, r.entry.DN, values)
	}
	return ofClass(r.schema.groupClass, "("+r.schema.primary+"="+values[0]+")"), nil
}

// memberOf adds the names in the DNs of the groups that came with the entry,
// if they are to be used and each of them tells its name.
func (r *reading) memberOf() bool {
	values := r.entry.Attributes["memberOf"]
	base, err := ldap.ParseDN(r.schema.groupBase)
	if !r.schema.memberOf || len(values) == 0 || err != nil {
		return false
	}
	var names, level []string
	for _, value := range values {
		dn, err := ldap.ParseDN(value)
		if err != nil {
			return false
		}
		if !base.EqualFold(dn) && !base.AncestorOfFold(dn) {
			continue
		}
		name, ok := rdnValue(dn, r.schema.groupName)
		if !ok {
			return false
		}
		names, level = append(names, name), append(level, value)
	}
	for i, dn := range level {
		r.addOne(dn, names[i])
	}
	return true
}

// add searches groups and adds those that are new.
func (r *reading) add(ctx context.Context, filter string) error {
	groups, err := r.search(ctx, r.schema.groupBase, filter, r.schema.groupName)
	if err != nil {
		return err
	}
	for _, g := range groups {
		name, err := nameOf(g, r.schema.groupName)
		if err != nil {
			return err // a group without its name is a part of the list missing
		}
		r.addOne(g.DN, name)
	}
	if len(r.names) > maxGroups || r.size > maxKept {
		return ldap.ErrSizeLimitExceeded
	}
	return nil
}

func (r *reading) addOne(dn, name string) {
	key := strings.ToLower(dn)
	if !r.seen[key] {
		r.seen[key] = true
		r.size += len(name) + len(dn)
		r.names, r.level = append(r.names, name), append(r.level, dn)
	}
}

// search returns all that the filter finds below base, or an error. A limit of
// the server that is lower than ours is one for each page.
func (r *reading) search(ctx context.Context, base, filter string, attributes ...string) ([]*ldap.Entry, error) {
	request := r.dir.request(ctx, base, filter, attributes)
	request.SizeLimit = maxGroups
	result, err := r.dir.search(ctx, r.node, request, r.way.search)
	if hasCode(err, ldap.LDAPResultSizeLimitExceeded) && len(result.Entries) < maxGroups {
		if result, err = r.dir.paged(ctx, r.node, r.way, request); err != nil {
			return nil, err
		}
	}
	return r.complete(ctx, request, result, err)
}
