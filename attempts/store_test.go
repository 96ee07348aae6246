package attempts_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/internal/soak"
	"github.com/seed-244866eb/gatehouse/internal/storetest"
)

const day = 24 * time.Hour

var (
	asked   = attempts.Policy{Max: 3, Window: day, Lease: 10 * time.Second, Challenge: true}
	delayed = attempts.Policy{Max: 3, Window: day, Lease: 10 * time.Second}
)

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Attempts(t, func(*testing.T) attempts.Store {
		return attempts.NewMemory(attempts.MemoryConfig{})
	})
}

// The rows that the contract has no time for, at their full length.
func TestMemoryKeepsTime(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy attempts.Policy
		script string
	}{
		{"failures count for the window", asked, "3*F w=23h59m59s b=armed w=1s b1"},
		{"the window begins with the latest failure", asked, "2*F w=23h F w=23h59m59s b=armed w=1s b1"},
		{"knocking lengthens no window", asked, "3*F w=12h 50*b=armed w=12h b1"},
		{"a solved try without verdict lengthens no window", asked, "3*F w=12h b1! a1 w=12h b1 ?=0"},
		{"a lease ends in its last nanosecond", asked, "b1 w=9999999999ns q=1 s1 ?=0 b2 w=10s ?=1 s2 ?=1"},
		{"an overdue try fails at the end of its lease", asked, "2*F b1 w=1h b=armed w=23h0m9s b=armed w=1s b2"},
		{"failures never expire before a lease", asked, "2*F w=23h59m55s b1 w=9s ?=2 q=1 w=1s b=armed w=23h59m59s b=armed w=1s ?=0"},
		{"a pending try keeps a failure only as long as it lasts", asked, "2*F w=23h59m55s b1 w=6s ?=2 a1 ?=0"},
		{"100 failures are denied until the window ends", asked, "3*F 97*F! b=denied/24h0m0s w=23h59m59s b!=denied/1s w=1s b1"},
		{"the delay is 2^(f-Max) s", delayed, "3*F b=delayed/1s w=1s F b=delayed/2s w=2s F b=delayed/4s w=4s F b=delayed/8s w=8s F b=delayed/16s w=16s F b=delayed/32s"},
		{"the delay is at most 15 minutes", delayed, "3*F w=1s F w=2s F w=4s F w=8s F w=16s F w=32s F w=64s F w=128s F w=256s F b=delayed/8m32s w=512s F b=delayed/15m0s w=15m F b=delayed/15m0s"},
		{"knocking lengthens no delay", delayed, "3*F w=500ms 50*b=delayed w=500ms b1"},
		{"a delay passes one try at a time", delayed, "3*F w=10s b1 b=delayed/1s a1 b2"},
		{"a pair is known for 30 days", asked, "S@A w=719h59m59s p=0@A w=1s p=-@A"},
		{"a success renews the pair", asked, "S@A w=700h S@A w=700h p=0@A"},
		{"a failure renews no pair", asked, "S@A w=719h F@A w=1h p=-@A"},
		{"a pair that is known no longer is counted as the user", asked, "S@A w=719h 3*F@A b=armed@A w=1h b1@A f1 ?=1"},
		{"a pair with a pending try is known no longer either", asked, "S@A w=719h59m59s b1@A w=2s F@A ?=1 f1 ?=1 h=1/2"},
		{"a try of a pair that is known no longer still ends", asked, "S@A w=719h59m59s b1@A w=2s q=1@A f1 q=0@A h=1/1"},
		{"the history is kept for 400 days", asked, "F S w=9599h59m59s h=1/1 w=1s h=0/0"},
		{"the history of a stranger is, too", asked, "2*F w=9599h59m59s h=0/2 w=1s h=0/0"},
		{"every event keeps the history", asked, "S w=9000h F w=9000h h=1/1 S h=2/1"},
		{"a pending try survives the history", asked, "F w=9599h59m59s b1 w=2s q=1 s1 h=1/1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storetest.PlayAttempts(t, attempts.NewMemory(attempts.MemoryConfig{}), tt.policy, tt.script)
			})
		})
	}
}

// A patient guesser without a CAPTCHA: 100 tries take most of a day and are
// the last, whatever the delay.
func TestHundredFailuresWithDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attempts.NewMemory(attempts.MemoryConfig{})
		start := time.Now()
		for range 100 {
			storetest.PlayAttempts(t, m, delayed, "F w=15m")
		}
		storetest.PlayAttempts(t, m, delayed, "b=denied/23h45m0s ?=100")
		if took := time.Since(start); took < 22*time.Hour {
			t.Errorf("100 tries took %v", took)
		}
	})
}

// waits are the steps of time in random histories: a little before and after
// each limit of the policies above.
var waits = []time.Duration{time.Millisecond, time.Second, 4 * time.Second, 9 * time.Second, 10 * time.Second,
	15 * time.Minute, 23 * time.Hour, day, 29 * day, 30 * day, 370 * day, 400 * day}

// play compares one history on the memory store with the model.
func play(t *testing.T, p attempts.Policy, data []byte) {
	synctest.Test(t, func(t *testing.T) {
		storetest.AttemptsHistory(t, attempts.NewMemory(attempts.MemoryConfig{}),
			&storetest.AttemptsModel{Now: time.Now}, p, data, waits...)
	})
}

// policyOf spells a policy with the low bits of b.
func policyOf(b byte) attempts.Policy {
	p := asked
	p.Max = int(b & 3)
	p.Challenge = b&4 != 0
	if b&8 != 0 {
		p.Window = 5 * time.Second // shorter than a lease
	}
	return p
}

func TestRandomHistoriesAreThoseOfTheModel(t *testing.T) {
	for seed := range soak.Count(6000) {
		data := storetest.AttemptsNoise(rand.New(rand.NewPCG(uint64(seed), 1)), 500)
		if seed%3 == 0 { // many logins, so that pairs come and go
			for i := 0; i < len(data); i += 2 {
				data[i] = []byte{0, 0, 0, 10, 10, 11, 7, 14}[data[i]&7]
				data[i+1] |= 64
			}
		}
		play(t, policyOf(byte(seed)), data)
	}
}

// FuzzHistory has the invariant that no history of operations and times makes
// the memory store answer otherwise than the sequential model. The first byte
// spells the policy.
func FuzzHistory(f *testing.F) {
	for _, seed := range []string{
		"\x07\x00\x00\x07\x00\x00\x00\x07\x00\x00\x00\x07\x00\x00\x00",     // three failures, armed
		"\x03\x00\x00\x07\x00\x00\x00\x07\x00\x00\x00\x07\x00\x0e\x01\x00", // delayed
		"\x07\x00\x02\x0a\x00\x00\x02\x07\x00\x00\x02\x0a\x00",             // a known pair
		"\x07\x00\x02\x00\x02\x0a\x00\x07\x01\x0e\x04\x07\x00",             // late ends
		"\x0f\x00\x00\x0e\x02\x07\x00\x0e\x04\x00\x00\x0f\x00",             // window shorter than a lease; reset
		"\x00\x00\x00\x07\x00\x00\x40\x0a\x00\x0e\x0b\x00\x00",             // no limit; the history ends
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || len(data) > 2000 {
			return
		}
		play(t, policyOf(data[0]), data[1:])
	})
}
