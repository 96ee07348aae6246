package ldapserver

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A tree is the content of the server at one time. It is never modified.
type tree struct {
	entries []*entry // in the order in which they were given
	byKey   map[string]*entry
	glue    map[string]bool // ancestors of entries, whether they exist or not
	types   map[string]bool // attribute types that occur; others are Undefined in filters
	serial  uint64          // tells a paging cookie of this tree from another's

	// Of Active Directory alone.
	logins  map[string]*entry   // by user principal name and DOMAIN\user
	holders map[string][]*entry // groups by the key of a member
	bySID   map[string]*entry
}

// An entry is an object with its values in normal form.
type entry struct {
	dn        dn
	key       string
	attrs     []*attribute // sorted by key
	passwords []string
	rule      BindRule
	changed   atomic.Pointer[string] // the password that took their place
}

type attribute struct {
	name        string // as the owner spelled it
	key         string
	rule        rule
	operational bool
	values      []string
	normal      []string // of the values that have one
}

// get returns the attribute with this key, or nil.
func (e *entry) get(key string) *attribute {
	i, ok := slices.BinarySearchFunc(e.attrs, key, func(a *attribute, k string) int {
		return strings.Compare(a.key, k)
	})
	if !ok {
		return nil
	}
	return e.attrs[i]
}

// add appends values. Passwords go where no search looks. A value without the
// syntax of its attribute is kept and shown, but never matches.
func (e *entry) add(name string, values ...string) {
	key := attributeKey(name)
	if ruleOf(key) == hidden {
		e.passwords = append(e.passwords, values...)
		return
	}
	a := e.get(key)
	if a == nil {
		a = &attribute{name: name, key: key, rule: ruleOf(key), operational: operational(key)}
		e.attrs = append(e.attrs, a)
		slices.SortFunc(e.attrs, func(a, b *attribute) int { return strings.Compare(a.key, b.key) })
	}
	for _, v := range values {
		n, ok := a.rule.normal(v)
		if ok {
			a.normal = append(a.normal, n)
		}
		a.values = append(a.values, v)
	}
}

func newTree(list []Entry, memberOf, activeDirectory bool) (*tree, error) {
	now := time.Now()
	t := &tree{
		byKey:  make(map[string]*entry, len(list)),
		glue:   map[string]bool{},
		types:  map[string]bool{},
		serial: uint64(now.UnixNano()),
	}
	// What every schema has, though no entry may.
	for _, key := range []string{"cn", "dc", "department", "description", "displayname", "employeenumber",
		"entrydn", "gidnumber", "givenname", "homedirectory", "l", "mail", "manager", "member", "memberof",
		"memberuid", "mobile", "o", "ou", "owner", "samaccountname", "sn", "telephonenumber", "title", "uid",
		"uidnumber", "uniquemember", "useraccountcontrol", "userpassword", "userprincipalname",
		"objectsid", "objectguid", "primarygroupid", "grouptype", "distinguishedname"} {
		t.types[key] = true
	}
	if activeDirectory {
		t.logins, t.holders, t.bySID = map[string]*entry{}, map[string][]*entry{}, map[string]*entry{}
	}
	var errs []error
	for _, e := range list {
		errs = append(errs, t.insert(e, now))
	}
	if activeDirectory {
		t.indexAD()
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	// Only when all are there: members may come after their groups.
	if memberOf {
		t.fillMemberOf()
	}
	for _, e := range t.entries {
		for _, a := range e.attrs {
			t.types[a.key] = true
		}
	}
	return t, nil
}

// insert adds one entry and notes its ancestors, which need not come first or
// at all.
func (t *tree) insert(given Entry, now time.Time) error {
	d, ok := parseDN(given.DN)
	if !ok || len(d.rdns) == 0 {
		return fmt.Errorf("ldapserver: Entry.DN %q is not a name", given.DN)
	}
	e := &entry{dn: d, key: d.key()}
	if given.Bind != nil {
		e.rule = *given.Bind
	}
	if t.byKey[e.key] != nil {
		return fmt.Errorf("ldapserver: Entry.DN %q occurs twice", given.DN)
	}
	for _, name := range attributes(given.Attributes) {
		if len(given.Attributes[name]) > 0 {
			e.add(name, given.Attributes[name]...)
		}
	}
	e.complete(now)
	if t.logins == nil {
		e.completeOpen()
	} else {
		e.completeAD(firstRID + uint32(len(t.entries)))
	}
	t.byKey[e.key] = e
	t.entries = append(t.entries, e)
	for n := 1; n < len(d.rdns); n++ {
		t.glue[d.ancestor(n)] = true
	}
	return nil
}

// complete adds what a real server would have refused to do without, or
// maintains itself.
func (e *entry) complete(now time.Time) {
	for _, n := range e.dn.naming {
		key := attributeKey(n.Type)
		want, ok := ruleOf(key).normal(n.Value)
		if a := e.get(key); ok && (a == nil || !slices.Contains(a.normal, want)) {
			e.add(key, n.Value) // cn, though the DN may say CN
		}
	}
	stamp := now.UTC().Format("20060102150405Z")
	e.fill("objectClass", "top")
	e.fill("createTimestamp", stamp)
	e.fill("modifyTimestamp", stamp)
}

// completeOpen adds the operational attributes of RFC 4530 and RFC 5020,
// which Active Directory does not have.
func (e *entry) completeOpen() {
	e.fill("entryDN", e.dn.text)
	e.fill("entryUUID", nameUUID(e.key))
}

// fill adds the value to an attribute without any.
func (e *entry) fill(name, value string) {
	if e.get(attributeKey(name)) == nil {
		e.add(name, value)
	}
}

// nameUUID returns a UUID of version 5 (RFC 9562), so that an entry keeps its
// identity over restarts and on every node.
func nameUUID(name string) string {
	h := sha1.Sum([]byte("gatehouse:" + name))
	h[6] = h[6]&0x0f | 0x50
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// fillMemberOf does what the memberof overlay of slapd and Active Directory
// maintain: direct groups alone.
func (t *tree) fillMemberOf() {
	for _, group := range t.entries {
		for _, key := range []string{"member", "uniquemember"} {
			a := group.get(key)
			if a == nil {
				continue
			}
			for _, member := range a.normal {
				if e := t.byKey[member]; e != nil {
					e.add("memberOf", group.dn.text)
				}
			}
		}
	}
}

// roots returns the names of the entries that have no ancestor here.
func (t *tree) roots() []string {
	var out []string
	for _, e := range t.entries {
		if t.nearest(e.dn) == nil {
			out = append(out, e.dn.text)
		}
	}
	return out
}

// nearest returns the closest existing ancestor of d, or nil.
func (t *tree) nearest(d dn) *entry {
	for n := 1; n < len(d.rdns); n++ {
		if e := t.byKey[d.ancestor(n)]; e != nil {
			return e
		}
	}
	return nil
}

// rootDSE returns the entry of the empty name (RFC 4512, section 5.1), by
// which clients learn what they talk to.
func (s *Server) rootDSE() *entry {
	e := &entry{}
	values := map[string][]string{
		"objectClass":          {"top"},
		"namingContexts":       s.tree.Load().roots(),
		"supportedLDAPVersion": {strconv.Itoa(protocolVersion)},
		"supportedControl":     {oidPaging},
		"supportedExtension":   {oidWhoAmI},
		// All operational attributes by "+" (RFC 3673), and the filters (&)
		// and (|) (RFC 4526).
		"supportedFeatures": {"1.3.6.1.4.1.4203.1.5.1", "1.3.6.1.4.1.4203.1.5.3"},
		"vendorName":        {"gatehouse"},
	}
	if s.config.TLS != nil {
		values["supportedExtension"] = append(values["supportedExtension"], oidStartTLS)
	}
	if s.config.ChangePasswords {
		values["supportedExtension"] = append(values["supportedExtension"], oidPasswordModify)
	}
	for name, v := range s.config.RootDSE {
		values[name] = v
	}
	for _, name := range attributes(values) {
		if len(values[name]) > 0 {
			e.add(name, values[name]...)
		}
	}
	return e
}
