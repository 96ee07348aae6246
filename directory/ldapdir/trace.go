package ldapdir

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"
)

// A Trace is told what is asked of the directory on behalf of one context. The
// package httptrace is the model: its function may be called from several
// goroutines, also after the call has returned, and must not block.
type Trace struct {
	// Operation is called after each operation. Nil is not called.
	Operation func(Operation)
}

// An Operation is one step towards a server, or one request to it, and how it
// ended. It never holds a password. The kinds are
//
//	resolve             the addresses, or SRV records, of the name in Server
//	dial, tls, starttls a new connection; Detail is the address, and how TLS is spoken
//	bind                BaseDN is the DN; Detail tells that of the service account
//	password            the change of one; BaseDN is the DN
//	identify            a read of what tells servers at one address apart
//	search, read        below BaseDN, or the one entry
//	probe               the check of a node in the background
//	failover, failback  the node in Server is in use from now on
type Operation struct {
	Kind    string
	Server  string // the name of the node
	BaseDN  string // of a bind: the DN
	Filter  string // of a search or read
	Detail  string
	Results int // entries
	Took    time.Duration
	Err     error // of a bind: nil, a refusal, or no verdict

	// TLS is what was agreed, with which certificate, of a tls that went well.
	// Where the certificate did not hold, Err wraps a
	// [*tls.CertificateVerificationError], which has it.
	TLS *tls.ConnectionState
}

type traceKey struct{}

// WithTrace returns a context in which t hears of each operation.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// withTraceOf returns ctx with the trace of another context: what is begun for
// a caller may outlive the call.
func withTraceOf(ctx, caller context.Context) context.Context {
	if t, ok := caller.Value(traceKey{}).(*Trace); ok {
		return WithTrace(ctx, t)
	}
	return ctx
}

// report tells log and trace of an operation.
func (d *Dir) report(ctx context.Context, o Operation) {
	if t, ok := ctx.Value(traceKey{}).(*Trace); ok && t != nil && t.Operation != nil {
		t.Operation(o)
	}
	if !d.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{slog.String("server", o.Server), slog.Duration("took", o.Took)}
	if o.BaseDN != "" {
		attrs = append(attrs, slog.String("base", o.BaseDN))
	}
	if o.Detail != "" {
		attrs = append(attrs, slog.String("detail", o.Detail))
	}
	if o.Filter != "" {
		attrs = append(attrs, slog.String("filter", o.Filter), slog.Int("results", o.Results))
	}
	if o.Err != nil {
		attrs = append(attrs, slog.String("error", o.Err.Error()))
	}
	d.log.LogAttrs(ctx, slog.LevelDebug, o.Kind, attrs...)
}
