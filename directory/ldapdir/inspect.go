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
		request := d.request(ctx, base, "(objectClass=*)", []string{"contextCSN"})
		request.Scope = ldap.ScopeBaseObject
		result, err := d.search(ctx, n, request, c.read)
		if searched := base == d.config.UserBaseDN || base == d.config.GroupBaseDN; err != nil && (searched || lost(err)) {
			return err
		}
		// A login needs to search below a base, not to read it.
		for _, e := range result.Entries {
			if csn := e.GetEqualFoldAttributeValues("contextCSN"); len(csn) > 0 {
				seen.Changes = csn // the suffix has it alone
			}
		}
	}
	return nil
}

// bases returns where the service searches; none where it may not.
func (d *Dir) bases() (all []string) {
	c := d.config
	if c.UserDNTemplate != "" && c.BindDN == "" {
		return nil
	}
	for _, base := range []string{c.BaseDN, c.UserBaseDN, c.GroupBaseDN} {
		if base != "" && !slices.Contains(all, base) {
			all = append(all, base)
		}
	}
	return all
}
