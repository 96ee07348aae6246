package session_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/internal/soak"
	"github.com/seed-244866eb/gatehouse/internal/storetest"
	"github.com/seed-244866eb/gatehouse/session"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Session(t, func(*testing.T) session.Store {
		return session.NewMemory(session.MemoryConfig{})
	})
}

func randomKey() session.Key {
	var k session.Key
	var shard [2]byte
	rand.Read(shard[:])
	rand.Read(k.Hash[:])
	k.Shard = binary.BigEndian.Uint16(shard[:])
	return k
}

func put(t testing.TB, m *session.Memory, user string, data string) session.Key {
	t.Helper()
	k := randomKey()
	if user != "" {
		sum := sha256.Sum256([]byte(user))
		k.Shard = binary.BigEndian.Uint16(sum[:])
	}
	r := session.Record{User: user, Kind: session.KindSession, Expires: time.Now().Add(12 * time.Hour), Idle: 30 * time.Minute, Data: data}
	if err := m.Save(t.Context(), k, r); err != nil {
		t.Fatal(err)
	}
	return k
}

// living returns how many of keys can still be loaded.
func living(t testing.TB, m *session.Memory, keys []session.Key) int {
	t.Helper()
	n := 0
	for _, k := range keys {
		if _, err := m.Load(t.Context(), k); err == nil {
			n++
		} else if !errors.Is(err, session.ErrNotFound) {
			t.Fatal(err)
		}
	}
	return n
}

func TestMemoryIsBounded(t *testing.T) {
	big := string(make([]byte, 60<<10))
	for _, tt := range []struct {
		name           string
		user           string // of the flood
		data           string
		flood          int
		users, strange int // left of 100 users' sessions, and of the flood
	}{
		{"strangers push out each other and no user", "", "x", 5000, 100, 1000},
		{"a user past the bound pushes out his own", "mallory", "x", 3000, 100, 900},
		{"strangers are bounded in bytes too", "", big, 1000, 100, (16 << 20) / (60 << 10)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := session.NewMemory(session.MemoryConfig{Max: 1000, MaxAnonymous: 1000})
				var users, flood []session.Key
				for i := range 100 {
					users = append(users, put(t, m, fmt.Sprint("user", i), "x"))
				}
				for range tt.flood {
					time.Sleep(time.Millisecond)
					flood = append(flood, put(t, m, tt.user, tt.data))
				}
				if n := living(t, m, flood[len(flood)-1:]); n != 1 {
					t.Error("the newest session is gone")
				}
				if n := living(t, m, users); n != tt.users {
					t.Errorf("%d of 100 users are left, want %d", n, tt.users)
				}
				if n := living(t, m, flood); n != tt.strange {
					t.Errorf("%d of the flood are left, want %d", n, tt.strange)
				}
			})
		})
	}
}

// With one place only the newest login lives.
func TestMemoryOfOne(t *testing.T) {
	m := session.NewMemory(session.MemoryConfig{Max: 1})
	var keys []session.Key
	for i := range 50 {
		keys = append(keys, put(t, m, fmt.Sprint("user", i), ""))
	}
	if n := living(t, m, keys); n != 1 || living(t, m, keys[49:]) != 1 {
		t.Errorf("%d live", n)
	}
}

// Within one user's shard the least recently used goes first, and use counts.
func TestMemoryEvictsTheLeastRecentlyUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := session.NewMemory(session.MemoryConfig{Max: 3})
		var keys []session.Key
		for i := range 3 {
			k := session.Key{Shard: 1, Hash: [32]byte{byte(i)}}
			keys = append(keys, k)
			save(t, m, k)
			time.Sleep(time.Minute)
		}
		time.Sleep(2 * time.Minute)
		living(t, m, keys[:1])
		save(t, m, session.Key{Shard: 1, Hash: [32]byte{9}})
		if living(t, m, keys[1:2]) != 0 || living(t, m, keys[:1]) != 1 || living(t, m, keys[2:]) != 1 {
			t.Error("another than the least recently used went")
		}
	})
}

func save(t *testing.T, m *session.Memory, k session.Key) {
	t.Helper()
	r := session.Record{User: "fred", Kind: session.KindSession, Expires: time.Now().Add(time.Hour), Idle: 30 * time.Minute}
	if err := m.Save(t.Context(), k, r); err != nil {
		t.Fatal(err)
	}
}

// Sessions that nobody comes back to must not stay for ever: the saves of
// others take them away.
func TestMemorySweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := session.NewMemory(session.MemoryConfig{})
		for range 20_000 {
			put(t, m, "", "x")
		}
		time.Sleep(time.Hour)
		for range 20_000 {
			put(t, m, "", "x")
		}
		if got := fmt.Sprint(m); got != "session memory of 0 users' and 20000 anonymous sessions" {
			t.Error(got)
		}
	})
}

// An ended record that no sweep has met yet is none for a Save either.
func TestMemorySavesOverAnEndedRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := session.NewMemory(session.MemoryConfig{})
		r := session.Record{User: "fred", Kind: session.KindSession, Expires: time.Now().Add(time.Minute)}
		var keys []session.Key
		for i := range 40 {
			keys = append(keys, session.Key{Hash: [32]byte{byte(i)}})
			if err := m.Save(t.Context(), keys[i], r); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		for i := range 40 {
			old := r
			old.Version = 1
			if err := m.Save(t.Context(), keys[39-i], old); !errors.Is(err, session.ErrConflict) {
				t.Fatalf("a late save of an ended record: %v", err)
			}
		}
	})
}

// Every operation at once, with evictions; run with -race.
func TestMemoryInParallel(t *testing.T) {
	m := session.NewMemory(session.MemoryConfig{Max: 200, MaxAnonymous: 100})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var keys []session.Key
			for i := range 2000 {
				user := [...]string{"", "fred", "ann"}[i%3]
				keys = append(keys, put(t, m, user, "x"))
				k := keys[i/2]
				if r, err := m.Load(t.Context(), k); err == nil {
					_ = m.Save(t.Context(), k, r)
				}
				switch i % 5 {
				case 0:
					_ = m.Delete(t.Context(), keys[i/3])
				case 1:
					_, _ = m.List(t.Context(), k.Shard, user)
				}
			}
		})
	}
	wg.Wait()
	if got := fmt.Sprint(m); got != "session memory of 200 users' and 100 anonymous sessions" {
		t.Error(got)
	}
}

// TestMemorySize measures sessions of as many users, with a browser's agent
// and a directory's identifier: the bound is 280 bytes each at a million, the
// number of a soak. The time of a collection is printed alone, since times
// swing with the machine.
func TestMemorySize(t *testing.T) {
	n := soak.Count(1_000_000)
	m := session.NewMemory(session.MemoryConfig{})
	manager := newManager(t, session.Config{Store: m})
	before := heap()
	for i := range n {
		p := session.Principal{User: fmt.Sprintf("user%06d", i), ID: fmt.Sprintf("d3b0c1a8-7c1e-103e-9d1c-%012d", i)}
		if _, _, err := manager.Create(t.Context(), p, session.Origin{Address: address, Agent: agent}); err != nil {
			t.Fatal(err)
		}
	}
	each := float64(heap()-before) / float64(n)
	start := time.Now()
	runtime.GC()
	t.Logf("%.0f bytes a session of %d, a collection takes %v", each, n, time.Since(start))
	if each > 280 {
		t.Errorf("%.0f bytes a session, want at most 280", each)
	}
	runtime.KeepAlive(m)
}

func heap() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
