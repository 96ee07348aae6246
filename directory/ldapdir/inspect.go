package ldapdir

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// An Inspection is what a node has told about itself over one connection.
type Inspection struct {
	Schema  string    // the kind of directory that it looks like, as Config.Schema has them
	Server  string    // the name that it gives itself; empty: it tells none
	Vendor  string    // whose program it is, and which version; empty: it does not tell
	Clock   time.Time // what time it takes it to be; zero: it does not tell
	Changes []string  // contextCSN of the base, the last change from each server; none: it does not tell
}

// Inspect opens a connection to the node of that name, binds the service
// account, and reads what the server tells about itself and the bases of the
// searches. It is for tools that show nodes to an operator: a [Trace] in ctx
// hears of each step, and as with [Dir.Only] nothing changes for others. The
// error is [directory.ErrUnavailable]; what was learned before it is returned
// too.
func (d *Dir) Inspect(ctx context.Context, name string) (Inspection, error) {
	ctx, end, err := d.begin(ctx)
	if err != nil {
		return Inspection{}, err
	}
	defer end()
	var seen Inspection
	err = d.eachOnly(ctx, d.order(""), name, func(ctx context.Context, n *node) (bool, error) {
		return false, d.inspect(ctx, n, &seen)
	})
	if err != nil {
		return seen, unavailable(err)
	}
	return seen, nil
}

func (d *Dir) inspect(ctx context.Context, n *node, seen *Inspection) error {
	// Not the server that is kept to: whoever comes often enough sees all.
	c, err := n.dial(ctx, n.timeout, func(o Operation) { n.report(ctx, o) })
	if err != nil {
		return err
	}
	defer c.close()
	if err := n.bindService(ctx, c); err != nil {
		return err
	}
	more := []string{"dnsHostName", "vendorVersion", "currentTime"}
	root, err := d.readEntry(ctx, n, "", slices.Concat(rootAttributes, more), c.read)
	if err != nil {
		return err
	}
	seen.Schema = kindOf(root)
	seen.Server = root.GetEqualFoldAttributeValue("dnsHostName")
	seen.Vendor = cmp.Or(root.GetEqualFoldAttributeValue("vendorVersion"), root.GetEqualFoldAttributeValue("vendorName"))
	// GeneralizedTime, as Active Directory writes it: 20260102030405.0Z.
	seen.Clock, _ = time.Parse("20060102150405.0Z", root.GetEqualFoldAttributeValue("currentTime"))
	for _, base := range d.bases() {
		changes, err := d.changes(ctx, n, c, base)
		if searched := base != d.config.BaseDN || base == d.config.UserBaseDN || base == d.config.GroupBaseDN; err != nil && (searched || lost(err)) {
			return err
		}
		if len(changes) > 0 {
			seen.Changes = changes // the suffix has it alone
		}
	}
	return nil
}

// changes returns contextCSN of the base; none where its entry may not be read
// or is not there. That is no failure: a login searches below it alone.
func (d *Dir) changes(ctx context.Context, n *node, c *conn, base string) (all []string, err error) {
	request := d.request(ctx, base, "(objectClass=*)", []string{"contextCSN"})
	request.Scope = ldap.ScopeBaseObject
	result, err := d.search(ctx, n, request, func(ctx context.Context, r *ldap.SearchRequest) (*ldap.SearchResult, error) {
		result, err := c.read(ctx, r)
		if !hasCode(err, ldap.LDAPResultNoSuchObject) && !hasCode(err, ldap.LDAPResultInsufficientAccessRights) {
			return result, err
		}
		below := *r
		below.Scope, below.SizeLimit, below.Attributes = ldap.ScopeWholeSubtree, 1, []string{"1.1"}
		if _, e := c.read(ctx, &below); e != nil && !hasCode(e, ldap.LDAPResultSizeLimitExceeded) {
			return nil, err
		}
		return &ldap.SearchResult{}, nil
	})
	if err != nil {
		return nil, err
	}
	for _, e := range result.Entries {
		all = append(all, e.GetEqualFoldAttributeValues("contextCSN")...)
	}
	return all, nil
}

// bases returns where the service searches, and BaseDN, which may be the suffix
// above; none where it may not.
func (d *Dir) bases() (all []string) {
	c := d.config
	if c.UserDNTemplate != "" && c.BindDN == "" {
		return nil
	}
	all = []string{c.GroupBaseDN}
	if c.UserDNTemplate == "" && c.UserBaseDN != c.GroupBaseDN {
		all = append(all, c.UserBaseDN)
	}
	if c.BaseDN != "" && !slices.Contains(all, c.BaseDN) {
		all = append(all, c.BaseDN)
	}
	return all
}
