package slapdtest

import (
	"fmt"
	"os/exec"
	"time"

	"github.com/seed-244866eb/gatehouse/internal/testservers"
)

// readyWithin bounds how long a started slapd may take to answer. It needs 10
// to 45 ms; the rest is for a machine that does much else.
const readyWithin = 20 * time.Second

// start runs slapd in the foreground, on the server's ports, and waits until
// it answers.
func (s *Server) start() error {
	p, err := testservers.Run(exec.Command(s.slapd, "-d", "0", "-h", s.URL()+" "+s.TLSURL(), "-f", s.conf()))
	if err != nil {
		return err
	}
	s.run = p
	for deadline := time.Now().Add(readyWithin); time.Now().Before(deadline); {
		if _, err = s.read(); err == nil {
			// Connections, operations: a new process counts from zero.
			s.reads.restart()
			return nil
		}
		select {
		case <-p.Done():
			return fmt.Errorf("slapd ended at once: %s", p.Output())
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.Kill()
	return fmt.Errorf("slapd does not answer: %w", err)
}

// Kill ends the server as a crash does, and returns when it is gone. A killed
// server may be killed again.
func (s *Server) Kill() {
	if s.run != nil {
		s.run.Kill()
	}
}

// Stop halts the server with SIGSTOP: its ports accept connections, and
// nothing answers.
func (s *Server) Stop() {
	s.t.Helper()
	s.must(s.run.Stop())
}

// Cont lets a stopped server go on.
func (s *Server) Cont() {
	s.t.Helper()
	s.must(s.run.Cont())
}

// Restart starts a server that was killed, on the same ports with the same
// data, and waits until it answers. A running one is killed first.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.must(s.start())
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("slapdtest: %v", err)
	}
}
