package ldapdir_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

func TestOneLogin(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 100, Groups: 50})
	d, err := ldapdir.New(ldapdir.Config{URLs: []string{s.TLSURL()}, RootCAs: s.Roots(), BaseDN: slapdtest.BaseDN})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx := context.Background()
	e, err := d.Find(ctx, "U00003")
	if err != nil || e.Name != "u00003" {
		t.Fatal(e, err)
	}
	if e, err = d.Verify(ctx, e, "pw-u00003"); err != nil {
		t.Fatal(err)
	}
	if g, err := d.Groups(ctx, e, false); err != nil || !slices.Equal(g.Names, s.Groups("u00003")) {
		t.Error(g, err)
	}
	if _, err = d.Verify(ctx, e, "bad"); !errors.Is(err, directory.ErrBadCredentials) {
		t.Error(err)
	}
}
