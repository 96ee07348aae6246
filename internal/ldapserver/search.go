package ldapserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

const (
	oidPaging   = "1.2.840.113556.1.4.319" // RFC 2696
	flushBuffer = 32 << 10                 // bytes collected before a write
)

// A searchRequest is SearchRequest of RFC 4511, section 4.5.1. Aliases do not
// exist here, so derefAliases is not kept.
type searchRequest struct {
	base      dn
	scope     int64
	sizeLimit int64
	timeLimit int64 // seconds
	filter    filter
	selection selection
	page      *page // nil without the control
}

// A page is where a paged search goes on.
type page struct {
	size   int64
	serial uint64 // of the tree
	next   uint64 // index in its entries
	sent   uint64 // entries of earlier pages
}

// A selection is the list of wanted attributes.
type selection struct {
	user, operational bool // "*" or an empty list; "+"
	keys              []string
	spans             map[string]span // by key; nil without range options
	limit             int             // values of one attribute, 0: any number
	typesOnly         bool
}

// newSelection reads an attribute list (RFC 4511, section 4.5.1.8; "+" is RFC
// 3673). Nothing asked for is everything but operational attributes.
func newSelection(names []string, typesOnly bool, rangeLimit int) selection {
	s := selection{user: len(names) == 0, typesOnly: typesOnly, limit: rangeLimit}
	for _, n := range names {
		switch n {
		case "*":
			s.user = true
		case "+":
			s.operational = true
		default: // "1.1" among them: no attribute has that name
			s.add(n)
		}
	}
	return s
}

func (s *selection) add(name string) {
	bare, asked, ok := name, span{}, false
	if s.limit > 0 {
		bare, asked, ok = parseSpan(name)
	}
	key := attributeKey(bare)
	s.keys = append(s.keys, key)
	if ok {
		if s.spans == nil {
			s.spans = map[string]span{}
		}
		s.spans[key] = asked
	}
}

// span returns the range that was asked for, or nil.
func (s *selection) span(key string) *span {
	if asked, ok := s.spans[key]; ok {
		return &asked
	}
	return nil
}

func (s *selection) wants(a *attribute) bool {
	return s.user && !a.operational || s.operational && a.operational || slices.Contains(s.keys, a.key)
}

// parseSearch returns the request, or the result that refuses it.
func parseSearch(m *message, rangeLimit int) (*searchRequest, Result) {
	malformed := Result{Code: ldap.LDAPResultProtocolError, Message: "malformed search request"}
	c := m.op.Children
	if len(c) != 8 {
		return nil, malformed
	}
	base, ok0 := octets(c[0])
	scope, ok1 := integer(c[1], ber.TagEnumerated)
	size, ok2 := integer(c[3], ber.TagInteger)
	limit, ok3 := integer(c[4], ber.TagInteger)
	typesOnly, ok4 := c[5].Value.(bool)
	f, ok5 := parseFilter(c[6])
	names, ok6 := parseNames(c[7])
	if !(ok0 && ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || scope < 0 || scope > 2 || size < 0 || limit < 0 {
		return nil, malformed
	}
	d, ok := parseDN(base)
	if !ok {
		return nil, Result{Code: ldap.LDAPResultInvalidDNSyntax, Message: "invalid DN"}
	}
	q := &searchRequest{base: d, scope: scope, sizeLimit: size, timeLimit: limit, filter: f,
		selection: newSelection(names, typesOnly, rangeLimit)}
	for _, ctl := range m.controls {
		if ctl.oid != oidPaging {
			continue
		}
		if q.page, ok = parsePage(ctl.value); !ok {
			return nil, Result{Code: ldap.LDAPResultProtocolError, Message: "malformed paging control"}
		}
	}
	return q, Result{}
}

// parseNames returns the attribute list.
func parseNames(p *ber.Packet) (names []string, ok bool) {
	if p.TagType != ber.TypeConstructed {
		return nil, false
	}
	for _, child := range p.Children {
		n, ok := octets(child)
		if !ok {
			return nil, false
		}
		names = append(names, n)
	}
	return names, true
}

// parsePage reads realSearchControlValue. The value is a message of its own
// and is checked as one.
func parsePage(value string) (*page, bool) {
	raw, left := []byte(value), 8
	if rest, ok := checkElement(raw, 2, &left); !ok || len(rest) > 0 {
		return nil, false
	}
	p, err := ber.DecodePacketErr(raw)
	if err != nil || len(p.Children) != 2 {
		return nil, false
	}
	size, ok := integer(p.Children[0], ber.TagInteger)
	cookie, okCookie := octets(p.Children[1])
	if !ok || !okCookie || size < 0 {
		return nil, false
	}
	if cookie == "" {
		return &page{size: size}, true
	}
	if len(cookie) != 24 {
		return nil, false
	}
	b := []byte(cookie)
	return &page{size, binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}, true
}

// control returns the response control; a nil page ends the search.
func (p *page) control() *ber.Packet {
	var cookie []byte
	if p != nil {
		cookie = binary.BigEndian.AppendUint64(cookie, p.serial)
		cookie = binary.BigEndian.AppendUint64(cookie, p.next)
		cookie = binary.BigEndian.AppendUint64(cookie, p.sent)
	}
	v := ber.NewSequence("")
	v.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 0, "")) // no estimate
	v.AppendChild(octetString(string(cookie)))
	c := ber.NewSequence("")
	c.AppendChild(octetString(oidPaging))
	c.AppendChild(octetString(string(v.Bytes())))
	return c
}

// A search is one running search of a connection.
type search struct {
	*searchRequest
	conn    *conn
	id      int64
	fault   *Fault
	tree    *tree
	out     bytes.Buffer
	sent    int64 // entries, without earlier pages
	limit   int64 // most entries; a result 4 comes in place of the next
	pageEnd int64 // most entries of this page
}

// search answers a search request.
func (c *conn) search(ctx context.Context, m *message, f *Fault) {
	q, refused := parseSearch(m, c.server.config.RangeLimit)
	if refused.Code == 0 && len(q.base.rdns) > 0 {
		refused = c.access(q)
	}
	if refused.Code != 0 {
		c.send(envelope(m.id, response(ldap.ApplicationSearchResultDone, refused)))
		return
	}
	if q.timeLimit > 0 && q.timeLimit < 1<<20 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(q.timeLimit)*time.Second)
		defer cancel()
	}
	s := &search{searchRequest: q, conn: c, id: m.id, fault: f, tree: c.server.tree.Load()}
	s.limits()
	r, more := s.run(ctx)
	if c.abandoned(m.id) {
		return // no answer at all (RFC 4511, section 4.11)
	}
	if len(f.References) > 0 {
		s.out.Write(encodeReference(m.id, f.References))
	}
	if override, ok := f.Results[OpSearch]; ok && r.Code == 0 {
		r = override
	}
	s.finish(r, more)
}

// access refuses what the client may not search.
func (c *conn) access(q *searchRequest) Result {
	ad := c.server.config.ActiveDirectory
	switch {
	case ad && c.who == nil:
		return needBind()
	case c.server.config.DenyAnonymous && c.who == nil:
		return Result{Code: ldap.LDAPResultInsufficientAccessRights, Message: "bind first"}
	case ad && q.scope != ldap.ScopeBaseObject && slices.Contains(q.selection.keys, tokenGroups):
		return Result{Code: ldap.LDAPResultOperationsError, Message: "tokenGroups needs a base search"}
	}
	return Result{}
}

// limits computes the size limits. As in Active Directory, the server's own
// limit cuts pages short where there are pages.
func (s *search) limits() {
	const none = 1<<63 - 1
	s.limit, s.pageEnd = none, none
	own := int64(s.conn.server.config.SizeLimit)
	if s.sizeLimit > 0 {
		s.limit = s.sizeLimit
	}
	if s.page == nil {
		if own > 0 {
			s.limit = min(s.limit, own)
		}
		return
	}
	s.limit -= int64(min(s.page.sent, uint64(s.limit)))
	s.pageEnd = s.page.size
	if own > 0 {
		s.pageEnd = min(s.pageEnd, own)
	}
}

// run sends the entries and returns the result, and where to go on.
func (s *search) run(ctx context.Context) (Result, *page) {
	if len(s.base.rdns) == 0 {
		return s.root(), nil
	}
	base := s.base.key()
	if s.tree.byKey[base] == nil && !s.tree.glue[base] {
		r := Result{Code: ldap.LDAPResultNoSuchObject}
		if e := s.tree.nearest(s.base); e != nil {
			r.Matched = e.dn.text
		}
		return r, nil
	}
	start := uint64(0)
	if s.page != nil {
		// In another tree the index means other entries: silently going on
		// would lose some and repeat others.
		if s.page.serial != 0 && s.page.serial != s.tree.serial {
			return Result{Code: ldap.LDAPResultUnwillingToPerform, Message: "the paging cookie is out of date"}, nil
		}
		if s.page.size == 0 {
			return Result{}, nil // the client gives the search up
		}
		start = min(s.page.next, uint64(len(s.tree.entries)))
	}
	return s.scan(ctx, base, start)
}

// scan walks all entries in the order in which they were given, which is what
// makes an index in them a paging cookie.
func (s *search) scan(ctx context.Context, base string, start uint64) (Result, *page) {
	for i := start; i < uint64(len(s.tree.entries)); i++ {
		e := s.tree.entries[i]
		if ctx.Err() != nil {
			break
		}
		if !s.inScope(e, base) || s.filter.eval(s.tree, e) != isTrue {
			continue
		}
		if s.sent >= s.limit {
			return Result{Code: ldap.LDAPResultSizeLimitExceeded}, nil
		}
		if s.sent >= s.pageEnd {
			return Result{}, &page{serial: s.tree.serial, next: i, sent: s.page.sent + uint64(s.sent)}
		}
		if !s.entry(ctx, e) {
			return Result{Code: ldap.LDAPResultOther}, nil
		}
	}
	if ctx.Err() != nil {
		return Result{Code: ldap.LDAPResultTimeLimitExceeded}, nil
	}
	return Result{}, nil
}

func (s *search) inScope(e *entry, base string) bool {
	switch s.scope {
	case ldap.ScopeBaseObject:
		return e.key == base
	case ldap.ScopeSingleLevel:
		return len(e.dn.rdns) == len(s.base.rdns)+1 && below(e.key, base)
	}
	return e.key == base || below(e.key, base)
}

// root answers a search at the empty name: the rootDSE and nothing else.
func (s *search) root() Result {
	if s.scope != ldap.ScopeBaseObject {
		return Result{Code: ldap.LDAPResultNoSuchObject}
	}
	e := s.conn.server.rootDSE()
	if s.filter.eval(s.tree, e) == isTrue {
		s.out.Write(encodeEntry(s.id, e, &s.selection))
	}
	return Result{}
}

// entry sends one entry, or with Fault.Endless the same one until the client
// leaves. It returns false when there is nobody to send to.
func (s *search) entry(ctx context.Context, e *entry) bool {
	if s.tree.holders != nil && slices.Contains(s.selection.keys, tokenGroups) {
		e = s.tree.withTokenGroups(e)
	}
	b := encodeEntry(s.id, e, &s.selection)
	s.sent++
	s.out.Write(b)
	// The buffer never holds more than flushBuffer and one entry: the flood is
	// the client's problem alone.
	for s.fault.Endless && ctx.Err() == nil {
		if s.out.Write(b); s.out.Len() >= flushBuffer && !s.flush() {
			return false
		}
	}
	return s.out.Len() < flushBuffer || s.flush()
}

func (s *search) flush() bool {
	defer s.out.Reset()
	return s.conn.send(s.out.Bytes())
}

// finish sends what is collected and the result in one write, as servers do:
// a client sees all of a small answer or nothing.
func (s *search) finish(r Result, more *page) {
	op := response(ldap.ApplicationSearchResultDone, r)
	if s.page != nil {
		s.out.Write(envelope(s.id, op, more.control()))
	} else {
		s.out.Write(envelope(s.id, op))
	}
	s.flush()
}
