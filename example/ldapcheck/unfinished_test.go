package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// TestCheckThatIsNotFinished: what ends the check is no fault of the node that
// was asked just then.
func TestCheckThatIsNotFinished(t *testing.T) {
	s := fake(t, ldapserver.Config{})
	s.SetFault(ldapserver.Fault{Silent: true})
	for _, tt := range []struct {
		name, timeout, want string
		cancel              time.Duration
	}{
		{"-timeout", "300ms", "the 300ms of -timeout ran out", time.Minute},
		{"a signal", "1m", "interrupted", 300 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(tt.cancel, cancel).Stop()
			defer cancel()
			var stdout, stderr bytes.Buffer
			status := run(ctx, []string{"-ldap", s.URL(), "-user", "ann", "-ldap-timeout", "30s", "-timeout", tt.timeout}, nil, nil, &stdout, &stderr)
			text := stdout.String()
			if status != exitProblem || !strings.Contains(text, tt.want) || !strings.HasSuffix(text, "The check was not finished: see above.\n") {
				t.Errorf("status %d\n%s%s", status, text, stderr.String())
			}
			if strings.Contains(text, "hangs") || strings.Contains(text, "2. ") {
				t.Errorf("the node is blamed:\n%s", text)
			}
		})
	}
}

func TestNodeThatHangsUp(t *testing.T) {
	s := fake(t, ldapserver.Config{})
	s.SetFault(ldapserver.Fault{Hangup: true})
	r, status := report(t, "", "-ldap", s.URL(), "-user", "ann")
	if found := find(r, "server"); status != exitProblem || len(found) != 1 || !strings.Contains(found[0].Suggestion, "ended the connection") {
		t.Errorf("status %d, findings %+v", status, r.Findings)
	}
}

func TestUserOfATemplateIsNotCalledFound(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 1})
	got := check(t, "", append(flags(s), "-ldap-user-dn-template", "uid=%s,"+slapdtest.PeopleDN, "-user", "u00000")...)
	if got.status != exitOK || !strings.Contains(got.stdout, "uid=u00000,"+slapdtest.PeopleDN+", made from the template, not looked for\n") {
		t.Errorf("status %d\n%s", got.status, got.stdout)
	}
}

func TestJoinedErrorsAreOneLine(t *testing.T) {
	v := &visit{node: &Node{Name: "a"}}
	if got := v.reason(errors.Join(errors.New("one"), errors.New("two"))); got != "one; two" {
		t.Errorf("got %q", got)
	}
}

func TestFirstLineIsWholeOrAnError(t *testing.T) {
	const most = 64 << 10
	for _, tt := range []struct {
		name  string
		bytes int
		end   string
		fails bool
	}{
		{"the longest", most - 1, "\n", false},
		{"the longest without an end", most, "", false},
		{"one too long", most + 1, "\n", true},
		{"one too long without an end", most + 1, "", true},
	} {
		line, err := firstLine(strings.NewReader(strings.Repeat("x", tt.bytes) + tt.end))
		if (err != nil) != tt.fails || err == nil && len(line) != tt.bytes {
			t.Errorf("%s: %d bytes, %v", tt.name, len(line), err)
		}
	}
}

func TestPasswordInAURLIsNotPrinted(t *testing.T) {
	const secret = "canary-in-the-mine"
	for _, url := range []string{"ldap://u:" + secret + "@127.0.0.1", "ldap://u:" + secret + "/x@127.0.0.1"} {
		got := check(t, "", "-ldap", url)
		if got.status != exitUsage || strings.Contains(got.stdout+got.stderr, secret) {
			t.Errorf("%s: status %d, %s%s", url, got.status, got.stdout, got.stderr)
		}
	}
}

// TestCheckThatNeverBegan: nothing says that the node cannot be reached.
func TestCheckThatNeverBegan(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	status := run(ctx, []string{"-ldap", "ldap://127.0.0.1:9"}, nil, nil, &stdout, &stderr)
	if status != exitProblem || !strings.Contains(stdout.String(), "interrupted") || strings.Contains(stdout.String(), "is the server up") {
		t.Errorf("status %d\n%s%s", status, stdout.String(), stderr.String())
	}
}
