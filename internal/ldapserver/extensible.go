package ldapserver

import (
	"slices"
	"strconv"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// Matching rules of Active Directory ([MS-ADTS] 3.1.1.3.4.4).
const (
	ruleBitAnd  = "1.2.840.113556.1.4.803"
	ruleBitOr   = "1.2.840.113556.1.4.804"
	ruleInChain = "1.2.840.113556.1.4.1941"
)

type (
	// An extensibleFilter is (key:dn:=value) with a rule of this server; an
	// empty key stands for every attribute that the rule applies to.
	extensibleFilter struct {
		key, value string
		rule       rule
		raw        string // the value as it was sent
		dn         bool
	}
	// A bitFilter is (key:1.2.840.113556.1.4.803:=mask), all bits or any.
	bitFilter struct {
		key  string
		mask int64
		all  bool
	}
	// A chainFilter is (key:1.2.840.113556.1.4.1941:=DN): a path of names
	// from the entry to target.
	chainFilter struct{ key, target string }
)

func (f extensibleFilter) eval(t *tree, e *entry) truth {
	for _, a := range e.attrs {
		if f.key != "" && a.key != f.key || f.key == "" && a.rule.text() != f.rule.text() {
			continue
		}
		for _, v := range a.values {
			if n, ok := f.rule.normal(v); ok && n == f.value {
				return isTrue
			}
		}
	}
	if f.dn && f.inDN(e) {
		return isTrue
	}
	if f.key != "" && !t.types[f.key] {
		return undefined
	}
	return isFalse
}

// text maps the two rules over plain text to one: either applies to a value
// of the other.
func (r rule) text() rule {
	if r == caseExact {
		return caseIgnore
	}
	return r
}

// inDN reports whether a part of the entry's name has the value.
func (f extensibleFilter) inDN(e *entry) bool {
	quoted := "=" + strconv.Quote(foldSpaces(f.raw))
	for _, rdn := range e.dn.rdns {
		if rdn == f.key+quoted || f.key == "" && strings.HasSuffix(rdn, quoted) {
			return true
		}
	}
	return false
}

func (f bitFilter) eval(t *tree, e *entry) truth {
	a, v := lookup(t, e, f.key)
	if a == nil {
		return v
	}
	return truthOf(slices.ContainsFunc(a.values, func(s string) bool {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return false
		}
		return f.all && n&f.mask == f.mask || !f.all && n&f.mask != 0
	}))
}

// eval walks breadth first and remembers where it was: groups may contain
// each other.
func (f chainFilter) eval(t *tree, e *entry) truth {
	seen := map[*entry]bool{e: true}
	for queue := []*entry{e}; len(queue) > 0; queue = queue[1:] {
		a := queue[0].get(f.key)
		if a == nil {
			continue
		}
		if slices.Contains(a.normal, f.target) {
			return isTrue
		}
		for _, key := range a.normal {
			if next := t.byKey[key]; next != nil && !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	return isFalse
}

// parseExtensible reads a MatchingRuleAssertion. Its parts are optional and
// come in any order; without a rule it needs a type, and the other way round.
func parseExtensible(p *ber.Packet) (filter, bool) {
	var ruleName, key, value string
	var inDN, hasValue bool
	for _, child := range p.Children {
		v := child.Data.String()
		switch {
		case primitive(child, ldap.MatchingRuleAssertionMatchingRule):
			ruleName = v
		case primitive(child, ldap.MatchingRuleAssertionType):
			key = attributeKey(v)
		case primitive(child, ldap.MatchingRuleAssertionMatchValue):
			value, hasValue = v, true
		case primitive(child, ldap.MatchingRuleAssertionDNAttributes):
			inDN = v != "\x00"
		default:
			return nil, false
		}
	}
	if !hasValue || ruleName == "" && key == "" {
		return nil, false
	}
	return newExtensible(strings.ToLower(ruleName), key, value, inDN), true
}

// newExtensible chooses by the name or number of the rule (RFC 4517, section
// 4.2). A rule that nobody knows is Undefined, not an error: so does slapd,
// and a client that relies on one must notice that it finds nothing.
func newExtensible(ruleName, key, value string, inDN bool) filter {
	r := ruleOf(key)
	switch ruleName {
	case "":
	case "caseignorematch", "2.5.13.2", "caseignoreia5match", "1.3.6.1.4.1.1466.109.114.2":
		r = caseIgnore
	case "caseexactmatch", "2.5.13.5", "caseexactia5match", "1.3.6.1.4.1.1466.109.114.1":
		r = caseExact
	case "distinguishednamematch", "2.5.13.1":
		r = distinguishedName
	case "integermatch", "2.5.13.14":
		r = numeric
	case ruleBitAnd, ruleBitOr:
		mask, err := strconv.ParseInt(value, 10, 64)
		if err != nil || key == "" {
			return undefinedFilter{}
		}
		return bitFilter{key: key, mask: mask, all: ruleName == ruleBitAnd}
	case ruleInChain:
		target, ok := distinguishedName.normal(value)
		if !ok || r != distinguishedName {
			return undefinedFilter{}
		}
		return chainFilter{key, target}
	default:
		return undefinedFilter{}
	}
	normal, ok := r.normal(value)
	// A rule over a password would compare what must stay hidden.
	if !ok || ruleOf(key) == hidden {
		return undefinedFilter{}
	}
	return extensibleFilter{key: key, value: normal, rule: r, raw: value, dn: inDN}
}
