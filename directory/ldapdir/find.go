package ldapdir

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory"
)

// Find returns the entry of the name: exactly one, or [directory.ErrNoUser].
// With Config.UserDNTemplate it asks nobody; the entry then has no Node, and
// Verify tells whether it exists.
func (d *Dir) Find(ctx context.Context, name string) (directory.Entry, error) {
	if err := directory.CheckName(name); err != nil {
		return directory.Entry{}, err
	}
	if d.config.UserDNTemplate != "" {
		dn := expandDN(d.config.UserDNTemplate, name)
		return directory.Entry{ID: dn, Name: name, DN: dn}, nil
	}
	ctx, end, err := d.begin(ctx)
	if err != nil {
		return directory.Entry{}, err
	}
	defer end()
	var found directory.Entry
	err = d.each(ctx, d.nodes, func(ctx context.Context, n *node) (again bool, err error) {
		found, err = d.find(ctx, n, name)
		found.Node = n.name
		return true, err
	})
	if errors.Is(err, directory.ErrNoUser) {
		return directory.Entry{Node: found.Node}, err
	}
	if err != nil {
		return directory.Entry{}, unavailable(err)
	}
	return found, nil
}

// find searches one node. It asks for two entries to see whether there is
// more than one.
func (d *Dir) find(ctx context.Context, n *node, name string) (directory.Entry, error) {
	request := d.request(ctx, d.config.UserBaseDN, expandFilter(d.config.UserFilter, name, ""), d.userAttributes())
	request.SizeLimit = 2
	result, err := d.search(ctx, n, request, n.search)
	switch {
	case len(result.Entries) > 1, hasCode(err, ldap.LDAPResultSizeLimitExceeded) && len(result.Entries) > 0:
		// Whoever is the one that is meant, the other could log in as well.
		d.log.WarnContext(ctx, "name stands for more than one entry, so nobody is let in",
			"server", n.name, "base", request.BaseDN, "filter", request.Filter)
		return directory.Entry{}, directory.ErrNoUser
	case err != nil:
		return directory.Entry{}, err
	case len(result.Entries) == 0:
		return directory.Entry{}, directory.ErrNoUser
	}
	return d.entry(n, result.Entries[0])
}

// read returns the entry with the DN through the given kind of search.
func (d *Dir) read(ctx context.Context, n *node, dn string, run runner) (directory.Entry, error) {
	request := d.request(ctx, dn, "(objectClass=*)", d.userAttributes())
	request.Scope = ldap.ScopeBaseObject
	result, err := d.search(ctx, n, request, run)
	if err != nil {
		return directory.Entry{}, err
	}
	if len(result.Entries) != 1 {
		return directory.Entry{}, badAnswer("%d entries with the DN %q may be read", len(result.Entries), dn)
	}
	return d.entry(n, result.Entries[0])
}

// entry translates what a node returned.
func (d *Dir) entry(n *node, e *ldap.Entry) (directory.Entry, error) {
	out := directory.Entry{
		DN:          e.DN,
		ID:          e.GetEqualFoldAttributeValue(d.config.IDAttribute),
		DisplayName: e.GetEqualFoldAttributeValue(d.config.DisplayNameAttribute),
		Email:       e.GetEqualFoldAttributeValue(d.config.EmailAttribute),
		Node:        n.name,
	}
	if d.config.MemberOf {
		out.Attributes = map[string][]string{"memberOf": e.GetEqualFoldAttributeValues("memberOf")}
	}
	attribute := d.config.NameAttribute
	if d.config.UserDNTemplate != "" {
		attribute, _, _ = strings.Cut(d.config.UserDNTemplate, "=")
	}
	name, err := nameOf(e, attribute)
	if err != nil {
		return directory.Entry{}, err
	}
	out.Name = name
	switch {
	case d.config.UserDNTemplate != "":
		out.ID = expandDN(d.config.UserDNTemplate, name) // as Find makes it
	case out.ID == "":
		out.ID = e.DN
	}
	return out, nil
}

// nameOf returns the value of the attribute that names the entry: of several
// the one in the DN, else the least, so that it is always the same.
func nameOf(e *ldap.Entry, attribute string) (string, error) {
	values := e.GetEqualFoldAttributeValues(attribute)
	if len(values) == 1 {
		return values[0], nil
	}
	if dn, err := ldap.ParseDN(e.DN); err == nil {
		if v, ok := rdnValue(dn, attribute); ok {
			return v, nil
		}
	}
	if len(values) == 0 {
		return "", badAnswer("the entry %q shows no %s", e.DN, attribute)
	}
	return slices.Min(values), nil
}

func (d *Dir) userAttributes() []string {
	attributes := []string{d.config.NameAttribute, d.config.IDAttribute, d.config.DisplayNameAttribute, d.config.EmailAttribute}
	if d.config.MemberOf {
		attributes = append(attributes, "memberOf")
	}
	return attributes
}

// request returns a search below base. The server is told the deadline too, so
// that it does not work on for nobody.
func (d *Dir) request(ctx context.Context, base, filter string, attributes []string) *ldap.SearchRequest {
	seconds := 1
	if end, ok := ctx.Deadline(); ok {
		seconds += int(time.Until(end).Seconds())
	}
	return &ldap.SearchRequest{
		BaseDN: base, Scope: ldap.ScopeWholeSubtree, DerefAliases: ldap.NeverDerefAliases,
		TimeLimit: seconds, Filter: filter, Attributes: attributes, EnforceSizeLimit: true,
	}
}

// A runner is a way to run a search: shared, fresh, or with the rights of a
// user.
type runner func(context.Context, *ldap.SearchRequest) (*ldap.SearchResult, error)

// search runs a search and reports it.
func (d *Dir) search(ctx context.Context, n *node, request *ldap.SearchRequest, run runner) (*ldap.SearchResult, error) {
	began := time.Now()
	result, err := run(ctx, request)
	if result == nil {
		result = &ldap.SearchResult{}
	}
	kind := "search"
	if request.Scope == ldap.ScopeBaseObject {
		kind = "read"
	}
	d.report(ctx, Operation{
		Kind: kind, Server: n.name, BaseDN: request.BaseDN, Filter: request.Filter,
		Results: len(result.Entries), Took: time.Since(began), Err: err,
	})
	return result, err
}
