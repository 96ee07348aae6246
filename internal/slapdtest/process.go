package slapdtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// readyWithin bounds how long a started slapd may take to answer. It needs 10
// to 45 ms; the rest is for a machine that does much else.
const readyWithin = 20 * time.Second

// A process is one run of slapd.
type process struct {
	pid    *os.Process
	done   chan struct{} // closed when the process is gone
	output bytes.Buffer  // to be read after done
}

// spawn starts slapd in the foreground.
func (s *Server) spawn() (*process, error) {
	p := &process{done: make(chan struct{})}
	cmd := exec.Command(s.slapd, "-d", "0", "-h", s.URL()+" "+s.TLSURL(), "-f", s.conf())
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	// The kernel kills slapd with us, however we die, even while it is
	// stopped.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		// Pdeathsig means the thread that forked, not the process
		// (golang.org/issue/27505), so that thread stays until slapd ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process
		started <- nil
		cmd.Wait() // how a killed server ends is of no interest
		close(p.done)
	}()
	return p, <-started
}

// start runs slapd on the server's ports and waits until it answers.
func (s *Server) start() error {
	p, err := s.spawn()
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
		case <-p.done:
			return fmt.Errorf("slapd ended at once: %s", p.output.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.Kill()
	return fmt.Errorf("slapd does not answer: %w", err)
}

// Kill ends the server as a crash does, and returns when it is gone. A killed
// server may be killed again.
func (s *Server) Kill() {
	if s.run == nil {
		return
	}
	s.run.pid.Kill() // an error means that it has ended already
	<-s.run.done
}

// Stop halts the server with SIGSTOP: its ports accept connections, and
// nothing answers.
func (s *Server) Stop() { s.signal(syscall.SIGSTOP) }

// Cont lets a stopped server go on.
func (s *Server) Cont() { s.signal(syscall.SIGCONT) }

// Restart starts a server that was killed, on the same ports with the same
// data, and waits until it answers. A running one is killed first.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		s.t.Fatalf("slapdtest: %v", err)
	}
}

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.run.pid.Signal(sig); err != nil {
		s.t.Fatalf("slapdtest: signal %v: %v", sig, err)
	}
	// A signal to a process is delivered in its own time; only from here on
	// may the test take it for stopped.
	if sig == syscall.SIGSTOP {
		s.awaitState('T')
	}
}

// awaitState waits until the kernel reports the process state, for a second at
// most.
func (s *Server) awaitState(want byte) {
	for range 1000 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.run.pid.Pid))
		if err != nil {
			return
		}
		if i := bytes.LastIndexByte(stat, ')'); i >= 0 && i+2 < len(stat) && stat[i+2] == want {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
