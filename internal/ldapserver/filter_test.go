package ldapserver

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// filterTests are answered by slapd in the same way, unless slapd is false;
// see TestFiltersAsSlapd.
var filterTests = []struct {
	name, filter, want string
	slapd              bool
}{
	{"equality ignores case", "(UID=FRED)", "uid=fred", true},
	{"equality folds beyond ASCII", "(uid=ZOË)", "uid=zoë", true},
	{"equality drops outer spaces", "(uid=  fred )", "uid=fred", true},
	{"equality compresses inner spaces", "(cn=fred normal)", "uid=fred", true},
	{"a run of spaces is one", "(cn=fred    normal)", "uid=fred", true},
	{"a no-break space is a space", "(cn=fred\u00a0normal)", "uid=fred", true},
	{"an ideographic space is a space", "(cn=fred\u3000normal)", "uid=fred", true},
	{"full-width letters fold", "(uid=ｆｒｅｄ)", "uid=fred", true},
	{"circled letters fold", "(uid=ⓕred)", "uid=fred", true},
	{"mail ignores case", "(mail=FRED@example.ORG)", "uid=fred", true},
	{"alias of a type", "(userid=fred)", "uid=fred", true},
	{"numeric name of a type", "(0.9.2342.19200300.100.1.1=fred)", "uid=fred", true},
	{"an escaped star is a star", `(description=a\2ab)`, "uid=fred", true},
	{"an escaped star matches nothing else", `(uid=f\2ad)`, "", true},
	{"escaped parentheses", `(description=it is \28odd\29)`, "uid=fred", true},
	{"substring initial", "(uid=FR*)", "uid=fred", true},
	{"substring any", "(cn=*ed norm*)", "uid=fred", true},
	{"substring final", "(cn=* NORMAL)", "uid=fred", true},
	{"substring all three", "(cn=f*ed*al)", "uid=fred", true},
	{"substrings do not overlap", "(uid=fred*d)", "", true},
	{"substring parts keep their order", "(cn=*normal*fred*)", "", true},
	{"substring of a name is undefined", "(member=uid=fred*)", "", true},
	{"present", "(&(uid=*)(objectClass=*))", "uid=admin uid=fred uid=nogroups uid=zoë", true},
	{"present: nobody", "(telephoneNumber=*)", "", true},
	{"and", "(&(objectClass=inetOrgPerson)(uid=fred))", "uid=fred", true},
	{"or", "(|(uid=fred)(uid=admin))", "uid=admin uid=fred", true},
	{"not", "(&(uid=*)(!(uid=fred)))", "uid=admin uid=nogroups uid=zoë", true},
	{"not of an absent value", "(&(uid=fred)(!(telephoneNumber=1)))", "uid=fred", true},
	{"not of undefined is undefined", "(&(uid=fred)(!(noSuchType=1)))", "", true},
	{"undefined or true", "(|(noSuchType=1)(uid=fred))", "uid=fred", true},
	{"empty and is true", "(&(uid=fred)(&))", "uid=fred", true},
	{"empty or is false", "(&(uid=fred)(|))", "", true},
	{"numbers compare as numbers", "(&(uid=*)(uidNumber>=1002))", "uid=nogroups uid=zoë", true},
	{"less or equal", "(uidNumber<=1001)", "uid=admin uid=fred", true},
	{"number with leading zeros", "(uidNumber=01001)", "uid=fred", false}, // RFC 4517 forbids them, we take them for the number
	{"not a number is undefined", "(&(uid=fred)(!(uidNumber=one)))", "", true},
	{"approximate", "(cn~=admin)", "uid=admin", true},
	{"member compares as a name", "(member=uid=FRED,ou=People,dc=Example, dc=org)", "cn=jira-users", true},
	{"member with spaces", "(member=uid = fred , ou = people , dc=example,dc=org)", "cn=jira-users", true},
	{"member with an escaped letter", `(member=uid=fr\5c65d,ou=people,dc=example,dc=org)`, "cn=jira-users", true},
	{"member must be the whole name", "(member=uid=fred,ou=people,dc=example)", "", true},
	{"member beyond ASCII", "(member=uid=ZOË,ou=people,dc=example,dc=org)", "cn=jira-users", true},
	{"what is no name is undefined", "(|(member=fred)(uid=fred))", "uid=fred", true},
	{"uniqueMember compares as a name", "(uniqueMember=UID=fred,ou=people,dc=example,dc=org)", "cn=unique", true},
	{"memberUid", "(memberUid=fred)", "cn=posix", true},
	{"memberUid is exact", "(memberUid=Fred)", "", true},
	{"passwords match nothing", "(userPassword=fredpass)", "", true},
	{"passwords have no substrings", "(userPassword=f*)", "", true},
	{"passwords are not present", "(userPassword=*)", "", true},
	{"extensible with the own rule", "(cn:=FRED NORMAL)", "uid=fred", true},
	{"extensible exact", "(cn:caseExactMatch:=Fred Normal)", "uid=fred", true},
	{"extensible exact, other case", "(cn:caseExactMatch:=fred normal)", "", true},
	{"extensible by number of the rule", "(cn:2.5.13.5:=Fred Normal)", "uid=fred", true},
	{"extensible over parts of the name", "(&(uid=fred)(ou:dn:=PEOPLE))", "uid=fred", true},
	{"extensible without a type", "(:caseExactMatch:=inner)", "cn=inner", true},
	{"unknown rule is undefined", "(cn:1.2.3.4:=x)", "", true},
	{"extensible sees no password", "(userPassword:caseExactMatch:=fredpass)", "", true},
	{"bits, all", "(uidNumber:1.2.840.113556.1.4.803:=1001)", "uid=fred", true},
	{"bits, any", "(&(uid=*)(uidNumber:1.2.840.113556.1.4.804:=3))", "uid=admin uid=fred uid=nogroups", true},
	{"in chain through a cycle", "(member:1.2.840.113556.1.4.1941:=uid=fred,ou=people,dc=example,dc=org)", "cn=inner cn=jira-users", false},
	{"in chain, nobody", "(member:1.2.840.113556.1.4.1941:=uid=nogroups,ou=people,dc=example,dc=org)", "", false},
}

func TestFilters(t *testing.T) {
	c := dial(t, start(t, Config{Entries: testEntries()}).URL())
	for _, tt := range filterTests {
		t.Run(tt.name, func(t *testing.T) { checkFilter(t, c, tt.filter, tt.want) })
	}
}

func checkFilter(t *testing.T, c *ldap.Conn, filter, want string) {
	t.Helper()
	got := find(t, c, filter)
	slices.Sort(got)
	if s := strings.Join(got, " "); s != want {
		t.Errorf("%s found %q, want %q", filter, s, want)
	}
}

func TestMemberOfIsFilled(t *testing.T) {
	c := dial(t, start(t, Config{Entries: testEntries(), MemberOf: true}).URL())
	checkFilter(t, c, "(memberOf=cn=JIRA-users,ou=groups,dc=example,dc=org)", "cn=inner uid=fred uid=zoë")
	checkFilter(t, c, "(memberOf=cn=unique,ou=groups,dc=example,dc=org)", "uid=fred")
	checkFilter(t, c, "(memberOf:1.2.840.113556.1.4.1941:=cn=inner,ou=groups,dc=example,dc=org)", "cn=inner cn=jira-users uid=admin uid=fred uid=zoë")
}

// A filter that nests deeper than a message may is refused, not followed.
func TestFilterDepthIsBounded(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	for _, tt := range []struct {
		depth int
		ok    bool
	}{{50, true}, {100, false}} {
		filter := strings.Repeat("(!", tt.depth) + "(uid=fred)" + strings.Repeat(")", tt.depth)
		_, err := dial(t, s.URL()).Search(ldap.NewSearchRequest(suffix, ldap.ScopeWholeSubtree, 0, 0, 0, false, filter, nil, nil))
		if (err == nil) != tt.ok {
			t.Errorf("depth %d: %v", tt.depth, err)
		}
	}
}

func TestFold(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"dotted capital I, as slapd", "ad\u0130", "adi"},
		{"dotless i stays itself", "ad\u0131", "ad\u0131"},
		{"Kelvin sign", "\u212a", "k"},
		{"long s", "\u017f", "s"},
		{"final sigma", "ς", "Σ"}, // one orbit, its smallest rune
		{"sigma", "σ", "Σ"},
		{"a soft hyphen stays, as slapd", "fr\u00aded", "fr\u00aded"},
		{"a tab stays, as slapd", "\ta", "\ta"},
		{"NUL stays", "fr\x00ed", "fr\x00ed"},
		{"thin spaces are spaces", "\u2009a\u2009\u2009b", "a b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := foldSpaces(tt.in); got != tt.want {
				t.Errorf("foldSpaces(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}
