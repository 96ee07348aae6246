package sambatest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/seed-244866eb/gatehouse/internal/testservers"
)

// readyWithin bounds how long a started controller may take to answer. It
// needs 0.3 to 2 s; the rest is for a machine that does much else.
const readyWithin = 30 * time.Second

// start runs Samba in the foreground and waits until it answers.
func (s *Server) start() error {
	p, err := testservers.Run(exec.Command(testservers.Find(s.t, "samba"), "--interactive", "--model=single",
		"--configfile="+filepath.Join(s.dir, "etc", "smb.conf"), "--debuglevel=1", "--debug-stdout"))
	if err != nil {
		return err
	}
	s.run = p
	for deadline := time.Now().Add(readyWithin); time.Now().Before(deadline); {
		if err = ask(s.address); err == nil {
			return nil
		}
		select {
		case <-p.Done():
			return errors.New("samba ended at once")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("samba does not answer: %w", err)
}

// ask binds anonymously (RFC 4511 section 4.2), by hand because the packages
// below internal/ that run servers stay with the standard library.
func ask(address string) error {
	c, err := net.DialTimeout("tcp", net.JoinHostPort(address, "389"), time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00")); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 14))
	return err
}

// Kill ends the controller as a crash does, and returns when it is gone. A
// killed one may be killed again.
func (s *Server) Kill() {
	if s.run != nil {
		s.run.Kill()
	}
}

// Stop halts the controller with SIGSTOP: its ports accept connections, and
// nothing answers.
func (s *Server) Stop() {
	s.t.Helper()
	s.must(s.run.Stop())
}

// Cont lets a stopped controller go on.
func (s *Server) Cont() {
	s.t.Helper()
	s.must(s.run.Cont())
}

// Restart starts a controller that was killed, on the same address with the
// same data, and waits until it answers. A running one is killed first.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.must(s.start())
}

// claim returns false when another has the file. The kernel gives it free
// with the process, however that dies.
func claim(file string) (release func(), ok bool) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		f.Close()
		return nil, false
	}
	return func() { f.Close() }, true
}

func portsFree(address string) bool {
	for _, port := range []int{389, 636, 3268, 3269} {
		l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
