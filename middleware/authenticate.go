package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/captcha"
	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/internal/request"
)

// ErrAccessDenied is returned by [Auth.Authenticate] for a right password of
// a user who is in none of the access groups.
var ErrAccessDenied = errors.New("middleware: user may not use the application")

// maxPassword bounds a password in bytes: far above every policy, and little
// enough to send without thought (ASVS 6.2.9 asks for 64 at least). A longer
// one is a wrong one.
const maxPassword = 1024

// Credentials are what one login try brings along. Printed or logged they show
// the name alone.
type Credentials struct {
	Name     string
	Password string `json:"-"`
	// Client is the address the try comes from; invalid when it is not known.
	Client netip.Addr
	// Uncertain marks an address that may be that of an unknown proxy, so
	// that many people may stand behind it: never a known caller.
	Uncertain bool
	// CaptchaID and CaptchaAnswer answer a challenge that an earlier refusal
	// asked for. Empty: none was answered.
	CaptchaID     string
	CaptchaAnswer string `json:"-"`
	// NewPassword replaces Password, once that was found right or has
	// expired. Empty: nothing is changed.
	NewPassword string `json:"-"`
}

// Format writes the name, whatever the verb: a password must not get into a
// log line by way of %+v.
func (c Credentials) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "credentials of %q", c.Name) }

// LogValue returns what Format writes.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// An Accepted is what a login try brought about.
type Accepted struct {
	User *directory.User // nil unless the try was accepted
	// Subject is the name that the try was counted under, and that a
	// CAPTCHA for the next try is bound to.
	Subject string
	// Attempts is what is known about Subject after the try; zero when the
	// try was refused before the password was looked at.
	Attempts attempts.Status

	// PasswordChanged reports that Credentials.NewPassword is the password
	// now, also where the try was refused for another reason.
	PasswordChanged bool

	stamp uint64 // for a proof of this login
}

// Authenticate checks credentials. Every door goes through it: form, session
// resource, Basic, and whatever an application adds. It counts the try,
// asks for a CAPTCHA when one is due, and verifies the password with at most
// one bind; equal tries that run at once share one. A caller that gives up
// does not stop the try: who hangs up decides nothing.
//
// The error is directory.ErrBadCredentials for a wrong password and an
// unknown user alike, which a *directory.AccountError is, too; [ErrAccessDenied];
// an *attempts.RefusedError when the password was not looked at; of a new
// password a *directory.PasswordError or directory.ErrNoPasswordChange; and else
// directory.ErrUnavailable: no verdict. Together with an error the result still
// says what the try was counted as.
//
// A right password that is refused for the state of the account counts as no
// failure, or somebody whose password has expired would soon be asked for a
// CAPTCHA, too. That it is not counted tells a guesser that it is right, which
// the login page tells him as well, and a login would. It gives him no guess
// more: each wrong one before it was counted. A state that the directory tells
// with a wrong password, too, is counted and looks like one.
func (a *Auth) Authenticate(ctx context.Context, c Credentials) (Accepted, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.loginTimeout)
	defer cancel()
	// A clone: the name may be a piece of a request body, and some of what
	// keeps it outlives the request.
	c.Name = strings.Clone(norm.NFC.String(c.Name))
	if c.CaptchaID != "" {
		return a.try(ctx, c) // its answer is good for one try, not for its neighbours
	}
	k := tryKey{c.Name, c.Password, c.NewPassword, c.Client, c.Uncertain}
	return a.tries.do(ctx, k, func() (Accepted, error) { return a.try(ctx, c) })
}

// try runs one login try: limiter, find, begin, verify, end.
func (a *Auth) try(ctx context.Context, c Credentials) (res Accepted, err error) {
	if !a.attempts.Take(c.Client) {
		return res, &attempts.RefusedError{Verdict: attempts.Delayed, RetryAfter: time.Second}
	}
	defer func() {
		if !wrongPassword(err) {
			a.attempts.Return(c.Client) // only passwords found wrong use up the address
		}
	}()
	solvedFor, err := a.knock(ctx, c, &res)
	if err != nil {
		return res, err
	}
	entry, findErr := a.directory.Find(ctx, c.Name)
	if findErr != nil && !errors.Is(findErr, directory.ErrNoUser) {
		return res, unavailable(findErr)
	}
	res.Subject = subjectOf(c.Name, entry, findErr)
	res.stamp = a.proofs.miss(res.Subject, c)
	solved := solvedFor != "" && solvedFor == res.Subject
	t, err := a.begin(ctx, c, res.Subject, &solved)
	// A name that cannot be one may be very long, and costs no search anyway.
	searched := !errors.Is(findErr, directory.ErrBadName)
	if err != nil {
		if refused(err) && searched {
			a.refusals.add(c, res.Subject)
		}
		return res, err
	}
	user, outcome, err := a.verify(ctx, c, entry, findErr, &res)
	status, endErr := t.End(ctx, outcome)
	if endErr != nil {
		return res, unavailable(endErr) // uncounted would be a free guess; the lease counts it
	}
	res.User, res.Attempts = user, status
	if outcome == attempts.Succeeded {
		a.refusals.admit(c, res.Subject)
	}
	if a.limited && searched && failures(status) >= a.challengeAt {
		a.refusals.add(c, res.Subject) // the next one will be refused
	}
	return res, err
}

// knock refuses a name that the same client was refused lately, so that doing
// it again costs the directory nothing. It is begun as what it was found to be:
// counted as typed, three failures of a stranger under an alias would lock out
// an integration that logs in by that alias. Who may go on is found first as
// everybody is: a hanging directory must not hold reserved tries, for which
// the rest of a crowd would wait. If a CAPTCHA was due and answered, knock
// returns the subject that it was answered for; an outage after that has burnt
// the challenge, and the next try is shown another.
func (a *Auth) knock(ctx context.Context, c Credentials, res *Accepted) (solvedFor string, err error) {
	subject, ok := a.refusals.subject(c)
	if !ok {
		return "", nil
	}
	res.Subject = subject
	var solved bool
	t, err := a.begin(ctx, c, subject, &solved)
	if err != nil {
		return "", err
	}
	if _, err := t.End(ctx, attempts.Abandoned); err != nil {
		return "", unavailable(err)
	}
	if solved {
		solvedFor = subject
	}
	return solvedFor, nil
}

// begin reserves the try. A CAPTCHA that stands before it is solved, unless
// that was done for this very login; solved tells.
func (a *Auth) begin(ctx context.Context, c Credentials, subject string, solved *bool) (*attempts.Try, error) {
	login := attempts.Login{User: subject, Client: c.Client, Uncertain: c.Uncertain, Solved: *solved}
	began := time.Now()
	t, err := a.attempts.Begin(ctx, login)
	if errors.Is(err, attempts.ErrChallenge) && c.CaptchaID != "" && a.captcha != nil {
		cerr := a.captcha.Check(ctx, c.CaptchaID, c.CaptchaAnswer, subject)
		if errors.Is(cerr, captcha.ErrWrongAnswer) || errors.Is(cerr, captcha.ErrNotFound) {
			return nil, err
		}
		if cerr != nil {
			return nil, unavailable(cerr)
		}
		login.Solved, *solved = true, true
		t, err = a.attempts.Begin(ctx, login)
	}
	switch {
	case err == nil:
		return t, nil
	case !isRefused(err):
		return nil, unavailable(err)
	case errors.Is(err, attempts.ErrBusy) && (ctx.Err() != nil || time.Since(began) > a.loginTimeout/2):
		// It has waited, and others have hung in the directory for as long.
		// With %v it is no refusal any longer.
		return nil, fmt.Errorf("%w: %v", directory.ErrUnavailable, err)
	}
	return nil, err
}

// verify looks at the password and then at the groups, and says how the try
// is to end. Unknown users, of whom findErr tells, cost the same bind as known
// ones.
func (a *Auth) verify(ctx context.Context, c Credentials, e directory.Entry, findErr error, res *Accepted) (*directory.User, attempts.Outcome, error) {
	if c.Password == "" || len(c.Password) > maxPassword || errors.Is(findErr, directory.ErrBadName) {
		return nil, attempts.Failed, directory.ErrBadCredentials // none of them ever leaves the process
	}
	if findErr != nil {
		e = directory.Entry{} // the same bind as for a known name
	}
	login := a.directory.ReadAhead(ctx, e, a.access...)
	verified, err := settled(a.directory.Verify(ctx, e, c.Password))
	switch nobody := findErr != nil; {
	case errors.Is(err, directory.ErrNoUser), nobody && (err == nil || errors.Is(err, directory.ErrBadCredentials)):
		// Gone since it was found; or what a source says of nobody, even yes.
		err = directory.ErrBadCredentials
	case c.NewPassword != "" && (err == nil || mayChange(err)):
		verified, err = a.change(ctx, c, e, res)
	}
	switch {
	case wrongPassword(err):
		return nil, attempts.Failed, err
	case err != nil:
		return nil, attempts.Abandoned, err
	}
	user, err := login(ctx, verified)
	if err != nil {
		return nil, attempts.Abandoned, unavailable(err)
	}
	if len(a.access) > 0 && !user.In(a.access...) {
		return nil, attempts.SucceededUnknown, ErrAccessDenied
	}
	return user, attempts.Succeeded, nil
}

// settled returns what a source has said of a password. No verdict wins over a
// no that it is joined with, and with %v it is nothing else any longer.
func settled(e directory.Entry, err error) (directory.Entry, error) {
	if errors.Is(err, directory.ErrUnavailable) && errors.Is(err, directory.ErrBadCredentials) {
		err = fmt.Errorf("%w: %v", directory.ErrUnavailable, err)
	}
	return e, err
}

// noVerdict takes back what the header says about a verdict that was not
// reached in the end.
func noVerdict(h http.Header) {
	delete(h, headerUser)
	delete(h, headerReason)
	delete(h, headerDenied)
	h[headerRetry] = []string{"5"}
}

// unavailable marks err as "no verdict", whatever it was.
func unavailable(err error) error {
	if errors.Is(err, directory.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", directory.ErrUnavailable, err)
}

// login authenticates what a door has read from r and writes the headers that
// every door shares. The door logs the outcome when it is done with it.
func (a *Auth) login(w http.ResponseWriter, r *http.Request, c Credentials) (Accepted, error) {
	rec := request.From(r.Context())
	c.Client, c.Uncertain = rec.Client, rec.HeaderIgnored
	res, err := a.Authenticate(r.Context(), c)
	h := w.Header()
	noStore(h)
	// Not by way of the record: the door may be an inner handler by now.
	if reason := reasonOf(err); reason != "" {
		h[headerReason] = []string{reason}
	}
	if err == nil {
		h[headerUser] = []string{headerName(res.User.Name)}
		return res, nil
	}
	if errors.Is(err, attempts.ErrChallenge) {
		h[headerDenied] = []string{"CAPTCHA_CHALLENGE; login-url=" + a.baseURL(rec) + a.loginPath}
	}
	if s := retryAfter(err); s != "" {
		h[headerRetry] = []string{s}
	}
	return res, err
}
