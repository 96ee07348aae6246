package ldapdir_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
)

var annEntries = []ldapserver.Entry{
	{DN: "uid=ann,ou=people,dc=example,dc=org", Attributes: map[string][]string{
		"objectClass": {"inetOrgPerson"}, "userPassword": {"geheim"}}},
	{DN: "cn=staff,ou=groups,dc=example,dc=org", Attributes: map[string][]string{
		"objectClass": {"groupOfNames"}, "member": {"uid=ann,ou=people,dc=example,dc=org"}}},
	{DN: "cn=admins,ou=groups,dc=example,dc=org", Attributes: map[string][]string{
		"objectClass": {"groupOfNames"}, "member": {"uid=ann,ou=people,dc=example,dc=org"}}},
}

func serve(t testing.TB, c ldapserver.Config) *ldapserver.Server {
	t.Helper()
	if c.Entries == nil {
		c.Entries = annEntries
	}
	s, err := ldapserver.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// verdictOf asks all three questions about ann, whatever the answers.
func verdictOf(ctx context.Context, d directory.Source, ann directory.Entry, password string) (find, verify, groups error) {
	_, find = d.Find(ctx, "ann")
	_, verify = d.Verify(ctx, ann, password)
	_, groups = d.Groups(ctx, ann)
	return find, verify, groups
}

// faults are the answers that say nothing about a person.
func faults() map[string]ldapserver.Fault {
	result := func(code int) map[ldapserver.Op]ldapserver.Result {
		r := ldapserver.Result{Code: code, Message: "injected", Referrals: []string{"ldap://192.0.2.1/"}}
		if code != 10 {
			r.Referrals = nil
		}
		return map[ldapserver.Op]ldapserver.Result{ldapserver.OpBind: r, ldapserver.OpSearch: r}
	}
	return map[string]ldapserver.Fault{
		"silence":                  {Silent: true},
		"hangs up":                 {Hangup: true},
		"text":                     {Raw: []byte("HTTP/1.1 400 Bad Request\r\n\r\n")},
		"length 2^31":              {Raw: []byte{0x30, 0x84, 0x80, 0, 0, 0}},
		"length 2^31 inside":       {Raw: []byte{0x30, 0x0c, 0x02, 0x01, 0x01, 0x65, 0x84, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0}},
		"answer to nothing":        {Raw: []byte{0x30, 0x0c, 0x02, 0x01, 0x7f, 0x61, 0x07, 0x0a, 0x01, 0, 0x04, 0, 0x04, 0}},
		"answer of another kind":   {Raw: []byte{0x30, 0x0c, 0x02, 0x01, 0x01, 0x78, 0x07, 0x0a, 0x01, 0, 0x04, 0, 0x04, 0}},
		"result of 9 bytes":        {Raw: []byte{0x30, 0x14, 0x02, 0x01, 0x01, 0x61, 0x0f, 0x0a, 0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x04, 0, 0x04, 0}},
		"result of 0 bytes":        {Raw: []byte{0x30, 0x0b, 0x02, 0x01, 0x01, 0x61, 0x06, 0x0a, 0, 0x04, 0, 0x04, 0}},
		"notice of disconnection":  {Raw: []byte{0x30, 0x0c, 0x02, 0x01, 0, 0x78, 0x07, 0x0a, 0x01, 0x34, 0x04, 0, 0x04, 0}},
		"1 operationsError":        {Results: result(1)},
		"3 timeLimitExceeded":      {Results: result(3)},
		"4 sizeLimitExceeded":      {Results: result(4)},
		"8 strongerAuthRequired":   {Results: result(8)},
		"10 referral":              {Results: result(10)},
		"11 adminLimitExceeded":    {Results: result(11)},
		"32 noSuchObject":          {Results: result(32)},
		"50 insufficientRights":    {Results: result(50)},
		"51 busy":                  {Results: result(51)},
		"52 unavailable":           {Results: result(52)},
		"53 unwillingToPerform":    {Results: result(53)},
		"80 other":                 {Results: result(80)},
		"118 canceled":             {Results: result(118)},
		"4 after a part":           {Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpSearch: {Code: 4, Partial: true}, ldapserver.OpBind: {Code: 51}}},
		"49 to a search":           {Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpSearch: {Code: 49}, ldapserver.OpBind: {Code: 51}}},
		"endless entries":          {Endless: true, Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpBind: {Code: 51}}},
		"slower than the deadline": {Delay: 2 * time.Second},
	}
}

// An answer that is not understood is no verdict, ever: not "no such user",
// not "bad credentials", not "no groups", and not "welcome".
func TestNoVerdictIsUnavailable(t *testing.T) {
	for name, fault := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, ldapserver.Config{})
			d := open(t, ldapdir.Config{URLs: []string{s.URL()}, Timeout: 300 * time.Millisecond, CoolDown: 10 * time.Millisecond})
			only := d.Only(s.URL()) // asks also in the pause after the first failure
			ann, _, err := login(t.Context(), d, "ann", "geheim")
			if err != nil {
				t.Fatal("before the fault:", err)
			}
			s.SetFault(fault)
			for _, password := range []string{"geheim", "falsch"} {
				began := time.Now()
				find, verify, groups := verdictOf(t.Context(), only, ann, password)
				// Two entries, or one and more to come, are nobody: the only
				// answer that endless entries allow.
				several := (name == "endless entries" || name == "4 after a part") && errors.Is(find, directory.ErrNoUser)
				if !errors.Is(find, directory.ErrUnavailable) && !several {
					t.Errorf("Find: %v", find)
				}
				mustBeUnavailable(t, "Verify", verify)
				mustBeUnavailable(t, "Groups", groups)
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("took %v", took)
				}
			}
			s.SetFault(ldapserver.Fault{})
			eventually(t, func() error {
				_, _, err := login(t.Context(), d, "ann", "geheim")
				return err
			})
		})
	}
}

func mustBeUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, directory.ErrUnavailable) || errors.Is(err, directory.ErrNoUser) || errors.Is(err, directory.ErrBadCredentials) {
		t.Errorf("%s: %v", what, err)
	}
}

// eventually waits for what other processes and goroutines do in their time.
func eventually(t testing.TB, f func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Errorf("still: %v", err)
}

func TestFirstServerThatWorks(t *testing.T) {
	first, second := serve(t, ldapserver.Config{}), serve(t, ldapserver.Config{})
	d := open(t, ldapdir.Config{URLs: []string{first.URL(), second.URL()}, Timeout: 2 * time.Second, CoolDown: 200 * time.Millisecond, FailBack: 100 * time.Millisecond})
	for range 3 {
		if e, _, err := login(t.Context(), d, "ann", "geheim"); err != nil || e.Node != first.URL() {
			t.Fatalf("%+v, %v", e, err)
		}
	}
	if second.Stats().Connections != 0 {
		t.Error("the second server was asked while the first one worked")
	}
	for name, fault := range map[string]ldapserver.Fault{
		"silent": {Silent: true}, "hanging up": {Hangup: true},
		"busy":        {Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpSearch: {Code: 51}}},
		"unavailable": {Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpSearch: {Code: 52}}},
	} {
		first.SetFault(fault)
		began := time.Now()
		e, g, err := login(t.Context(), d, "ann", "geheim")
		if err != nil || e.Node != second.URL() || g.Node != second.URL() || len(g.Names) != 2 {
			t.Errorf("%s: %+v, %+v, %v", name, e, g, err)
		}
		if took := time.Since(began); took > 1900*time.Millisecond {
			t.Errorf("%s: the first server had %v of 2 s", name, took)
		}
		began = time.Now()
		if _, _, err := login(t.Context(), d, "ann", "geheim"); err != nil || time.Since(began) > 100*time.Millisecond {
			t.Errorf("%s: in the pause a login took %v, %v", name, time.Since(began), err)
		}
		first.SetFault(ldapserver.Fault{})
		eventually(t, func() error {
			e, _, err := login(t.Context(), d, "ann", "geheim")
			if err == nil && e.Node != first.URL() {
				return errors.New("the first server is not used again")
			}
			return err
		})
	}
}

// A wrong password is one bind, on one server, and so is a bind that was lost
// on the way.
func TestOneBind(t *testing.T) {
	for name, tt := range map[string]struct {
		fault ldapserver.Fault
		want  error
	}{
		"wrong password": {ldapserver.Fault{}, directory.ErrBadCredentials},
		"49":             {ldapserver.Fault{Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpBind: {Code: 49}}}, directory.ErrBadCredentials},
		"hangs up":       {ldapserver.Fault{Hangup: true}, directory.ErrUnavailable},
		"silent":         {ldapserver.Fault{Silent: true}, directory.ErrUnavailable},
		"busy":           {ldapserver.Fault{Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpBind: {Code: 51}}}, directory.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := serve(t, ldapserver.Config{}), serve(t, ldapserver.Config{})
			d := open(t, ldapdir.Config{URLs: []string{first.URL(), second.URL()}, Timeout: 500 * time.Millisecond})
			e, err := d.Find(t.Context(), "ann")
			if err != nil {
				t.Fatal(err)
			}
			d.Verify(t.Context(), e, "warm up")
			before := first.Stats().Binds
			first.SetFault(tt.fault)
			if _, err := d.Verify(t.Context(), e, "falsch"); !errors.Is(err, tt.want) {
				t.Error(err)
			}
			first.SetFault(ldapserver.Fault{})
			if n := first.Stats().Binds - before; n > 1 || second.Stats().Binds != 0 {
				t.Errorf("%d binds on the first and %d on the second server", n, second.Stats().Binds)
			}
		})
	}
}

// Connections that the server or a firewall has closed while they were idle
// cost nobody a login.
func TestLostConnectionsAreReplaced(t *testing.T) {
	s := serve(t, ldapserver.Config{})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}})
	for range 5 {
		if _, _, err := login(t.Context(), d, "ann", "geheim"); err != nil {
			t.Fatal(err)
		}
		s.DropConnections()
		eventually(t, func() error {
			if s.Stats().Open > 0 {
				return errors.New("connections are open")
			}
			return nil
		})
		time.Sleep(10 * time.Millisecond) // the news has to cross the kernel
	}
}

// A size limit of the server is an error where pages do not help, not a
// shorter list.
func TestSizeLimit(t *testing.T) {
	s := serve(t, ldapserver.Config{SizeLimit: 1})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}})
	e, err := d.Find(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	if g, err := d.Groups(t.Context(), e); err != nil || len(g.Names) != 2 {
		t.Errorf("page by page: %+v, %v", g, err)
	}
	s.SetFault(ldapserver.Fault{Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpSearch: {Code: 4, Partial: true}}})
	g, err := d.Groups(t.Context(), e)
	mustBeUnavailable(t, "Groups", err)
	if len(g.Names) != 0 {
		t.Errorf("a part of the groups: %q", g.Names)
	}
	if _, err := d.Verify(t.Context(), e, "geheim"); err != nil {
		t.Errorf("one user's list has put the server away: %v", err)
	}
}

// A part of the answer is elsewhere: neither the user nor the groups are known.
func TestReferencesAreNotFollowed(t *testing.T) {
	s := serve(t, ldapserver.Config{})
	elsewhere := serve(t, ldapserver.Config{})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}})
	e, err := d.Find(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	s.SetFault(ldapserver.Fault{References: []string{elsewhere.URL() + "/dc=example,dc=org"}})
	for _, name := range []string{"ann", "nobody"} {
		_, err = d.Find(t.Context(), name)
		mustBeUnavailable(t, "Find "+name, err)
	}
	g, err := d.Groups(t.Context(), e)
	if mustBeUnavailable(t, "Groups", err); len(g.Names) != 0 {
		t.Errorf("a part of the groups: %q", g.Names)
	}
	if elsewhere.Stats().Connections != 0 {
		t.Error("the reference was followed")
	}
}

// One caller who leaves does not end the searches of the others on the same
// connection.
func TestCancelEndsOneCall(t *testing.T) {
	s := serve(t, ldapserver.Config{})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, SearchConns: 1})
	if _, err := d.Find(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	s.SetFault(ldapserver.Fault{Delay: 300 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	others := make(chan error, 10)
	for range cap(others) {
		go func() {
			_, err := d.Find(t.Context(), "ann")
			others <- err
		}()
	}
	time.AfterFunc(100*time.Millisecond, cancel)
	began := time.Now()
	if _, err := d.Find(ctx, "ann"); !errors.Is(err, context.Canceled) || !errors.Is(err, directory.ErrUnavailable) {
		t.Errorf("cancelled: %v", err)
	}
	if took := time.Since(began); took > 250*time.Millisecond {
		t.Errorf("the cancelled call came back after %v", took)
	}
	for range cap(others) {
		if err := <-others; err != nil {
			t.Error(err)
		}
	}
	if n := s.Stats().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestBoundedWaiting(t *testing.T) {
	s := serve(t, ldapserver.Config{})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, BindConns: 2, MaxWaiting: 3, Timeout: 3 * time.Second})
	e, err := d.Find(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	s.SetFault(ldapserver.Fault{Delay: 200 * time.Millisecond})
	results := make(chan error, 20)
	for range cap(results) {
		go func() {
			_, err := d.Verify(t.Context(), e, "geheim")
			results <- err
		}()
	}
	good, full := 0, 0
	for range cap(results) {
		switch err := <-results; {
		case err == nil:
			good++
		case errors.Is(err, directory.ErrUnavailable) && strings.Contains(err.Error(), "too many calls"):
			full++
		default:
			t.Error(err)
		}
	}
	if good != 5 || full != 15 {
		t.Errorf("%d calls served and %d turned away, want 5 and 15", good, full)
	}
	if n := s.Stats().Connections; n > 3 {
		t.Errorf("%d connections", n)
	}
	s.SetFault(ldapserver.Fault{})
	if _, err := d.Verify(t.Context(), e, "geheim"); err != nil {
		t.Errorf("a crowd has put the server away: %v", err)
	}
}

// An answer without end costs a bounded amount of memory.
func TestEndlessAnswerIsBounded(t *testing.T) {
	s := serve(t, ldapserver.Config{})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}})
	e, err := d.Find(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	s.SetFault(ldapserver.Fault{Endless: true})
	_, err = d.Groups(t.Context(), e)
	mustBeUnavailable(t, "Groups", err)
}

func TestCloseEndsCallsAndGoroutines(t *testing.T) {
	s := serve(t, ldapserver.Config{})
	before := runtime.NumGoroutine()
	d, err := ldapdir.New(ldapdir.Config{URLs: []string{s.URL()}, BaseDN: "dc=example,dc=org"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := login(t.Context(), d, "ann", "geheim"); err != nil {
		t.Fatal(err)
	}
	s.SetFault(ldapserver.Fault{Silent: true})
	pending := make(chan error)
	go func() { _, err := d.Find(context.Background(), "ann"); pending <- err }()
	go func() {
		_, err := d.Verify(context.Background(), directory.Entry{}, "x")
		pending <- err
	}()
	time.Sleep(50 * time.Millisecond) // both wait for the server
	began := time.Now()
	d.Close()
	d.Close()
	if took := time.Since(began); took > time.Second {
		t.Errorf("Close took %v", took)
	}
	mustBeUnavailable(t, "first", <-pending)
	mustBeUnavailable(t, "second", <-pending)
	_, err = d.Find(t.Context(), "ann")
	mustBeUnavailable(t, "after Close", err)
	s.SetFault(ldapserver.Fault{})
	eventually(t, func() error {
		if n := runtime.NumGoroutine(); n > before {
			return errors.New("goroutines are left")
		}
		return nil
	})
}

func TestLogAndTrace(t *testing.T) {
	s := serve(t, ldapserver.Config{})
	var log bytes.Buffer
	d := open(t, ldapdir.Config{
		URLs: []string{s.URL()}, Schema: "openldap", BindDN: annEntries[0].DN, BindPassword: "geheim",
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	var mu sync.Mutex
	var kinds []string
	ctx := ldapdir.WithTrace(t.Context(), &ldapdir.Trace{Operation: func(o ldapdir.Operation) {
		mu.Lock()
		defer mu.Unlock()
		kinds = append(kinds, o.Kind)
		if o.Server != s.URL() || (o.BaseDN == "") != (o.Kind == "dial") || o.Took <= 0 {
			t.Errorf("%+v", o)
		}
	}})
	if _, _, err := login(ctx, d, "ann", "geheim"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Verify(ctx, directory.Entry{}, "geheim!"); !errors.Is(err, directory.ErrBadCredentials) {
		t.Fatal(err)
	}
	if got := strings.Join(kinds, " "); got != "dial bind search dial bind search bind" {
		t.Error(got)
	}
	for _, want := range []string{"component=ldapdir", "server=" + s.URL(), `base="dc=example,dc=org"`, `filter="(uid=ann)"`, "results=1", "results=2", "took="} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in the log:\n%s", want, &log)
		}
	}
	if strings.Contains(log.String(), "geheim") {
		t.Errorf("a password is in the log:\n%s", &log)
	}
}
