package storetest

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
)

// AttemptsModel is the rules of package attempts written down a second time, as
// plainly as can be: sequential, unbounded, one map for each word of it. The
// stores are compared with it. It is not safe for concurrent use.
type AttemptsModel struct {
	Now   func() time.Time
	users map[string]*modelUser
	ids   uint64
}

// modelTally is F, W, P and the time of the last failure.
type modelTally struct {
	f, w    uint64
	pending map[uint64]time.Time
	last    time.Time
	until   time.Time // of a pair, and
	order   uint64    // of its latest success
}

// modelUser is a user, the pairs and the history.
type modelUser struct {
	own    *modelTally
	pairs  map[netip.Addr]*modelTally
	status attempts.Status // the history alone
}

// user returns the record of a user with all that time has done to it.
func (m *AttemptsModel) user(name string, window time.Duration) *modelUser {
	if m.users == nil {
		m.users = map[string]*modelUser{}
	}
	u := m.users[name]
	if u == nil {
		u = &modelUser{own: newModelTally(), pairs: map[netip.Addr]*modelTally{}}
		m.users[name] = u
	}
	m.settle(u, u.own, window)
	for client, c := range u.pairs {
		m.settle(u, c, window)
		if !m.Now().Before(c.until) && len(c.pending) == 0 {
			delete(u.pairs, client)
		}
	}
	pending := len(u.own.pending)
	for _, c := range u.pairs {
		pending += len(c.pending)
	}
	// A record with pending tries stays as it is, its history included.
	h := u.status
	if pending == 0 && m.Now().Sub(h.LastLogin) >= 400*24*time.Hour && m.Now().Sub(h.LastFailed) >= 400*24*time.Hour {
		u.status = attempts.Status{}
	}
	return u
}

func newModelTally() *modelTally { return &modelTally{pending: map[uint64]time.Time{}} }

// settle turns overdue leases into failures and lets old failures go.
func (m *AttemptsModel) settle(u *modelUser, t *modelTally, window time.Duration) {
	for id, ends := range t.pending {
		if !m.Now().Before(ends) {
			delete(t.pending, id)
			m.fail(u, t, ends)
		}
	}
	if len(t.pending) == 0 && m.Now().Sub(t.last) >= window {
		t.w = t.f
	}
}

// fail counts a failure.
func (m *AttemptsModel) fail(u *modelUser, t *modelTally, at time.Time) {
	t.f++
	u.status.FailedLogins++
	if at.After(t.last) {
		t.last = at
	}
	if at.After(u.status.LastFailed) {
		u.status.LastFailed = at
	}
}

// Begin implements [attempts.Store].
func (m *AttemptsModel) Begin(_ context.Context, a attempts.Attempt) (attempts.Decision, error) {
	u := m.user(a.User, a.Policy.Window)
	t, known := u.own, false
	if c := u.pairs[a.Client]; c != nil && m.Now().Before(c.until) {
		t, known = c, true
	}
	d := attempts.Decision{Failures: int(t.f - t.w), Verdict: m.verdict(t, a)}
	if d.Verdict == attempts.Granted {
		m.ids++
		t.pending[m.ids] = m.Now().Add(a.Policy.Lease)
		d.Lease = attempts.Lease{ID: m.ids, User: a.User, Client: a.Client, Pair: known, Failures: t.f}
	}
	return d, nil
}

// verdict is the list of rules, of which the first that holds decides.
func (m *AttemptsModel) verdict(t *modelTally, a attempts.Attempt) attempts.Verdict {
	f, pending, most := int(t.f-t.w), len(t.pending), a.Policy.Max
	if most == 0 {
		return attempts.Granted
	}
	if f >= 100 {
		return attempts.Denied
	}
	if f >= most && a.Policy.Challenge {
		if !a.Solved {
			return attempts.Armed
		}
		if pending > 0 {
			return attempts.Busy
		}
		return attempts.Granted
	}
	if f >= most {
		delay := 15 * time.Minute
		if f-most < 10 {
			delay = min(delay, time.Second<<(f-most))
		}
		if pending > 0 || m.Now().Sub(t.last) < delay {
			return attempts.Delayed
		}
		return attempts.Granted
	}
	if f+pending >= most {
		return attempts.Busy
	}
	return attempts.Granted
}

// End implements [attempts.Store].
func (m *AttemptsModel) End(ctx context.Context, l attempts.Lease, o attempts.Outcome, p attempts.Policy) (attempts.Status, error) {
	u := m.user(l.User, p.Window)
	t := u.own
	if l.Pair {
		t = u.pairs[l.Client]
	}
	if t != nil {
		if _, ok := t.pending[l.ID]; ok {
			delete(t.pending, l.ID)
			m.finish(u, t, l, o)
		}
	}
	return m.Status(ctx, l.User, l.Client, p)
}

// finish does what an end in time does.
func (m *AttemptsModel) finish(u *modelUser, t *modelTally, l attempts.Lease, o attempts.Outcome) {
	switch o {
	case attempts.Failed:
		m.fail(u, t, m.Now())
	case attempts.Succeeded, attempts.SucceededUnknown:
		t.w = max(t.w, min(l.Failures, t.f))
	}
	if o != attempts.Succeeded {
		return
	}
	u.status.Logins++
	u.status.PrevLogin, u.status.LastLogin = u.status.LastLogin, m.Now()
	if l.Client.IsValid() {
		m.know(u, l.Client)
	}
}

// know makes a pair known; of more than 16, the oldest goes that has no try
// pending.
func (m *AttemptsModel) know(u *modelUser, client netip.Addr) {
	if u.pairs[client] == nil && len(u.pairs) >= 16 {
		var oldest netip.Addr
		for addr, c := range u.pairs {
			if len(c.pending) == 0 && (!oldest.IsValid() || c.order < u.pairs[oldest].order) {
				oldest = addr
			}
		}
		if !oldest.IsValid() {
			return
		}
		delete(u.pairs, oldest)
	}
	if u.pairs[client] == nil {
		u.pairs[client] = newModelTally()
	}
	m.ids++
	u.pairs[client].until, u.pairs[client].order = m.Now().Add(30*24*time.Hour), m.ids
}

// Status implements [attempts.Store].
func (m *AttemptsModel) Status(_ context.Context, user string, client netip.Addr, p attempts.Policy) (attempts.Status, error) {
	u := m.user(user, p.Window)
	st := u.status
	st.Failures, st.Pending = int(u.own.f-u.own.w), len(u.own.pending)
	if c := u.pairs[client]; c != nil {
		st.Pending += len(c.pending)
		if m.Now().Before(c.until) {
			st.Known, st.PairFailures = true, int(c.f-c.w)
		}
	}
	return st, nil
}

// Reset implements [attempts.Store].
func (m *AttemptsModel) Reset(_ context.Context, user string) error {
	u := m.user(user, 1<<62)
	u.own.w = u.own.f
	for _, c := range u.pairs {
		c.w = c.f
	}
	return nil
}

// AttemptsHistory plays the history that data spells on a store and on model
// and fails at the first difference. Two bytes are one operation. It waits
// for the times in waits, if there are any, so it belongs into a synctest
// bubble then. It returns the number of operations.
func AttemptsHistory(t testing.TB, store attempts.Store, model *AttemptsModel, p attempts.Policy, data []byte, waits ...time.Duration) int {
	h := &attemptsHistory{t: t, store: store, model: model, policy: p, waits: waits}
	n := 0
	for ; len(data) >= 2; data = data[2:] {
		h.op(data[0], data[1])
		n++
	}
	return n
}

// AttemptsNoise returns n random operations for [AttemptsHistory].
func AttemptsNoise(r *rand.Rand, n int) []byte {
	data := make([]byte, 2*n)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

// attemptsHistory is a history being played.
type attemptsHistory struct {
	t      testing.TB
	store  attempts.Store
	model  *AttemptsModel
	policy attempts.Policy
	waits  []time.Duration
	tries  [][2]attempts.Lease // the store's and the model's
}

// op does one operation on both sides.
func (h *attemptsHistory) op(what, who byte) {
	h.t.Helper()
	user := []string{"fred", "ann"}[who&1]
	client := netip.Addr{}
	if n := who >> 1 & 31; n > 0 {
		client = netip.AddrFrom4([4]byte{198, 51, 100, n})
	}
	switch what % 16 {
	default:
		h.begin(attempts.Attempt{User: user, Client: client, Solved: who&64 != 0, Policy: h.policy})
	case 7, 8, 9, 10, 11, 12, 13:
		h.end(who, []attempts.Outcome{attempts.Failed, attempts.Failed, attempts.Failed,
			attempts.Succeeded, attempts.Succeeded, attempts.SucceededUnknown, attempts.Abandoned}[what%16-7])
	case 14:
		if len(h.waits) > 0 {
			time.Sleep(h.waits[int(who)%len(h.waits)])
		}
	case 15:
		if who < 32 { // resets are rare
			h.same("Reset", h.store.Reset(h.t.Context(), user), h.model.Reset(h.t.Context(), user))
		}
	}
	got, err := h.store.Status(h.t.Context(), user, client, h.policy)
	want, _ := h.model.Status(h.t.Context(), user, client, h.policy)
	h.same("Status", err, nil)
	h.sameStatus(got, want)
}

// begin begins a try on both sides.
func (h *attemptsHistory) begin(a attempts.Attempt) {
	h.t.Helper()
	got, err := h.store.Begin(h.t.Context(), a)
	want, _ := h.model.Begin(h.t.Context(), a)
	h.same("Begin", err, nil)
	h.same("verdict", got.Verdict, want.Verdict)
	h.same("failures", got.Failures, want.Failures)
	if got.Verdict == attempts.Granted {
		h.same("pair", got.Lease.Pair, want.Lease.Pair)
		h.tries = append(h.tries, [2]attempts.Lease{got.Lease, want.Lease})
	}
	if late := got.Verdict == attempts.Delayed || got.Verdict == attempts.Denied; late != (got.RetryAfter > 0) {
		h.t.Fatalf("verdict %d with RetryAfter %v", got.Verdict, got.RetryAfter)
	}
}

// end ends one of the latest tries, often one that has ended before.
func (h *attemptsHistory) end(which byte, o attempts.Outcome) {
	h.t.Helper()
	if len(h.tries) == 0 {
		return
	}
	l := h.tries[max(0, len(h.tries)-1-int(which%8))]
	got, err := h.store.End(h.t.Context(), l[0], o, h.policy)
	want, _ := h.model.End(h.t.Context(), l[1], o, h.policy)
	h.same("End", err, nil)
	h.sameStatus(got, want)
}

// same compares two values.
func (h *attemptsHistory) same(what string, got, want any) {
	h.t.Helper()
	if got != want {
		h.t.Fatalf("%s = %v, the model says %v", what, got, want)
	}
}

// sameStatus compares all fields; times as far as two clocks agree.
func (h *attemptsHistory) sameStatus(got, want attempts.Status) {
	h.t.Helper()
	near := func(a, b *time.Time) {
		if a.IsZero() == b.IsZero() && a.Sub(*b).Abs() < 2*time.Second {
			*a = *b
		}
	}
	near(&got.LastLogin, &want.LastLogin)
	near(&got.PrevLogin, &want.PrevLogin)
	near(&got.LastFailed, &want.LastFailed)
	h.same("status", got, want)
}
