package attempts_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/internal/soak"
)

func TestBusyWaits(t *testing.T) {
	for _, tt := range []struct {
		name    string
		outcome attempts.Outcome
		after   time.Duration // the pending tries end
		want    error
		atMost  time.Duration // Begin takes
	}{
		{"until a try succeeds", attempts.Succeeded, time.Second, nil, 1100 * time.Millisecond},
		{"until a try is abandoned", attempts.Abandoned, time.Second, nil, 1100 * time.Millisecond},
		{"until the tries fail", attempts.Failed, time.Second, attempts.ErrChallenge, 1100 * time.Millisecond},
		{"no longer than a login may take", attempts.Abandoned, time.Minute, attempts.ErrBusy, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := counter(t, attempts.Config{Challenge: true})
				for range 3 {
					try := begin(t, c, attempts.Login{User: "fred"})
					time.AfterFunc(tt.after, func() { try.End(context.Background(), tt.outcome) })
				}
				start := time.Now()
				_, err := c.Begin(t.Context(), attempts.Login{User: "fred"})
				if !errors.Is(err, tt.want) {
					t.Errorf("Begin = %v, want %v", err, tt.want)
				}
				if took := time.Since(start); took < min(tt.after, tt.atMost) || took > tt.atMost {
					t.Errorf("Begin took %v, want %v to %v", took, min(tt.after, tt.atMost), tt.atMost)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestBusyWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := counter(t, attempts.Config{})
		for range 3 {
			begin(t, c, attempts.Login{User: "fred"})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Begin(ctx, attempts.Login{User: "fred"})
		if took := time.Since(start); !errors.Is(err, attempts.ErrBusy) || took != time.Second {
			t.Errorf("Begin = %v after %v, want ErrBusy after 1 s", err, took)
		}
	})
}

// A stranger who keeps a user busy can make 16 callers wait, not more; other
// users do not notice.
func TestSixteenWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := counter(t, attempts.Config{Challenge: true})
		for range 3 {
			begin(t, c, attempts.Login{User: "fred"})
		}
		var atOnce, later atomic.Int64
		start := time.Now()
		for range 50 {
			go func() {
				var refused *attempts.RefusedError
				_, err := c.Begin(t.Context(), attempts.Login{User: "fred"})
				if !errors.As(err, &refused) || refused.Verdict != attempts.Busy || refused.RetryAfter <= 0 {
					t.Errorf("Begin = %v, want ErrBusy with a time", err)
				}
				if time.Since(start) == 0 {
					atOnce.Add(1)
				} else {
					later.Add(1)
				}
			}()
		}
		synctest.Wait()
		begin(t, c, attempts.Login{User: "ann"})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if atOnce.Load() != 34 || later.Load() != 16 {
			t.Errorf("%d were refused at once and %d later, want 34 and 16", atOnce.Load(), later.Load())
		}
		time.Sleep(5 * time.Second) // the leases are over; nobody waits any more
		if st, _ := c.Status(t.Context(), "fred", netip.Addr{}); st.Failures != 3 || st.Pending != 0 {
			t.Errorf("status %+v, want the 3 lost tries alone", st)
		}
	})
}

// Right logins are not refused by their own crowd: 3 at a time and 16 that
// wait are all let in.
func TestParallelRightLoginsAllSucceed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := counter(t, attempts.Config{Challenge: true})
		var in atomic.Int64
		for range 19 {
			go func() {
				try, err := c.Begin(t.Context(), attempts.Login{User: "fred", Client: home})
				if err != nil {
					t.Errorf("Begin: %v", err)
					return
				}
				time.Sleep(300 * time.Millisecond) // a slow directory
				end(t, try, attempts.Succeeded)
				in.Add(1)
			}()
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if in.Load() != 19 {
			t.Errorf("%d of 19 right logins succeeded", in.Load())
		}
	})
}

// Random crowds, right and wrong, slow and fast, some of which die before
// their end. Two promises hold in all of them: between two successes at most
// Max wrong passwords are looked at, and a right one is refused only at Max
// failures, or as busy after the whole wait or behind 16 others.
func TestRandomCrowds(t *testing.T) {
	for seed := range uint64(soak.Count(800)) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			c := counter(t, attempts.Config{Challenge: true})
			wrongShare := r.IntN(4)
			var mu sync.Mutex
			wrong, right := 0, 0
			for range 60 {
				isWrong, dies := r.IntN(4) < wrongShare, r.IntN(20) == 0
				starts, takes := time.Duration(r.IntN(4000))*time.Millisecond, time.Duration(r.IntN(2000))*time.Millisecond
				go func() {
					time.Sleep(starts)
					start := time.Now()
					try, err := c.Begin(t.Context(), attempts.Login{User: "fred"})
					if err != nil {
						checkRefusal(t, err, time.Since(start))
						return
					}
					time.Sleep(takes)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case isWrong: // looked at, whether it ends or not
						wrong++
					case !dies:
						right++
					}
					if dies {
						return
					}
					end(t, try, map[bool]attempts.Outcome{true: attempts.Failed, false: attempts.Succeeded}[isWrong])
				}()
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if wrong > 3*(right+1) {
				t.Errorf("seed %d: %d wrong passwords were looked at with %d successes", seed, wrong, right)
			}
		})
	}
}

// The whole crowd at once, in real time and parallel, 10,000 in a soak: three
// wrong passwords are looked at between two successes, and the rest is refused
// uncounted.
func TestWrongCrowdAtOnce(t *testing.T) {
	crowd := soak.Count(10_000)
	c := counter(t, attempts.Config{Challenge: true})
	for round := range 5 {
		end(t, begin(t, c, attempts.Login{User: "fred", Client: home, Solved: true}), attempts.Succeeded)
		var looked atomic.Int64
		var wg sync.WaitGroup
		for range crowd {
			wg.Go(func() {
				try, err := c.Begin(t.Context(), attempts.Login{User: "fred", Client: home})
				if err == nil {
					looked.Add(1)
					end(t, try, attempts.Failed)
				}
			})
		}
		wg.Wait()
		if st, _ := c.Status(t.Context(), "fred", home); looked.Load() != 3 || st.PairFailures != 3 || st.Pending != 0 {
			t.Fatalf("round %d: %d wrong passwords were looked at; status %+v", round, looked.Load(), st)
		}
	}
}

// checkRefusal fails unless a refusal is one that any try may get.
func checkRefusal(t *testing.T, err error, waited time.Duration) {
	var refused *attempts.RefusedError
	switch {
	case !errors.As(err, &refused):
		t.Errorf("Begin: %v", err)
	case refused.Verdict == attempts.Armed && refused.Failures >= 3:
	case refused.Verdict == attempts.Busy && (waited == 0 || waited == 5*time.Second):
	default:
		t.Errorf("refused after %v with %+v", waited, *refused)
	}
}
