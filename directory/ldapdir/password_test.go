package ldapdir_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// changeWord names the outcome of a change for tables.
func changeWord(err error) string {
	var p *directory.PasswordError
	switch {
	case errors.As(err, &p):
		return string(p.Fault)
	case errors.Is(err, directory.ErrNoPasswordChange):
		return "no change here"
	case err == nil:
		return "changed"
	}
	return verdictWord(err)
}

// A change that is refused must leave the old password as it was, and one that
// is done must leave nothing but the new one.
func TestChangePasswordInOpenLDAP(t *testing.T) {
	s := policyServer(t)
	d := open(t, serviceAccount(s))
	for _, tt := range []struct {
		name, user, old, new string
		want                 string
		binds, ops           int
	}{
		{"wrong old password", "plain", "falsch", "new-plain-1", "wrong password", 1, 1},
		{"too short", "plain", "pw-plain", "x", "too short", 1, 2},
		{"the same again", "plain", "pw-plain", "pw-plain", "used before", 1, 2},
		{"changed", "plain", "pw-plain", "new-plain-1", "changed", 1, 2},
		{"back to one in the history", "plain", "new-plain-1", "pw-plain", "used before", 1, 2},
		{"in any script", "plain", "new-plain-1", "Пароль 𝄞 \" \\", "changed", 1, 2},
		{"locked", "locked", "pw-locked", "new-locked-1", "account locked", 1, 1},
		{"must change, too short", "reset", "pw-reset", "x", "too short", 1, 2},
		{"must change", "reset", "pw-reset", "new-reset-1", "changed", 1, 2},
		{"expires soon", "soon", "pw-soon", "new-soon-1", "changed", 1, 2},
		{"in a grace login", "grace", "pw-grace", "new-grace-1", "changed", 1, 2},
		{"expired, wrong old password", "expired", "falsch", "new-expired-1", "wrong password", 1, 1},
		{"expired", "expired", "pw-expired", "new-expired-1", "changed", 2, 3},
		{"too young", "young", "pw-young", "new-young-1", "changed too recently", 1, 2},
		{"nobody may", "fixed", "pw-fixed", "new-fixed-1", "no change here", 1, 2},
		{"the old one must be told", "safe", "pw-safe", "new-safe-1", "changed", 1, 2},
		{"no old password never leaves", "plain", "", "new-plain-2", "wrong password", 0, 0},
		{"no new password never leaves", "plain", "pw-plain", "", "not acceptable", 0, 0},
		{"one that is no text never leaves", "plain", "pw-plain", "n\xebw-plain-1", "not acceptable", 0, 0},
		{"one as long as a packet never leaves", "plain", "pw-plain", strings.Repeat("x", 300<<10), "not acceptable", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := d.Find(t.Context(), tt.user)
			if err != nil {
				t.Fatal(err)
			}
			before := s.Counts()
			if err := d.ChangePassword(t.Context(), e, tt.old, tt.new); changeWord(err) != tt.want {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			eventually(t, func() error { // the unbind of a connection comes when it comes
				if n := s.Counts().Sub(before); n.Binds != tt.binds || n.Operations < tt.ops {
					return errors.New("operations are missing")
				}
				return nil
			})
			if tt.want != "changed" {
				return
			}
			if got, err := d.Verify(t.Context(), e, tt.new); err != nil || got.Notice.Expired {
				t.Errorf("with the new password: %+v, %v", got.Notice, err)
			}
			if _, err := d.Verify(t.Context(), e, tt.old); verdictWord(err) != "wrong password" {
				t.Errorf("with the old password: %v", err)
			}
		})
	}
}

func TestChangeOfAnExpiredPasswordNeedsTheServiceAccount(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{LDIF: policyLDIF(), Extra: policyConf})
	for name, c := range map[string]ldapdir.Config{
		"no service account":          {URLs: []string{s.URL()}},
		"one that may not write here": serviceAccount(s),
	} {
		d := open(t, c)
		e, err := d.Find(t.Context(), "stale")
		if err != nil {
			t.Fatal(name, err)
		}
		if err := d.ChangePassword(t.Context(), e, "pw-stale", "new-stale-1"); changeWord(err) != "no change here" {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := d.Verify(t.Context(), e, "pw-stale"); verdictWord(err) != "password expired!" {
			t.Errorf("%s: the old password is gone: %v", name, err)
		}
	}
}

func TestChangePasswordWithATemplate(t *testing.T) {
	s := policyServer(t)
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, UserDNTemplate: "uid=%s," + slapdtest.PeopleDN})
	e, err := d.Find(t.Context(), "reset")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ChangePassword(t.Context(), e, "pw-reset", "new-reset-1"); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Verify(t.Context(), e, "new-reset-1"); err != nil || got.Name != "reset" {
		t.Errorf("%+v, %v", got, err)
	}
}

// The connection on which a password was changed is as good as the person's
// own, and must not serve the next login.
func TestConnectionOfAChangeIsNotKept(t *testing.T) {
	s := policyServer(t)
	d := open(t, serviceAccount(s))
	e, err := d.Find(t.Context(), "plain")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ChangePassword(t.Context(), e, "pw-plain", "new-plain-1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if n := s.Counts().Current; n != 1 { // of the service
			return errors.New("connections are left")
		}
		return nil
	})
}

func TestNoPasswordInLogOrTrace(t *testing.T) {
	s := policyServer(t)
	var log bytes.Buffer
	c := serviceAccount(s)
	c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d := open(t, c)
	e, err := d.Find(t.Context(), "expired")
	if err != nil {
		t.Fatal(err)
	}
	var trace []string
	ctx := ldapdir.WithTrace(t.Context(), &ldapdir.Trace{Operation: func(o ldapdir.Operation) {
		if o.BaseDN == e.DN {
			trace = append(trace, o.Kind+": "+changeWord(o.Err))
		}
		if o.Server != s.URL() || o.Took <= 0 {
			t.Errorf("%+v", o)
		}
	}})
	for _, new := range []string{"new-expired-1", "x"} {
		if err := d.ChangePassword(ctx, e, "pw-expired", new); new == "x" && verdictWord(err) != "wrong password" {
			t.Error(err)
		}
	}
	want := "bind: password expired!, password: changed, bind: wrong password"
	if got := strings.Join(trace, ", "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, secret := range []string{"pw-expired", "new-expired", slapdtest.ReaderPassword} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%s is in the log:\n%s", secret, &log)
		}
	}
	if !strings.Contains(log.String(), "msg=password ") {
		t.Errorf("no password line:\n%s", &log)
	}
}

// A change is one try on one node. What was lost on the way may have happened.
func TestOneChange(t *testing.T) {
	refuse := func(code int, message string) ldapserver.Fault {
		return ldapserver.Fault{Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpExtended: {Code: code, Message: message}}}
	}
	bind := func(code int) ldapserver.Fault {
		return ldapserver.Fault{Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpBind: {Code: code}}}
	}
	for _, tt := range []struct {
		name          string
		before, after ldapserver.Fault // the bind
		want          string
		changes       int
	}{
		{"the server does not know the operation", ldapserver.Fault{}, refuse(2, ""), "no change here", 1},
		{"referral", ldapserver.Fault{}, refuse(10, ""), "no change here", 1},
		{"389 without TLS", ldapserver.Fault{}, refuse(13, "Operation requires a secure connection."), "no change here", 1},
		{"not allowed", ldapserver.Fault{}, refuse(50, ""), "no change here", 1},
		{"unwilling", ldapserver.Fault{}, refuse(53, ""), "no change here", 1},
		{"constraint without a control", ldapserver.Fault{}, refuse(19, "invalid password syntax"), "not acceptable", 1},
		{"wrong after all", ldapserver.Fault{}, refuse(49, ""), "wrong password", 1},
		{"busy", ldapserver.Fault{}, refuse(51, ""), "no verdict", 1},
		{"unavailable", ldapserver.Fault{}, refuse(52, ""), "no verdict", 1},
		{"other", ldapserver.Fault{}, refuse(80, ""), "no verdict", 1},
		{"hangs up", ldapserver.Fault{}, ldapserver.Fault{Hangup: true}, "no verdict", 1},
		{"silent", ldapserver.Fault{}, ldapserver.Fault{Silent: true}, "no verdict", 1},
		{"answers a bind", ldapserver.Fault{}, ldapserver.Fault{Raw: []byte("\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00")}, "no verdict", 1},
		{"a bind that the server is too busy for", bind(51), ldapserver.Fault{}, "no verdict", 0},
		{"a bind that is refused", bind(49), ldapserver.Fault{}, "wrong password", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			first, second := serve(t, ldapserver.Config{}), serve(t, ldapserver.Config{})
			d := open(t, ldapdir.Config{URLs: []string{first.URL(), second.URL()}, Timeout: time.Second})
			e, err := d.Find(t.Context(), "ann")
			if err != nil {
				t.Fatal(err)
			}
			first.SetFault(tt.before)
			ctx := ldapdir.WithTrace(t.Context(), &ldapdir.Trace{Operation: func(o ldapdir.Operation) {
				if o.Kind == "bind" {
					first.SetFault(tt.after)
				}
			}})
			began := time.Now()
			if err := d.ChangePassword(ctx, e, "geheim", "neu"); changeWord(err) != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
			first.SetFault(ldapserver.Fault{}) // what was silent is counted now
			eventually(t, func() error {
				if one := first.Stats(); one.Binds != 1 || one.Extended != tt.changes {
					return fmt.Errorf("first server: %+v", one)
				}
				return nil
			})
			if two := second.Stats(); two.Extended != 0 || two.Binds != 0 {
				t.Errorf("second server: %+v", two)
			}
		})
	}
}
