package ldapdir_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
)

// A second opinion begins with the entry: one that the other node does not
// have, has disabled, or has somebody else in the place of, is no user there,
// and the node is named.
func TestSecondOpinionAboutTheEntry(t *testing.T) {
	const dn = "uid=ann,ou=people,dc=example,dc=org"
	const id = "11111111-1111-4111-8111-111111111111"
	person := attrs{"objectClass": {"inetOrgPerson"}, "entryUUID": {id}}
	group := object("cn=staff,ou=groups,dc=example,dc=org", attrs{"objectClass": {"groupOfNames"}}, "member", dn)
	first := serve(t, ldapserver.Config{Entries: []ldapserver.Entry{object(dn, person), group}})
	for _, tt := range []struct {
		name    string
		schema  string
		entries []ldapserver.Entry // of the second node
		want    error
	}{
		{"the same", "openldap", []ldapserver.Entry{object(dn, person), group}, nil},
		{"without a group", "openldap", []ldapserver.Entry{object(dn, person), object("cn=x,ou=groups,dc=example,dc=org", attrs{})}, nil},
		{"locked by wrong passwords", "openldap", []ldapserver.Entry{object(dn, person, "pwdAccountLockedTime", "20200101000000Z"), group}, nil},
		{"gone", "openldap", []ldapserver.Entry{group}, directory.ErrNoUser},
		{"another entry in its place", "openldap", []ldapserver.Entry{object(dn, attrs{"entryUUID": {"22222222-1111-4111-8111-111111111111"}}), group}, directory.ErrNoUser},
		{"locked by an administrator", "openldap", []ldapserver.Entry{object(dn, person, "pwdAccountLockedTime", "000001010000Z"), group}, directory.ErrNoUser},
		{"inactivated", "389ds", []ldapserver.Entry{object(dn, attrs{"objectClass": {"person"}}, "entryUUID", id, "nsAccountLock", "true"), group}, directory.ErrNoUser},
		{"an ID that is hidden there", "openldap", []ldapserver.Entry{object(dn, attrs{"entryUUID": {""}}), group}, directory.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			second := serve(t, ldapserver.Config{Entries: tt.entries})
			d := open(t, ldapdir.Config{URLs: []string{first.URL(), second.URL()}, Schema: tt.schema})
			e := directory.Entry{ID: id, Name: "ann", DN: dn, Node: first.URL(), Attributes: attrs{}}
			g, err := d.Groups(t.Context(), e, first.URL())
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("%+v, %v, want %v", g, err, tt.want)
			}
			if tt.want != directory.ErrUnavailable && g.Node != second.URL() {
				t.Errorf("said by %q, not by %q", g.Node, second.URL())
			}
			if tt.name == "the same" && !slices.Equal(g.Names, []string{"staff"}) {
				t.Errorf("groups %q", g.Names)
			}
		})
	}
}

// Values that came with an entry are those of the node it came from. Another
// node that has to answer is asked for its own.
func TestValuesOfAnotherNode(t *testing.T) {
	entries := func(group string) []ldapserver.Entry {
		return []ldapserver.Entry{object("uid=ann,ou=people,dc=example,dc=org",
			attrs{"objectClass": {"person"}, "entryUUID": {"11111111-1111-4111-8111-111111111111"}},
			"memberOf", "cn="+group+",ou=groups,dc=example,dc=org", "userPassword", "geheim")}
	}
	first := serve(t, ldapserver.Config{Entries: entries("first")})
	second := serve(t, ldapserver.Config{Entries: entries("second")})
	d := open(t, ldapdir.Config{URLs: []string{first.URL(), second.URL()}, Schema: "389ds"})
	e, err := d.Find(t.Context(), "ann")
	if err != nil || e.Node != first.URL() {
		t.Fatal(e, err)
	}
	first.Close()
	if other, err := d.Find(t.Context(), "ann"); err != nil || other.Node != second.URL() {
		t.Fatal(other, err) // by now the first is known to be down
	}
	verified, err := d.Verify(t.Context(), e, "geheim")
	if err != nil || verified.Node != second.URL() {
		t.Fatal(verified, err)
	}
	for step, e := range map[string]directory.Entry{"found": e, "verified by the other": verified} {
		g, err := d.Groups(t.Context(), e)
		if err != nil || g.Node != second.URL() || !slices.Equal(g.Names, []string{"second"}) {
			t.Errorf("%s: %+v, %v", step, g, err)
		}
	}
}
