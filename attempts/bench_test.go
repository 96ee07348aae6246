package attempts_test

import (
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
)

// BenchmarkCount is one failed try, reserved and ended, of a user that is
// known to the store. Together with BenchmarkRefuse it defends "counting a
// try: 100 ns, 0 allocations", which go-cache needs for one increment; a try
// is two operations here.
func BenchmarkCount(b *testing.B) {
	m := attempts.NewMemory(attempts.MemoryConfig{})
	p := attempts.Policy{Window: day, Lease: 10 * time.Second}
	a := attempts.Attempt{User: "fred", Policy: p}
	b.ReportAllocs()
	for b.Loop() {
		d, _ := m.Begin(b.Context(), a)
		m.End(b.Context(), d.Lease, attempts.Failed, p)
	}
}

// BenchmarkCountPair is an integration that logs in from its known address.
func BenchmarkCountPair(b *testing.B) {
	m := attempts.NewMemory(attempts.MemoryConfig{})
	a := attempts.Attempt{User: "fred", Client: home, Policy: asked}
	b.ReportAllocs()
	for b.Loop() {
		d, _ := m.Begin(b.Context(), a)
		m.End(b.Context(), d.Lease, attempts.Succeeded, asked)
	}
}

// BenchmarkRefuse is what a guesser costs who goes on knocking.
func BenchmarkRefuse(b *testing.B) {
	m := attempts.NewMemory(attempts.MemoryConfig{})
	a := attempts.Attempt{User: "fred", Policy: asked}
	for range 3 {
		d, _ := m.Begin(b.Context(), a)
		m.End(b.Context(), d.Lease, attempts.Failed, asked)
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Begin(b.Context(), a)
	}
}

// BenchmarkFlood is a stranger with a new name for every try, on a store that
// is full: eviction included. The worst single try is reported, for no lock
// may be held longer than 1 ms.
func BenchmarkFlood(b *testing.B) {
	m := attempts.NewMemory(attempts.MemoryConfig{})
	names := make([]string, 1_000_000)
	for i := range names {
		names[i] = "stranger" + strconv.Itoa(i)
	}
	worst := time.Duration(0)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		d, _ := m.Begin(b.Context(), attempts.Attempt{User: names[i], Policy: asked})
		m.End(b.Context(), d.Lease, attempts.Failed, asked)
		worst = max(worst, time.Since(start))
		i = (i + 1) % len(names)
	}
	b.ReportMetric(float64(worst.Microseconds()), "worst-µs")
}

// BenchmarkMemoryBytesPerKey reports what one name costs in a full store.
// go-cache takes 117 bytes a key; the floor without history and pairs is 17.
func BenchmarkMemoryBytesPerKey(b *testing.B) {
	const keys = 1 << 18
	for b.Loop() {
		before := heap()
		m := attempts.NewMemory(attempts.MemoryConfig{})
		for i := range keys {
			d, _ := m.Begin(b.Context(), attempts.Attempt{User: strconv.Itoa(i), Policy: asked})
			m.End(b.Context(), d.Lease, attempts.Failed, asked)
		}
		b.ReportMetric(float64(heap()-before)/keys, "B/key")
		runtime.KeepAlive(m)
	}
}

// BenchmarkCounter is Begin and End as middleware calls them, with the
// folding of a name and the Try.
func BenchmarkCounter(b *testing.B) {
	c := counter(b, attempts.Config{Challenge: true})
	l := attempts.Login{User: "fred.normal", Client: home}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		try, _ := c.Begin(ctx, l)
		try.End(ctx, attempts.Succeeded)
	}
}

// BenchmarkTake is the address limiter, which every door asks first.
func BenchmarkTake(b *testing.B) {
	c := counter(b, attempts.Config{})
	six := netip.MustParseAddr("2001:db8::1")
	b.ReportAllocs()
	for b.Loop() {
		c.Take(six)
		c.Return(six)
	}
}

// BenchmarkFold is the name as most people write it, and the worst of them.
func BenchmarkFold(b *testing.B) {
	for _, name := range []string{"fred.normal", "Fred.Normal", "\uff26\uff32\uff25\uff24"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				attempts.Fold(name)
			}
		})
	}
}
