package attempts

import (
	"net/netip"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

var shortly = Policy{Max: 3, Window: time.Hour, Lease: 10 * time.Second, Challenge: true}

// try makes one try of each of n users and ends it.
func try(t *testing.T, m *Memory, n int, client netip.Addr, o Outcome) {
	t.Helper()
	for i := range n {
		d, _ := m.Begin(t.Context(), Attempt{User: strconv.Itoa(i), Client: client, Policy: shortly})
		if d.Verdict != Granted {
			t.Fatalf("user %d: verdict %d", i, d.Verdict)
		}
		if _, err := m.End(t.Context(), d.Lease, o, shortly); err != nil {
			t.Fatal(err)
		}
	}
}

// Expiry needs no goroutine and no long lock: each Begin clears a constant
// number of records that nobody asks for any more.
func TestSweepFreesWhatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{Max: 1000})
		client := netip.MustParseAddr("192.0.2.1")
		try(t, m, 500, client, Succeeded)
		s := &m.shards[0]
		if s.users.used() != 500 || s.people.used() != 500 || s.pairs.used() != 500 || s.leases.used() != 0 {
			t.Fatalf("%d users, %d people, %d pairs, %d leases", s.users.used(), s.people.used(), s.pairs.used(), s.leases.used())
		}
		time.Sleep(historyFor)
		for range 500 / sweepsATime {
			if _, err := m.Begin(t.Context(), Attempt{User: "one", Policy: shortly}); err != nil {
				t.Fatal(err)
			}
		}
		if s.users.used() != 1 || len(s.index) != 1 || s.people.used() != 0 || s.pairs.used() != 0 {
			t.Errorf("%d users (%d in the index), %d people, %d pairs are left, want one user",
				s.users.used(), len(s.index), s.people.used(), s.pairs.used())
		}
	})
}

// A try that came to no verdict leaves nothing behind.
func TestAbandonedStrangerLeavesNothing(t *testing.T) {
	m := NewMemory(MemoryConfig{})
	try(t, m, 1000, netip.Addr{}, Abandoned)
	for i := range m.shards {
		if s := &m.shards[i]; s.users.used() != 0 || s.leases.used() != 0 {
			t.Fatalf("%d users and %d leases are left", s.users.used(), s.leases.used())
		}
	}
}

// The hard bound: whatever happens, no table holds more than its room.
func TestTablesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{Max: 32})
		s := &m.shards[0]
		for i := range 5000 {
			client := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
			d, _ := m.Begin(t.Context(), Attempt{User: strconv.Itoa(i % 97), Client: client, Policy: shortly})
			if d.Verdict == Granted && i%5 != 0 {
				m.End(t.Context(), d.Lease, []Outcome{Failed, Failed, Succeeded}[i%3], shortly)
			}
			if s.users.used() > 32 || s.people.used() > 32 || s.pairs.used() > 64 || len(s.index) != s.users.used() {
				t.Fatalf("after %d tries: %d users, %d people, %d pairs, %d in the index",
					i, s.users.used(), s.people.used(), s.pairs.used(), len(s.index))
			}
			s.checkLists(t)
			time.Sleep(time.Second)
		}
	})
}

// checkLists fails unless every live record stands in the list of its class
// exactly once, and every pair belongs to somebody.
func (s *shard) checkLists(t *testing.T) {
	t.Helper()
	n, pairs := 0, 0
	for c := range s.lists {
		var before uint32
		for i := s.lists[c].head; i != 0; i = s.users.at(i).next {
			u := s.users.at(i)
			if u.class != class(c) || u.prev != before || !u.live || s.index[u.key] != i {
				t.Fatalf("record %d of list %d is out of order: %+v", i, c, *u)
			}
			before = i
			n++
			pairs += int(u.pairCount)
		}
		if s.lists[c].tail != before {
			t.Fatalf("list %d ends in %d, want %d", c, s.lists[c].tail, before)
		}
	}
	if n != s.users.used() || pairs != s.pairs.used() {
		t.Fatalf("%d of %d users are in a list, with %d of %d pairs", n, s.users.used(), pairs, s.pairs.used())
	}
}

// The number of locks follows the size, so that copying a grown table never
// holds one for long.
func TestShardsAreSmall(t *testing.T) {
	for _, tt := range []struct{ max, shards, size int }{
		{0, 64, 4096}, {-1, 64, 4096}, {1, 1, 1}, {4096, 1, 4096}, {4097, 2, 2048}, {10_000_000, 4096, 2441},
	} {
		m := NewMemory(MemoryConfig{Max: tt.max})
		if len(m.shards) != tt.shards || m.shards[0].size != tt.size {
			t.Errorf("Max %d makes %d shards of %d, want %d of %d", tt.max, len(m.shards), m.shards[0].size, tt.shards, tt.size)
		}
	}
}

// Somebody who logs in without a record takes a stranger's place, and a
// person's only when there is no stranger left to go.
func TestPromoteSparesPeople(t *testing.T) {
	m := NewMemory(MemoryConfig{Max: 8})
	s := &m.shards[0]
	try(t, m, 1, netip.Addr{}, Succeeded)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		d, _ := m.Begin(t.Context(), Attempt{User: name, Policy: shortly})
		m.End(t.Context(), d.Lease, Failed, shortly)
	}
	for i := range uint64(7) {
		n := s.promote(i, &shortly, m.now())
		s.users.at(n).person = s.people.take()
		s.file(n, 3)
		if key, _ := m.locate("0"); s.index[key] == 0 || s.users.used() != 8 {
			t.Fatalf("after %d newcomers the person is gone, or %d users are not 8", i+1, s.users.used())
		}
	}
	s.promote(7, &shortly, m.now())
	if key, _ := m.locate("0"); s.index[key] != 0 || s.users.used() != 8 {
		t.Errorf("the eighth newcomer found no room: %d users", s.users.used())
	}
}

// A store full of names at the maximum takes new ones in as soon as the
// oldest of them is over, wherever the sweep is.
func TestOldestHeldRecordIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{Max: 64})
		s := &m.shards[0]
		for range 3 {
			try(t, m, 28, netip.Addr{}, Failed)
		}
		time.Sleep(time.Minute)
		for i := range 28 * 3 {
			d, _ := m.Begin(t.Context(), Attempt{User: "later" + strconv.Itoa(i/3), Policy: shortly})
			m.End(t.Context(), d.Lease, Failed, shortly)
		}
		time.Sleep(59 * time.Minute)
		s.cursor = 30 // among those that are not over
		m.Begin(t.Context(), Attempt{User: "new", Policy: shortly})
		if key, _ := m.locate("new"); s.index[key] == 0 || s.buckets != nil {
			t.Error("a new name found no room of its own")
		}
	})
}

// The names of those who have waited are forgotten.
func TestWaitersLeaveNothing(t *testing.T) {
	var w waiters
	for i := range 200 {
		if !w.enter(strconv.Itoa(i / 2)) {
			t.Fatal("may not wait")
		}
	}
	for i := range 200 {
		w.leave(strconv.Itoa(i / 2))
	}
	if len(w.users) != 0 {
		t.Errorf("%d names are left", len(w.users))
	}
}
