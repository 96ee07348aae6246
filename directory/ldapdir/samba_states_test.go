package ldapdir_test

import (
	"testing"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/sambatest"
)

func openSamba(t testing.TB, s *sambatest.Server) *ldapdir.Dir {
	return open(t, ldapdir.Config{URLs: []string{s.TLSURL()}, RootCAs: s.Roots(), BaseDN: sambatest.BaseDN,
		BindDN: sambatest.ReaderDN, BindPassword: sambatest.ReaderPassword})
}

// Samba compares the password before it looks at the state, but for the lock;
// so a state with a "!" is told to nobody who guesses.
func TestStatesOfActiveDirectory(t *testing.T) {
	s := sambatest.Start(t, sambatest.Config{})
	d := openSamba(t, s)
	for _, tt := range []struct{ name, user, wrong, right string }{
		{"52e", sambatest.Alice, "wrong password", "welcome"},
		{"530", sambatest.Hours, "wrong password", "not at this time!"},
		{"531", sambatest.Station, "wrong password", "not from this workstation!"},
		{"532", sambatest.OldPass, "wrong password", "password expired!"},
		{"533", sambatest.Disabled, "wrong password", "account disabled!"},
		{"701", sambatest.Expired, "wrong password", "account expired!"},
		{"773", sambatest.MustChange, "wrong password", "password must be changed!"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := d.Find(t.Context(), tt.user)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Verify(t.Context(), e, "falsch"); verdictWord(err) != tt.wrong {
				t.Errorf("wrong password: %v, want %s", err, tt.wrong)
			}
			if _, err := d.Verify(t.Context(), e, sambatest.Password(tt.user)); verdictWord(err) != tt.right {
				t.Errorf("right password: %v, want %s", err, tt.right)
			}
		})
	}
	t.Run("775, whatever the password", func(t *testing.T) {
		e, err := d.Find(t.Context(), sambatest.Lock)
		if err != nil {
			t.Fatal(err)
		}
		// As many tries as the lock allows: one more bind a try would show.
		for i := range sambatest.LockAfter {
			if _, err := d.Verify(t.Context(), e, "falsch"); verdictWord(err) != "wrong password" {
				t.Errorf("try %d: %v", i, err)
			}
		}
		for _, password := range []string{"falsch", sambatest.Password(sambatest.Lock)} {
			if _, err := d.Verify(t.Context(), e, password); verdictWord(err) != "account locked" {
				t.Errorf("%s: %v", password, err)
			}
		}
	})
}

func TestChangePasswordInActiveDirectory(t *testing.T) {
	s := sambatest.Start(t, sambatest.Config{})
	s.Modify("dn: " + sambatest.BaseDN + "\nchangetype: modify\nreplace: pwdHistoryLength\npwdHistoryLength: 5\n")
	d := openSamba(t, s)
	for _, tt := range []struct{ name, user, old, new, want string }{
		{"wrong old password", sambatest.MustChange, "falsch", "New-pw-1", "wrong password"},
		{"too short", sambatest.MustChange, sambatest.Password(sambatest.MustChange), "x", "too short"},
		{"the same again", sambatest.MustChange, sambatest.Password(sambatest.MustChange), sambatest.Password(sambatest.MustChange), "used before"},
		{"must change, in any script", sambatest.MustChange, sambatest.Password(sambatest.MustChange), "Пароль-𝄞-\"-1", "changed"},
		{"back to one in the history", sambatest.MustChange, "Пароль-𝄞-\"-1", sambatest.Password(sambatest.MustChange), "used before"},
		{"expired", sambatest.OldPass, sambatest.Password(sambatest.OldPass), "New-pw-2", "changed"},
		{"nothing asked for it", sambatest.Alice, sambatest.Password(sambatest.Alice), "New-pw-3", "changed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := d.Find(t.Context(), tt.user)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.ChangePassword(t.Context(), e, tt.old, tt.new); changeWord(err) != tt.want {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			if tt.want != "changed" {
				return
			}
			if _, err := d.Verify(t.Context(), e, tt.new); err != nil {
				t.Errorf("with the new password: %v", err)
			}
			if _, err := d.Verify(t.Context(), e, tt.old); verdictWord(err) != "wrong password" {
				t.Errorf("with the old password: %v", err)
			}
		})
	}
}

// The clear text of a new password is not even tried on the wire.
func TestNoChangeInActiveDirectoryWithoutTLS(t *testing.T) {
	s := sambatest.Start(t, sambatest.Config{AllowPlain: true})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, BaseDN: sambatest.BaseDN,
		BindDN: sambatest.ReaderDN, BindPassword: sambatest.ReaderPassword})
	e, err := d.Find(t.Context(), sambatest.Alice)
	if err != nil {
		t.Fatal(err)
	}
	ctx := ldapdir.WithTrace(t.Context(), &ldapdir.Trace{Operation: func(o ldapdir.Operation) { t.Errorf("%+v", o) }})
	if err := d.ChangePassword(ctx, e, sambatest.Password(sambatest.Alice), "New-pw-1"); changeWord(err) != "no change here" {
		t.Error(err)
	}
	if _, err := d.Verify(t.Context(), e, sambatest.Password(sambatest.Alice)); err != nil {
		t.Errorf("with the old password: %v", err)
	}
}
