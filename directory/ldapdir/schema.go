package ldapdir

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// The kinds of directory, as Config.Schema spells them.
const (
	kindAuto     = "auto"
	kindOpenLDAP = "openldap"
	kindRFC2307  = "rfc2307"
	kindAD       = "ad"
	kind389      = "389ds"
	kindFreeIPA  = "freeipa"
)

// The ways to groups of groups, as Config.Nested spells them.
const (
	nestedOff         = "off"
	nestedRecursive   = "recursive"
	nestedInChain     = "in-chain"
	nestedTokenGroups = "token-groups"
)

// A schema is what a kind of directory calls things: the Config, with the
// defaults of the kind where it is empty. It is never modified.
type schema struct {
	kind string

	userBase, groupBase string
	userFilter          string // with %s
	name, display, mail string
	ids                 []string // the first that an entry has is its ID
	states              []string // attributes that tell a disabled account
	domains             []string // names that may stand before or behind a user's

	groupFilter string // with %s and %d
	groupClass  string // of what may be a group; empty: anything
	parent      string // what finds the groups of a group, with %d; without the class
	groupName   string
	primary     string // attribute that names the primary group; empty: none
	memberOf    bool
	nested      string
}

// defaults returns what the kind calls things.
func defaults(kind string) schema {
	s := schema{
		kind: kind, name: "uid", display: "displayName", mail: "mail", ids: []string{"entryUUID"},
		states:      []string{"pwdAccountLockedTime"},
		groupFilter: "(|(member=%d)(uniqueMember=%d)(memberUid=%s))", parent: "(member=%d)(uniqueMember=%d)",
		groupName: "cn", nested: nestedOff,
	}
	switch kind {
	case kindRFC2307:
		s.groupClass, s.primary = "posixGroup", "gidNumber"
		s.groupFilter = "(&(objectClass=posixGroup)(|(memberUid=%s)(member=%d)(uniqueMember=%d)))"
	case kindAD:
		s.name, s.ids, s.states = "sAMAccountName", []string{"objectGUID"}, []string{"userAccountControl", "accountExpires"}
		s.groupClass, s.primary = "group", "primaryGroupID"
		s.groupFilter, s.parent = "(&(objectClass=group)(member=%d))", "(member=%d)"
		// Unlike cn, of which each OU may have its own: whoever may make
		// groups in one could make a second "admins".
		s.groupName = "sAMAccountName"
		s.nested = nestedTokenGroups
	case kind389:
		s.ids, s.states = []string{"nsUniqueId", "entryUUID"}, []string{"nsAccountLock"}
		s.memberOf, s.nested = true, nestedRecursive
	case kindFreeIPA:
		s.ids, s.states = []string{"ipaUniqueID", "entryUUID"}, []string{"nsAccountLock"}
		s.memberOf, s.nested = true, nestedRecursive
	}
	return s
}

// userClasses is the part of a user filter that keeps out what is none: in
// Active Directory computers, in FreeIPA the copies below cn=compat.
func userClasses(kind string) string {
	switch kind {
	case kindRFC2307:
		return "(objectClass=posixAccount)"
	case kindAD:
		return "(objectClass=user)(!(objectClass=computer))"
	case kind389, kindFreeIPA:
		return "(objectClass=person)"
	}
	return ""
}

// schema returns the schema of a directory of the kind. What the Config says
// wins.
func (c Config) schema(kind string) *schema {
	s := defaults(kind)
	s.userBase, s.groupBase = c.UserBaseDN, c.GroupBaseDN
	if kind == kindFreeIPA {
		s.userBase = c.ipaBase(s.userBase, "cn=users,cn=accounts,")
		s.groupBase = c.ipaBase(s.groupBase, "cn=groups,cn=accounts,")
	}
	login := c.loginAttributes(kind, s.name)
	s.name = cmp.Or(c.NameAttribute, s.name)
	s.userFilter = cmp.Or(c.UserFilter, loginFilter(userClasses(kind), login))
	s.display, s.mail = cmp.Or(c.DisplayNameAttribute, s.display), cmp.Or(c.EmailAttribute, s.mail)
	if c.IDAttribute != "" {
		s.ids = []string{c.IDAttribute}
	}
	s.domains = c.Domains
	s.groupName = cmp.Or(c.GroupNameAttribute, s.groupName)
	if c.GroupFilter != "" || c.MemberOf {
		// Token groups know of neither, and whoever sets one wants just that.
		s.nested, s.memberOf = nestedOff, c.MemberOf
	}
	if c.GroupFilter != "" {
		s.groupFilter, s.groupClass, s.parent = c.GroupFilter, "", c.GroupFilter
	}
	s.nested = cmp.Or(c.Nested, s.nested)
	return &s
}

// loginAttributes returns what a person may log in with. The name attribute is
// always one of them, because it is by the canonical name that a session finds
// its user again.
func (c Config) loginAttributes(kind, name string) []string {
	login := slices.Clone(c.LoginAttributes)
	if len(login) == 0 && kind == kindAD {
		login = []string{name, "userPrincipalName"}
	}
	name = cmp.Or(c.NameAttribute, name)
	if !slices.ContainsFunc(login, func(a string) bool { return strings.EqualFold(a, name) }) {
		login = append([]string{name}, login...)
	}
	return login
}

// ipaBase returns where FreeIPA keeps what is in force. Elsewhere below the
// suffix it has people who are not yet or no longer users, and what is no
// group but has members: roles, rules, privileges.
func (c Config) ipaBase(base, container string) string {
	if base != c.BaseDN || strings.Contains(strings.ToLower(base), "cn=accounts,") {
		return base
	}
	return container + base
}

// loginFilter returns a filter with %s for the name.
func loginFilter(classes string, attributes []string) string {
	var terms strings.Builder
	for _, a := range attributes {
		terms.WriteString("(" + a + "=%s)")
	}
	filter := terms.String()
	if len(attributes) > 1 {
		filter = "(|" + filter + ")"
	}
	if classes != "" {
		filter = "(&" + classes + filter + ")"
	}
	return filter
}

// checkSchema returns the faults of the fields about names and groups.
func (c Config) checkSchema() (errs []error) {
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("ldapdir: Config."+format, args...))
	}
	kinds := []string{kindAuto, kindOpenLDAP, kindRFC2307, kindAD, kind389, kindFreeIPA}
	if !slices.Contains(kinds, c.Schema) {
		fault("Schema %q is none of %s", c.Schema, strings.Join(kinds, ", "))
	}
	ways := []string{"", nestedOff, nestedRecursive, nestedInChain, nestedTokenGroups}
	tokens, chain := c.Nested == nestedTokenGroups, c.Nested == nestedInChain
	switch {
	case !slices.Contains(ways, c.Nested):
		fault("Nested %q is none of %s", c.Nested, strings.Join(ways[1:], ", "))
	case (tokens || chain) && c.Schema != kindAuto && c.Schema != kindAD:
		fault("Nested %q is for Active Directory, and Schema is %q", c.Nested, c.Schema)
	case (tokens || chain) && (c.GroupFilter != "" || c.MemberOf):
		fault("Nested %q uses neither GroupFilter nor MemberOf", c.Nested)
	}
	if c.NestedDepth < 0 {
		fault("NestedDepth is negative: %d", c.NestedDepth)
	}
	for _, domain := range c.Domains {
		if domain == "" || strings.ContainsAny(domain, `\@ `) {
			fault("Domains %q is no name of a domain", domain)
		}
	}
	for _, host := range c.ReferralHosts {
		if host == "" || strings.ContainsAny(host, "/:@ ") && !isIPv6(host) {
			fault("ReferralHosts %q is no host name; it stands without scheme and port", host)
		}
	}
	if c.FollowReferrals != (len(c.ReferralHosts) > 0) {
		fault("FollowReferrals and Config.ReferralHosts go together")
	}
	return append(errs, c.checkAttributes()...)
}

// checkAttributes returns the fields that hold no attribute: a wrong character
// in one would change the filters that are made of it.
func (c Config) checkAttributes() (errs []error) {
	type row struct{ field, value string }
	rows := []row{
		{"NameAttribute", c.NameAttribute}, {"IDAttribute", c.IDAttribute},
		{"DisplayNameAttribute", c.DisplayNameAttribute}, {"EmailAttribute", c.EmailAttribute},
		{"GroupNameAttribute", c.GroupNameAttribute},
	}
	for _, a := range c.LoginAttributes {
		rows = append(rows, row{"LoginAttributes", cmp.Or(a, "(empty)")})
	}
	for _, r := range rows {
		if strings.ContainsFunc(r.value, notInAttribute) {
			errs = append(errs, fmt.Errorf("ldapdir: Config.%s %q is no attribute", r.field, r.value))
		}
	}
	return errs
}

// notInAttribute tells the characters of RFC 4512 section 2.5, options and
// object identifiers included, from all others.
func notInAttribute(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-.;", r)
}

// filterFaults returns the faults of a filter that is not empty.
func filterFaults(field, filter, needs string) (errs []error) {
	if filter == "" {
		return nil
	}
	if _, err := ldap.CompileFilter(expandFilter(filter, "x", "cn=x")); err != nil {
		errs = append(errs, fmt.Errorf("ldapdir: Config.%s %q: %w", field, filter, err))
	}
	if !strings.Contains(filter, needs) {
		errs = append(errs, fmt.Errorf("ldapdir: Config.%s %q asks for no name", field, filter))
	}
	return errs
}
