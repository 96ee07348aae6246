package ldapdir

import (
	"context"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// What one filter may hold. slapd refuses messages over 256 KiB of an
// anonymous client; a filter that is too long for a server fails as a whole.
const (
	maxFilterTerms = 100
	maxFilterBytes = 32 << 10
)

// ruleInChain is the matching rule that goes up through all groups (MS-ADTS
// section 3.1.1.3.4.4.3).
const ruleInChain = ":1.2.840.113556.1.4.1941:="

// parents adds the groups of the groups, level by level. A group that was seen
// is not asked for again, which ends every cycle.
func (r *reading) parents(ctx context.Context) error {
	for depth := 1; len(r.level) > 0; depth++ {
		below := r.level
		r.level = nil
		terms := make([]string, len(below))
		for i, dn := range below {
			// A group has no user name: with its own it would get the groups
			// of the user who is called like it.
			terms[i] = expandFilter(r.schema.parent, r.dir.nobody, dn)
		}
		for filter := range batches(terms) {
			if err := r.add(ctx, ofClass(r.schema.groupClass, filter)); err != nil {
				return err
			}
		}
		if len(r.level) > 0 && depth >= r.dir.config.NestedDepth {
			return badAnswer("the groups of %q are nested deeper than %d levels", r.entry.DN, r.dir.config.NestedDepth)
		}
	}
	return nil
}

// inChain adds what one search of the server finds on all levels: for the user
// and for the primary group, which has the user not among its members.
func (r *reading) inChain(ctx context.Context) error {
	sid, err := r.primarySID()
	if err != nil {
		return err
	}
	base := r.schema.groupBase
	if r.dir.config.BaseDN != "" {
		base = r.dir.config.BaseDN // the primary group's groups count, also where itself does not
	}
	known, err := r.resolve(ctx, base, []string{sid})
	if err != nil {
		return err
	}
	member := []string{"(member" + ruleInChain + ldap.EscapeFilter(r.entry.DN) + ")"}
	if primary := known[sid]; primary.name != "" {
		member = append(member, "(member"+ruleInChain+ldap.EscapeFilter(primary.dn)+")")
		if below(r.schema.groupBase, primary.dn) {
			r.addOne(primary.dn, primary.name)
		}
	}
	return r.add(ctx, ofClass("group", anyOf(member)))
}

// below reports whether dn is base or below it.
func below(base, dn string) bool {
	top, err1 := ldap.ParseDN(base)
	entry, err2 := ldap.ParseDN(dn)
	return err1 == nil && err2 == nil && (top.EqualFold(entry) || top.AncestorOfFold(entry))
}

// batches returns filters for any of the terms, none of them too long.
func batches(terms []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for len(terms) > 0 {
			n, size := 0, 0
			for n < len(terms) && n < maxFilterTerms && (n == 0 || size+len(terms[n]) <= maxFilterBytes) {
				size += len(terms[n])
				n++
			}
			if !yield(anyOf(terms[:n])) {
				return
			}
			terms = terms[n:]
		}
	}
}

// anyOf returns a filter for any of the terms, each of one or more filters.
func anyOf(terms []string) string { return "(|" + strings.Join(terms, "") + ")" }

// ofClass asks for the class once: servers join it to each term otherwise.
func ofClass(class, filter string) string {
	if class == "" {
		return filter
	}
	return "(&(objectClass=" + class + ")" + filter + ")"
}
