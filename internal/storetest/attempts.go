package storetest

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
)

// The policies of the contract. Times are short because a store runs on its
// own clock, which may be that of another machine.
var (
	askPolicy       = attempts.Policy{Max: 3, Window: time.Hour, Lease: time.Minute, Challenge: true}
	onePolicy       = attempts.Policy{Max: 1, Window: time.Hour, Lease: time.Minute, Challenge: true}
	widePolicy      = attempts.Policy{Max: 6, Window: time.Hour, Lease: time.Minute, Challenge: true}
	delayPolicy     = attempts.Policy{Max: 3, Window: time.Hour, Lease: time.Minute}
	unlimitedPolicy = attempts.Policy{Window: time.Hour, Lease: time.Minute}
	leasePolicy     = attempts.Policy{Max: 3, Window: time.Hour, Lease: 300 * time.Millisecond, Challenge: true}
	windowPolicy    = attempts.Policy{Max: 3, Window: 300 * time.Millisecond, Lease: time.Minute, Challenge: true}
)

// attemptsRows are scripts of [PlayAttempts], each the promise it is named by.
var attemptsRows = []struct {
	name   string
	policy attempts.Policy
	script string
}{
	{"nothing is known about a stranger", askPolicy, "?=0 p=-@A q=0 h=0/0"},
	{"failures count", askPolicy, "F ?=1 F ?=2 F ?=3 h=0/3"},
	{"users are counted apart", askPolicy, "3*F b=armed ?=0:ann b1:ann"},
	{"failures at the maximum ask for a CAPTCHA", askPolicy, "3*F b=armed ?=3"},
	{"a solved CAPTCHA passes", askPolicy, "3*F b1! s1 ?=0 b2"},
	{"a solved CAPTCHA and a wrong password stay armed", askPolicy, "3*F b1! f1 ?=4 b=armed b2!"},
	{"solved CAPTCHAs pass one at a time", askPolicy, "3*F b1! b!=busy b=armed a1 b2!"},
	{"a maximum of one is kept", onePolicy, "b1 b=busy f1 b=armed"},
	{"pending tries make others wait", askPolicy, "b1 b2 b3 b=busy q=3 f1 b=busy a2 b4 q=2"},
	{"pending tries ask for no CAPTCHA", askPolicy, "b1 b2 b3 b=busy b!=busy ?=0"},
	{"a failure and pending tries make others wait", askPolicy, "2*F b1 b=busy f1 b=armed"},
	{"refusals change nothing", askPolicy, "3*F 9*b=armed ?=3 h=0/3 q=0 r b1"},
	{"busy changes nothing", askPolicy, "b1 b2 b3 9*b=busy q=3 ?=0 a1 a2 a3 q=0 ?=0 h=0/0"},
	{"a success clears the count", askPolicy, "2*F S ?=0 h=1/2"},
	{"a success forgives no failure made meanwhile", askPolicy, "F b1 b2 f2 s1 ?=1"},
	{"an early try forgives nothing that a later one has not", widePolicy, "F b1 F b2 s2 ?=0 s1 ?=0"},
	{"a late success of an early try forgives up to its begin", askPolicy, "b1 2*F s1 ?=2"},
	{"no verdict counts nothing", askPolicy, "F b1 a1 ?=1 q=0 h=0/1"},
	{"a second end changes nothing", askPolicy, "b1 f1 f1 s1 ?=1 h=0/1 b2 s2 f2 a2 ?=0 h=1/1"},
	{"an end of another user's try changes nothing", askPolicy, "b1 F:ann f1 ?=1 ?=1:ann"},
	{"a try without an end becomes a failure", leasePolicy, "b1 w=600ms ?=1 q=0 h=0/1"},
	{"a late end changes nothing", leasePolicy, "b1 w=600ms s1 ?=1 f1 ?=1 h=0/1"},
	{"overdue tries arm", leasePolicy, "b1 b2 b3 b=busy w=600ms b=armed"},
	{"failures expire after the window", windowPolicy, "2*F w=600ms ?=0 b1 h=0/2"},
	{"armed ends with the window", windowPolicy, "3*F w=600ms b1"},
	{"failures never expire before a lease", windowPolicy, "2*F b1 w=600ms ?=2 b=busy a1 ?=0"},
	{"100 failures are denied", askPolicy, "3*F 97*F! ?=100 b!=denied b=denied/1h0m0s r b1"},
	{"a success makes the pair known", askPolicy, "p=-@A S@A p=0@A p=-@B"},
	{"a known pair is counted apart", askPolicy, "S@A 3*F@B b=armed@B p=0@A b1@A"},
	{"a known pair has its own limit", askPolicy, "S@A 3*F@A p=3@A ?=0 b=armed@A b1@B"},
	{"a success on a known pair forgives it alone", askPolicy, "S@A 2*F@B 2*F@A S@A p=0@A ?=2"},
	{"a success elsewhere forgives no pair", askPolicy, "S@A 2*F@A S@B p=2@A p=0@B"},
	{"a success with access denied makes no pair known", askPolicy, "F@A b1@A u1 ?=0 p=-@A h=0/1"},
	{"a success with access denied keeps a pair known", askPolicy, "S@A F@A b1@A u1 p=0@A h=1/1"},
	{"a success without an address makes no pair known", askPolicy, "S p=-@A h=1/0"},
	{"no address is never a known pair", askPolicy, "S@A 3*F b=armed b1@A"},
	{"a try begun before its pair was known ends where it began", askPolicy, "b1@A b2@A s1 f2 p=0@A ?=1"},
	{"of 17 pairs the oldest goes", askPolicy, "S@A S@A1 S@A2 S@A3 S@A4 S@A5 S@A6 S@A7 S@A8 S@A9 S@A10 S@A11 S@A12 S@A13 S@A14 S@A15 w=5ms S@A w=5ms S@A16 p=0@A p=-@A1 p=0@A2 p=0@A16"},
	{"a pair with a pending try does not go", askPolicy, "S@A b1@A w=5ms S@A1 w=5ms S@A2 S@A3 S@A4 S@A5 S@A6 S@A7 S@A8 S@A9 S@A10 S@A11 S@A12 S@A13 S@A14 S@A15 S@A16 p=0@A p=-@A1 f1 p=1@A"},
	{"a reset forgives the user and every pair", askPolicy, "S@A 3*F@A 3*F@B r ?=0 p=0@A b1@A b2@B h=1/6"},
	{"a reset of a stranger does nothing", askPolicy, "r ?=0 h=0/0"},
	{"a reset does not end a try", askPolicy, "b1 r q=1 f1 ?=1"},
	{"an old try forgives nothing after a reset", askPolicy, "F b1 F r F s1 ?=1"},
	{"a reset does not forget the pairs", askPolicy, "S@A r p=0@A"},
	{"without a CAPTCHA a delay grows", delayPolicy, "3*F b=delayed/1s"},
	{"without a CAPTCHA nothing is solved", delayPolicy, "3*F b!=delayed"},
	{"a delay passes", delayPolicy, "3*F w=1100ms b1 b=delayed/1s f1 b=delayed/2s"},
	{"a delay is over with a success", delayPolicy, "3*F w=1100ms S 2*F b1 ?=2"},
	{"without a limit nothing is refused", unlimitedPolicy, "200*F b1 S h=1/200"},
}

// Attempts checks the contract of [attempts.Store] on stores that new makes.
// It waits for about a second in all.
func Attempts(t *testing.T, new func(*testing.T) attempts.Store) {
	for _, tt := range attemptsRows {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			PlayAttempts(t, new(t), tt.policy, tt.script)
		})
	}
	t.Run("the history has its times", func(t *testing.T) { attemptsTimes(t, new(t)) })
	t.Run("an outcome that is none counts as no end", func(t *testing.T) { attemptsOutcome(t, new(t)) })
	t.Run("names are taken as they are", func(t *testing.T) { attemptsNames(t, new(t)) })
	t.Run("random histories are those of the model", func(t *testing.T) { attemptsRandom(t, new(t)) })
	t.Run("of parallel wrong tries the maximum passes", func(t *testing.T) { attemptsWrong(t, new(t)) })
	t.Run("parallel right tries all pass", func(t *testing.T) { attemptsRight(t, new(t)) })
	t.Run("between two successes at most the maximum fails", func(t *testing.T) { attemptsMixed(t, new(t)) })
	t.Run("of parallel ends of one try one counts", func(t *testing.T) { attemptsEnds(t, new(t)) })
}

// attemptsTimes checks what the login history says.
func attemptsTimes(t *testing.T, store attempts.Store) {
	before := time.Now().Add(-2 * time.Second) // the store's clock may differ a little
	PlayAttempts(t, store, askPolicy, "S w=20ms S w=20ms F")
	st, err := store.Status(t.Context(), "fred", attemptsClient(""), askPolicy)
	if err != nil {
		t.Fatal(err)
	}
	if !before.Before(st.PrevLogin) || !st.PrevLogin.Before(st.LastLogin) || !st.LastLogin.Before(st.LastFailed) ||
		!st.LastFailed.Before(time.Now().Add(2*time.Second)) {
		t.Errorf("times are out of order: %+v", st)
	}
}

// attemptsOutcome checks that garbage is an error and ends nothing.
func attemptsOutcome(t *testing.T, store attempts.Store) {
	d, err := store.Begin(t.Context(), attempts.Attempt{User: "fred", Policy: askPolicy})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []attempts.Outcome{0, attempts.Abandoned + 1} {
		if _, err := store.End(t.Context(), d.Lease, o, askPolicy); err == nil {
			t.Errorf("End with outcome %d returned no error", o)
		}
	}
	PlayAttempts(t, store, askPolicy, "q=1 ?=0 h=0/0")
}

// attemptsNames checks that the store mixes up no names.
func attemptsNames(t *testing.T, store attempts.Store) {
	names := []string{"", " ", "fred", "Fred", "fred:1", "fr{ed}", "fred\x00", "fréd", "*", "user:fred", "\xff"}
	for i, name := range names {
		for range i {
			d, err := store.Begin(t.Context(), attempts.Attempt{User: name, Policy: unlimitedPolicy})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store.End(t.Context(), d.Lease, attempts.Failed, unlimitedPolicy); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, name := range names {
		if st, err := store.Status(t.Context(), name, attemptsClient(""), unlimitedPolicy); err != nil || st.Failures != i {
			t.Errorf("%q has %d failures (%v), want %d", name, st.Failures, err, i)
		}
	}
}

// attemptsRandom compares random histories with the model. No time passes in
// them, for the model cannot know a store's clock.
func attemptsRandom(t *testing.T, store attempts.Store) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	noise := AttemptsNoise(rand.New(rand.NewPCG(seed, 0)), 2000)
	AttemptsHistory(t, store, &AttemptsModel{Now: time.Now}, askPolicy, noise)
}

// attemptsCrowd runs f in n goroutines at once and waits for them.
func attemptsCrowd(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}

// attemptsInsist begins a try, again and again while others are pending.
func attemptsInsist(t *testing.T, store attempts.Store, a attempts.Attempt) attempts.Decision {
	for {
		d, err := store.Begin(t.Context(), a)
		if err != nil {
			t.Error(err)
			return d
		}
		if d.Verdict != attempts.Busy {
			return d
		}
		runtime.Gosched()
	}
}

// attemptsFinish ends a try in a crowd.
func attemptsFinish(t *testing.T, store attempts.Store, l attempts.Lease, o attempts.Outcome) {
	if _, err := store.End(t.Context(), l, o, askPolicy); err != nil {
		t.Error(err)
	}
}

// attemptsWrong is the guesser who sends all guesses at once.
func attemptsWrong(t *testing.T, store attempts.Store) {
	for round := range 20 {
		var looked atomic.Int64
		a := attempts.Attempt{User: "fred" + strconv.Itoa(round), Policy: askPolicy}
		attemptsCrowd(100, func(int) {
			if d := attemptsInsist(t, store, a); d.Verdict == attempts.Granted {
				looked.Add(1)
				attemptsFinish(t, store, d.Lease, attempts.Failed)
			}
		})
		if n := looked.Load(); n != 3 {
			t.Fatalf("%d of 100 parallel wrong passwords were looked at, want 3", n)
		}
	}
}

// attemptsRight is an integration that logs in many times at once.
func attemptsRight(t *testing.T, store attempts.Store) {
	a := attempts.Attempt{User: "fred", Policy: askPolicy}
	attemptsCrowd(50, func(int) {
		d := attemptsInsist(t, store, a)
		if d.Verdict != attempts.Granted {
			t.Errorf("verdict %d, want granted", d.Verdict)
			return
		}
		attemptsFinish(t, store, d.Lease, attempts.Succeeded)
	})
	PlayAttempts(t, store, askPolicy, "?=0 q=0 h=50/0")
}

// attemptsMixed lets the owner log in amid guesses. Every success forgives
// what was counted before it began, so that F <= Max (successes + 1).
func attemptsMixed(t *testing.T, store attempts.Store) {
	var wrong, right atomic.Int64
	a := attempts.Attempt{User: "fred", Policy: askPolicy}
	attemptsCrowd(100, func(i int) {
		d := attemptsInsist(t, store, a)
		switch {
		case d.Verdict != attempts.Granted:
		case i%4 == 0:
			attemptsFinish(t, store, d.Lease, attempts.Succeeded)
			right.Add(1)
		default:
			attemptsFinish(t, store, d.Lease, attempts.Failed)
			wrong.Add(1)
		}
	})
	if w, r := wrong.Load(), right.Load(); w > 3*(r+1) {
		t.Errorf("%d wrong passwords were looked at with %d successes", w, r)
	}
}

// attemptsEnds ends one try from many sides.
func attemptsEnds(t *testing.T, store attempts.Store) {
	d, err := store.Begin(t.Context(), attempts.Attempt{User: "fred", Policy: askPolicy})
	if err != nil {
		t.Fatal(err)
	}
	attemptsCrowd(20, func(int) { attemptsFinish(t, store, d.Lease, attempts.Failed) })
	PlayAttempts(t, store, askPolicy, "?=1 q=0 h=0/1")
}
