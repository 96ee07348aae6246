package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/captcha"
)

// Captcha runs the contract of [captcha.Store] on stores that new makes, a
// fresh and empty one for each part. It takes about a second of real time,
// since a store may keep its own clock.
func Captcha(t *testing.T, new func(*testing.T) captcha.Store) {
	for _, part := range []struct {
		name string
		run  func(*testing.T, captcha.Store)
	}{
		{"unknown is not found", captchaUnknown},
		{"put is peeked often and taken once", captchaOnce},
		{"any bytes come back as they were", captchaBytes},
		{"nobody's slice is kept or shared", captchaCopies},
		{"of many takers one succeeds", captchaRace},
		{"expired is not found", captchaExpiry},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, new(t)) })
	}
}

// captchaTTL is long enough for the slowest store not to expire within a test.
const captchaTTL = time.Minute

func captchaUnknown(t *testing.T, s captcha.Store) {
	ctx := t.Context()
	putCaptcha(t, s, "known", "data", captchaTTL)
	for _, id := range []string{"unknown", "", "know", "known ", "KNOWN"} {
		wantCaptchaGone(t, s, id)
	}
	if got, err := s.Take(ctx, "known"); err != nil || string(got) != "data" {
		t.Errorf("Take of the other: %q, %v", got, err)
	}
}

func captchaOnce(t *testing.T, s captcha.Store) {
	ctx := t.Context()
	putCaptcha(t, s, "a", "data of a", captchaTTL)
	putCaptcha(t, s, "b", "data of b", captchaTTL)
	for range 3 {
		if got, err := s.Peek(ctx, "a"); err != nil || string(got) != "data of a" {
			t.Fatalf("Peek: %q, %v", got, err)
		}
	}
	if got, err := s.Take(ctx, "a"); err != nil || string(got) != "data of a" {
		t.Fatalf("Take: %q, %v", got, err)
	}
	wantCaptchaGone(t, s, "a")
	if got, err := s.Peek(ctx, "b"); err != nil || string(got) != "data of b" {
		t.Errorf("Peek of the other: %q, %v", got, err)
	}
}

func captchaBytes(t *testing.T, s captcha.Store) {
	var all [256]byte
	for i := range all {
		all[i] = byte(i)
	}
	for i, data := range []string{string(all[:]), "\x00", "\r\n", "\xff\xfe", "null", "0"} {
		id := fmt.Sprintf("id-_%d", i)
		putCaptcha(t, s, id, data, captchaTTL)
		peeked, errPeek := s.Peek(t.Context(), id)
		taken, errTake := s.Take(t.Context(), id)
		if errPeek != nil || errTake != nil || string(peeked) != data || string(taken) != data {
			t.Errorf("%q: Peek %q, %v; Take %q, %v", data, peeked, errPeek, taken, errTake)
		}
	}
}

func captchaCopies(t *testing.T, s captcha.Store) {
	ctx := t.Context()
	data := []byte("data")
	if err := s.Put(ctx, "a", data, captchaTTL); err != nil {
		t.Fatal(err)
	}
	if string(data) != "data" {
		t.Errorf("Put changes its argument to %q", data)
	}
	copy(data, "mine")
	peeked, err := s.Peek(ctx, "a")
	if err != nil || string(peeked) != "data" {
		t.Errorf("after a change of the argument of Put: %q, %v", peeked, err)
	}
	copy(peeked, "mine")
	if got, err := s.Take(ctx, "a"); err != nil || !bytes.Equal(got, []byte("data")) {
		t.Errorf("after a change of the result of Peek: %q, %v", got, err)
	}
}

func captchaRace(t *testing.T, s captcha.Store) {
	const rounds, takers = 20, 16
	for round := range rounds {
		id := fmt.Sprint(round)
		putCaptcha(t, s, id, "data", captchaTTL)
		var won atomic.Int32
		var group sync.WaitGroup
		for range takers {
			group.Go(func() {
				switch _, err := s.Take(t.Context(), id); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, captcha.ErrNotFound):
					t.Errorf("Take: %v", err)
				}
			})
		}
		group.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d: %d of %d takers succeeded", round, won.Load(), takers)
		}
	}
}

func captchaExpiry(t *testing.T, s captcha.Store) {
	const ttl = 300 * time.Millisecond
	start := time.Now()
	putCaptcha(t, s, "peeked", "data", ttl)
	putCaptcha(t, s, "taken", "data", ttl)
	putCaptcha(t, s, "lasting", "data", captchaTTL)
	// A Peek must not prolong, so it goes on until the end.
	for {
		_, err := s.Peek(t.Context(), "peeked")
		after := time.Since(start)
		if errors.Is(err, captcha.ErrNotFound) {
			if after < ttl-50*time.Millisecond { // the store's clock may be coarse
				t.Fatalf("expired after %v of %v", after, ttl)
			}
			break
		}
		if err != nil || after > ttl+5*time.Second {
			t.Fatalf("Peek, %v after a Put for %v: %v", after, ttl, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // the second was put a little later
	wantCaptchaGone(t, s, "peeked")
	wantCaptchaGone(t, s, "taken")
	if _, err := s.Peek(t.Context(), "lasting"); err != nil {
		t.Errorf("Peek of the lasting one: %v", err)
	}
}

func putCaptcha(t *testing.T, s captcha.Store, id, data string, ttl time.Duration) {
	t.Helper()
	if err := s.Put(context.Background(), id, []byte(data), ttl); err != nil {
		t.Fatalf("Put %q: %v", id, err)
	}
}

// wantCaptchaGone checks both ways to read, and that no data comes with the
// error.
func wantCaptchaGone(t *testing.T, s captcha.Store, id string) {
	t.Helper()
	if got, err := s.Peek(context.Background(), id); !errors.Is(err, captcha.ErrNotFound) || got != nil {
		t.Errorf("Peek %q: %q, %v; want %v", id, got, err, captcha.ErrNotFound)
	}
	if got, err := s.Take(context.Background(), id); !errors.Is(err, captcha.ErrNotFound) || got != nil {
		t.Errorf("Take %q: %q, %v; want %v", id, got, err, captcha.ErrNotFound)
	}
}
