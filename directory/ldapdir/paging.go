package ldapdir

import (
	"context"

	"github.com/go-ldap/ldap/v3"
)

const (
	pageSize = 1000 // what Active Directory returns at most (MaxPageSize)
	maxPages = 1024 // of a server that makes its pages shorter
)

// paged runs a search page by page (RFC 2696), over a connection of its own:
// a server keeps one place in one search for each connection. Whatever ends it
// early is an error.
func (d *Dir) paged(ctx context.Context, n *node, w *way, request *ldap.SearchRequest) (*ldap.SearchResult, error) {
	c, done, err := w.alone(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	c.guard.keepPages()
	control := ldap.NewControlPaging(pageSize)
	page := *request
	page.Controls = []ldap.Control{control}
	all := &ldap.SearchResult{}
	for range maxPages {
		result, err := d.search(ctx, n, &page, c.read)
		if err != nil {
			return nil, err
		}
		all.Entries = append(all.Entries, result.Entries...)
		all.Referrals = append(all.Referrals, result.Referrals...)
		if len(all.Entries) > maxGroups {
			return nil, ldap.ErrSizeLimitExceeded
		}
		// A server without the control has answered in full.
		answer, ok := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !ok || len(answer.Cookie) == 0 {
			return all, nil
		}
		control.SetCookie(answer.Cookie)
	}
	return nil, badAnswer("a search of more than %d pages", maxPages)
}
