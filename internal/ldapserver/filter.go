package ldapserver

import (
	"slices"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// A truth is the value of a filter (RFC 4511, section 4.5.1.7). The order
// makes And the minimum and Or the maximum.
type truth int

const (
	isFalse truth = iota
	undefined
	isTrue
)

func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// A filter evaluates to a truth for each entry of a tree.
type filter interface {
	eval(t *tree, e *entry) truth
}

type (
	andFilter []filter
	orFilter  []filter
	notFilter struct{ filter }

	// A compareFilter is equality, approximate match, >= or <=.
	compareFilter struct {
		key, value string
		rule       rule
		order      int // 0, +1 for >=, -1 for <=
	}
	presentFilter   struct{ key string }
	substringFilter struct {
		key   string
		parts substring
	}
	// An undefinedFilter is an assertion without the syntax of its attribute,
	// or a matching rule that nobody knows.
	undefinedFilter struct{}
)

// A filter list may be empty: (&) is true and (|) is false (RFC 4526).
func (f andFilter) eval(t *tree, e *entry) truth {
	v := isTrue
	for _, sub := range f {
		if v = min(v, sub.eval(t, e)); v == isFalse {
			break
		}
	}
	return v
}

func (f orFilter) eval(t *tree, e *entry) truth {
	v := isFalse
	for _, sub := range f {
		if v = max(v, sub.eval(t, e)); v == isTrue {
			break
		}
	}
	return v
}

// Not of Undefined is Undefined: (!(member=nonsense)) must not match everybody.
func (f notFilter) eval(t *tree, e *entry) truth {
	return isTrue - f.filter.eval(t, e)
}

func (f compareFilter) eval(t *tree, e *entry) truth {
	a, v := lookup(t, e, f.key)
	if a == nil {
		return v
	}
	if f.order == 0 {
		return truthOf(slices.Contains(a.normal, f.value))
	}
	return truthOf(slices.ContainsFunc(a.normal, func(n string) bool {
		return f.rule.compare(n, f.value)*f.order >= 0
	}))
}

func (f presentFilter) eval(t *tree, e *entry) truth {
	return truthOf(e.get(f.key) != nil)
}

func (f substringFilter) eval(t *tree, e *entry) truth {
	a, v := lookup(t, e, f.key)
	if a == nil {
		return v
	}
	return truthOf(slices.ContainsFunc(a.normal, f.parts.matches))
}

func (undefinedFilter) eval(*tree, *entry) truth { return undefined }

// lookup returns the attribute, or what a comparison with it is worth: an
// absent value is no match, a type that nobody knows is Undefined.
func lookup(t *tree, e *entry, key string) (*attribute, truth) {
	if a := e.get(key); a != nil {
		return a, isTrue
	}
	if t.types[key] {
		return nil, isFalse
	}
	return nil, undefined
}

// parseFilter returns the filter in p; false when p is none. The depth is
// bounded by what readMessage lets in.
func parseFilter(p *ber.Packet) (filter, bool) {
	if p.ClassType != ber.ClassContext {
		return nil, false
	}
	switch p.Tag {
	case ldap.FilterAnd:
		subs, ok := parseFilters(p)
		return andFilter(subs), ok
	case ldap.FilterOr:
		subs, ok := parseFilters(p)
		return orFilter(subs), ok
	case ldap.FilterNot:
		subs, ok := parseFilters(p)
		if !ok || len(subs) != 1 {
			return nil, false
		}
		return notFilter{subs[0]}, true
	case ldap.FilterEqualityMatch, ldap.FilterApproxMatch:
		return parseCompare(p, 0)
	case ldap.FilterGreaterOrEqual:
		return parseCompare(p, +1)
	case ldap.FilterLessOrEqual:
		return parseCompare(p, -1)
	case ldap.FilterPresent:
		return presentFilter{attributeKey(p.Data.String())}, p.TagType == ber.TypePrimitive
	case ldap.FilterSubstrings:
		return parseSubstring(p)
	case ldap.FilterExtensibleMatch:
		return parseExtensible(p)
	}
	return nil, false
}

// parseFilters returns the filters of a set; one that is malformed spoils it.
func parseFilters(p *ber.Packet) ([]filter, bool) {
	if p.TagType != ber.TypeConstructed {
		return nil, false
	}
	subs := make([]filter, 0, len(p.Children))
	for _, child := range p.Children {
		f, ok := parseFilter(child)
		if !ok {
			return nil, false
		}
		subs = append(subs, f)
	}
	return subs, true
}

// parseAssertion returns the two octet strings of an AttributeValueAssertion.
func parseAssertion(p *ber.Packet) (name, value string, ok bool) {
	if len(p.Children) != 2 {
		return "", "", false
	}
	name, okName := octets(p.Children[0])
	value, okValue := octets(p.Children[1])
	return name, value, okName && okValue
}

// parseCompare prepares the value once, so that a search over many entries
// only compares strings. Names have no order.
func parseCompare(p *ber.Packet, order int) (filter, bool) {
	name, value, ok := parseAssertion(p)
	if !ok {
		return nil, false
	}
	key := attributeKey(name)
	r := ruleOf(key)
	value, ok = r.normal(value)
	if !ok || order != 0 && r == distinguishedName {
		return undefinedFilter{}, true
	}
	return compareFilter{key: key, value: value, rule: r, order: order}, true
}

// parseSubstring insists on the order of RFC 4511: at most one initial part,
// first, and at most one final part, last.
func parseSubstring(p *ber.Packet) (filter, bool) {
	if len(p.Children) != 2 || len(p.Children[1].Children) == 0 {
		return nil, false
	}
	name, ok := octets(p.Children[0])
	if !ok {
		return nil, false
	}
	var s substring
	parts := p.Children[1].Children
	for i, part := range parts {
		v := part.Data.String()
		switch {
		case primitive(part, ldap.FilterSubstringsInitial) && i == 0:
			s.initial = v
		case primitive(part, ldap.FilterSubstringsAny):
			s.middle = append(s.middle, v)
		case primitive(part, ldap.FilterSubstringsFinal) && i == len(parts)-1:
			s.final = v
		default:
			return nil, false
		}
	}
	key := attributeKey(name)
	if s, ok = s.prepare(ruleOf(key)); !ok {
		return undefinedFilter{}, true
	}
	return substringFilter{key, s}, true
}
