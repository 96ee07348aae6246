package middleware_test

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
	"github.com/seed-244866eb/gatehouse/middleware"
)

var ann = []ldapserver.Entry{
	{DN: "uid=ann,ou=people,dc=example,dc=org", Attributes: map[string][]string{
		"objectClass": {"inetOrgPerson"}, "userPassword": {"geheim"}}},
	{DN: "cn=jira-users,ou=groups,dc=example,dc=org", Attributes: map[string][]string{
		"objectClass": {"groupOfNames"}, "member": {"uid=ann,ou=people,dc=example,dc=org"}}},
}

// What an LDAP server answers other than yes and 49 is no verdict at any door:
// 503, and nothing is counted. The codes are those of RFC 4511, appendix A.
func TestResultsOfTheServer(t *testing.T) {
	for _, tt := range []struct {
		code, want int
		password   string
	}{
		{1, 503, "geheim"}, {3, 503, "geheim"}, {4, 503, "geheim"}, {10, 503, "geheim"}, {11, 503, "geheim"},
		{51, 503, "geheim"}, {52, 503, "geheim"}, {53, 503, "geheim"}, {80, 503, "geheim"},
		{1, 503, "falsch"}, {51, 503, "falsch"}, {80, 503, "falsch"},
		{49, 401, "geheim"},
	} {
		ops := []ldapserver.Op{ldapserver.OpBind, ldapserver.OpSearch}
		if tt.code == 49 {
			ops = ops[:1] // to a search it says nothing about a password
		}
		for _, op := range ops {
			t.Run(fmt.Sprintf("%d to a %s, %s", tt.code, op, tt.password), func(t *testing.T) {
				s, err := ldapserver.New(ldapserver.Config{Entries: ann})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if err := s.Start("127.0.0.1:0"); err != nil {
					t.Fatal(err)
				}
				dir, err := ldapdir.New(ldapdir.Config{URLs: []string{s.URL()}, BaseDN: "dc=example,dc=org", CoolDown: time.Millisecond})
				if err != nil {
					t.Fatal(err)
				}
				defer dir.Close()
				w := newWorld(t, func(c *middleware.Config) { c.Directory, c.NoProofs = dir, true })
				w.login("ann", "geheim")
				result := ldapserver.Result{Code: tt.code, Message: "injected"}
				if tt.code == 10 {
					result.Referrals = []string{"ldap://192.0.2.1/"}
				}
				s.SetFault(ldapserver.Fault{Results: map[ldapserver.Op]ldapserver.Result{op: result}})
				doors := map[string]*httptest.ResponseRecorder{
					"REST": w.rest("ann", tt.password), "form": w.form("ann", tt.password), "Basic": w.basic("/rest/open", "ann", tt.password),
				}
				for door, rec := range doors {
					if rec.Code != tt.want || (rec.Header().Get("Retry-After") != "") != (tt.want == 503) {
						t.Errorf("%s: %d, %v", door, rec.Code, rec.Header())
					}
				}
				counted := uint64(0)
				if tt.want == 401 {
					counted = uint64(len(doors))
				}
				if st, err := w.auth.Attempts().Status(t.Context(), "ann", netip.Addr{}); err != nil || st.FailedLogins != counted {
					t.Errorf("%d failures counted, want %d; %v", st.FailedLogins, counted, err)
				}
			})
		}
	}
}
