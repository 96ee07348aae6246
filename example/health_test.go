package main

import (
	"context"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
)

// A probed directory counts what it is asked, and answers err after delay.
type probed struct {
	directory.Source
	asked atomic.Int64
	err   error
	delay time.Duration
}

func (p *probed) Find(ctx context.Context, _ string) (directory.Entry, error) {
	p.asked.Add(1)
	select {
	case <-time.After(p.delay):
		return directory.Entry{}, p.err
	case <-ctx.Done():
		return directory.Entry{}, directory.ErrUnavailable
	}
}

func TestReadiness(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		delay time.Duration
		want  int
	}{
		{"a directory that answers", directory.ErrNoUser, time.Millisecond, 200},
		{"a directory that knows the name", nil, 0, 200},
		{"a directory that is down", directory.ErrUnavailable, 0, 503},
		{"a directory that never answers", nil, time.Hour, 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := &probed{err: tt.err, delay: tt.delay}
				ready := newReadiness(source, 5*time.Second)
				w := httptest.NewRecorder()
				ready.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
				if w.Code != tt.want || (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
					t.Errorf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
				}
			})
		})
	}
}

func TestReadinessAsksOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &probed{err: directory.ErrNoUser, delay: 10 * time.Millisecond}
		ready := newReadiness(source, time.Second)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if err := ready.check(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := source.asked.Load(); n != 1 {
			t.Errorf("asked %d times at once, want 1", n)
		}
		time.Sleep(2 * time.Second)
		source.err = directory.ErrUnavailable
		if err := ready.check(t.Context()); err == nil || source.asked.Load() != 2 {
			t.Errorf("an outage after two seconds: %v, asked %d times", err, source.asked.Load())
		}
	})
}

// A prober that hangs up must not make others see an outage.
func TestReadinessOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ready := newReadiness(&probed{err: directory.ErrNoUser, delay: time.Second}, 2*time.Second)
		gone, hangUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, hangUp)
		if err := ready.check(gone); err != nil {
			t.Errorf("the caller who asked: %v", err)
		}
		if err := ready.check(t.Context()); err != nil {
			t.Errorf("the next caller: %v", err)
		}
	})
}
