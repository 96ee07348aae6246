package ldapdir_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
)

// account is a person whose binds end as the rule says.
func account(name string, rule ldapserver.BindRule, attributes ...string) ldapserver.Entry {
	e := ldapserver.Entry{DN: "uid=" + name + ",ou=people,dc=example,dc=org", Bind: &rule,
		Attributes: map[string][]string{"objectClass": {"person", "inetOrgPerson"}, "userPassword": {"geheim"}}}
	for i := 0; i < len(attributes); i += 2 {
		e.Attributes[attributes[i]] = []string{attributes[i+1]}
	}
	return e
}

func outcome(code int, message string, controls ...ldapserver.Control) *ldapserver.BindOutcome {
	return &ldapserver.BindOutcome{Result: ldapserver.Result{Code: code, Message: message}, Controls: controls}
}

// The outcomes are those of 389 Directory Server, whose slapi_check_account_lock
// comes before the comparison, and whose need_new_pw comes after.
func TestStatesOf389AndFreeIPA(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	fault := func(n int64) ldapserver.Control { return ldapserver.Policy{Error: number(n)}.Control() }
	expired := ldapserver.Control{OID: ldapserver.ExpiredOID, Value: "0"}
	expiring := ldapserver.Control{OID: ldapserver.ExpiringOID, Value: "86400"}
	always := func(o *ldapserver.BindOutcome) ldapserver.BindRule { return ldapserver.BindRule{Right: o, Wrong: o} }
	right := func(o *ldapserver.BindOutcome) ldapserver.BindRule { return ldapserver.BindRule{Right: o} }
	const inactivated = "Account inactivated. Contact system administrator."
	rows := []struct {
		name         string
		entry        ldapserver.Entry
		wrong, right string
		notice       directory.PasswordNotice
	}{
		{"nothing to say", account("a", ldapserver.BindRule{}), "wrong password", "welcome", directory.PasswordNotice{}},
		{"inactivated", account("b", always(outcome(53, inactivated, fault(1)))), "account disabled", "account disabled", directory.PasswordNotice{}},
		{"inactivated, without the control", account("c", always(outcome(53, inactivated))), "account disabled", "account disabled", directory.PasswordNotice{}},
		{"inactivated, in other words, as its entry shows", account("d", always(outcome(53, "no")), "nsAccountLock", "TRUE"), "account disabled", "account disabled", directory.PasswordNotice{}},
		{"inactivated, and taken all the same", account("e", ldapserver.BindRule{}, "nsAccountLock", "TRUE"), "wrong password", "account disabled!", directory.PasswordNotice{}},
		{"unwilling, and not for the account", account("f", always(outcome(53, "no"))), "no verdict", "no verdict", directory.PasswordNotice{}},
		{"locked", account("g", always(outcome(19, "Exceed password retry limit. Please try later.", fault(1)))), "account locked", "account locked", directory.PasswordNotice{}},
		{"expired", account("h", right(outcome(49, "password expired!", expired, fault(0)))), "wrong password", "password expired!", directory.PasswordNotice{}},
		{"expired, without the policy control", account("i", right(outcome(49, "password expired!", expired))), "wrong password", "password expired!", directory.PasswordNotice{}},
		{"expired, as FreeIPA says before it compares", account("o", always(outcome(49, "Password is expired.\n", ldapserver.Policy{Grace: number(0), Error: number(0)}.Control()))), "password expired", "password expired", directory.PasswordNotice{}},
		{"a grace of FreeIPA, which it tells before it compares", account("p", ldapserver.BindRule{
			Right: outcome(0, "", expired, ldapserver.Policy{Grace: number(2)}.Control()),
			Wrong: outcome(49, "", expired, ldapserver.Policy{Grace: number(1)}.Control()),
		}), "wrong password", "welcome", directory.PasswordNotice{Expired: true, GraceLogins: 2}},
		{"must change", account("j", right(outcome(0, "", expired, fault(2)))), "wrong password", "password must be changed!", directory.PasswordNotice{}},
		{"must change, without the policy control", account("k", right(outcome(0, "", expired))), "wrong password", "password must be changed!", directory.PasswordNotice{}},
		{"two graces", account("l", right(outcome(0, "", expired, ldapserver.Policy{Grace: number(2)}.Control()))), "wrong password", "welcome", directory.PasswordNotice{Expired: true, GraceLogins: 2}},
		{"expires in a day", account("m", right(outcome(0, "", expiring))), "wrong password", "welcome", directory.PasswordNotice{Expires: time.Now().Add(day)}},
		{"a control that cannot be read", account("n", right(outcome(0, "", ldapserver.Control{OID: ldapserver.PolicyOID, Value: "\x30\x7f"}))), "wrong password", "no verdict", directory.PasswordNotice{}},
	}
	var entries []ldapserver.Entry
	for _, tt := range rows {
		entries = append(entries, tt.entry)
	}
	s := serve(t, ldapserver.Config{Entries: entries})
	searched := open(t, ldapdir.Config{URLs: []string{s.URL()}, Schema: "389ds"})
	template := open(t, ldapdir.Config{URLs: []string{s.URL()}, Schema: "389ds", UserDNTemplate: "uid=%s,ou=people,dc=example,dc=org"})
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			for _, d := range []*ldapdir.Dir{searched, template} {
				user := strings.TrimPrefix(tt.entry.DN[:5], "uid=")
				e, err := d.Find(t.Context(), user)
				if err != nil {
					t.Fatal(err)
				}
				before := s.Stats().Binds
				_, wrong := d.Verify(t.Context(), e, "falsch")
				got, right := d.Verify(t.Context(), e, "geheim")
				unread := d == template && tt.name == "inactivated, in other words, as its entry shows" // nobody has read it
				if unread {
					tt.wrong, tt.right = "no verdict", "no verdict"
				}
				if verdictWord(wrong) != tt.wrong || verdictWord(right) != tt.right {
					t.Errorf("wrong: %v, right: %v; want %s, %s", wrong, right, tt.wrong, tt.right)
				}
				if n := s.Stats().Binds - before; n != 2 {
					t.Errorf("two passwords are %d binds", n)
				}
				if off := got.Notice.Expires.Sub(tt.notice.Expires); off < -time.Minute || off > time.Minute ||
					got.Notice.Expired != tt.notice.Expired || got.Notice.GraceLogins != tt.notice.GraceLogins {
					t.Errorf("%+v, want %+v", got.Notice, tt.notice)
				}
			}
		})
	}
}
