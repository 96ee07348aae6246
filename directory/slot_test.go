package directory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsBounded(t *testing.T) {
	d, f := newTest(t, Config{Max: 100})
	use := func(name string) {
		t.Helper()
		if _, err := d.User(t.Context(), name, "id-1"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		use(strconv.Itoa(i))
		use("fred") // who is used all the time stays
	}
	if n := d.cache.ItemCount(); n != 100 || len(d.ring) != 100 || len(d.first) != 0 {
		t.Errorf("%d users in the cache, %d in the ring, %d without groups; want 100, 100, 0", n, len(d.ring), len(d.first))
	}
	if finds, _ := f.counts(); finds != 1001 {
		t.Errorf("%d reads, want 1001: fred was evicted", finds)
	}
	for i, s := range d.ring {
		if s.index != i || d.cached(s.name) != s {
			t.Fatalf("slot %d is out of place", i)
		}
	}
	// In an outage, failures push out no groups.
	f.set(func(f *fake) { f.err = errDown })
	for i := range 3 * maxFirst {
		d.User(t.Context(), "x"+strconv.Itoa(i), "id-1")
	}
	if n := d.cache.ItemCount(); n != 100 || len(d.first) > maxFirst {
		t.Errorf("%d users in the cache, %d without groups", n, len(d.first))
	}
}

// Every call at once on few names; the race detector and the invariants of
// the ring judge.
func TestConcurrentUse(t *testing.T) {
	d, f := newTest(t, Config{Max: 4, TTL: time.Millisecond, StaleMax: 5 * time.Millisecond})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				name := "u" + strconv.Itoa(rand.IntN(8))
				switch rand.IntN(10) {
				case 0:
					d.Forget(name)
				case 1:
					f.set(func(f *fake) { f.err = nil; f.id = "id-" + strconv.Itoa(rand.IntN(2)) })
				case 2:
					f.set(func(f *fake) { f.err = errDown })
				case 3, 4:
					d.Login(t.Context(), Entry{ID: "id-1", Name: name})
				default:
					u, err := d.User(t.Context(), name, "id-1")
					if err == nil && (u.ID != "id-1" || !u.GroupsKnown()) || errors.Is(err, ErrUnavailable) && u == nil {
						t.Errorf("%+v, %v", u, err)
					}
				}
			}
		})
	}
	wg.Wait()
	d.Close()
	if len(d.ring) > 4 || d.cache.ItemCount() != len(d.ring) {
		t.Errorf("%d in the ring, %d in the cache", len(d.ring), d.cache.ItemCount())
	}
	for i, s := range d.ring {
		if s.index != i || s.flight != nil || d.cached(s.name) != s {
			t.Errorf("slot %d: %+v", i, s)
		}
	}
}

func TestFreshUserDoesNotAllocate(t *testing.T) {
	for _, age := range []time.Duration{0, 3 * time.Minute} {
		t.Run(fmt.Sprint(age), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, f := newTest(t, Config{})
				login(t, d)
				time.Sleep(age)
				f.set(func(f *fake) { f.delay = time.Second }) // a read behind runs all the time
				ctx := t.Context()
				d.User(ctx, "fred", "id-1")
				if n := testing.AllocsPerRun(100, func() {
					if u, _ := d.User(ctx, "fred", "id-1"); !u.In("x", "B") {
						t.Error("not in b")
					}
				}); n != 0 {
					t.Errorf("%v allocations", n)
				}
			})
		})
	}
}

// BenchmarkUserFresh defends the share of the groups in "the whole chain":
// 2 µs and no allocation of its own.
func BenchmarkUserFresh(b *testing.B) {
	d, _ := newTest(b, Config{})
	login(b, d)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.User(ctx, "fred", "id-1"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUserFreshParallel shows what the shared map costs on all cores.
func BenchmarkUserFreshParallel(b *testing.B) {
	d, _ := newTest(b, Config{})
	login(b, d)
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			d.User(ctx, "fred", "id-1")
		}
	})
}

// BenchmarkIn bounds the check of an access group in a large set.
func BenchmarkIn(b *testing.B) {
	u := &User{GroupsRead: time.Now()}
	for i := range 200 {
		u.Groups = append(u.Groups, fmt.Sprintf("jira-project-%03d-developers", i))
	}
	b.ReportAllocs()
	for b.Loop() {
		if u.In("jira-users") {
			b.Fatal("in")
		}
	}
}
