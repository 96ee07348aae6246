package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// A result is what one run has printed, and its status.
type result struct {
	status         int
	stdout, stderr string
}

// check runs the command with the password of the user on standard input;
// empty: none is given.
func check(t *testing.T, password string, args ...string) result {
	t.Helper()
	if password != "" {
		args = append(args, "-password-stdin")
	}
	var stdout, stderr bytes.Buffer
	status := run(context.Background(), args, nil, strings.NewReader(password+"\n"), &stdout, &stderr)
	if password != "" && strings.Contains(stdout.String()+stderr.String(), password) {
		t.Errorf("the output holds the password:\n%s%s", stdout.String(), stderr.String())
	}
	return result{status, stdout.String(), stderr.String()}
}

// report runs the command with -json and returns the document.
func report(t *testing.T, password string, args ...string) (Report, int) {
	t.Helper()
	got := check(t, password, append(args, "-json")...)
	d := json.NewDecoder(strings.NewReader(got.stdout))
	d.DisallowUnknownFields()
	var r Report
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%v\n%s%s", err, got.stdout, got.stderr)
	}
	return r, got.status
}

// problems returns the findings that are no warnings: the certificates of the
// tests, which are good for a day, are warned of.
func problems(r Report) (found []Finding) {
	for _, f := range r.Findings {
		if !f.Warning {
			found = append(found, f)
		}
	}
	return found
}

// find returns the findings of that kind.
func find(r Report, kind string) (found []Finding) {
	for _, f := range r.Findings {
		if f.Kind == kind {
			found = append(found, f)
		}
	}
	return found
}

// flags returns those that name the servers, over TLS.
func flags(servers ...*slapdtest.Server) (args []string) {
	for _, s := range servers {
		args = append(args, "-ldap", s.TLSURL())
	}
	return append(args, "-ldap-ca", servers[0].CAFile())
}

// omit returns a rule that leaves out a third of the groups.
func omit(third int) func(int) bool { return func(g int) bool { return g%3 == third } }

// split returns the sorted groups of the user of which the rule says so, and
// how many there are in all.
func split(s *slapdtest.Server, user string, rule func(int) bool) (chosen []string, all int) {
	for _, g := range s.Groups(user) {
		var n int
		fmt.Sscanf(g, "g%d", &n)
		if rule(n) {
			chosen = append(chosen, g)
		}
	}
	return chosen, len(s.Groups(user))
}

// TestTheIncident is the day for which the tool is made: two of three nodes
// miss a third of the groups, and not the same third.
func TestTheIncident(t *testing.T) {
	config := slapdtest.Config{Users: 200, Groups: 60}
	second, third := config, config
	second.Omit, third.Omit = omit(0), omit(1)
	nodes := slapdtest.StartNodes(t, config, second, third)
	const user = "u00001"
	lost2, all := split(nodes[0], user, omit(0))
	lost3, _ := split(nodes[0], user, omit(1))
	if len(lost2) == 0 || len(lost3) == 0 || all <= len(lost2)+len(lost3) {
		t.Fatalf("%s has %d groups, of which %q and %q are missing: too few to tell", user, all, lost2, lost3)
	}
	access := lost2[len(lost2)-1]
	r, status := report(t, "pw-"+user, append(flags(nodes...), "-user", user, "-access-group", access)...)
	if status != exitProblem || r.Status != statusProblems {
		t.Errorf("status %d, %s", status, r.Status)
	}
	differ := find(r, "groups-differ")
	if len(differ) != 2 || len(problems(r)) != 2 {
		t.Fatalf("findings %+v", r.Findings)
	}
	for i, lost := range [][]string{lost2, lost3} {
		name := nodes[i+1].TLSURL()
		if f := differ[i]; !slices.Equal(f.Nodes, []string{name}) || !slices.Equal(slices.Sorted(slices.Values(f.Groups)), lost) ||
			!strings.Contains(f.Text, fmt.Sprintf("%s lacks %d of %d groups of %s", name, len(lost), all, user)) ||
			!strings.Contains(f.Suggestion, "to "+name) {
			t.Errorf("node %d: %+v, want %q", i+2, f, lost)
		}
	}
	// The group that a login needs comes first, and what it means is said.
	if f := differ[0]; f.Groups[0] != access || !strings.Contains(f.Text, "login that asks it is refused") {
		t.Errorf("with the access group %s: %+v", access, f)
	}
	if f := differ[1]; strings.Contains(f.Text, "refused") {
		t.Errorf("without it: %+v", f)
	}
	stepsAreShown(t, r)
}

// stepsAreShown wants every step with its time, and the password on the
// preferred node alone.
func stepsAreShown(t *testing.T, r Report) {
	t.Helper()
	for _, n := range r.Nodes {
		var steps []string
		for _, s := range n.Steps {
			steps = append(steps, s.Name)
			if !s.OK || s.Milliseconds <= 0 {
				t.Errorf("%s: %+v", n.Name, s)
			}
		}
		want := "connect tls server base user groups"
		if n.Preferred {
			want = "connect tls server base user password groups"
		}
		if got := strings.Join(steps, " "); got != want {
			t.Errorf("%s: steps %s, want %s", n.Name, got, want)
		}
	}
	if r.Nodes[0].Password != "accepted" || !r.Nodes[0].Preferred {
		t.Errorf("the first node: %+v", r.Nodes[0])
	}
}

// TestPreferredNodeThatLags says that gatehouse itself would come to believe
// it.
func TestPreferredNodeThatLags(t *testing.T) {
	config := slapdtest.Config{Users: 200, Groups: 60}
	behind := config
	behind.Omit = omit(0)
	nodes := slapdtest.StartNodes(t, behind, config, behind)
	r, status := report(t, "", append(flags(nodes...), "-user", "u00001")...)
	differ := find(r, "groups-differ")
	if status != exitProblem || len(differ) != 1 {
		t.Fatalf("status %d, findings %+v", status, r.Findings)
	}
	// Nodes that miss the same are told together.
	if f := differ[0]; len(f.Nodes) != 2 || !strings.Contains(f.Suggestion, "name a complete node first") {
		t.Errorf("got %+v", f)
	}
}

func TestAllWell(t *testing.T) {
	config := slapdtest.Config{Users: 20, Groups: 10}
	nodes := slapdtest.StartNodes(t, config, config, config)
	got := check(t, "pw-u00003", append(flags(nodes...), "-user", "U00003")...)
	if got.status != exitOK || got.stderr != "" {
		t.Errorf("status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	want := fmt.Sprintf("All 3 nodes work and agree about U00003 (%d groups).", len(nodes[0].Groups("u00003")))
	if last := lines[len(lines)-1]; last != want {
		t.Errorf("the last line is %q, want %q", last, want)
	}
	for _, n := range nodes {
		if !strings.Contains(got.stdout, n.TLSURL()) {
			t.Errorf("%s is not shown", n.TLSURL())
		}
	}
	// The certificates of the tests are good for a day.
	if n := strings.Count(got.stdout, "warning: "); n != 3 || strings.Count(got.stdout, "renew it") != 3 {
		t.Errorf("%d warnings of three certificates that end soon", n)
	}
	t.Run("without a user", func(t *testing.T) {
		got := check(t, "", flags(nodes...)...)
		if got.status != exitOK || !strings.HasSuffix(got.stdout, "\nAll 3 nodes work and agree.\n") {
			t.Errorf("status %d\n%s", got.status, got.stdout)
		}
	})
	t.Run("a name that tells a terminal what to do", func(t *testing.T) {
		got := check(t, "", append(flags(nodes...), "-user", "fred\u202e\u2028")...)
		if strings.ContainsAny(got.stdout, "\u202e\u2028") {
			t.Errorf("output %q", got.stdout)
		}
	})
	t.Run("each operation, on request", func(t *testing.T) {
		got := check(t, "", append(flags(nodes...), "-user", "u00003", "-v")...)
		if !strings.Contains(got.stdout, `filter "(uid=u00003)" results 1`) {
			t.Errorf("output\n%s", got.stdout)
		}
	})
}

// TestOnePasswordIsOneBind counts at the servers: searches are anonymous here,
// so every bind is one of the user, or after a right password the one of nobody
// that shows whether the server can refuse.
func TestOnePasswordIsOneBind(t *testing.T) {
	config := slapdtest.Config{Users: 5}
	nodes := slapdtest.StartNodes(t, config, config, config)
	binds := func() (all []int) {
		for _, n := range nodes {
			all = append(all, n.Counts().Binds)
		}
		return all
	}
	for _, tt := range []struct {
		name, password string
		args           []string
		want           []int
		verdict        string
		status         int
	}{
		{"a right one", "pw-u00001", nil, []int{2, 0, 0}, "accepted", exitOK},
		{"a wrong one", "guess", nil, []int{1, 0, 0}, "refused: wrong password", exitProblem},
		{"on each node, on request", "guess", []string{"-bind-every-node"}, []int{1, 1, 1}, "refused: wrong password", exitProblem},
		{"none", "", nil, []int{0, 0, 0}, "", exitOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := binds()
			r, status := report(t, tt.password, append(append(flags(nodes...), "-user", "u00001"), tt.args...)...)
			after := binds()
			for i := range after {
				after[i] -= before[i]
			}
			if !slices.Equal(after, tt.want) {
				t.Errorf("%v binds at the nodes, want %v", after, tt.want)
			}
			if r.Nodes[0].Password != tt.verdict || status != tt.status {
				t.Errorf("%q, status %d, want %q, %d", r.Nodes[0].Password, status, tt.verdict, tt.status)
			}
		})
	}
	t.Run("on the next node where the first is down", func(t *testing.T) {
		nodes[0].Kill()
		before := nodes[1].Counts().Binds
		r, status := report(t, "guess", append(flags(nodes...), "-user", "u00001")...)
		if got := nodes[1].Counts().Binds - before; got != 1 || nodes[2].Counts().Binds != 1 {
			t.Errorf("%d binds at the second node", got)
		}
		if status != exitProblem || len(find(r, "connect")) != 1 || len(find(r, "password")) != 1 {
			t.Errorf("status %d, findings %+v", status, r.Findings)
		}
	})
}

// TestNodesThatFail: each fault is told of its node, with what to do, and the
// other node is checked all the same.
func TestNodesThatFail(t *testing.T) {
	config := slapdtest.Config{Users: 5}
	nodes := slapdtest.StartNodes(t, config, config)
	foreign := slapdtest.Start(t, config)
	empty := slapdtest.Start(t, slapdtest.Config{})
	for _, tt := range []struct {
		name string
		args []string
		kind string
		text string // in the suggestion
	}{
		{"a certificate of another authority", append(flags(nodes[0]), "-ldap", foreign.TLSURL()), "tls", "none of the authorities that are trusted"},
		{"a certificate for another name", append(flags(nodes[0]), "-ldap", "ldaps://"+front(t, "127.0.0.77:0", host(nodes[1].TLSURL()))), "tls", "the certificate is for localhost"},
		{"an address where nobody listens", append(flags(nodes[0]), "-ldap", "ldaps://127.0.0.77:9"), "connect", "is the server up"},
		{"a port that speaks no TLS", append(flags(nodes[0]), "-ldap", strings.Replace(nodes[1].URL(), "ldap:", "ldaps:", 1)), "tls", "636"},
		{"a base that is not there", append(flags(nodes[0]), "-ldap-base", "dc=example,dc=com"), "base", "-ldap-base"},
		{"a user that one node lacks", []string{"-ldap", nodes[0].URL(), "-ldap", empty.URL()}, "entry-missing", "replication"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, status := report(t, "", append(tt.args, "-user", "u00001")...)
			found := find(r, tt.kind)
			if len(found) != 1 || status != exitProblem || !strings.Contains(found[0].Suggestion, tt.text) {
				t.Errorf("status %d, findings %+v", status, r.Findings)
			}
			if last := r.Nodes[0].Steps[len(r.Nodes[0].Steps)-1]; tt.kind != "base" && (last.Name != "groups" || !last.OK) {
				t.Errorf("the other node ends with %+v", last)
			}
		})
	}
	t.Run("a service account that is refused", func(t *testing.T) {
		password := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(password, []byte("canary\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got := check(t, "", append(flags(nodes[0]), "-ldap-bind-dn", slapdtest.ReaderDN, "-ldap-bind-password-file", password)...)
		if got.status != exitProblem || !strings.Contains(got.stdout, "-ldap-bind-dn") || strings.Contains(got.stdout, "canary") {
			t.Errorf("status %d\n%s", got.status, got.stdout)
		}
	})
	t.Run("a node that hangs", func(t *testing.T) {
		nodes[1].Stop()
		defer nodes[1].Cont()
		r, status := report(t, "", append(flags(nodes...), "-user", "u00001", "-ldap-timeout", "1s")...)
		if found := find(r, "tls"); status != exitProblem || len(found) != 1 || found[0].Nodes[0] != nodes[1].TLSURL() {
			t.Errorf("status %d, findings %+v", status, r.Findings)
		}
	})
	t.Run("a name that is not in the DNS", func(t *testing.T) {
		r, status := report(t, "", "-ldap", "ldaps://no.such.host.invalid", "-ldap-timeout", "2s")
		if found := find(r, "resolve"); status != exitUnreachable || len(found) != 1 || len(r.Nodes) != 0 {
			t.Errorf("status %d, %+v", status, r)
		}
	})
	t.Run("no node at all", func(t *testing.T) {
		nodes[0].Kill()
		nodes[1].Kill()
		r, status := report(t, "", flags(nodes...)...)
		if status != exitUnreachable || r.Status != statusUnreachable {
			t.Errorf("status %d, %s", status, r.Status)
		}
	})
}

// A base that may be searched and not read, as one without an entry of its own,
// is no failure: no login reads it.
func TestBaseThatIsOnlySearched(t *testing.T) {
	base := slapdtest.Config{Users: 5, Access: "access to dn.base=\"" + slapdtest.BaseDN + "\" by * search"}
	r, status := report(t, "pw-u00001", append(flags(slapdtest.Start(t, base)), "-ldap-base", slapdtest.BaseDN, "-user", "u00001")...)
	if status != exitOK || len(problems(r)) > 0 || r.Nodes[0].Password != "accepted" {
		t.Errorf("status %d, %+v", status, r)
	}
}
