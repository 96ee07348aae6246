package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/middleware"
)

// accounts is a directory in which one of the people, alice, has an account in
// a state, and whose password can be changed. Package ldapdir is tested with
// servers that do so; here it matters what the doors make of it.
type accounts struct {
	*meter

	mu       sync.Mutex
	password string
	state    directory.AccountState
	toAll    bool // the state is told whatever the password
	fault    error
	deaf     bool // the new password does not work
	changes  int
}

// Find knows alice also by a name that only Verify finds out to be hers, as a
// directory without a search does.
func (a *accounts) Find(ctx context.Context, name string) (directory.Entry, error) {
	if name != "a.liddell" {
		return a.meter.Find(ctx, name)
	}
	e, err := a.meter.Find(ctx, "alice")
	e.Name = name
	return e, err
}

func (a *accounts) Verify(ctx context.Context, e directory.Entry, password string) (directory.Entry, error) {
	if e.ID != "static:alice" {
		return a.meter.Verify(ctx, e, password)
	}
	a.binds.Add(1)
	if a.slow != nil {
		<-a.slow
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch right := password == a.password; {
	case a.state != "" && (right || a.toAll):
		return directory.Entry{}, &directory.AccountError{State: a.state, PasswordRight: !a.toAll, Detail: "data 999"}
	case !right:
		return directory.Entry{}, directory.ErrBadCredentials
	}
	e.Name = "alice"
	return e, nil
}

func (a *accounts) ChangePassword(_ context.Context, _ directory.Entry, old, new string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changes++
	switch {
	case a.fault != nil:
		return a.fault
	case old != a.password:
		return directory.ErrBadCredentials
	}
	a.state = ""
	if a.password = new; a.deaf {
		a.password = "something else"
	}
	return nil
}

// newAccounts returns a world in which alice's account is in a state.
func newAccounts(t testing.TB, state directory.AccountState, toAll bool) (*world, *accounts) {
	t.Helper()
	var a *accounts
	w := newWorld(t, func(c *middleware.Config) {
		a = &accounts{meter: c.Directory.(*meter), password: "right", state: state, toAll: toAll}
		c.Directory = a
	})
	return w, a
}

// change posts the password page.
func (w *world) change(user, old, new, confirm string, more ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.form(user, old, append(more, "os_new_password", new, "os_new_password_confirm", confirm)...)
}

// isPasswordPage reports a page that asks for a new password.
func isPasswordPage(page string) bool { return strings.Contains(page, `name="os_new_password"`) }

// TestAccountStates: each state is shown on the page to who knows the
// password, is counted for nobody who does, and looks like a wrong password to
// programs.
func TestAccountStates(t *testing.T) {
	for _, tt := range []struct {
		state    directory.AccountState
		text     string
		mayRenew bool
	}{
		{directory.PasswordExpired, "Your password has expired.", true},
		{directory.PasswordMustChange, "Your password must be changed before you can log in.", true},
		{directory.AccountLocked, "Your account is locked.", false},
		{directory.AccountDisabled, "Your account is disabled.", false},
		{directory.AccountExpired, "Your account has expired.", false},
		{directory.OutsideLogonHours, "Your account may not log in at this time.", false},
		{directory.OtherWorkstation, "Your account may not log in from here.", false},
		{"something new", "Your account does not allow you to log in.", false},
	} {
		t.Run(string(tt.state)+", told with the right password alone", func(t *testing.T) {
			w, _ := newAccounts(t, tt.state, false)
			wrongREST, wrongBasic := w.rest("alice", "x"), w.basic("/rest/closed", "alice", "x")
			for range 4 { // more than failures are allowed
				sameRefusal(t, w.rest("alice", "right"), wrongREST)
				sameRefusal(t, w.basic("/rest/closed", "alice", "right"), wrongBasic)
				page := w.form("alice", "right")
				if page.Code != 401 || reason(page) != "AUTHENTICATED_FAILED" || page.Header().Get("WWW-Authenticate") != oauth {
					t.Fatalf("the page: %d %v", page.Code, page.Header())
				}
				if body := page.Body.String(); !strings.Contains(body, tt.text) || isPasswordPage(body) != tt.mayRenew {
					t.Errorf("the page does not say %q, or asks wrongly for a new password:\n%s", tt.text, body)
				}
			}
			if s, err := w.auth.Attempts().Status(t.Context(), "alice", hereAddr); err != nil || s.Failures != 2 || s.FailedLogins != 2 {
				t.Errorf("counted %+v, %v; want the two wrong ones alone", s, err)
			}
			if n := strings.Count(w.log.String(), "has FAILED authentication"); n != 2 || !strings.Contains(w.log.String(), `state="`+string(tt.state)+`" detail="data 999"`) {
				t.Errorf("%d lines of failures, want 2, and the state:\n%s", n, w.log)
			}
		})
		t.Run(string(tt.state)+", told to everybody", func(t *testing.T) {
			w, _ := newAccounts(t, tt.state, true)
			right, wrong := w.form("alice", "right"), w.form("alice", "x")
			if right.Code != 401 || strings.Contains(right.Body.String(), tt.text) || isPasswordPage(right.Body.String()) {
				t.Errorf("a guesser is told: %d %s", right.Code, right.Body)
			}
			if a, b := withoutID(right), withoutID(wrong); a != b {
				t.Errorf("right and wrong differ:\n%s\n%s", a, b)
			}
			if w.form("alice", "x"); w.rest("alice", "right").Code != 403 {
				t.Error("three failures were not counted")
			}
			if !strings.Contains(w.log.String(), `state="`+string(tt.state)+`"`) {
				t.Errorf("the log does not say why:\n%s", w.log)
			}
		})
	}
}

// sameRefusal fails if the answers differ in anything but the request's id.
func sameRefusal(t *testing.T, got, want *httptest.ResponseRecorder) {
	t.Helper()
	if a, b := withoutID(got), withoutID(want); got.Code != 401 || a != b {
		t.Errorf("answered\n%s\nand a wrong password\n%s", a, b)
	}
}

// withoutID returns an answer in one string, without the request's id.
func withoutID(rec *httptest.ResponseRecorder) string {
	h := rec.Header().Clone()
	id := h.Get("X-AREQUESTID")
	h.Del("X-AREQUESTID")
	var b strings.Builder
	_ = h.Write(&b)
	return b.String() + strings.ReplaceAll(rec.Body.String(), id, "ID")
}

func TestPasswordPage(t *testing.T) {
	w, _ := newAccounts(t, directory.PasswordExpired, false)
	page := w.form("alice", "right", "os_destination", "/secure/x").Body.String()
	for _, want := range []string{
		"<title>Change your password</title>", `lang="en"`, `action="/login"`, `role="alert"`,
		"Your password has expired. Please choose a new one.", `name="os_username" value="alice"`,
		`<label for="password">`, `<label for="new">`, `<label for="confirm">`, `name="os_password" autocomplete="current-password" required`,
		`name="os_new_password" autocomplete="new-password"`, `name="os_new_password_confirm" autocomplete="new-password"`,
		`name="os_destination" value="/secure/x"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, unwanted := range []string{"<script", `value="right"`} {
		if strings.Contains(page, unwanted) {
			t.Errorf("the page holds %s", unwanted)
		}
	}
	asked := w.get("/login?password&os_destination=/secure/x")
	if body := asked.Body.String(); asked.Code != 200 || !isPasswordPage(body) || !strings.Contains(body, `value="/secure/x"`) {
		t.Errorf("whoever asks for the page: %d %s", asked.Code, body)
	}
	if body := newWorld(t, nil).get("/login?password").Body.String(); isPasswordPage(body) {
		t.Error("a directory that changes no passwords shows the page")
	}
}

func TestPasswordChangeAtLogin(t *testing.T) {
	for _, state := range []directory.AccountState{directory.PasswordExpired, directory.PasswordMustChange, ""} {
		t.Run("state "+string(state), func(t *testing.T) {
			w, a := newAccounts(t, state, false)
			rec := w.change("alice", "right", "canary-new", "canary-new", "os_destination", "/secure/x")
			if rec.Code != 303 || rec.Header().Get("Location") != "/secure/x" || reason(rec) != "OK" || rec.Header().Get("X-AUSERNAME") != "alice" {
				t.Fatalf("got %d %v %s", rec.Code, rec.Header(), rec.Body)
			}
			if n := w.source.binds.Load(); n != 2 || a.changes != 1 {
				t.Errorf("%d binds and %d changes, want 2 and 1", n, a.changes)
			}
			if got := w.get("/secure/x", sessionCookie(t, rec)); got.Code != 200 {
				t.Errorf("the session: %d", got.Code)
			}
			for password, want := range map[string]int{"canary-new": 200, "right": 401} {
				if got := w.rest("alice", password); got.Code != want {
					t.Errorf("%s afterwards: %d", password, got.Code)
				}
			}
			for _, want := range []string{"The password of 'alice' was changed.", "The user 'alice' has PASSED authentication.", "client=192.0.2.1"} {
				if !strings.Contains(w.log.String(), want) {
					t.Errorf("the log lacks %q:\n%s", want, w.log)
				}
			}
			if strings.Contains(w.log.String(), "canary-new") {
				t.Error("the log holds the new password")
			}
		})
	}
}

// TestPasswordsThatReachNobody: a slip of the finger is no try.
func TestPasswordsThatReachNobody(t *testing.T) {
	for _, tt := range []struct{ name, new, confirm, text string }{
		{"not typed the same twice", "canary-new", "canary-nwe", "not typed the same twice"},
		{"typed once", "canary-new", "", "not typed the same twice"},
		{"empty", "", "", "Please type the new password."},
		{"empty but for the second", "", "canary-new", "Please type the new password."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, a := newAccounts(t, directory.PasswordExpired, false)
			rec := w.change("alice", "right", tt.new, tt.confirm, "os_destination", "/secure/x", "os_captcha_id", "open")
			body := rec.Body.String()
			if rec.Code != 400 || !isPasswordPage(body) || !strings.Contains(body, tt.text) || strings.Contains(body, "canary") {
				t.Errorf("got %d %s", rec.Code, body)
			}
			for _, kept := range []string{`value="alice"`, `value="/secure/x"`, `name="os_captcha_id" value="open"`} {
				if !strings.Contains(body, kept) {
					t.Errorf("the page has lost %s", kept)
				}
			}
			if w.source.contacts() != 0 || a.changes != 0 {
				t.Errorf("%d contacts, %d changes", w.source.contacts(), a.changes)
			}
		})
	}
}

func TestNewPasswordsThatTheDirectoryRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  error
		status int
		again  bool // the password page is shown again
		text   string
	}{
		{"too short", &directory.PasswordError{Fault: directory.PasswordTooShort}, 401, true, "The new password is too short."},
		{"too weak", &directory.PasswordError{Fault: directory.PasswordTooWeak}, 401, true, "The new password is not complex enough."},
		{"used before", &directory.PasswordError{Fault: directory.PasswordReused}, 401, true, "The new password has been used before."},
		{"too young", &directory.PasswordError{Fault: directory.PasswordTooYoung}, 401, true, "The password was changed too recently"},
		{"for no reason", &directory.PasswordError{Fault: directory.PasswordRefused}, 401, true, "The new password is not acceptable."},
		{"nobody may", directory.ErrNoPasswordChange, 401, false, "Your password cannot be changed here."},
		{"no answer", directory.ErrUnavailable, 503, false, "the new one is valid already"},
		{"another node has an older password", directory.ErrBadCredentials, 503, false, "the new one is valid already"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, a := newAccounts(t, directory.PasswordMustChange, false)
			a.fault = tt.fault
			for range 4 { // more than failures are allowed
				rec := w.change("alice", "right", "canary-new", "canary-new")
				if rec.Code != tt.status || isPasswordPage(rec.Body.String()) != tt.again || !strings.Contains(rec.Body.String(), tt.text) {
					t.Fatalf("got %d %s", rec.Code, rec.Body)
				}
				if rec.Header().Get("Set-Cookie") != "" {
					t.Error("a session was begun")
				}
			}
			if s, err := w.auth.Attempts().Status(t.Context(), "alice", hereAddr); err != nil || s.Failures != 0 || s.Pending != 0 {
				t.Errorf("counted %+v, %v", s, err)
			}
			if a.fault = nil; w.change("alice", "right", "canary-new", "canary-new").Code != 303 {
				t.Error("the next one is refused, too")
			}
			if strings.Contains(w.log.String(), "canary-new") {
				t.Error("the log holds the new password")
			}
		})
	}
}

// TestWrongOldPasswordOnThePasswordPage counts like any other, and the page
// asks for the CAPTCHA when it is due. One answer then is enough for both
// passwords.
func TestWrongOldPasswordOnThePasswordPage(t *testing.T) {
	w, a := newAccounts(t, directory.PasswordExpired, false)
	var page *httptest.ResponseRecorder
	for range 3 {
		if page = w.change("alice", "wrong", "new", "new"); page.Code != 401 || !isPasswordPage(page.Body.String()) {
			t.Fatalf("got %d %s", page.Code, page.Body)
		}
	}
	w.challenge(page.Body.String())
	refused := w.change("alice", "right", "new", "new")
	if refused.Code != 403 || !isPasswordPage(refused.Body.String()) || a.changes != 0 {
		t.Fatalf("without the CAPTCHA: %d, %d changes", refused.Code, a.changes)
	}
	id, answer := w.challenge(refused.Body.String())
	a.fault = &directory.PasswordError{Fault: directory.PasswordTooShort}
	short := w.change("alice", "right", "new", "new", "os_captcha_id", id, "os_captcha", answer)
	if short.Code != 401 || !strings.Contains(short.Body.String(), "too short") {
		t.Fatalf("a new password that is too short: %d %s", short.Code, short.Body)
	}
	a.fault = nil
	id, answer = w.challenge(short.Body.String()) // the count stands until somebody is in
	if rec := w.change("alice", "right", "new", "new", "os_captcha_id", id, "os_captcha", answer); rec.Code != 303 {
		t.Errorf("with the CAPTCHA: %d %s", rec.Code, rec.Body)
	}
	if rec := w.rest("alice", "new"); rec.Code != 200 {
		t.Errorf("afterwards: %d", rec.Code)
	}
}

// TestUnknownUserOnThePasswordPage costs and looks the same as a known one.
func TestUnknownUserOnThePasswordPage(t *testing.T) {
	w, a := newAccounts(t, directory.PasswordExpired, false)
	unknown, binds := w.change("ghost", "x", "new", "new"), w.source.binds.Load()
	known := w.change("alice", "x", "new", "new")
	if a, b := strings.ReplaceAll(withoutID(unknown), "ghost", "alice"), withoutID(known); a != b || unknown.Code != 401 {
		t.Errorf("unknown\n%s\nknown\n%s", a, b)
	}
	if binds != 1 || a.changes != 0 {
		t.Errorf("%d binds, %d changes", binds, a.changes)
	}
}

// TestPasswordThatIsChangedAndDoesNotWorkYet: the person must learn which one
// to use from now on.
func TestPasswordThatIsChangedAndDoesNotWorkYet(t *testing.T) {
	w, a := newAccounts(t, directory.PasswordExpired, false)
	a.deaf = true
	rec := w.change("alice", "right", "new", "new")
	if rec.Code != 503 || !strings.Contains(rec.Body.String(), "Your password was changed. ") || isPasswordPage(rec.Body.String()) {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	if s, err := w.auth.Attempts().Status(t.Context(), "alice", hereAddr); err != nil || s.FailedLogins != 0 {
		t.Errorf("counted %+v, %v", s, err)
	}
}

// TestChangedPasswordEndsProofs, wherever they were made, and one whose change
// has got no answer, too.
func TestChangedPasswordEndsProofs(t *testing.T) {
	for _, tt := range []struct {
		name, typed string
		fault       error
	}{
		{"changed", "alice", nil},
		{"changed under another name", "a.liddell", nil},
		{"no answer", "alice", directory.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, a := newAccounts(t, "", false)
			a.fault = tt.fault
			w.basicFrom(there, "alice", "right")
			w.change(tt.typed, "right", "new", "new")
			before := w.source.binds.Load()
			w.basicFrom(there, "alice", "right")
			if got := w.source.binds.Load() - before; got != 1 {
				t.Errorf("%d binds of the old password, want one", got)
			}
		})
	}
}

// TestProgramsChangeNoPassword: to REST and Basic it is a wrong one.
func TestProgramsChangeNoPassword(t *testing.T) {
	w, a := newAccounts(t, directory.PasswordExpired, false)
	v := url.Values{"os_new_password": {"new"}, "os_new_password_confirm": {"new"}}
	w.do(call{method: "POST", path: "/rest/auth/1/session", header: http.Header{"Content-Type": {"application/json"}},
		body: `{"username":"alice","password":"right","os_new_password":"new","newPassword":"new"}`})
	w.basic("/rest/closed?"+v.Encode(), "alice", "right")
	if a.changes != 0 {
		t.Errorf("%d changes", a.changes)
	}
}

// TestCredentialsPrintNoPassword, also not the new one.
func TestCredentialsPrintNoPassword(t *testing.T) {
	c := middleware.Credentials{Name: "fred", Password: "canary", NewPassword: "canary", CaptchaAnswer: "canary"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, c); strings.Contains(s, "canary") {
			t.Errorf("%s prints %s", format, s)
		}
	}
}

// TestNoVerdictWinsOverANo that it is joined with.
func TestNoVerdictWinsOverANo(t *testing.T) {
	for _, no := range []error{directory.ErrBadCredentials, &directory.AccountError{State: directory.AccountLocked}, &directory.AccountError{State: directory.PasswordExpired, PasswordRight: true}} {
		w := newWorld(t, func(c *middleware.Config) { c.Directory = undecided{c.Directory, no} })
		for range 4 { // more than failures are allowed
			for _, rec := range []*httptest.ResponseRecorder{w.rest("alice", "right"), w.form("alice", "right"), w.change("alice", "right", "new", "new")} {
				if rec.Code != 503 || reason(rec) != "" || isPasswordPage(rec.Body.String()) {
					t.Errorf("%v: %d %q %s", no, rec.Code, reason(rec), rec.Body)
				}
			}
		}
		if s, err := w.auth.Attempts().Status(t.Context(), "alice", hereAddr); err != nil || s.FailedLogins != 0 {
			t.Errorf("%v: counted %+v, %v", no, s, err)
		}
	}
}

// undecided is a directory that says no, and that it does not know.
type undecided struct {
	directory.Source
	no error
}

func (u undecided) Verify(context.Context, directory.Entry, string) (directory.Entry, error) {
	return directory.Entry{}, errors.Join(u.no, directory.ErrUnavailable)
}

// TestRightPasswordUsesUpNoAddress: many people behind one address come back
// with expired passwords on one morning.
func TestRightPasswordUsesUpNoAddress(t *testing.T) {
	w := newWorld(t, func(c *middleware.Config) {
		c.Attempts.AddressBurst = 2
		c.Directory = &accounts{meter: c.Directory.(*meter), password: "right", state: directory.PasswordExpired}
	})
	for range 5 {
		if rec := w.rest("alice", "right"); rec.Code != 401 {
			t.Fatalf("got %d", rec.Code)
		}
	}
}

// TestTwoChangesAtOnce: two new passwords are not one try, even where all else
// is equal; one of them wins.
func TestTwoChangesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a := newAccounts(t, directory.PasswordExpired, false)
		w.source.slow = make(chan struct{})
		var wg sync.WaitGroup
		var codes [2]int
		for i := range codes {
			wg.Go(func() {
				password := fmt.Sprint("new", i)
				codes[i] = w.change("alice", "right", password, password).Code
			})
		}
		synctest.Wait()
		close(w.source.slow)
		wg.Wait()
		for i, code := range codes {
			if (code == 303) != (a.password == fmt.Sprint("new", i)) {
				t.Errorf("answers %v, and the password is %s", codes, a.password)
			}
		}
	})
}

// A double click is one change, and both answers let in.
func TestDoubleClickIsOneChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a := newAccounts(t, directory.PasswordExpired, false)
		w.source.slow = make(chan struct{})
		var wg sync.WaitGroup
		var codes [3]int
		for i := range codes {
			wg.Go(func() { codes[i] = w.change("alice", "right", "new", "new").Code })
		}
		synctest.Wait()
		close(w.source.slow)
		wg.Wait()
		if codes != [3]int{303, 303, 303} || a.changes != 1 {
			t.Errorf("answers %v, %d changes", codes, a.changes)
		}
		if s, err := w.auth.Attempts().Status(t.Context(), "alice", hereAddr); err != nil || s.FailedLogins != 0 {
			t.Errorf("counted %+v, %v", s, err)
		}
	})
}

// Who knows the password of an account that no new one helps is told so, and
// not asked for a new one.
func TestNoNewPasswordHelpsADisabledAccount(t *testing.T) {
	w, _ := newAccounts(t, directory.AccountDisabled, false)
	rec := w.change("alice", "right", "new", "new")
	if rec.Code != 401 || isPasswordPage(rec.Body.String()) || !strings.Contains(rec.Body.String(), "disabled") {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
}
