package captcha

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestFullMemoryRefusesAndForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, m := t.Context(), NewMemory(MemoryConfig{Max: 3})
		for i := range 3 {
			if err := m.Put(ctx, fmt.Sprint(i), []byte("x"), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			if err := m.Put(ctx, "more", []byte("x"), time.Hour); !errors.Is(err, ErrFull) {
				t.Fatalf("Put into a full store: %v", err)
			}
		}
		if err := m.Put(ctx, "1", []byte("y"), time.Minute); err != nil {
			t.Errorf("Put over a challenge of the same id: %v", err)
		}
		for i, want := range []string{"x", "y", "x"} {
			if got, err := m.Peek(ctx, fmt.Sprint(i)); err != nil || string(got) != want {
				t.Errorf("challenge %d: %q, %v", i, got, err)
			}
		}
		time.Sleep(time.Minute) // the very moment at which they expire
		if err := m.Put(ctx, "more", []byte("x"), time.Minute); err != nil {
			t.Errorf("Put after the others have expired: %v", err)
		}
		if len(m.open) != 1 || len(m.next) != 1 {
			t.Errorf("%d and %d challenges held, want the one that is open", len(m.open), len(m.next))
		}
	})
}

// Each Put removes more than it adds, so a wave of expired challenges is gone
// soon and no Put waits for all of it.
func TestMemoryShrinksWithUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, m := t.Context(), NewMemory(MemoryConfig{})
		const wave = 10_000
		for i := range wave {
			m.Put(ctx, fmt.Sprint(i), []byte("x"), time.Minute)
		}
		time.Sleep(time.Minute)
		for i := range wave / (sweep - 1) {
			before := len(m.open)
			m.Put(ctx, fmt.Sprint("later", i), []byte("x"), time.Minute)
			if gone := before + 1 - len(m.open); gone > sweep {
				t.Fatalf("one Put removes %d", gone)
			}
		}
		if n := len(m.open); n > wave/(sweep-1)+sweep {
			t.Errorf("%d challenges held after %d Puts", n, wave/(sweep-1))
		}
	})
}

// The map and the heap must agree after any sequence of calls.
func TestMemoryAgainstAModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, m := t.Context(), NewMemory(MemoryConfig{Max: 20})
		rnd := rand.New(rand.NewPCG(1, 2))
		ends := map[string]time.Time{}
		for range 20_000 {
			id := fmt.Sprint(rnd.IntN(40))
			open := time.Now().Before(ends[id])
			switch rnd.IntN(4) {
			case 0:
				ttl := time.Duration(rnd.IntN(100)) * time.Second
				if m.Put(ctx, id, []byte(id), ttl) == nil {
					ends[id] = time.Now().Add(ttl)
				} else {
					delete(ends, id) // a Put over an old one drops it, full or not
				}
			case 1:
				if got, err := m.Peek(ctx, id); (err == nil) != open || open && string(got) != id {
					t.Fatalf("Peek %s: %q, %v; open %v", id, got, err, open)
				}
			case 2:
				if got, err := m.Take(ctx, id); (err == nil) != open || open && string(got) != id {
					t.Fatalf("Take %s: %q, %v; open %v", id, got, err, open)
				}
				delete(ends, id)
			case 3:
				time.Sleep(time.Duration(rnd.IntN(5)) * time.Second)
			}
			if len(m.open) > 20 || len(m.open) != len(m.next) {
				t.Fatalf("%d challenges in the map, %d in the heap", len(m.open), len(m.next))
			}
		}
	})
}
