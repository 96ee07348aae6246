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
		if typed := parseName(name, d.config.Domains); typed.short != "" {
			name = typed.short
		}
		dn := expandDN(d.config.UserDNTemplate, name)
		return directory.Entry{ID: dn, Name: name, DN: dn}, nil
	}
	ctx, end, err := d.begin(ctx)
	if err != nil {
		return directory.Entry{}, err
	}
	defer end()
	var found directory.Entry
	err = d.each(ctx, d.order(""), func(ctx context.Context, n *node) (again bool, err error) {
		err = n.once(func(w *way) error {
			found, err = d.find(ctx, w, name)
			found.Node = w.name()
			return err
		})
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

// find searches one node, all of it over one way. An entry that has the whole name goes before one
// that has only what is left of it without the domain.
func (d *Dir) find(ctx context.Context, w *way, name string) (directory.Entry, error) {
	n := w.node
	s, err := d.schemaOf(ctx, n)
	if err != nil {
		return directory.Entry{}, err
	}
	typed := parseName(name, s.domains)
	request := d.request(ctx, s.userBase, s.filter(typed), s.userAttributes())
	e, err := d.findOne(ctx, w, s, request)
	if errors.Is(err, errSeveral) && typed.short != "" {
		request.Filter = expandFilter(s.userFilter, typed.whole, "")
		e, err = d.findOne(ctx, w, s, request)
	}
	if errors.Is(err, errSeveral) || err == nil && e == nil {
		// Of several, whoever is the one that is meant, the other could log in
		// as well.
		if err != nil {
			d.log.WarnContext(ctx, "name stands for more than one entry, so nobody is let in",
				"server", n.name, "base", request.BaseDN, "filter", request.Filter)
		}
		return directory.Entry{}, directory.ErrNoUser
	}
	if err != nil {
		return directory.Entry{}, err
	}
	return d.entry(ctx, n, s, e, w.search)
}

// errSeveral means that a name stands for more than one entry.
var errSeveral = errors.New("more than one entry")

// findOne returns the one entry that the search finds, or nil. It asks for two
// to see whether there is more than one.
func (d *Dir) findOne(ctx context.Context, w *way, s *schema, request *ldap.SearchRequest) (*ldap.Entry, error) {
	request.SizeLimit = 2
	result, err := d.search(ctx, w.node, request, w.search)
	switch {
	case len(result.Entries) > 1, hasCode(err, ldap.LDAPResultSizeLimitExceeded) && len(result.Entries) > 0:
		return nil, errSeveral
	case err != nil:
		return nil, err
	case len(result.Referrals) > 0 && s.kind != kindAD && !d.config.FollowReferrals:
		return nil, partialError(result.Referrals)
	case len(result.Entries) == 0:
		return nil, nil
	}
	return result.Entries[0], nil
}

// read returns the entry with the DN through the given kind of search.
func (d *Dir) read(ctx context.Context, n *node, dn string, run runner) (directory.Entry, error) {
	s, err := d.schemaBy(ctx, n, run)
	if err != nil {
		return directory.Entry{}, err
	}
	e, err := d.readEntry(ctx, n, dn, s.userAttributes(), run)
	if err != nil {
		return directory.Entry{}, err
	}
	return d.entry(ctx, n, s, e, run)
}

// readEntry returns attributes of the entry with the DN.
func (d *Dir) readEntry(ctx context.Context, n *node, dn string, attributes []string, run runner) (*ldap.Entry, error) {
	request := d.request(ctx, dn, "(objectClass=*)", attributes)
	request.Scope = ldap.ScopeBaseObject
	result, err := d.search(ctx, n, request, run)
	if err != nil {
		return nil, err
	}
	if len(result.Entries) != 1 {
		return nil, badAnswer("%d entries with the DN %q may be read", len(result.Entries), dn)
	}
	return result.Entries[0], nil
}

// entry translates what a node returned.
func (d *Dir) entry(ctx context.Context, n *node, s *schema, e *ldap.Entry, run runner) (directory.Entry, error) {
	out := directory.Entry{
		DN:          e.DN,
		ID:          s.id(e),
		DisplayName: e.GetEqualFoldAttributeValue(s.display),
		Email:       e.GetEqualFoldAttributeValue(s.mail),
		Node:        n.name,
		Disabled:    disabled(e, time.Now()),
	}
	var err error
	if out.Attributes, err = d.kept(ctx, n, s, e, run); err != nil {
		return directory.Entry{}, err
	}
	attribute := s.name
	if d.config.UserDNTemplate != "" {
		attribute, _, _ = strings.Cut(d.config.UserDNTemplate, "=")
	}
	if out.Name, err = nameOf(e, attribute); err != nil {
		return directory.Entry{}, err
	}
	if d.config.UserDNTemplate != "" {
		out.ID = expandDN(d.config.UserDNTemplate, out.Name) // as Find makes it
	}
	return out, nil
}

// id returns the ID of the entry.
func (s *schema) id(e *ldap.Entry) string {
	for _, attribute := range s.ids {
		if id := idText(attribute, e.GetEqualFoldAttributeValue(attribute)); id != "" {
			return id
		}
	}
	return e.DN
}

// kept returns the attributes that the groups are found by.
func (d *Dir) kept(ctx context.Context, n *node, s *schema, e *ldap.Entry, run runner) (map[string][]string, error) {
	wanted := s.groupAttributes()
	if len(wanted) == 0 {
		return nil, nil
	}
	out := make(map[string][]string, len(wanted))
	for _, attribute := range wanted {
		values, err := d.values(ctx, n, e, attribute, run)
		if err != nil {
			return nil, err
		}
		out[attribute] = values
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

// userAttributes returns what is read of a user.
func (s *schema) userAttributes() []string {
	attributes := []string{s.name, s.display, s.mail}
	attributes = append(attributes, s.ids...)
	attributes = append(attributes, s.states...)
	return append(attributes, s.groupAttributes()...)
}

// groupAttributes returns what is read of a user for the groups.
func (s *schema) groupAttributes() (attributes []string) {
	if s.memberOf {
		attributes = append(attributes, "memberOf")
	}
	if s.primary != "" {
		attributes = append(attributes, s.primary)
	}
	if s.kind == kindAD {
		attributes = append(attributes, "objectSid")
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
