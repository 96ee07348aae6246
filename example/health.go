package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
)

// healthz answers that the process is alive, whatever it depends on.
func healthz(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusOK, "ok\n")
}

// A readiness answers whether logins would work: 200, or 503 with Retry-After
// while the directory does not answer. Whoever asks, and however often, the
// directory is asked once a second at most.
type readiness struct {
	source  directory.Source // nil: nothing is needed
	timeout time.Duration

	asking chan struct{} // holds one while somebody asks; guards what follows
	asked  time.Time
	err    error
}

// newReadiness returns a readiness that asks source, for timeout at most.
func newReadiness(source directory.Source, timeout time.Duration) *readiness {
	return &readiness{source: source, timeout: timeout, asking: make(chan struct{}, 1)}
}

// ServeHTTP answers a probe. The text names no server and no fault: probes
// are open to everybody, and the log has both.
func (p *readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := p.check(r.Context()); err != nil {
		w.Header().Set("Retry-After", "5")
		plain(w, http.StatusServiceUnavailable, "directory unavailable\n")
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

// check asks the directory for a user that need not exist: any answer will
// do. Callers that come meanwhile wait for that answer.
func (p *readiness) check(ctx context.Context) error {
	if p.source == nil {
		return nil
	}
	select {
	case p.asking <- struct{}{}:
		defer func() { <-p.asking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !p.asked.IsZero() && time.Since(p.asked) < time.Second {
		return p.err
	}
	// A probe that hangs up must not be taken for a directory that is down.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.timeout)
	defer cancel()
	_, err := p.source.Find(ctx, "gatehouse-readiness-probe")
	if errors.Is(err, directory.ErrNoUser) {
		err = nil
	}
	p.asked, p.err = time.Now(), err
	return err
}

func plain(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a failed write means that the prober has gone
}
