package ldapserver

import (
	"slices"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

func ptr(n int64) *int64 { return &n }

// The decoder of go-ldap is what the values of the policy control are held
// to.
func TestBindRules(t *testing.T) {
	inactive := &BindOutcome{Result: Result{Code: 53, Message: "Account inactivated. Contact system administrator."}}
	rules := map[string]*BindRule{
		"plain":    nil,
		"inactive": {Right: inactive, Wrong: inactive},
		"expiring": {Right: &BindOutcome{Controls: []Control{Policy{ExpiresIn: ptr(86400)}.Control()}}},
		"grace":    {Right: &BindOutcome{Controls: []Control{Policy{Grace: ptr(2)}.Control()}}},
		"locked":   {Right: &BindOutcome{Result: Result{Code: 49}, Controls: []Control{Policy{Error: ptr(1)}.Control()}}},
	}
	s := start(t, Config{KeepBinds: 3, Entries: ruled(rules)})
	c := dial(t, s.URL())
	for _, tt := range []struct {
		name, who, password string
		code                uint16
		expires, grace, err int64 // as go-ldap decodes, -1 for absent
	}{
		{"no rule, right", "plain", "pw", 0, -1, -1, -1},
		{"no rule, wrong", "plain", "no", 49, -1, -1, -1},
		{"inactivated with any password", "inactive", "no", 53, -1, -1, -1},
		{"expires in a day", "expiring", "pw", 0, 86400, -1, -1},
		{"not shown to a guesser", "expiring", "no", 49, -1, -1, -1},
		{"grace logins", "grace", "pw", 0, -1, 2, -1},
		{"locked", "locked", "pw", 49, -1, -1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := c.SimpleBind(ldap.NewSimpleBindRequest("uid="+tt.who+","+suffix, tt.password,
				[]ldap.Control{ldap.NewControlBeheraPasswordPolicy()}))
			if got := resultOf(err); got != tt.code {
				t.Errorf("result %d, want %d: %v", got, tt.code, err)
			}
			got := ldap.NewControlBeheraPasswordPolicy()
			if p, ok := ldap.FindControl(r.Controls, PolicyOID).(*ldap.ControlBeheraPasswordPolicy); ok {
				got = p
			}
			if got.Expire != tt.expires || got.Grace != tt.grace || int64(got.Error) != tt.err {
				t.Errorf("control: %+v", got)
			}
		})
	}
	want := []Bind{{"uid=expiring," + suffix, 49}, {"uid=grace," + suffix, 0}, {"uid=locked," + suffix, 49}}
	if got := s.Binds(); !slices.Equal(got, want) {
		t.Errorf("binds: %v, want the last three: %v", got, want)
	}
}

// The policy control belongs to those who have asked for it; the two of
// Netscape come unasked.
func TestControlsOfBinds(t *testing.T) {
	s := start(t, Config{Entries: ruled(map[string]*BindRule{"ann": {Right: &BindOutcome{
		Controls: []Control{Policy{Error: ptr(2)}.Control(), {OID: ExpiringOID, Value: "3600"}, {OID: ExpiredOID, Value: "0"}}}}})})
	r, err := dial(t, s.URL()).SimpleBind(ldap.NewSimpleBindRequest("uid=ann,"+suffix, "pw", nil))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range r.Controls {
		got = append(got, c.GetControlType())
	}
	if want := []string{ExpiringOID, ExpiredOID}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func ruled(rules map[string]*BindRule) []Entry {
	list := []Entry{{DN: suffix}}
	for name, rule := range rules {
		list = append(list, Entry{DN: "uid=" + name + "," + suffix, Attributes: attrs{"userPassword": {"pw"}}, Bind: rule})
	}
	return list
}

func TestBindsAreNotKeptUnlessAsked(t *testing.T) {
	s := start(t, Config{Entries: testEntries()})
	dial(t, s.URL()).Bind(fredDN, fredPass)
	if got := s.Binds(); len(got) != 0 {
		t.Errorf("kept %v", got)
	}
}
