package ldapserver

import (
	"math/big"
	"strings"
	"unicode"
)

// A rule is how values of an attribute are compared (RFC 4517, section 4.2).
type rule int

const (
	caseIgnore rule = iota // the default, and right for uid, cn, mail, objectClass
	caseExact
	distinguishedName
	numeric
	bytesExact // bytes, objectSid also in the form S-1-5-…
	hidden     // userPassword: matches nothing
)

// ruleOf returns the equality rule of the attribute with this key, from RFC
// 4519, RFC 2307 and, for memberOf and its kind, the schema of the servers.
func ruleOf(key string) rule {
	switch key {
	case "memberuid", "homedirectory", "loginshell", "createtimestamp", "modifytimestamp", "labeleduri":
		return caseExact
	case "member", "uniquemember", "memberof", "entrydn", "distinguishedname", "manager", "owner",
		"seealso", "secretary", "roleoccupant", "creatorsname", "modifiersname":
		return distinguishedName
	case "objectsid", "objectguid", tokenGroups, "sidhistory", "jpegphoto", "usercertificate", "usercertificate;binary":
		return bytesExact
	case "uidnumber", "gidnumber", "primarygroupid", "useraccountcontrol", "grouptype", "supportedldapversion":
		return numeric
	case "userpassword", "unicodepwd":
		return hidden
	}
	return caseIgnore
}

// operational reports whether an attribute is returned only when asked for.
func operational(key string) bool {
	switch key {
	case "entryuuid", "entrydn", "entrycsn", "contextcsn", "createtimestamp", "modifytimestamp",
		"creatorsname", "modifiersname", "memberof", "hassubordinates", "subschemasubentry",
		"structuralobjectclass", "pwdaccountlockedtime", tokenGroups, "namingcontexts", "supportedldapversion",
		"supportedcontrol", "supportedextension", "supportedfeatures", "vendorname", "vendorversion":
		return true
	}
	return false
}

// attributeKey folds an attribute description: letter case, and the names and
// numbers that RFC 4519 has for the same type.
func attributeKey(name string) string {
	key := strings.ToLower(strings.TrimSpace(name))
	switch key {
	case "userid", "0.9.2342.19200300.100.1.1":
		return "uid"
	case "commonname", "2.5.4.3":
		return "cn"
	case "surname", "2.5.4.4":
		return "sn"
	case "rfc822mailbox", "0.9.2342.19200300.100.1.3":
		return "mail"
	case "domaincomponent", "0.9.2342.19200300.100.1.25":
		return "dc"
	case "organizationname", "2.5.4.10":
		return "o"
	case "organizationalunitname", "2.5.4.11":
		return "ou"
	case "gn", "2.5.4.42":
		return "givenname"
	case "2.5.4.0":
		return "objectclass"
	case "2.5.4.31":
		return "member"
	case "2.5.4.50":
		return "uniquemember"
	}
	return key
}

// normal returns the form of v under which equal values are equal, or false
// when v has not the syntax of the rule: a comparison with it is Undefined.
func (r rule) normal(v string) (string, bool) {
	switch r {
	case caseExact:
		return strings.Join(strings.FieldsFunc(v, isBlank), " "), true
	case distinguishedName:
		d, ok := parseDN(v)
		return d.key(), ok
	case numeric:
		n, ok := parseNumber(v)
		if !ok {
			return "", false
		}
		return n.String(), true
	case bytesExact:
		if sid, ok := parseSID(v); ok {
			return sid, true
		}
		return v, true
	case hidden:
		return "", false
	}
	return foldSpaces(v), true
}

// parseNumber is bounded, because parsing takes quadratic time.
func parseNumber(v string) (*big.Int, bool) {
	if len(v) > 64 {
		return nil, false
	}
	return new(big.Int).SetString(v, 10)
}

// compare orders two normal forms.
func (r rule) compare(a, b string) int {
	if r == numeric {
		x, okX := parseNumber(a)
		y, okY := parseNumber(b)
		if okX && okY {
			return x.Cmp(y)
		}
	}
	return strings.Compare(a, b)
}

// foldSpaces prepares a value for caseIgnoreMatch: case and width folded,
// outer spaces gone, inner ones single.
func foldSpaces(s string) string {
	return strings.Join(strings.FieldsFunc(fold(s), isBlank), " ")
}

// fold maps letter case, full-width and circled letters, and every space to
// one form. It follows slapd 2.5 as measured (TestCasesUsernameAsSlapd), not
// RFC 4518, section 2.2: slapd keeps control characters, soft hyphens and
// zero-width characters, which the RFC drops. Whoever counts tries by name
// must not count finer than this.
func fold(s string) string {
	return strings.Map(foldRune, s)
}

func foldRune(r rune) rune {
	switch {
	case isBlank(r):
		return ' '
	case r >= 0xff01 && r <= 0xff5e: // full-width forms of ! to ~
		r -= 0xff01 - '!'
	case r >= 0x24b6 && r <= 0x24cf: // circled A to Z
		r -= 0x24b6 - 'a'
	case r >= 0x24d0 && r <= 0x24e9: // circled a to z
		r -= 0x24d0 - 'a'
	}
	if r == 0x130 { // dotted capital I: slapd takes it for i, its dot for nothing
		return 'i'
	}
	return foldCase(r)
}

// foldCase returns the smallest rune that differs from r in case alone,
// except that ASCII letters become lower case.
func foldCase(r rune) rune {
	if r < 0x80 {
		return unicode.ToLower(r)
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if least < 0x80 {
		return unicode.ToLower(least) // the Kelvin sign, the long s
	}
	return least
}

// isBlank reports whether r is a space, also U+00A0 and U+3000, but not a tab
// or a line break.
func isBlank(r rune) bool {
	return unicode.Is(unicode.Zs, r)
}

// A substring is the assertion of a filter like (cn=a*b*c).
type substring struct {
	initial, final string
	middle         []string
}

// prepare folds the parts as the rule folds values. A blank at the inner end
// of a part stays: it must be there in the value. Names and numbers have no
// substring rule, because their normal form has parts in other places.
func (s substring) prepare(r rule) (substring, bool) {
	if r != caseIgnore && r != caseExact {
		return s, false // Undefined
	}
	part := func(v string) string {
		if r == caseIgnore {
			v = fold(v)
		}
		return squeeze(v)
	}
	out := substring{
		initial: strings.TrimPrefix(part(s.initial), " "),
		final:   strings.TrimSuffix(part(s.final), " "),
	}
	for _, m := range s.middle {
		out.middle = append(out.middle, part(m))
	}
	return out, true
}

// squeeze makes runs of blanks one space and keeps them at the ends.
func squeeze(v string) string {
	var b strings.Builder
	blank := false
	for _, r := range v {
		if isBlank(r) {
			if !blank {
				b.WriteByte(' ')
			}
			blank = true
			continue
		}
		blank = false
		b.WriteRune(r)
	}
	return b.String()
}

// matches reports whether the parts occur in v in order, without overlap.
func (s substring) matches(v string) bool {
	v, ok := strings.CutPrefix(v, s.initial)
	if !ok {
		return false
	}
	if v, ok = strings.CutSuffix(v, s.final); !ok {
		return false
	}
	for _, m := range s.middle {
		if _, v, ok = strings.Cut(v, m); !ok {
			return false
		}
	}
	return true
}
