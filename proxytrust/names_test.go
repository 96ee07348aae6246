package proxytrust_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/proxytrust"
)

// A zone is a DNS whose answers, failures and delay tests change. A name
// without addresses fails.
type zone struct {
	mu    sync.Mutex
	addrs map[string][]string
	delay time.Duration
	deaf  bool // the delay ignores the context
	asked map[string]int
}

func (z *zone) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	z.mu.Lock()
	delay, deaf := z.delay, z.deaf
	if z.asked == nil {
		z.asked = make(map[string]int)
	}
	z.asked[host]++
	z.mu.Unlock()
	if deaf {
		time.Sleep(delay)
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(delay):
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	var addrs []netip.Addr
	for _, s := range z.addrs[host] {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	if network != "ip" || addrs == nil {
		return nil, errors.New("no such host")
	}
	return addrs, nil
}

// set replaces the addresses of host.
func (z *zone) set(host string, addrs ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.addrs[host] = addrs
}

func (z *zone) slow(d time.Duration) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.delay = d
}

func (z *zone) count(host string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[host]
}

// named returns a Trust that asks z. It must be closed within the bubble.
func named(t *testing.T, z *zone, log *strings.Builder, patterns ...string) *proxytrust.Trust {
	t.Helper()
	c := proxytrust.Config{Trusted: patterns, Resolver: z, Logger: slog.New(slog.DiscardHandler)}
	if log != nil {
		c.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	trust, err := proxytrust.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

// expect checks which of the addresses are trusted now.
func expect(t *testing.T, trust *proxytrust.Trust, when string, want map[string]bool) {
	t.Helper()
	synctest.Wait()
	for a, want := range want {
		if got := trust.Trusts(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: Trusts(%s) = %v, want %v", when, a, got, want)
		}
	}
}

func TestNameTrustsEveryAddressItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{addrs: map[string][]string{"proxy.example": {"10.0.0.1", "2001:db8::1", "::ffff:10.0.0.2", "0.0.0.0"}}}
		trust := named(t, z, nil, "PROXY.Example", "proxy.example")
		defer trust.Close()
		expect(t, trust, "at once", map[string]bool{
			"10.0.0.1": true, "2001:db8::1": true, "10.0.0.2": true, "0.0.0.0": false, "10.0.0.3": false})
		if n := z.count("proxy.example"); n != 1 {
			t.Errorf("asked %d times", n)
		}
		e := trust.Explain(newRequest("10.0.0.1:1"))
		if e.Hops[0].Pattern != "PROXY.Example" {
			t.Errorf("explained by %q", e.Hops[0].Pattern)
		}
	})
}

func TestNameFollowsItsAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{addrs: map[string][]string{"proxy.example": {"10.0.0.1"}}}
		trust := named(t, z, nil, "proxy.example", "192.0.2.1")
		defer trust.Close()
		z.set("proxy.example", "10.0.0.2")
		time.Sleep(59 * time.Second)
		expect(t, trust, "before the minute", map[string]bool{"10.0.0.1": true, "10.0.0.2": false})
		time.Sleep(2 * time.Second)
		expect(t, trust, "after it", map[string]bool{"10.0.0.1": false, "10.0.0.2": true, "192.0.2.1": true})
	})
}

func TestLastKnownAddressesStayForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		z := &zone{addrs: map[string][]string{"proxy.example": {"10.0.0.1"}}}
		trust := named(t, z, &log, "proxy.example")
		z.set("proxy.example")
		time.Sleep(23 * time.Hour)
		expect(t, trust, "after 23 hours", map[string]bool{"10.0.0.1": true})
		time.Sleep(time.Hour + time.Minute)
		expect(t, trust, "after 24 hours", map[string]bool{"10.0.0.1": false})
		z.set("proxy.example", "10.0.0.1")
		time.Sleep(6 * time.Second)
		expect(t, trust, "when it is back", map[string]bool{"10.0.0.1": true})
		trust.Close()
		// Resolved, failing, given up, resolved: each change once.
		if n := strings.Count(log.String(), "\n"); n != 4 {
			t.Errorf("%d log lines, want 4:\n%s", n, log.String())
		}
	})
}

func TestNameUnknownAtStartIsTriedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{addrs: map[string][]string{}}
		start := time.Now()
		trust := named(t, z, nil, "proxy.example")
		defer trust.Close()
		if waited := time.Since(start); waited != 0 {
			t.Errorf("New waited %v for a failure that came at once", waited)
		}
		z.set("proxy.example", "10.0.0.1")
		expect(t, trust, "at once", map[string]bool{"10.0.0.1": false})
		time.Sleep(6 * time.Second)
		expect(t, trust, "after 5 s", map[string]bool{"10.0.0.1": true})
	})
}

func TestSlowNamesDelayNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{addrs: map[string][]string{"proxy.example": {"10.0.0.1"}}, delay: 6 * time.Second}
		start := time.Now()
		trust := named(t, z, nil, "proxy.example", "10.0.0.9")
		defer trust.Close()
		if waited := time.Since(start); waited != 2*time.Second {
			t.Errorf("New waited %v, want 2s", waited)
		}
		r := newRequest("10.0.0.9:1", "X-Forwarded-For", "203.0.113.7, 10.0.0.1")
		for range 30 {
			before := time.Now()
			trust.Check(r)
			if waited := time.Since(before); waited != 0 {
				t.Fatalf("Check waited %v", waited)
			}
			time.Sleep(time.Second)
		}
		// The background waits longer than New, so a slow answer still counts.
		expect(t, trust, "after 30 s", map[string]bool{"10.0.0.1": true})
	})
}

// A Resolver that breaks its promise delays New and Set by their 2 seconds
// and starts no more than 16 look-ups at once.
func TestDeafResolverIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{addrs: map[string][]string{}, delay: 30 * time.Second, deaf: true}
		var patterns []string
		for c := 'a'; c <= 'z'; c++ {
			patterns = append(patterns, string(c)+".example")
		}
		start := time.Now()
		trust := named(t, z, nil, patterns...)
		if waited := time.Since(start); waited != 2*time.Second {
			t.Errorf("New waited %v, want 2s", waited)
		}
		time.Sleep(20 * time.Second)
		running := 0
		for _, p := range patterns {
			running += z.count(p)
		}
		if running != 16 {
			t.Errorf("%d look-ups at once, want 16", running)
		}
		trust.Close()
	})
}

func TestSetKeepsKnownNamesAndLooksUpNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{addrs: map[string][]string{"a.example": {"10.0.0.1"}, "b.example": {"10.0.0.2"}}}
		trust := named(t, z, nil, "a.example")
		defer trust.Close()
		z.slow(time.Second)
		if err := trust.Set([]string{"a.example", "b.example"}); err != nil {
			t.Fatal(err)
		}
		if n := z.count("a.example"); n != 1 {
			t.Errorf("Set looked a known name up again: %d", n)
		}
		if err := trust.Set([]string{"b.example", "256.0.0.1"}); err == nil {
			t.Error("a bad list was taken")
		}
		expect(t, trust, "both", map[string]bool{"10.0.0.1": true, "10.0.0.2": true})
		trust.Set([]string{"b.example"})
		expect(t, trust, "one left", map[string]bool{"10.0.0.1": false, "10.0.0.2": true})
		trust.Set([]string{"192.0.2.1"})
		expect(t, trust, "none left", map[string]bool{"10.0.0.2": false, "192.0.2.1": true})
		time.Sleep(2 * time.Minute)
		expect(t, trust, "later", map[string]bool{"10.0.0.2": false, "192.0.2.1": true})
	})
}

// While Set waits for a new name, requests are decided by the old list.
func TestSetTakesEffectWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{addrs: map[string][]string{"a.example": {"10.0.0.1"}}, delay: time.Second}
		trust := named(t, z, nil, "10.0.0.1", "10.0.0.2")
		defer trust.Close()
		go trust.Set([]string{"a.example"})
		time.Sleep(500 * time.Millisecond)
		expect(t, trust, "in between", map[string]bool{"10.0.0.1": true, "10.0.0.2": true})
		time.Sleep(time.Second)
		expect(t, trust, "after it", map[string]bool{"10.0.0.1": true, "10.0.0.2": false})
	})
}

// A program that sets its list every few seconds must not keep names from
// being looked up.
func TestFrequentSetDoesNotStarveNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{addrs: map[string][]string{"a.example": {"10.0.0.1"}}}
		trust := named(t, z, nil, "a.example")
		defer trust.Close()
		z.set("a.example", "10.0.0.2")
		for range 40 {
			time.Sleep(2 * time.Second)
			trust.Set([]string{"a.example"})
		}
		expect(t, trust, "after 80 s", map[string]bool{"10.0.0.1": false, "10.0.0.2": true})
	})
}

func TestCloseEndsLookupsAndKeepsTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{addrs: map[string][]string{"a.example": {"10.0.0.1"}}}
		trust := named(t, z, nil, "a.example")
		z.slow(time.Hour)
		time.Sleep(61 * time.Second) // a look-up is under way
		start := time.Now()
		for range 2 {
			if err := trust.Close(); err != nil {
				t.Error(err)
			}
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("Close waited %v", waited)
		}
		asked := z.count("a.example")
		time.Sleep(time.Hour)
		if n := z.count("a.example"); n != asked {
			t.Errorf("asked after Close: %d", n-asked)
		}
		expect(t, trust, "closed", map[string]bool{"10.0.0.1": true})
		if err := trust.Set([]string{"10.0.0.5"}); err == nil {
			t.Error("Set after Close was taken")
		}
	})
}

func TestCloseEndsASetThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{addrs: map[string][]string{}, delay: time.Hour}
		trust := named(t, z, nil)
		go trust.Set([]string{"a.example"})
		synctest.Wait()
		start := time.Now()
		trust.Close()
		if waited := time.Since(start); waited != 0 {
			t.Errorf("Close waited %v", waited)
		}
	})
}
