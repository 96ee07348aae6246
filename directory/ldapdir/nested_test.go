package ldapdir_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// group returns the LDIF of a group. Members are DNs.
func group(class, name, attribute string, members ...string) string {
	text := "dn: cn=" + name + "," + slapdtest.GroupsDN + "\nobjectClass: " + class + "\ncn: " + name + "\n"
	if class == "posixGroup" {
		text += "gidNumber: 1\n"
	}
	for _, m := range members {
		text += attribute + ": " + m + "\n"
	}
	return text + "\n"
}

func groupDN(name string) string { return "cn=" + name + "," + slapdtest.GroupsDN }

// chain returns groups c01, c02, … of which each is the member of the next.
func chain(first string, length int) string {
	var ldif strings.Builder
	for i := 1; i <= length; i++ {
		name := fmt.Sprintf("c%02d", i)
		ldif.WriteString(group("groupOfNames", name, "member", first))
		first = groupDN(name)
	}
	return ldif.String()
}

func chainNames(length int) (names []string) {
	for i := 1; i <= length; i++ {
		names = append(names, fmt.Sprintf("c%02d", i))
	}
	return names
}

// The group outer is a member of inner, by way of mid: a cycle. The posix group
// has a user called inner, which the group of that name is not.
var nestedLDIF = group("groupOfNames", "inner", "member", slapdtest.UserDN("ann"), groupDN("outer")) +
	group("groupOfNames", "mid", "member", groupDN("inner")) +
	group("groupOfNames", "outer", "member", groupDN("mid"), groupDN("outer")) +
	group("groupOfUniqueNames", "unique", "uniqueMember", groupDN("mid")) +
	group("posixGroup", "trap", "memberUid", "inner") +
	group("groupOfNames", "others", "member", slapdtest.UserDN("bob"))

func TestNestedGroups(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{
		People: []slapdtest.Person{{Name: "ann"}, {Name: "bob"}, {Name: "carl"}, {Name: "loner"}},
		LDIF:   nestedLDIF + chain(slapdtest.UserDN("carl"), 11),
	})
	all := []string{"inner", "mid", "outer", "unique"}
	for _, tt := range []struct {
		name   string
		config ldapdir.Config
		user   string
		want   []string // nil: an error, not a part
		ops    int
	}{
		{"off by default", ldapdir.Config{}, "ann", []string{"inner"}, 1},
		{"off", ldapdir.Config{Nested: "off"}, "ann", []string{"inner"}, 1},
		{"all levels, a cycle, uniqueMember", ldapdir.Config{Nested: "recursive"}, "ann", all, 4},
		{"as deep as there are levels", ldapdir.Config{Nested: "recursive", NestedDepth: 3}, "ann", all, 4},
		{"a level too deep", ldapdir.Config{Nested: "recursive", NestedDepth: 2}, "ann", nil, 3},
		{"no group, no search for its groups", ldapdir.Config{Nested: "recursive"}, "loner", []string{}, 1},
		{"own filter, on all levels", ldapdir.Config{Nested: "recursive", GroupFilter: "(&(!(cn=unique))(member=%d))"}, "ann", []string{"inner", "mid", "outer"}, 4},
		{"own filter, in which a group has no user name", ldapdir.Config{Nested: "recursive", GroupFilter: "(|(member=%d)(memberUid=%s))"}, "ann", []string{"inner", "mid", "outer"}, 4},
		{"other names of groups", ldapdir.Config{Nested: "recursive", GroupNameAttribute: "entryDN"}, "bob", []string{groupDN("others")}, 2},
		{"eleven levels are more than ten", ldapdir.Config{Nested: "recursive"}, "carl", nil, 11},
		{"and as many as are allowed", ldapdir.Config{Nested: "recursive", NestedDepth: 11}, "carl", chainNames(11), 12},
		{"in-chain is not there", ldapdir.Config{Schema: "auto", Nested: "in-chain"}, "ann", nil, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.URLs = []string{s.URL()}
			if tt.config.Schema == "" {
				tt.config.Schema = "openldap"
			}
			d := open(t, tt.config)
			e, err := d.Find(t.Context(), tt.user)
			if tt.want == nil && tt.config.Schema == "auto" {
				mustBeUnavailable(t, "Find", err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			before := s.Counts()
			g, err := d.Groups(t.Context(), e)
			if got := s.Counts().Sub(before); got.Searches != tt.ops || got.Operations != tt.ops {
				t.Errorf("%+v, want %d searches", got, tt.ops)
			}
			if tt.want == nil {
				mustBeUnavailable(t, "Groups", err)
			} else if err != nil {
				t.Error(err)
			}
			if !slices.Equal(g.Names, tt.want) {
				t.Errorf("groups %q, want %q", g.Names, tt.want)
			}
		})
	}
}

// Many groups on one level are asked for in filters of a bounded size, and the
// groups of each are found.
func TestWideNesting(t *testing.T) {
	const width = 500
	var ldif strings.Builder
	var want []string
	for i := range width {
		name := fmt.Sprintf("wide %03d %s", i, strings.Repeat("x", 100))
		ldif.WriteString(group("groupOfNames", name, "member", slapdtest.UserDN("ann")))
		ldif.WriteString(group("groupOfNames", fmt.Sprintf("above %03d", i), "member", groupDN(name)))
		want = append(want, name, fmt.Sprintf("above %03d", i))
	}
	slices.Sort(want)
	s := slapdtest.Start(t, slapdtest.Config{People: []slapdtest.Person{{Name: "ann"}}, LDIF: ldif.String()})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, Schema: "openldap", Nested: "recursive"})
	e, err := d.Find(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	before := s.Counts()
	g, err := d.Groups(t.Context(), e)
	if err != nil || !slices.Equal(g.Names, want) {
		t.Fatalf("%d groups, want %d, %v", len(g.Names), len(want), err)
	}
	if got := s.Counts().Sub(before).Searches; got < 3 || got > 30 {
		t.Errorf("%d searches", got)
	}
}

const posixLDIF = `dn: uid=pia,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
objectClass: posixAccount
uid: pia
cn: pia
sn: pia
mail: pia@example.org
uidNumber: 1001
gidNumber: 500
homeDirectory: /
userPassword: pw-pia

dn: uid=paul,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
objectClass: posixAccount
uid: paul
cn: paul
sn: paul
uidNumber: 1002
gidNumber: 4711
homeDirectory: /
userPassword: pw-paul

dn: cn=primary,ou=groups,dc=example,dc=org
objectClass: posixGroup
cn: primary
gidNumber: 500

dn: cn=second,ou=groups,dc=example,dc=org
objectClass: posixGroup
cn: second
gidNumber: 501
memberUid: pia
memberUid: paul

dn: cn=other,ou=groups,dc=example,dc=org
objectClass: posixGroup
cn: other
gidNumber: 502
memberUid: piano

dn: cn=no posix group,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: no posix group
member: uid=pia,ou=people,dc=example,dc=org

`

func TestRFC2307(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{People: []slapdtest.Person{{Name: "ann"}}, LDIF: posixLDIF})
	c := ldapdir.Config{URLs: []string{s.URL()}, Schema: "rfc2307"}
	template := c
	template.UserDNTemplate = "uid=%s," + slapdtest.PeopleDN
	own := c
	own.GroupFilter = "(memberUid=%s)"
	for _, tt := range []struct {
		name   string
		config ldapdir.Config
		user   string
		want   []string
	}{
		{"memberUid and the primary group", c, "pia", []string{"primary", "second"}},
		{"a number without a group is none", c, "paul", []string{"second"}},
		{"with a template", template, "pia", []string{"primary", "second"}},
		{"an own filter finds what it finds", own, "pia", []string{"second"}},
	} {
		d := open(t, tt.config)
		for range 2 {
			before := s.Counts()
			_, g, err := login(t.Context(), d, tt.user, "pw-"+tt.user)
			if err != nil || !slices.Equal(g.Names, tt.want) {
				t.Errorf("%s: %q, want %q, %v", tt.name, g.Names, tt.want, err)
			}
			if got := s.Counts().Sub(before); got.Operations != 3 {
				t.Errorf("%s: %+v, want 3 operations", tt.name, got)
			}
		}
	}
	// Who has no account is no user, whatever else has a uid.
	if _, err := open(t, c).Find(t.Context(), "ann"); err == nil {
		t.Error("found a person without an account")
	}
}
