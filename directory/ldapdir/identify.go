package ldapdir

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-ldap/ldap/v3"
)

// redials is how many more connections are opened to reach one certain server
// behind a load balancer: of two that take turns, enough for 31 of 32 when the
// balancer chooses by chance.
const redials = 4

// reach opens a connection that is right, or after some tries one that is not.
func (n *node) reach(ctx context.Context, right func(*conn) bool) (*conn, error) {
	c, err := n.open(ctx)
	if err != nil || right(c) {
		return c, err
	}
	end, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, time.Until(end)/2)
	defer cancel()
	// They stay open meanwhile, or a balancer that chooses the server with the
	// fewest connections would choose the same again.
	tried := []*conn{c}
	for range redials {
		c, err := n.open(ctx)
		if err != nil {
			break // with one that works in hand
		}
		if tried = append(tried, c); right(c) {
			break
		}
	}
	last := len(tried) - 1
	closeAll(tried[:last])
	return tried[last], nil
}

// open opens one connection and finds out who answers.
func (n *node) open(ctx context.Context) (*conn, error) {
	began := time.Now()
	c, err := n.dial(ctx, n.timeout, func(o Operation) { n.report(ctx, o) })
	if err != nil {
		return nil, err
	}
	if err := n.identify(ctx, c); err != nil {
		c.close()
		return nil, err
	}
	n.tellBalanced(n.balance.meet(c.backend, began))
	return c, nil
}

// tellBalanced logs the first sign that there are several servers.
func (n *node) tellBalanced(sign string) {
	if sign != "" {
		n.log.Warn("more than one server answers at the address of a directory node; from now on one is kept to",
			"server", n.name, "seen", sign)
	}
}

// fits reports whether calls may use the connection. One of the time before it
// was known that servers have names may lead to any of them.
func (n *node) fits(c *conn) bool {
	return (c.named || !n.namesServers()) && n.balance.fits(c.backend)
}

func (n *node) namesServers() bool { return n.names != nil && n.names.Load() }

// identify asks for the name of the server, of those that have one in the
// rootDSE: domain controllers above all. It may be read before a bind
// (MS-ADTS section 5.1.1.1).
func (n *node) identify(ctx context.Context, c *conn) error {
	if !n.namesServers() {
		return nil
	}
	root, _, err := n.look(ctx, c.answer, "", "dnsHostName", "dsServiceName")
	if lost(err) {
		return err
	}
	c.named = true
	name := cmp.Or(root.GetEqualFoldAttributeValue("dnsHostName"), root.GetEqualFoldAttributeValue("dsServiceName"))
	// It goes into logs, and into the names of nodes.
	if len(name) <= 255 && !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == '[' || r == ']' }) {
		c.host = strings.ToLower(name)
	}
	return nil
}

// compareChanges asks for the last changes that the server has, of the kinds
// that tell (OpenLDAP), and compares them with what was shown before.
func (n *node) compareChanges(ctx context.Context, ask asker) error {
	if n.changesBase == "" || n.namesServers() || n.changeless.Load() {
		return nil
	}
	before := n.balance.seen()
	e, c, err := n.look(ctx, ask, n.changesBase, "contextCSN", "entryCSN")
	if lost(err) {
		return err
	}
	read := changesOf(e)
	if len(read) == 0 {
		hidden := hasCode(err, ldap.LDAPResultNoSuchObject) || hasCode(err, ldap.LDAPResultInsufficientAccessRights)
		n.changeless.Store(err == nil || hidden)
		return nil
	}
	n.tellBalanced(n.balance.compare(before, read, c))
	return nil
}

// changesOf returns the last change from each server, of an entry.
func changesOf(e *ldap.Entry) map[string]string {
	read := make(map[string]string)
	values := e.GetEqualFoldAttributeValues("contextCSN")
	for _, csn := range values[:min(len(values), maxChanges)] {
		if id, ok := serverOf(csn); ok {
			read[id] = csn
		}
	}
	if csn := e.GetEqualFoldAttributeValue("entryCSN"); len(read) == 0 {
		if _, ok := serverOf(csn); ok {
			read["entry"] = csn
		}
	}
	return read
}

// serverOf returns the server ID in 20260102030405.123456Z#000000#001#000000
// (draft-chu-ldap-csn). Such values of one ID sort by time.
func serverOf(csn string) (id string, ok bool) {
	parts := strings.Split(csn, "#")
	if len(parts) != 4 || len(parts[0]) != len("20260102030405.123456Z") || len(parts[1]) != 6 || len(parts[2]) != 3 || len(parts[3]) != 6 {
		return "", false
	}
	return parts[2], true
}

// An asker runs a search and returns the connection that it was answered over.
type asker func(context.Context, *ldap.SearchRequest) (*ldap.SearchResult, *conn, error)

// answer is read as an asker.
func (c *conn) answer(ctx context.Context, request *ldap.SearchRequest) (*ldap.SearchResult, *conn, error) {
	result, err := c.read(ctx, request)
	return result, c, err
}

// look returns the entry as far as it may be read: without attributes where
// it is hidden.
func (n *node) look(ctx context.Context, ask asker, dn string, attributes ...string) (*ldap.Entry, *conn, error) {
	request := ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 0, false, "(objectClass=*)", attributes, nil)
	request.EnforceSizeLimit = true
	began := time.Now()
	result, c, err := ask(ctx, request)
	e, found := &ldap.Entry{}, 0
	if err == nil {
		found = len(result.Entries)
	}
	if found == 1 {
		e = result.Entries[0]
	}
	n.report(ctx, Operation{
		Kind: "identify", Server: n.name, BaseDN: dn, Filter: request.Filter, Detail: "who answers",
		Results: found, Took: time.Since(began), Err: err,
	})
	return e, c, err
}

// connect opens a connection, behind a load balancer to the server that is kept
// to. Where that is missed by bad luck the connection serves once; the one for
// searches has them all, so the server it leads to is kept to then.
func (n *node) connect(ctx context.Context, searches bool) (*conn, error) {
	c, err := n.reach(ctx, n.fits)
	if err != nil {
		return nil, err
	}
	if before, changed := n.balance.arrive(c.backend, searches); changed {
		n.vetted.Store(false)
		n.log.Warn("another server behind the address of a directory node is in use",
			"server", n.nameOf(c.backend), "before", n.nameOf(before))
	}
	return c, nil
}

// dialService opens a connection and binds the service account.
func (n *node) dialService(ctx context.Context) (*conn, error) {
	return n.dialSearches(ctx, false)
}

// dialSearches is dialService; it also says whether it is for the searches of
// all calls.
func (n *node) dialSearches(ctx context.Context, searches bool) (*conn, error) {
	c, err := n.connect(ctx, searches)
	if err != nil {
		return nil, err
	}
	return n.serve(ctx, c)
}

// dialOther opens a connection of the service to a server that is not among
// those of a name, as far as there is another and it can be told.
func (n *node) dialOther(ctx context.Context, names []string) (*conn, error) {
	c, err := n.reach(ctx, func(c *conn) bool {
		several, blind := n.balance.found()
		name := n.nameOf(c.backend)
		// The name of the node alone is that of who was kept to before there
		// was a sign.
		known := slices.Contains(names, name) || slices.Contains(names, n.name) && name == n.kept()
		return !several || blind || !known
	})
	if err != nil {
		return nil, err
	}
	return n.serve(ctx, c)
}

// seek opens a connection to the server of that name; nil if it is not reached.
func (n *node) seek(ctx context.Context, name string) (*conn, error) {
	right := func(c *conn) bool { return n.nameOf(c.backend) == name }
	c, err := n.reach(ctx, right)
	if err != nil || right(c) {
		return c, err
	}
	c.close()
	return nil, nil
}

// serve makes a service connection of c, or closes it.
func (n *node) serve(ctx context.Context, c *conn) (*conn, error) {
	err := n.bindService(ctx, c)
	if err == nil {
		err = n.compareChanges(ctx, c.answer)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}
