package ldapdir_test

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
	"github.com/seed-244866eb/gatehouse/internal/sambatest"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// traced returns a context in which every operation lands in the list.
func traced(ctx context.Context) (context.Context, *[]ldapdir.Operation) {
	var all []ldapdir.Operation
	return ldapdir.WithTrace(ctx, &ldapdir.Trace{Operation: func(o ldapdir.Operation) { all = append(all, o) }}), &all
}

func kinds(all []ldapdir.Operation) string {
	var text []string
	for _, o := range all {
		text = append(text, o.Kind)
	}
	return strings.Join(text, " ")
}

func TestInspectionShowsEachStep(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Extra: "overlay syncprov"})
	d := open(t, ldapdir.Config{
		URLs: []string{s.TLSURL()}, RootCAs: s.Roots(), BaseDN: slapdtest.BaseDN, UserBaseDN: slapdtest.PeopleDN,
		BindDN: slapdtest.ReaderDN, BindPassword: slapdtest.ReaderPassword,
	})
	ctx, operations := traced(t.Context())
	seen, err := d.Inspect(ctx, d.Nodes()[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	if seen.Schema != "openldap" || len(seen.Changes) != 1 {
		t.Errorf("seen %+v, want an OpenLDAP with one contextCSN", seen)
	}
	if got, want := kinds(*operations), "dial tls bind read read read"; got != want {
		t.Fatalf("steps %s, want %s", got, want)
	}
	all := *operations
	if state := all[1].TLS; state == nil || state.PeerCertificates[0].VerifyHostname("127.0.0.1") != nil {
		t.Errorf("the TLS step shows %+v", state)
	}
	bases := []string{all[2].BaseDN, all[3].BaseDN, all[4].BaseDN, all[5].BaseDN}
	if want := []string{slapdtest.ReaderDN, "", slapdtest.BaseDN, slapdtest.PeopleDN}; !slices.Equal(bases, want) {
		t.Errorf("asked for %q, want %q", bases, want)
	}
}

func TestInspectionOfActiveDirectory(t *testing.T) {
	s := sambatest.Start(t, sambatest.Config{})
	d := open(t, ldapdir.Config{
		URLs: []string{s.TLSURL()}, RootCAs: s.Roots(), BaseDN: sambatest.BaseDN,
		BindDN: sambatest.ReaderDN, BindPassword: sambatest.ReaderPassword,
	})
	seen, err := d.Inspect(t.Context(), d.Nodes()[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	if seen.Schema != "ad" || !strings.EqualFold(seen.Server, sambatest.Host) || seen.Vendor == "" || seen.Clock.IsZero() {
		t.Errorf("seen %+v, want the name %s, vendor and clock", seen, sambatest.Host)
	}
}

func TestInspectionThatFails(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{})
	foreign := slapdtest.Start(t, slapdtest.Config{})
	config := ldapdir.Config{URLs: []string{s.TLSURL()}, RootCAs: s.Roots(), BaseDN: slapdtest.BaseDN}
	for _, tt := range []struct {
		name  string
		set   func(*ldapdir.Config)
		steps string
		text  string
	}{
		{"a certificate of another authority", func(c *ldapdir.Config) { c.RootCAs = foreign.Roots() }, "dial tls", "certificate"},
		{"a service account that is refused", func(c *ldapdir.Config) { c.BindDN, c.BindPassword = slapdtest.ReaderDN, "wrong" }, "dial tls bind", "service account"},
		{"a base that is not there", func(c *ldapdir.Config) { c.BaseDN = "dc=example,dc=com" }, "dial tls read read", "32"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := config
			tt.set(&c)
			d := open(t, c)
			ctx, operations := traced(t.Context())
			_, err := d.Inspect(ctx, d.Nodes()[0].Name)
			if !errors.Is(err, directory.ErrUnavailable) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v", err)
			}
			if got := kinds(*operations); got != tt.steps {
				t.Errorf("steps %s, want %s", got, tt.steps)
			}
		})
	}
	t.Run("the certificate is in the trace", func(t *testing.T) {
		c := config
		c.RootCAs = foreign.Roots()
		d := open(t, c)
		ctx, operations := traced(t.Context())
		d.Inspect(ctx, d.Nodes()[0].Name)
		var bad *tls.CertificateVerificationError
		if all := *operations; !errors.As(all[len(all)-1].Err, &bad) || len(bad.UnverifiedCertificates) == 0 {
			t.Errorf("operations %+v", all)
		}
	})
	t.Run("a node that is not there", func(t *testing.T) {
		if _, err := open(t, config).Inspect(t.Context(), "ldaps://elsewhere"); !errors.Is(err, directory.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

// TestInspectionOfABaseThatMayNotBeRead: access rights that refuse the entry of
// the base, and let a search below it through.
func TestInspectionOfABaseThatMayNotBeRead(t *testing.T) {
	s, err := ldapserver.New(ldapserver.Config{Entries: []ldapserver.Entry{
		{DN: "dc=example,dc=org", Attributes: map[string][]string{"objectClass": {"domain"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, BaseDN: "dc=example,dc=org"})
	for _, tt := range []struct {
		name  string
		code  byte
		from  int64 // the message: 1 is the rootDSE, 2 the base, 3 what is below
		to    int64
		fails bool
	}{
		{"result 32", 32, 2, 2, false},
		{"result 50", 50, 2, 2, false},
		{"result 50 below it as well", 50, 2, 3, true},
		{"a server that is busy", 51, 2, 2, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.SetFault(ldapserver.Fault{Answer: func(op ldapserver.Op, id int64) []byte {
				if id < tt.from || id > tt.to {
					return nil
				}
				// RFC 4511 section 4.5.2: SearchResultDone.
				return []byte{0x30, 12, 2, 1, byte(id), 0x65, 7, 10, 1, tt.code, 4, 0, 4, 0}
			}})
			ctx, operations := traced(t.Context())
			_, err := d.Inspect(ctx, d.Nodes()[0].Name)
			last := (*operations)[len(*operations)-1]
			if (err != nil) != tt.fails || (last.Err != nil) != tt.fails || last.Kind != "read" {
				t.Errorf("error %v, last operation %+v", err, last)
			}
		})
	}
}

// TestInspectionOfABaseThatIsNotSearched: where the others are not it, nothing
// hangs on BaseDN but the last changes.
func TestInspectionOfABaseThatIsNotSearched(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, BaseDN: "dc=nowhere", UserBaseDN: slapdtest.PeopleDN, GroupBaseDN: slapdtest.BaseDN})
	ctx, operations := traced(t.Context())
	if _, err := d.Inspect(ctx, d.Nodes()[0].Name); err != nil {
		t.Fatal(err)
	}
	for _, o := range *operations {
		if o.Err != nil && o.BaseDN != "dc=nowhere" {
			t.Errorf("operation %+v", o)
		}
	}
}
