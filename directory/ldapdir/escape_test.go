package ldapdir_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/casefile"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

type escapingRow struct {
	ID          string `json:"id"`
	Username    string `json:"username"`
	FilterValue string `json:"filter_value"`
	DNValue     string `json:"dn_value"`
}

// otherwise are the rows whose names no person of the server has.
var otherwise = map[string]string{
	"ldap_escaping-027": noName,
	"ldap_escaping-089": noName,
	"ldap_escaping-095": noName,
	tooLong:             "may be asked for, but slapd cannot add it: result 80 in the file",
}

const (
	noName  = "no user may have the name: policy I4 of the file"
	tooLong = "ldap_escaping-093"
)

// Every name of the file is an entry of a real server, and is found under its
// filter, logs in by search, with a domain and by template, and has its
// groups: by DN, by memberUid, one that is itself called so, and the group of
// that one.
func TestNamesReachSlapdAsTheyAre(t *testing.T) {
	const path = "testdata/ldap_escaping.json"
	casefile.LeftOut(t, path, otherwise)
	rows := casefile.Read[escapingRow](t, path)
	s := slapdtest.Start(t, slapdtest.Config{})
	admin, err := ldap.DialURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.Bind(slapdtest.RootDN, slapdtest.RootPassword); err != nil {
		t.Fatal(err)
	}
	search := open(t, ldapdir.Config{URLs: []string{s.URL()}, UserFilter: "(&(objectClass=inetOrgPerson)(uid=%s))",
		Nested: "recursive", Domains: []string{"CORP"}})
	template := open(t, ldapdir.Config{URLs: []string{s.URL()}, UserDNTemplate: "uid=%s," + slapdtest.PeopleDN, Nested: "recursive"})
	for _, row := range rows {
		t.Run(row.ID, func(t *testing.T) {
			if otherwise[row.ID] == noName {
				mustRefuse(t, s, row.Username, search, template)
				return
			}
			if row.ID == tooLong {
				if _, err := search.Find(t.Context(), row.Username); !errors.Is(err, directory.ErrNoUser) {
					t.Error(err)
				}
				return
			}
			addPerson(t, admin, row)
			mustLogIn(t, row.Username, row.Username, search, template)
			if directory.CheckName(`CORP\`+row.Username) == nil {
				mustLogIn(t, row.Username, `CORP\`+row.Username, search)
				mustLogIn(t, row.Username, row.Username+"@corp", search)
			}
		})
	}
}

func mustRefuse(t *testing.T, s *slapdtest.Server, name string, dirs ...*ldapdir.Dir) {
	t.Helper()
	before := s.Counts()
	for _, d := range dirs {
		if _, err := d.Find(t.Context(), name); !errors.Is(err, directory.ErrBadName) || !errors.Is(err, directory.ErrNoUser) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if got := s.Counts().Sub(before); got.Operations != 0 {
		t.Errorf("%q was asked for: %+v", name, got)
	}
}

func mustLogIn(t *testing.T, name, typed string, dirs ...*ldapdir.Dir) {
	t.Helper()
	for _, d := range dirs {
		e, g, err := login(t.Context(), d, typed, "geheim")
		if err != nil {
			t.Errorf("%q: %v", typed, err)
			continue
		}
		// slapd forgets spaces around a value when it is part of a DN.
		if strings.TrimSpace(e.Name) != strings.TrimSpace(name) {
			t.Errorf("found %q, want %q", e.Name, name)
		}
		want := []string{"by dn", "by group", name}
		if ascii(name) {
			want = append(want, "by uid")
		}
		slices.Sort(want)
		if !slices.Equal(g.Names, want) {
			t.Errorf("groups of %q: %q, want %q", name, g.Names, want)
		}
	}
}

// ascii tells what memberUid can hold (IA5 String, RFC 2307).
func ascii(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 })
}

// addPerson adds the entry under the DN of the row, and its groups, until the
// end of the test.
func addPerson(t *testing.T, admin *ldap.Conn, row escapingRow) {
	t.Helper()
	dn := "uid=" + row.DNValue + "," + slapdtest.PeopleDN
	person := ldap.NewAddRequest(dn, nil)
	person.Attribute("objectClass", []string{"inetOrgPerson"})
	person.Attribute("uid", []string{row.Username})
	person.Attribute("cn", []string{"x"})
	person.Attribute("sn", []string{"x"})
	person.Attribute("userPassword", []string{"geheim"})
	byDN := ldap.NewAddRequest("cn=by dn,"+slapdtest.GroupsDN, nil)
	byDN.Attribute("objectClass", []string{"groupOfNames"})
	byDN.Attribute("member", []string{dn})
	byUID := ldap.NewAddRequest("cn=by uid,"+slapdtest.GroupsDN, nil)
	byUID.Attribute("objectClass", []string{"posixGroup"})
	byUID.Attribute("gidNumber", []string{"1000"})
	byUID.Attribute("memberUid", []string{row.Username})
	named := ldap.NewAddRequest("cn="+row.DNValue+","+slapdtest.GroupsDN, nil)
	named.Attribute("objectClass", []string{"groupOfNames"})
	named.Attribute("cn", []string{row.Username})
	named.Attribute("member", []string{dn})
	byGroup := ldap.NewAddRequest("cn=by group,"+slapdtest.GroupsDN, nil)
	byGroup.Attribute("objectClass", []string{"groupOfNames"})
	byGroup.Attribute("member", []string{named.DN})
	all := []*ldap.AddRequest{person, byDN, named, byGroup}
	if ascii(row.Username) {
		all = append(all, byUID)
	}
	for _, r := range all {
		if err := admin.Add(r); err != nil {
			t.Fatalf("%s: %v", r.DN, err)
		}
		t.Cleanup(func() { admin.Del(ldap.NewDelRequest(r.DN, nil)) })
	}
}
