package ldapdir

import (
	"context"
	"log/slog"
	"time"
)

// A Trace is told what is asked of the directory on behalf of one context. The
// package httptrace is the model. Its function is called from the goroutine of
// the call and must not block.
type Trace struct {
	// Operation is called after each operation. Nil is not called.
	Operation func(Operation)
}

// An Operation is one request to a server and how it ended. It never holds a
// password.
type Operation struct {
	Kind    string // "search", "bind" or "read"
	Server  string // the URL of the node
	BaseDN  string // of a bind: the DN
	Filter  string // empty for a bind
	Results int    // entries
	Took    time.Duration
	Err     error // of a bind: nil, a refusal, or no verdict
}

type traceKey struct{}

// WithTrace returns a context in which t hears of each operation.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// report tells log and trace of an operation.
func (d *Dir) report(ctx context.Context, o Operation) {
	if t, ok := ctx.Value(traceKey{}).(*Trace); ok && t != nil && t.Operation != nil {
		t.Operation(o)
	}
	if !d.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{slog.String("server", o.Server), slog.String("base", o.BaseDN), slog.Duration("took", o.Took)}
	if o.Filter != "" {
		attrs = append(attrs, slog.String("filter", o.Filter), slog.Int("results", o.Results))
	}
	if o.Err != nil {
		attrs = append(attrs, slog.String("error", o.Err.Error()))
	}
	d.log.LogAttrs(ctx, slog.LevelDebug, o.Kind, attrs...)
}
