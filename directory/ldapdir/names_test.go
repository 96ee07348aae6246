package ldapdir_test

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/casefile"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// tooLongName is the row of a name that slapd has no room for in a DN: nobody,
// in either spelling.
const tooLongName = "username_lockout-051"

// A spelling that slapd or a configured domain makes the user's is the user:
// the same ID and the same name, which are what is counted and remembered.
// All others are nobody, and never somebody else.
func TestSpellingsAreOneUser(t *testing.T) {
	type row struct {
		ID, Variant, Canonical string
		Same                   any    `json:"same_counter"`
		Slapd                  string `json:"observed_slapd_equal"`
		Note                   string
	}
	rows := casefile.Read[row](t, "testdata/username_lockout.json")
	var people []slapdtest.Person
	for _, r := range rows {
		// slapd has one place for the composed and the decomposed name.
		name := norm.NFC.String(r.Canonical)
		if r.ID != tooLongName && !slices.ContainsFunc(people, func(p slapdtest.Person) bool { return p.Name == name }) {
			people = append(people, slapdtest.Person{Name: name})
		}
	}
	s := slapdtest.Start(t, slapdtest.Config{People: people})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, Domains: []string{"corp", "corp.example.com"}})
	for _, r := range rows {
		t.Run(r.ID, func(t *testing.T) {
			want, err := d.Find(t.Context(), r.Canonical)
			if err != nil && r.ID != tooLongName {
				t.Fatal(err)
			}
			got, err := d.Find(t.Context(), r.Variant)
			domain := r.ID == "username_lockout-039" || r.ID == "username_lockout-041"
			switch {
			case r.Slapd == "yes" || domain:
				if err != nil || got.ID != want.ID || got.Name != want.Name {
					t.Errorf("%+q is %+v, want %+v, %v", r.Variant, got, want, err)
				}
			case !errors.Is(err, directory.ErrNoUser):
				t.Errorf("%+q is %+v, %v", r.Variant, got, err)
			}
		})
	}
}

func TestLoginNames(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{People: []slapdtest.Person{
		{Name: "ann", Email: "ann.a@example.org"},
		{Name: "bob", Email: "carl@example.org"}, // carl's with the domain, were it not his
		{Name: "carl", Email: "c@elsewhere.example"},
		{Name: `else\where`}, {Name: "at@home"},
		{Name: "one", Email: "shared@example.org"}, {Name: "two", Email: "shared@example.org"},
		{Name: "shared"},
	}})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, Schema: "openldap",
		LoginAttributes: []string{"mail"}, Domains: []string{"CORP", "example.org"}})
	for _, tt := range []struct {
		name, typed, want string // no want: nobody
		searches          int
	}{
		{"name", "ann", "ann", 1},
		{"mail", "Ann.A@Example.ORG", "ann", 1},
		{"domain before", `CORP\ann`, "ann", 1},
		{"in any case", `corp\ANN`, "ann", 1},
		{"domain behind", "ann@Example.org", "ann", 1},
		{"DNS domain before", `example.org\ann`, "ann", 1},
		{"short domain behind", "ann@corp", "ann", 1},
		{"whole name before a part", "carl@example.org", "bob", 2},
		{"the part", `CORP\carl`, "carl", 1},
		{"another domain", `EVIL\ann`, "", 1},
		{"another domain behind", "ann@example.com", "", 1},
		{"a domain that ends alike", "ann@notexample.org", "", 1},
		{"a domain twice", `CORP\CORP\ann`, "", 1},
		{"both sides", `CORP\ann@example.org`, "", 1},
		{"domain alone", `CORP\`, "", 1},
		{"domain alone behind", "@example.org", "", 1},
		{"backslash of a name", `else\where`, `else\where`, 1},
		{"at sign of a name", "at@home", "at@home", 1},
		{"wildcard behind the domain", `CORP\*`, "", 1},
		{"filter behind the domain", `CORP\ann)(uid=*`, "", 1},
		{"filter before the domain", "*)(uid=*@example.org", "", 1},
		{"whole name of two before the part of one", "shared@example.org", "", 2},
		{"nobody", "nobody", "", 1},
		{"nobody with a domain", `CORP\nobody`, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := s.Counts()
			e, err := d.Find(t.Context(), tt.typed)
			if got := s.Counts().Sub(before); got.Searches != tt.searches {
				t.Errorf("%d searches, want %d", got.Searches, tt.searches)
			}
			if e.Name != tt.want || (tt.want == "") != errors.Is(err, directory.ErrNoUser) {
				t.Fatalf("%q, want %q, %v", e.Name, tt.want, err)
			}
			if err != nil {
				return
			}
			// What a session remembers finds the same entry again.
			again, err := d.Find(t.Context(), e.Name)
			if err != nil || again.ID != e.ID {
				t.Errorf("again %+v, %v", again, err)
			}
		})
	}
}

// The kind is read once, with the first call, and no answer is no guess.
func TestDetection(t *testing.T) {
	s := serve(t, ldapserver.Config{})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, CoolDown: 1})
	s.SetFault(ldapserver.Fault{Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpSearch: {Code: 50}}})
	_, err := d.Find(t.Context(), "ann")
	mustBeUnavailable(t, "Find", err)
	s.SetFault(ldapserver.Fault{})
	for want := range 3 {
		before := s.Stats()
		if _, _, err := login(t.Context(), d, "ann", "geheim"); err != nil {
			t.Fatal(err)
		}
		searches := s.Stats().Searches - before.Searches
		if want > 0 && searches != 2 || want == 0 && searches != 3 {
			t.Errorf("login %d: %d searches", want, searches)
		}
	}
}
