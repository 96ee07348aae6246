package attempts_test

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/internal/soak"
	"github.com/seed-244866eb/gatehouse/internal/storetest"
)

// flood lets n strangers' names fail times each.
func flood(t *testing.T, m *attempts.Memory, prefix string, n, times int) {
	t.Helper()
	for i := range n {
		name := prefix + strconv.Itoa(i)
		for range times {
			d, err := m.Begin(t.Context(), attempts.Attempt{User: name, Policy: asked})
			if err != nil {
				t.Fatal(err)
			}
			if d.Verdict != attempts.Granted {
				break // shares a bucket with others
			}
			if _, err := m.End(t.Context(), d.Lease, attempts.Failed, asked); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A small store is filled again and again; the scripts say what must be true
// before and after.
func TestFullMemory(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before        string
		floods, after int // failures of each stranger; the flood comes from 2,000 names
		script        string
	}{
		{"forgets strangers below the maximum", "2*F", 1, 0, "?=0 b1"},
		{"forgets nobody at the maximum", "3*F", 1, 0, "b=armed ?=3"},
		{"forgets no pending try", "b1 b2 b3", 1, 0, "b=busy q=3"},
		{"forgets nobody who has logged in", "S@A 2*F@A F", 1, 0, "p=2@A ?=1 h=1/3"},
		{"forgets nobody when strangers are at the maximum", "S@A 3*F@A 2*F 3*F:ann", 3, 0, "b=armed@A ?=2 b=armed:ann"},
		{"keeps room for who logs in amid strangers", "", 3, 0, "r b1@A s1 p=0@A h=1/0"},
		{"keeps strangers' pending tries when they are at the maximum", "b1 F", 3, 0, "q=1 ?=1"},
		{"forgets nobody over a second flood", "3*F", 3, 1, "b=armed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := attempts.NewMemory(attempts.MemoryConfig{Max: 64})
				play := func(script string) { storetest.PlayAttempts(t, m, asked, script) }
				play(tt.before)
				flood(t, m, "a", 2000, tt.floods)
				flood(t, m, "b", 2000, tt.after)
				play(tt.script)
			})
		})
	}
}

// When only names at the maximum remain, new ones share buckets. These
// scripts start with a store full of them.
func TestSharedBuckets(t *testing.T) {
	for _, tt := range []struct{ name, script string }{
		{"count", "r 3*F b=armed ?=3"},
		{"make others wait", "r b1 b2 b3 b=busy q=3 f1 ?=1 q=2 a2 a3"},
		{"pass a solved CAPTCHA", "r 3*F b1! s1 b2"},
		{"forgive no failure made meanwhile", "r b1 F s1 ?=0 h=1/0"}, // the success moves into the kept room
		{"end an overdue try as a failure", "r b1 w=10s ?=1 s1 ?=1"},
		{"are forgotten after the window", "r 3*F w=24h b1"},
		{"are reset", "r 3*F b=armed r b1"},
		{"are left once nothing counts in them", "r 2*F w=24h F ?=1 h=0/1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := attempts.NewMemory(attempts.MemoryConfig{Max: 64})
				flood(t, m, "a", 200, 3)
				storetest.PlayAttempts(t, m, asked, tt.script)
			})
		})
	}
}

// A name stays in its bucket although room has come free: the room would be a
// second budget.
func TestBucketIsLeftOnlyEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attempts.NewMemory(attempts.MemoryConfig{Max: 64})
		flood(t, m, "a", 200, 3)
		time.Sleep(time.Hour)
		storetest.PlayAttempts(t, m, asked, "r 2*F")
		time.Sleep(23 * time.Hour) // the flood's failures expire, fred's do not
		storetest.PlayAttempts(t, m, asked, "?=2 F b=armed w=24h b1")
	})
}

// Every one of more names at the maximum than the store holds stays refused.
func TestNobodyAtTheMaximumIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attempts.NewMemory(attempts.MemoryConfig{Max: 100})
		flood(t, m, "a", 20_000, 3)
		for i := range 20_000 {
			d, _ := m.Begin(t.Context(), attempts.Attempt{User: "a" + strconv.Itoa(i), Policy: asked})
			if d.Verdict != attempts.Armed {
				t.Fatalf("name %d of 20,000 is forgotten: verdict %d", i, d.Verdict)
			}
		}
		storetest.PlayAttempts(t, m, asked, "w=24h")
		flood(t, m, "b", 56, 1)
		for i := range 56 {
			storetest.PlayAttempts(t, m, asked, fmt.Sprintf("?=1:b%d", i))
		}
	})
}

// People come and go as well; the one who is longest away goes first, but
// nobody at the maximum.
func TestMorePeopleThanRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attempts.NewMemory(attempts.MemoryConfig{Max: 8})
		storetest.PlayAttempts(t, m, asked, "S@A:old S@A 3*F@A w=1s")
		for i := range 100 {
			// Each of them is a stranger until the login succeeds.
			storetest.PlayAttempts(t, m, asked, fmt.Sprintf("S@A:p%d w=1s", i))
		}
		storetest.PlayAttempts(t, m, asked, "b=armed@A p=3@A h=1/3 h=1/0:p99")
		storetest.PlayAttempts(t, m, asked, "r")
	})
}

// An end that comes when its user is known elsewhere, in a bucket, or not at
// all changes nothing it should not.
func TestLeaseOfAnotherStore(t *testing.T) {
	m := attempts.NewMemory(attempts.MemoryConfig{})
	for _, l := range []attempts.Lease{{}, {ID: 7, User: "fred"}, {ID: 1 << 63, User: "fred", Pair: true}} {
		st, err := m.End(t.Context(), l, attempts.Failed, asked)
		if err != nil || st != (attempts.Status{}) {
			t.Errorf("End(%+v) = %+v, %v; want nothing", l, st, err)
		}
	}
}

// Invented names, in a soak a million, each brought to the maximum, fill the
// store four times, cost at most 64 MiB a million and make it forget neither a
// person nor a count at the maximum. The room is a part of the default as the
// crowd is a part of the million.
func TestCrowdOfStrangers(t *testing.T) {
	names := soak.Count(1_000_000)
	before := heap()
	m := attempts.NewMemory(attempts.MemoryConfig{Max: soak.Count(1 << 18)})
	storetest.PlayAttempts(t, m, asked, "S@A 3*F:ann")
	start := time.Now()
	flood(t, m, "x", names, 3)
	t.Logf("%v a name", time.Since(start)/time.Duration(names))
	grown := heap() - before
	t.Logf("%d names cost %d KiB", names, grown>>10)
	if grown > int64(soak.Count(64<<20)) {
		t.Errorf("%d names cost %d KiB, want at most %d", names, grown>>10, soak.Count(64<<20)>>10)
	}
	storetest.PlayAttempts(t, m, asked, "p=0@A h=1/0 b=armed:ann")
	runtime.KeepAlive(m)
}

// heap returns the bytes in use after a collection.
func heap() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
