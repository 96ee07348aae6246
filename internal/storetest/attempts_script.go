package storetest

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
)

// A step of a script, see [PlayAttempts].
var attemptsStep = regexp.MustCompile(`^(?:(\d+)\*)?([a-zFS?])(\d*)(!?)(?:=([^@:]+))?(?:@([A-Z]\d*))?(?::(\w+))?$`)

// verdicts are the words of a script.
var verdicts = map[string]attempts.Verdict{
	"granted": attempts.Granted, "armed": attempts.Armed, "busy": attempts.Busy,
	"delayed": attempts.Delayed, "denied": attempts.Denied,
}

// outcomes are the ends of a script.
var outcomes = map[string]attempts.Outcome{
	"f": attempts.Failed, "s": attempts.Succeeded, "u": attempts.SucceededUnknown, "a": attempts.Abandoned,
}

// PlayAttempts plays a script of steps, separated by spaces, on a store:
//
//	b1          begin try 1; it must be granted
//	b1!         … with a CAPTCHA solved
//	b=busy      begin; the verdict must be busy (armed, delayed/2s, denied)
//	f1 s1 u1 a1 end try 1: failed, succeeded, succeeded unknown, abandoned
//	F  S        begin and fail, begin and succeed
//	r           reset
//	w=20ms      wait
//	?=2         status: so many failures of the user alone
//	p=2 p=-     … of the pair; - is an unknown pair
//	q=1         … so many pending tries
//	h=2/5       … so many logins and failed ones ever
//
// Each step may be repeated (3*F), be with a CAPTCHA solved (F!), at an
// address (F@A, b!=busy@B2), which else is none, and of another user than
// fred (F:ann, ?=1@A:ann).
func PlayAttempts(t testing.TB, store attempts.Store, p attempts.Policy, script string) {
	t.Helper()
	a := &attemptsPlay{t: t, store: store, policy: p, leases: map[string]attempts.Lease{}}
	for text := range strings.FieldsSeq(script) {
		m := attemptsStep.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("%s: no such step", text)
		}
		times := 1
		if m[1] != "" {
			times, _ = strconv.Atoi(m[1])
		}
		a.text, a.solved, a.client, a.user = text, m[4] != "", attemptsClient(m[6]), "fred"
		if m[7] != "" {
			a.user = m[7]
		}
		for range times {
			a.step(m[2], m[3], m[5])
		}
	}
}

// attemptsClient returns the address of a letter and a number: A is 192.0.2.65, A1
// and so on are others.
func attemptsClient(name string) netip.Addr {
	if name == "" {
		return netip.Addr{}
	}
	n, _ := strconv.Atoi(name[1:])
	return netip.AddrFrom4([4]byte{192, 0, 2 + byte(n), name[0]})
}

// attemptsPlay is a script being played, at one step.
type attemptsPlay struct {
	t      testing.TB
	store  attempts.Store
	policy attempts.Policy
	leases map[string]attempts.Lease

	text   string
	solved bool
	client netip.Addr
	user   string
}

// step does one step.
func (a *attemptsPlay) step(verb, try, want string) {
	a.t.Helper()
	switch verb {
	case "b":
		a.begin(try, want)
	case "F", "S":
		a.begin("now", "")
		a.end("now", outcomes[strings.ToLower(verb)])
	case "f", "s", "u", "a":
		a.end(try, outcomes[verb])
	case "r":
		a.must(a.store.Reset(a.t.Context(), a.user))
	case "w":
		d, err := time.ParseDuration(want)
		a.must(err)
		time.Sleep(d)
	default:
		a.look(verb, want)
	}
}

// must ends the test on an error.
func (a *attemptsPlay) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatalf("%s: %v", a.text, err)
	}
}

// begin asks for a try and keeps its lease.
func (a *attemptsPlay) begin(try, want string) {
	a.t.Helper()
	if want == "" {
		want = "granted"
	}
	word, after, timed := strings.Cut(want, "/")
	d, err := a.store.Begin(a.t.Context(), attempts.Attempt{
		User: a.user, Client: a.client, Solved: a.solved, Policy: a.policy})
	a.must(err)
	if d.Verdict != verdicts[word] {
		a.t.Fatalf("%s: verdict %d with %d failures, want %s", a.text, d.Verdict, d.Failures, word)
	}
	if timed {
		// A store that is not in a bubble has used some time up since.
		want, err := time.ParseDuration(after)
		a.must(err)
		if d.RetryAfter > want || d.RetryAfter < want-300*time.Millisecond {
			a.t.Fatalf("%s: retry after %v", a.text, d.RetryAfter)
		}
	}
	if d.Verdict == attempts.Granted {
		a.leases[try] = d.Lease
	}
}

// end ends a try; its lease stays, so that it can be ended again.
func (a *attemptsPlay) end(try string, o attempts.Outcome) {
	a.t.Helper()
	l, ok := a.leases[try]
	if !ok {
		a.t.Fatalf("%s: no such try", a.text)
	}
	st, err := a.store.End(a.t.Context(), l, o, a.policy)
	a.must(err)
	now, err := a.store.Status(a.t.Context(), l.User, l.Client, a.policy)
	a.must(err)
	if now.Failures != st.Failures || now.Logins != st.Logins || now.Pending != st.Pending {
		a.t.Fatalf("%s: End returned %+v, Status then %+v", a.text, st, now)
	}
}

// look compares one field of the status.
func (a *attemptsPlay) look(verb, want string) {
	a.t.Helper()
	st, err := a.store.Status(a.t.Context(), a.user, a.client, a.policy)
	a.must(err)
	got := ""
	switch {
	case verb == "?":
		got = strconv.Itoa(st.Failures)
	case verb == "p" && !st.Known:
		got = "-"
	case verb == "p":
		got = strconv.Itoa(st.PairFailures)
	case verb == "q":
		got = strconv.Itoa(st.Pending)
	case verb == "h":
		got = fmt.Sprintf("%d/%d", st.Logins, st.FailedLogins)
	default:
		a.t.Fatalf("%s: no such step", a.text)
	}
	if got != want {
		a.t.Fatalf("%s: got %s; status %+v", a.text, got, st)
	}
}
