package testservers

import (
	"crypto/x509"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// shell runs a script as a child until the test ends.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Run(exec.Command("/bin/sh", "-c", script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// said waits until the child has printed the word, and returns all.
func said(t *testing.T, p *Process, word string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if out := p.Output(); strings.Contains(out, word) {
			return out
		}
	}
	t.Fatalf("no %q in %q", word, p.Output())
	return ""
}

func TestProgramThatIsMissing(t *testing.T) {
	if _, err := Run(exec.Command("/nonexistent/server")); err == nil {
		t.Error("it runs")
	}
}

func TestOutputKeepsTheEnd(t *testing.T) {
	p := shell(t, "head -c 1000000 /dev/zero | tr '\\0' x; echo the end")
	if out := said(t, p, "the end"); len(out) > tailSize {
		t.Errorf("%d bytes are kept", len(out))
	}
}

// A server with workers leaves none behind.
func TestKillTakesTheChildrenAlong(t *testing.T) {
	p := shell(t, "sleep 600 & echo child $! said; wait")
	pid, err := strconv.Atoi(strings.Fields(said(t, p, "said"))[1])
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	p.Kill()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if s, err := state(pid); err != nil || s == 'Z' {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the child of the child lives")
		}
	}
}

func TestStopAndCont(t *testing.T) {
	p := shell(t, "while :; do echo on; sleep 0.01; done")
	said(t, p, "on")
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if s, err := state(p.pid); s != 'T' || err != nil {
		t.Errorf("stopped: state %c, %v", s, err)
	}
	if err := p.Cont(); err != nil {
		t.Fatal(err)
	}
	before := len(p.Output())
	for deadline := time.Now().Add(10 * time.Second); len(p.Output()) == before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not go on")
		}
	}
}

func TestCertificateIsForItsHostsAlone(t *testing.T) {
	a := NewAuthority(t)
	leaf := a.Issue(t, "server", "ldap.example.org", "127.0.0.9").Leaf
	for host, want := range map[string]bool{"ldap.example.org": true, "127.0.0.9": true, "127.0.0.1": false, "localhost": false} {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), DNSName: host})
		if (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: NewAuthority(t).Pool(), DNSName: "127.0.0.9"}); err == nil {
		t.Error("another authority vouches for it")
	}
}
