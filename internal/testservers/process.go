package testservers

import (
	"bytes"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A Process is a child that the kernel kills with the program that runs it.
// Its methods may be called from several goroutines.
type Process struct {
	pid    int
	done   chan struct{} // closed when the child is gone
	output tail
}

// Run starts cmd, whose output it takes, in a process group of its own.
func Run(cmd *exec.Cmd) (*Process, error) {
	p := &Process{done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	// The kernel kills the child with us, however we die, even while it is
	// stopped.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		// Pdeathsig means the thread that forked, not the process
		// (golang.org/issue/27505), so that thread stays until the child ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		cmd.Wait() // how a killed child ends is of no interest
		close(p.done)
	}()
	return p, <-started
}

// Done is closed when the child is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Output returns the last part of what the child has printed.
func (p *Process) Output() string { return p.output.String() }

// Kill ends the child and its own children as a crash does, and returns when
// it is gone. A killed child may be killed again.
func (p *Process) Kill() {
	select {
	case <-p.done: // its number may be another's by now
	default:
		syscall.Kill(-p.pid, syscall.SIGKILL)
		<-p.done
	}
}

// Stop halts the child with SIGSTOP, and returns when it stands still.
func (p *Process) Stop() error {
	if err := syscall.Kill(p.pid, syscall.SIGSTOP); err != nil {
		return err
	}
	// A signal to a process is delivered in its own time; only from here on
	// may a test take it for stopped.
	return p.awaitState('T')
}

// Cont lets a stopped child go on.
func (p *Process) Cont() error { return syscall.Kill(p.pid, syscall.SIGCONT) }

// awaitState waits until the kernel reports the process state, for a second at
// most.
func (p *Process) awaitState(want byte) error {
	for range 1000 {
		if got, err := state(p.pid); err != nil || got == want {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("process %d is not in state %c", p.pid, want)
}

// tailSize is what is kept of the output of a child: servers on a wrong
// configuration print without end.
const tailSize = 64 << 10

// A tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if over := t.buf.Len() - tailSize; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
