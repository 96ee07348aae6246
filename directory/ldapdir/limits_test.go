package ldapdir_test

import (
	"slices"
	"testing"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// Limits that an administrator has set are no reason to fail while the answer
// is within them, though we ask for more: 4,096 groups, six seconds.
func TestServerLimits(t *testing.T) {
	for name, limits := range map[string]string{
		"default size limit": "sizelimit 50",
		"hard size limit":    "limits * size.soft=20 size.hard=50",
		"hard time limit":    "limits * time.soft=1 time.hard=2",
	} {
		t.Run(name, func(t *testing.T) {
			s := slapdtest.Start(t, slapdtest.Config{Users: 50, Groups: 10, Extra: limits})
			d := open(t, ldapdir.Config{URLs: []string{s.URL()}})
			for _, user := range s.Names() {
				if _, g, err := login(t.Context(), d, user, "pw-"+user); err != nil || !slices.Equal(g.Names, s.Groups(user)) {
					t.Fatal(g, err)
				}
			}
		})
	}
	t.Run("more groups than the limit", func(t *testing.T) {
		s := slapdtest.Start(t, slapdtest.Config{Users: 10, Groups: 9, Extra: "sizelimit 3"})
		d := open(t, ldapdir.Config{URLs: []string{s.URL()}})
		e, err := d.Find(t.Context(), "u00001")
		if err != nil || len(s.Groups("u00001")) < 4 {
			t.Fatal(s.Groups("u00001"), err)
		}
		g, err := d.Groups(t.Context(), e)
		mustBeUnavailable(t, "Groups", err)
		if len(g.Names) > 0 {
			t.Errorf("a part of the groups: %q", g.Names)
		}
	})
}
