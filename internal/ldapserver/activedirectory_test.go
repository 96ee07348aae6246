package ldapserver

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/internal/sambatest"
)

// adEntries is the domain of sambatest as far as the tests here look.
func adEntries(members int) []Entry {
	user := func(name string) Entry {
		return Entry{DN: sambatest.DN(name), Attributes: attrs{"objectClass": {"user"}, "sAMAccountName": {name},
			"userPrincipalName": {sambatest.UPN(name)}, "userPassword": {sambatest.Password(name)},
			"userAccountControl": {"512"}, "primaryGroupID": {"513"}}}
	}
	group := func(name string, members ...string) Entry {
		return Entry{DN: sambatest.DN(name), Attributes: attrs{"objectClass": {"group"}, "sAMAccountName": {name},
			"member": members, "groupType": {"-2147483646"}}}
	}
	big := []string{}
	for i := range members {
		big = append(big, sambatest.DN(fmt.Sprintf("m%04d", i)))
	}
	users := group("Domain Users")
	users.Attributes["objectSid"] = []string{SID(DomainUsersRID)}
	disabled := user(sambatest.Disabled)
	disabled.Attributes["userAccountControl"] = []string{"514"}
	disabled.Bind = &BindRule{Right: Subcode("533")}
	locked := user(sambatest.Lock)
	locked.Bind = &BindRule{Right: Subcode("775"), Wrong: Subcode("775")}
	return []Entry{{DN: sambatest.BaseDN}, {DN: sambatest.UsersDN}, user(sambatest.Alice), user(sambatest.Bob), user("reader"), disabled, locked,
		users, group(sambatest.Inner, sambatest.DN(sambatest.Alice)), group(sambatest.Mid, sambatest.DN(sambatest.Inner)),
		group(sambatest.Outer, sambatest.DN(sambatest.Mid)), group(sambatest.Big, append(big, sambatest.DN(sambatest.Bob))...),
		{DN: sambatest.DN("list"), Attributes: attrs{"sAMAccountName": {"list"}, "member": {sambatest.DN(sambatest.Alice)}, "groupType": {"2"}}}}
}

// directories are this server and a real one with the same people, each as
// the service account.
func directories(t *testing.T, members int) map[string]*ldap.Conn {
	t.Helper()
	s := start(t, Config{ActiveDirectory: true, MemberOf: true, RangeLimit: 1500, Entries: adEntries(members)})
	real := sambatest.Start(t, sambatest.Config{Members: members})
	c, err := ldap.DialURL(real.TLSURL(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: real.Roots(), ServerName: sambatest.Host}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	both := map[string]*ldap.Conn{"ours": dial(t, s.URL()), "samba": c}
	for where, c := range both {
		if err := c.Bind(sambatest.ReaderDN, sambatest.ReaderPassword); err != nil {
			t.Fatal(where, err)
		}
	}
	return both
}

// read returns the attributes of the one entry that a base search finds.
func read(t *testing.T, c *ldap.Conn, dn, attribute string) []*ldap.EntryAttribute {
	t.Helper()
	r, err := c.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{attribute}, nil))
	if err != nil || len(r.Entries) != 1 {
		t.Fatalf("%s of %s: %v, %v", attribute, dn, r, err)
	}
	return r.Entries[0].Attributes
}

func TestAsSamba(t *testing.T) {
	for where, c := range directories(t, 50) {
		t.Run(where, func(t *testing.T) {
			for _, tt := range []struct {
				asked, name string
				values      int
			}{
				{"member;range=0-2", "member;range=0-2", 3},
				{"member;range=0-*", "member;range=0-*", 51},
				{"MEMBER;range=50-*", "member;range=50-*", 1},
				{"member;range=40-500", "member;range=40-*", 11},
				{"member;range=7-7", "member;range=7-7", 1},
				{"member;range=0-50", "member;range=0-*", 51},
			} {
				got := read(t, c, sambatest.DN(sambatest.Big), tt.asked)
				if len(got) != 1 || !strings.EqualFold(got[0].Name, tt.name) || len(got[0].Values) != tt.values {
					t.Errorf("%s: %v, want %s with %d values", tt.asked, got, tt.name, tt.values)
				}
			}
			checkTokenGroups(t, c)
			for _, tt := range []struct{ name, filter, want string }{
				{"members of a group by any path", "(memberOf:1.2.840.113556.1.4.1941:=" + sambatest.DN(sambatest.Outer) + ")", "alice g-inner g-mid"},
				{"groups of a person by any path", "(&(groupType=-2147483646)(member:1.2.840.113556.1.4.1941:=" + sambatest.DN(sambatest.Alice) + "))", "g-inner g-mid g-outer"},
				{"disabled", "(&(objectClass=user)(cn=dis)(userAccountControl:1.2.840.113556.1.4.803:=2))", "dis"},
				{"not disabled", "(&(cn=alice)(userAccountControl:1.2.840.113556.1.4.803:=2))", ""},
				{"any bit", "(&(cn=alice)(userAccountControl:1.2.840.113556.1.4.804:=514))", "alice"},
			} {
				if got := names(t, c, tt.filter); got != tt.want {
					t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
				}
			}
		})
	}
}

// names returns the sorted common names of what the filter finds.
func names(t *testing.T, c *ldap.Conn, filter string) string {
	t.Helper()
	r, err := c.Search(ldap.NewSearchRequest(sambatest.UsersDN, ldap.ScopeWholeSubtree, 0, 0, 0, false, filter, []string{"cn"}, nil))
	if err != nil {
		t.Fatalf("%s: %v", filter, err)
	}
	var all []string
	for _, e := range r.Entries {
		all = append(all, e.GetAttributeValue("cn"))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// checkTokenGroups asks for the groups of alice by SID, and for the names
// that belong to them by filters on the bytes. The groups that only Samba has
// by default are of the domain Builtin.
func checkTokenGroups(t *testing.T, c *ldap.Conn) {
	t.Helper()
	var got []string
	for _, a := range read(t, c, sambatest.DN(sambatest.Alice), "tokenGroups") {
		for _, sid := range a.ByteValues {
			if name := names(t, c, "(objectSid="+ldap.EscapeFilter(string(sid))+")"); name != "" {
				got = append(got, name)
			}
		}
	}
	slices.Sort(got)
	if want := []string{"Domain Users", "g-inner", "g-mid", "g-outer"}; !slices.Equal(got, want) {
		t.Errorf("tokenGroups: %q, want %q", got, want)
	}
	_, err := c.Search(ldap.NewSearchRequest(sambatest.UsersDN, ldap.ScopeWholeSubtree, 0, 0, 0, false, "(cn=alice)", []string{"tokenGroups"}, nil))
	if resultOf(err) != ldap.LDAPResultOperationsError {
		t.Errorf("tokenGroups of a subtree: %v, want result 1", err)
	}
}

func TestBindsOfActiveDirectory(t *testing.T) {
	c := dial(t, start(t, Config{ActiveDirectory: true, Entries: adEntries(0)}).URL())
	if _, err := c.Search(searchFor("(cn=alice)")); resultOf(err) != ldap.LDAPResultOperationsError {
		t.Errorf("anonymous search: %v, want result 1", err)
	}
	for _, tt := range []struct{ name, who, password, data string }{
		{"DN", sambatest.DN("alice"), "Pw-alice-1", ""},
		{"user principal name", "ALICE@ad.example.test", "Pw-alice-1", ""},
		{"DOMAIN\\user", `ad\Alice`, "Pw-alice-1", ""},
		{"wrong password", `AD\alice`, "guess", "52e"},
		{"unknown user", "nobody@ad.example.test", "guess", "525"},
		{"unknown DN", sambatest.DN("nobody"), "guess", "525"},
		{"another domain", `OTHER\alice`, "Pw-alice-1", "525"},
		{"disabled, right password", sambatest.DN("dis"), "Pw-dis-1", "533"},
		{"disabled, wrong password", sambatest.DN("dis"), "guess", "52e"},
		{"locked, wrong password", sambatest.DN("lock"), "guess", "775"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := c.Bind(tt.who, tt.password)
			if tt.data == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if resultOf(err) != 49 || !strings.Contains(err.Error(), "data "+tt.data+",") {
				t.Errorf("%v, want result 49 with data %s", err, tt.data)
			}
		})
	}
	// What a client must not take for a login.
	if err := c.UnauthenticatedBind(sambatest.DN("alice")); err != nil {
		t.Errorf("a name without a password: %v, want success as anonymous", err)
	}
}

// A client that asks for an attribute with too many values sees none under
// its name.
func TestRangeLimit(t *testing.T) {
	s := start(t, Config{ActiveDirectory: true, RangeLimit: 20, Entries: adEntries(50)})
	c := dial(t, s.URL())
	if err := c.Bind(sambatest.ReaderDN, sambatest.ReaderPassword); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		asked string
		want  string
	}{
		{"member", "member:0 member;range=0-19:20"},
		{"member;range=20-*", "member;range=20-39:20"},
		{"member;range=40-*", "member;range=40-*:11"},
		{"member;range=0-1000", "member;range=0-19:20"},
		{"member;range=2-1", ""},
		{"member;range=x", ""},
	} {
		var got []string
		for _, a := range read(t, c, sambatest.DN(sambatest.Big), tt.asked) {
			got = append(got, fmt.Sprintf("%s:%d", a.Name, len(a.Values)))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.asked, got, tt.want)
		}
	}
	if got := read(t, c, sambatest.DN(sambatest.Inner), "member"); len(got) != 1 || got[0].Name != "member" || len(got[0].Values) != 1 {
		t.Errorf("a short list: %v", got)
	}
}

func TestSIDInTheTwoForms(t *testing.T) {
	c := dial(t, start(t, Config{Entries: adEntries(0)}).URL())
	for _, filter := range []string{"(objectSid=S-1-5-21-1-2-3-513)", "(objectSid=" + ldap.EscapeFilter(SID(513)) + ")"} {
		if got := names(t, c, filter); got != "Domain Users" {
			t.Errorf("%s: %q", filter, got)
		}
	}
}

// Clients tell products by these: for Active Directory by LDAP_CAP_ACTIVE_
// DIRECTORY_OID ([MS-ADTS] 3.1.1.3.4.3.1), for the others by what each shows.
func TestRootDSEsDiffer(t *testing.T) {
	for _, tt := range []struct {
		name       string
		kind       Kind
		attr, want string
		not        string
	}{
		{"OpenLDAP", OpenLDAP, "objectClass", "OpenLDAProotDSE", "vendorName"},
		{"Active Directory", ActiveDirectory, "supportedCapabilities", "1.2.840.113556.1.4.800", "vendorName"},
		{"389 Directory Server", DirectoryServer389, "vendorName", "389 Project", "ipaDomainLevel"},
		{"FreeIPA", FreeIPA, "ipaDomainLevel", "1", "configContext"},
	} {
		c := dial(t, start(t, Config{Entries: testEntries(), RootDSE: RootDSE(tt.kind, suffix, "dc1.example.org")}).URL())
		r, err := c.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"*", "+"}, nil))
		if err != nil || len(r.Entries) != 1 {
			t.Errorf("%s: %v, %v", tt.name, r, err)
			continue
		}
		e := r.Entries[0]
		if !slices.Contains(e.GetAttributeValues(tt.attr), tt.want) || e.GetAttributeValue(tt.not) != "" {
			t.Errorf("%s: %s is %q, %s is %q", tt.name, tt.attr, e.GetAttributeValues(tt.attr), tt.not, e.GetAttributeValue(tt.not))
		}
		if got := e.GetAttributeValues("namingContexts"); !slices.Contains(got, suffix) {
			t.Errorf("%s: naming contexts %q", tt.name, got)
		}
	}
}
