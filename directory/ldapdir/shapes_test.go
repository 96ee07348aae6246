package ldapdir_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
)

// Real servers of these kinds are not at hand, or have not the limits of the
// ones that are: the shapes are those of their documentation.

type attrs = map[string][]string

func object(dn string, a attrs, more ...string) ldapserver.Entry {
	a = maps.Clone(a)
	for i := 0; i < len(more); i += 2 {
		a[more[i]] = append(slices.Clone(a[more[i]]), more[i+1])
	}
	return ldapserver.Entry{DN: dn, Attributes: a}
}

// adEntries is a domain in which ann is in that many groups, all of them in
// one more, and her primary group in another.
func adEntries(groups int) (entries []ldapserver.Entry, direct, all []string) {
	const base = "DC=ad,DC=example,DC=test"
	people, class := "CN=Users,"+base, attrs{"objectClass": {"top", "group"}}
	entries = []ldapserver.Entry{
		object("CN=ann,"+people, attrs{"objectClass": {"top", "person", "organizationalPerson", "user"}},
			"sAMAccountName", "ann", "userPrincipalName", "ann@ad.example.test", "userAccountControl", "512",
			"accountExpires", "9223372036854775807", "primaryGroupID", "513", "userPassword", "geheim"),
		object("CN=reader,"+people, attrs{"objectClass": {"user"}}, "sAMAccountName", "reader", "userPassword", "geheim", "primaryGroupID", "513"),
		object("CN=Domain Users,"+people, class, "sAMAccountName", "Domain Users", "objectSid", ldapserver.SID(513)),
		object("CN=Users,CN=Builtin,"+base, class, "sAMAccountName", "Users", "member", "CN=Domain Users,"+people),
		object("CN=AD,CN=Partitions,CN=Configuration,"+base, attrs{"objectClass": {"crossRef"}}, "nCName", base, "nETBIOSName", "AD"),
	}
	direct = []string{"Domain Users"}
	top := class
	for i := range groups {
		name := fmt.Sprintf("g%04d", i)
		entries = append(entries, object("CN="+name+","+people, class, "sAMAccountName", name, "member", "CN=ann,"+people))
		direct = append(direct, name)
		top = attrs{"objectClass": {"top", "group"}, "member": append(top["member"], "CN="+name+","+people)}
	}
	entries = append(entries, object("CN=top,"+people, top, "sAMAccountName", "top"))
	return entries, direct, slices.Sorted(slices.Values(append(slices.Clone(direct), "Users", "top")))
}

func adShape(t *testing.T, groups int) (s *ldapserver.Server, base ldapdir.Config, direct, all []string) {
	entries, direct, all := adEntries(groups)
	s = serve(t, ldapserver.Config{
		Entries: entries, ActiveDirectory: true, MemberOf: true, SizeLimit: 1000, RangeLimit: 1500,
		RootDSE: ldapserver.RootDSE(ldapserver.ActiveDirectory, "DC=ad,DC=example,DC=test", "dc1.ad.example.test"),
	})
	return s, ldapdir.Config{URLs: []string{s.URL()}, BaseDN: "DC=ad,DC=example,DC=test",
		BindDN: "CN=reader,CN=Users,DC=ad,DC=example,DC=test", BindPassword: "geheim"}, direct, all
}

// The limits of Active Directory, 1,000 entries of a search without pages and
// 1,500 values of an attribute without ranges, make no list shorter.
func TestLimitsOfActiveDirectory(t *testing.T) {
	s, base, direct, all := adShape(t, 3200)
	for _, tt := range []struct {
		name   string
		change func(*ldapdir.Config)
		want   []string
	}{
		{"token groups, in three ranges", func(c *ldapdir.Config) {}, all},
		{"in-chain, in four pages", func(c *ldapdir.Config) { c.Nested = "in-chain" }, all},
		{"direct, in four pages", func(c *ldapdir.Config) { c.Nested = "off" }, direct},
		{"recursive", func(c *ldapdir.Config) { c.Nested = "recursive" }, all},
		{"memberOf, in three ranges", func(c *ldapdir.Config) { c.MemberOf, c.GroupNameAttribute = true, "cn" }, direct},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := base
			c.Timeout = 30 * time.Second // 3,200 groups by a server of the test, under the race detector
			tt.change(&c)
			d := open(t, c)
			e, g, err := login(t.Context(), d, `AD\ann`, "geheim")
			if err != nil || !slices.Equal(g.Names, tt.want) {
				t.Fatalf("%d groups, want %d, %v", len(g.Names), len(tt.want), err)
			}
			// Whatever of it fails, nothing is left out.
			s.SetFault(ldapserver.Fault{Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpSearch: {Code: 4, Partial: true}}})
			defer s.SetFault(ldapserver.Fault{})
			g, err = d.Groups(t.Context(), e, e.Node)
			if mustBeUnavailable(t, "Groups", err); len(g.Names) > 0 {
				t.Errorf("%d groups", len(g.Names))
			}
		})
	}
	t.Run("more than any user has", func(t *testing.T) {
		_, c, _, _ := adShape(t, 4100)
		for _, nested := range []string{"token-groups", "in-chain", "off"} {
			c.Nested = nested
			d := open(t, c)
			e, err := d.Find(t.Context(), "ann")
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.Groups(t.Context(), e)
			mustBeUnavailable(t, nested, err)
		}
	})
}

// The names of the domain are those that the configuration lists. Where it may
// not be read there is only the one in DNS; where it cannot, there is no
// verdict.
func TestDomainsOfActiveDirectory(t *testing.T) {
	_, whole, _, _ := adShape(t, 1)
	entries, _, _ := adEntries(1)
	hidden := serve(t, ldapserver.Config{ActiveDirectory: true,
		Entries: slices.DeleteFunc(entries, func(e ldapserver.Entry) bool { return e.Attributes["nCName"] != nil }),
		RootDSE: ldapserver.RootDSE(ldapserver.ActiveDirectory, "DC=ad,DC=example,DC=test", "dc1.ad.example.test")})
	dnsOnly := whole
	dnsOnly.URLs = []string{hidden.URL()}
	anonymous := whole
	anonymous.BindDN, anonymous.BindPassword = "", ""
	for _, tt := range []struct {
		name   string
		config ldapdir.Config
		want   map[string]error
	}{
		{"both", whole, map[string]error{"ann": nil, `ad\ANN`: nil, "Ann@AD.example.test": nil, `other\ann`: directory.ErrNoUser}},
		{"DNS", dnsOnly, map[string]error{"ann": nil, `ad\ANN`: directory.ErrNoUser, `ad.example.test\ann`: nil}},
		{"nothing without a bind", anonymous, map[string]error{"ann": directory.ErrUnavailable}},
	} {
		d := open(t, tt.config)
		for typed, want := range tt.want {
			if e, err := d.Find(t.Context(), typed); !errors.Is(err, want) || want == nil && e.Name != "ann" {
				t.Errorf("%s: %q is %q, %v, want %v", tt.name, typed, e.Name, err, want)
			}
		}
	}
}

// A constructed attribute that is not shown, and SIDs that are none, are no
// list of groups.
func TestTokenGroupsThatAreNone(t *testing.T) {
	for name, tokens := range map[string][]string{
		"not shown":    nil,
		"text":         {"S-1-5-21-1-2-3-513"},
		"cut short":    {ldapserver.SID(513)[:27]},
		"a filter":     {")(objectClass=*"},
		"one of many":  {ldapserver.SID(513), ldapserver.SID(514)[1:]},
		"empty string": {""},
	} {
		t.Run(name, func(t *testing.T) {
			entries, _, _ := adEntries(1)
			entries[0] = object(entries[0].DN, entries[0].Attributes, "objectSid", ldapserver.SID(600))
			entries[0].Attributes["tokenGroups"] = tokens
			for i := range entries { // with no ActiveDirectory nothing is constructed
				if entries[i].Attributes["sAMAccountName"] != nil && entries[i].Attributes["objectSid"] == nil {
					entries[i].Attributes["objectSid"] = []string{ldapserver.SID(uint32(700 + i))}
				}
			}
			s := serve(t, ldapserver.Config{Entries: entries})
			d := open(t, ldapdir.Config{URLs: []string{s.URL()}, BaseDN: "DC=ad,DC=example,DC=test", Schema: "ad", Domains: []string{"AD"}})
			e, err := d.Find(t.Context(), `AD\ann`)
			if err != nil {
				t.Fatal(err)
			}
			g, err := d.Groups(t.Context(), e)
			if mustBeUnavailable(t, "Groups", err); len(g.Names) > 0 {
				t.Errorf("%q", g.Names)
			}
		})
	}
}

// ipaEntries is a FreeIPA suffix: people twice, for old clients too, a
// preserved one, and memberOf values that are no groups.
func ipaEntries() []ldapserver.Entry {
	const suffix = "dc=ipa,dc=example"
	const users, groups = "cn=users,cn=accounts," + suffix, "cn=groups,cn=accounts," + suffix
	person := attrs{"objectClass": {"top", "person", "posixAccount", "ipaObject"}, "userPassword": {"geheim"}}
	return []ldapserver.Entry{
		object("uid=ann,"+users, person, "ipaUniqueID", "0f2f1a6e-7c62-11ee-8d8b-525400aa1122",
			"memberOf", "cn=ipausers,"+groups, "memberOf", "cn=staff,"+groups, "memberOf", "cn=all staff,"+groups,
			"memberOf", "cn=helpdesk,cn=roles,cn=accounts,"+suffix, "memberOf", "ipaUniqueID=55-66,cn=hbac,"+suffix),
		object("uid=ann,cn=users,cn=compat,"+suffix, attrs{"objectClass": {"top", "posixAccount"}}),
		object("uid=ann,cn=deleted users,cn=accounts,cn=provisioning,"+suffix, person, "ipaUniqueID", "autogenerate"),
		object("uid=loner,"+users, person, "ipaUniqueID", "autogenerate", "entryUUID", "00000000-0000-4000-8000-000000000001"),
		object("uid=off,"+users, person, "ipaUniqueID", "0f2f1a6e-7c62-11ee-8d8b-525400aa1133", "nsAccountLock", "TRUE", "memberOf", "cn=staff,"+groups),
		object("cn=staff,"+groups, attrs{"objectClass": {"groupOfNames"}}, "member", "uid=ann,"+users),
		object("cn=all staff,"+groups, attrs{"objectClass": {"groupOfNames"}}, "member", "cn=staff,"+groups),
	}
}

func TestShapesOf389(t *testing.T) {
	const suffix = "dc=ipa,dc=example"
	ds := []ldapserver.Entry{
		object("uid=ann,ou=people,"+suffix, attrs{"objectClass": {"person", "inetOrgPerson"}}, "userPassword", "geheim",
			"nsUniqueId", "11111111-22222222-33333333-44444444", "memberOf", "cn=staff,ou=groups,"+suffix, "memberOf", "cn=all staff,ou=groups,"+suffix),
		object("uid=loner,ou=people,"+suffix, attrs{"objectClass": {"person"}}, "nsUniqueId", "11111111-22222222-33333333-55555555", "userPassword", "geheim"),
		object("uid=off,ou=people,"+suffix, attrs{"objectClass": {"person"}}, "nsUniqueId", "11111111-22222222-33333333-66666666",
			"nsAccountLock", "true", "memberOf", "cn=staff,ou=groups,"+suffix),
	}
	// The plug-in is not switched on: what it would keep has to be searched.
	noPlugin := []ldapserver.Entry{
		object("uid=ann,ou=people,"+suffix, attrs{"objectClass": {"person"}}, "nsUniqueId", "11111111-22222222-33333333-44444444", "userPassword", "geheim"),
		object("cn=staff,ou=groups,"+suffix, attrs{"objectClass": {"groupOfNames"}}, "member", "uid=ann,ou=people,"+suffix),
		object("cn=all staff,ou=groups,"+suffix, attrs{"objectClass": {"groupOfUniqueNames"}}, "uniqueMember", "cn=staff,ou=groups,"+suffix),
	}
	for _, tt := range []struct {
		name     string
		kind     ldapserver.Kind
		entries  []ldapserver.Entry
		id       string // of ann
		want     []string
		searches int // of a login
	}{
		{"389ds", ldapserver.DirectoryServer389, ds, "11111111-22222222-33333333-44444444", []string{"all staff", "staff"}, 1},
		{"389ds without memberOf", ldapserver.DirectoryServer389, noPlugin, "11111111-22222222-33333333-44444444", []string{"all staff", "staff"}, 4},
		{"freeipa", ldapserver.FreeIPA, ipaEntries(), "0f2f1a6e-7c62-11ee-8d8b-525400aa1122", []string{"all staff", "ipausers", "staff"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, ldapserver.Config{Entries: tt.entries, RootDSE: ldapserver.RootDSE(tt.kind, suffix, "ldap.ipa.example")})
			d := open(t, ldapdir.Config{URLs: []string{s.URL()}, BaseDN: suffix})
			if _, err := d.Find(t.Context(), "nobody"); !errors.Is(err, directory.ErrNoUser) {
				t.Fatal(err)
			}
			before := s.Stats().Searches
			e, g, err := login(t.Context(), d, "ann", "geheim")
			if err != nil || e.ID != tt.id || e.Disabled || !slices.Equal(g.Names, tt.want) {
				t.Errorf("%+v, %q, %v", e, g.Names, err)
			}
			if got := s.Stats().Searches - before; got != tt.searches {
				t.Errorf("%d searches, want %d", got, tt.searches)
			}
			if second, err := d.Groups(t.Context(), e, e.Node); err != nil || !slices.Equal(second.Names, tt.want) {
				t.Errorf("second opinion %q, %v", second.Names, err)
			}
			if tt.name == "389ds without memberOf" {
				return
			}
			loner, g, err := login(t.Context(), d, "loner", "geheim")
			if err != nil || loner.ID == "autogenerate" || len(g.Names) != 0 {
				t.Errorf("loner %+v, %q, %v", loner, g.Names, err)
			}
			off, err := d.Find(t.Context(), "off")
			if err != nil || !off.Disabled {
				t.Errorf("inactivated: %+v, %v", off, err)
			}
			if g, err := d.Groups(t.Context(), off, off.Node); !errors.Is(err, directory.ErrNoUser) || g.Node == "" {
				t.Errorf("second opinion about an inactivated one: %+v, %v", g, err)
			}
		})
	}
}

// A rootDSE that shows nothing tells no kind: with the names of another kind
// everybody would be a stranger, and counted.
func TestRootDSEThatShowsNothing(t *testing.T) {
	s := serve(t, ldapserver.Config{RootDSE: map[string][]string{"vendorName": nil}})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}})
	_, err := d.Find(t.Context(), "ann")
	mustBeUnavailable(t, "Find", err)
	if err != nil && !strings.Contains(err.Error(), "Config.Schema") {
		t.Errorf("Find: %v", err)
	}
	if _, _, err := login(t.Context(), open(t, ldapdir.Config{URLs: []string{s.URL()}, Schema: "openldap"}), "ann", "geheim"); err != nil {
		t.Errorf("with a Schema: %v", err)
	}
}
