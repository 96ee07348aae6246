package ldapdir_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// ownFiles has an entry for each open file of this process.
const ownFiles = "/proc/self/fd"

// descriptors counts what dir has an entry for.
func descriptors(t testing.TB, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		slapdtest.Skip(t, err.Error())
	}
	return len(entries)
}

// A recorder is a test that notes how it ends.
type recorder struct {
	testing.TB
	end string
}

func (r *recorder) Helper()      {}
func (r *recorder) Fatal(...any) { r.end = "failed"; runtime.Goexit() }
func (r *recorder) Skip(...any)  { r.end = "skipped"; runtime.Goexit() }

// A build server must not pass by not looking.
func TestUnreadableProcFailsTheBuild(t *testing.T) {
	for ci, want := range map[string]string{"": "skipped", "true": "failed"} {
		t.Setenv("CI", ci)
		r, done := &recorder{}, make(chan struct{})
		go func() {
			defer close(done)
			descriptors(r, filepath.Join(t.TempDir(), "none"))
		}()
		<-done
		if r.end != want {
			t.Errorf("CI=%s: %q, want %q", ci, r.end, want)
		}
	}
}

// crowd logs everybody in at once and counts the verdicts.
func crowd(ctx context.Context, d *ldapdir.Dir, names []string) (good, unavailable int, other error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() {
			_, _, err := login(ctx, d, name, "pw-"+name)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				good++
			case errors.Is(err, directory.ErrUnavailable):
				unavailable++
			default:
				other = err
			}
		})
	}
	wg.Wait()
	return good, unavailable, other
}

// The outages of a real server, over ldaps: nobody is refused because of them,
// nobody waits longer than the deadline, and when it is back all is as before,
// down to goroutines and descriptors.
func TestOutageAndRecovery(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 40, Groups: 10})
	const timeout = time.Second
	d := open(t, ldapdir.Config{URLs: []string{s.TLSURL()}, RootCAs: s.Roots(), Timeout: timeout, CoolDown: 200 * time.Millisecond})
	healthy := func() error {
		good, _, err := crowd(t.Context(), d, s.Names())
		if good != len(s.Names()) {
			return fmt.Errorf("%d of %d logins, %v", good, len(s.Names()), err)
		}
		return nil
	}
	eventually(t, healthy)
	goroutines, files := runtime.NumGoroutine(), descriptors(t, ownFiles)
	for _, outage := range []struct {
		name       string
		begin, end func()
	}{
		{"killed and restarted", s.Kill, s.Restart},
		{"restarted unnoticed", s.Restart, func() {}},
		{"stopped and continued", s.Stop, s.Cont},
		{"stopped, then killed and restarted", s.Stop, s.Restart},
	} {
		t.Run(outage.name, func(t *testing.T) {
			outage.begin()
			for range 3 {
				began := time.Now()
				_, _, err := crowd(t.Context(), d, s.Names())
				if err != nil {
					t.Errorf("an outage was taken for a verdict: %v", err)
				}
				// Find, Verify and Groups have a deadline each here.
				if took := time.Since(began); took > 3*timeout+500*time.Millisecond {
					t.Errorf("took %v", took)
				}
			}
			outage.end()
			eventually(t, healthy)
			eventually(t, func() error {
				if g, f := runtime.NumGoroutine(), descriptors(t, ownFiles); g > goroutines+8 || f > files+4 {
					return fmt.Errorf("%d goroutines and %d files, before %d and %d", g, f, goroutines, files)
				}
				return nil
			})
		})
	}
}

// With a deadline for the whole login, a stopped server costs it once; the
// next logins hear at once that there is no verdict, for as long as it stands
// still. When it goes on logins work again, and nothing has piled up meanwhile.
func TestStoppedServerCostsOneDeadline(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{Users: 1})
	d := open(t, ldapdir.Config{URLs: []string{s.TLSURL()}, RootCAs: s.Roots(), CoolDown: 100 * time.Millisecond})
	once := func() (took time.Duration, err error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, _, err = login(ctx, d, "u00000", "pw-u00000")
		return time.Since(began), err
	}
	if _, err := once(); err != nil {
		t.Fatal(err)
	}
	goroutines, files := runtime.NumGoroutine(), descriptors(t, ownFiles)
	s.Stop()
	if took, err := once(); !errors.Is(err, directory.ErrUnavailable) || took > 1200*time.Millisecond {
		t.Errorf("the first login: %v after %v", err, took)
	}
	// Longer than several pauses and checks.
	for began := time.Now(); time.Since(began) < 3*time.Second; time.Sleep(10 * time.Millisecond) {
		if took, err := once(); !errors.Is(err, directory.ErrUnavailable) || took > 100*time.Millisecond {
			t.Errorf("a login in the pause: %v after %v", err, took)
		}
	}
	s.Cont()
	eventually(t, func() error {
		_, err := once()
		return err
	})
	eventually(t, func() error {
		// A bind and a search each keep one connection, as before.
		if g, f := runtime.NumGoroutine(), descriptors(t, ownFiles); g > goroutines || f > files {
			return fmt.Errorf("%d goroutines and %d files, before %d and %d", g, f, goroutines, files)
		}
		return nil
	})
}

func TestSecondServerTakesOver(t *testing.T) {
	first := slapdtest.Start(t, slapdtest.Config{Users: 10, Groups: 5})
	second := slapdtest.Start(t, slapdtest.Config{Users: 10, Groups: 5})
	d := open(t, ldapdir.Config{URLs: []string{first.URL(), second.URL()}, Timeout: 2 * time.Second, CoolDown: 100 * time.Millisecond, FailBack: 300 * time.Millisecond})
	for name, step := range map[string]struct{ begin, end func() }{
		"killed":  {first.Kill, first.Restart},
		"stopped": {first.Stop, first.Cont},
	} {
		if good, _, err := crowd(t.Context(), d, first.Names()); good != 10 {
			t.Fatalf("%s: before: %d of 10 logins, %v", name, good, err)
		}
		step.begin()
		for range 5 {
			if _, g, err := login(t.Context(), d, "u00001", "pw-u00001"); err != nil || g.Node != second.URL() {
				t.Errorf("%s: %+v, %v", name, g, err)
			}
		}
		step.end()
		eventually(t, func() error {
			e, _, err := login(t.Context(), d, "u00001", "pw-u00001")
			if err == nil && e.Node != first.URL() {
				return errors.New("still the second server")
			}
			return err
		})
	}
}

// A failover opens connections to the second server. When the first one has
// been well for a while, they are closed: everything is as before.
func TestNothingIsLeftAtTheSecondServer(t *testing.T) {
	c := slapdtest.Config{Users: 20, Groups: 2}
	nodes := slapdtest.StartNodes(t, c, c)
	first, second := nodes[0], nodes[1]
	d := open(t, ldapdir.Config{
		URLs: []string{first.TLSURL(), second.TLSURL()}, RootCAs: first.Roots(),
		Timeout: time.Second, CoolDown: 100 * time.Millisecond, FailBack: 300 * time.Millisecond,
	})
	before := second.Counts().Current // that of the count
	if good, _, err := crowd(t.Context(), d, first.Names()); good != len(first.Names()) {
		t.Fatalf("%d logins, %v", good, err)
	}
	goroutines, files := runtime.NumGoroutine(), descriptors(t, ownFiles)
	for range 2 {
		first.Stop()
		for range 2 {
			if _, _, err := crowd(t.Context(), d, first.Names()); err != nil {
				t.Errorf("an outage was taken for a verdict: %v", err)
			}
		}
		if second.Counts().Current == before {
			t.Fatal("no connection to the second server")
		}
		first.Cont()
		eventually(t, func() error {
			e, _, err := login(t.Context(), d, "u00001", "pw-u00001")
			if err == nil && e.Node != first.TLSURL() {
				return errors.New("still the second server")
			}
			return err
		})
		eventually(t, func() error {
			at, g, f := second.Counts().Current, runtime.NumGoroutine(), descriptors(t, ownFiles)
			if at != before || g > goroutines || f > files {
				return fmt.Errorf("%d connections to the second server, %d goroutines, %d files, before %d, %d, %d", at, g, f, before, goroutines, files)
			}
			return nil
		})
	}
}
