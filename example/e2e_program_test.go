package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ldapTimeout is what the program is told; an answer later than this, and a
// second for a loaded machine, breaks the promise.
const ldapTimeout = 2 * time.Second

// A program is the built example, running.
type program struct {
	w       *world
	context string // "" or "/jira"
	origin  string // http://127.0.0.1:PORT
	base    string // origin and context
	answers string // the file of CAPTCHA answers
	cmd     *exec.Cmd
	log     lockedBuffer // standard error
	client  *http.Client
}

// start runs the program on a free port, with extra flags, until the test
// stops it.
func start(t *testing.T, w *world, context string, extra ...string) *program {
	t.Helper()
	address := freeAddress(t)
	p := &program{
		w: w, context: context, origin: "http://" + address, base: "http://" + address + context,
		answers: filepath.Join(t.TempDir(), "answers"),
		client: &http.Client{
			Timeout:       30 * time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	args := []string{"-addr", address, "-ldap", w.url, "-ldap-ca", w.caFile,
		"-ldap-timeout", ldapTimeout.String(), "-insecure-captcha-answers", p.answers}
	if context != "" {
		args = append(args, "-base-url", p.base)
	}
	p.cmd = exec.Command(w.binary, append(args, extra...)...)
	p.cmd.Stderr = &p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill(t) })
	p.awaitListening(t, out)
	return p
}

// awaitListening reads the first line of standard output, which is promised.
func (p *program) awaitListening(t *testing.T, out io.Reader) {
	t.Helper()
	first := make(chan string, 1)
	go func() {
		lines := bufio.NewReader(out)
		line, _ := lines.ReadString('\n')
		first <- line
		io.Copy(io.Discard, lines) // or the program blocks on a full pipe
	}()
	select {
	case line := <-first:
		if want := "listening on " + p.origin + "\n"; line != want {
			t.Fatalf("the first line of output is %q, want %q\n%s", line, want, p.log.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no line of output within 20 s\n%s", p.log.String())
	}
}

// stop ends the program as an operator does. Under the race detector a race
// shows here, as status 66.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("after SIGTERM: %v, want exit status 0", err)
		}
	case <-time.After(15 * time.Second):
		t.Error("did not end within 15 s of SIGTERM")
	}
	if !strings.HasSuffix(p.log.String(), " msg=stopped\n") {
		t.Error("the log does not end with the stop")
	}
	// All passwords here, right and wrong, are spelled so.
	for _, secret := range []string{"pw-", "Pw-", "fredpass", "pässwörd"} {
		if strings.Contains(p.log.String(), secret) {
			t.Errorf("the log holds a password: %q", secret)
		}
	}
}

func (p *program) kill(t *testing.T) {
	if p.cmd.ProcessState == nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
	if t.Failed() {
		log := p.log.String()
		t.Logf("the end of the program's log:\n%s", log[max(0, len(log)-20_000):])
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A lockedBuffer may be read while the program writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A call is one request. Its path is below the context path.
type call struct {
	method, path   string
	cookie         string   // value of JSESSIONID
	user, password string   // Basic
	header         []string // "Name: value"
	body           string
}

const (
	jsonType = "Content-Type: application/json"
	formType = "Content-Type: application/x-www-form-urlencoded"
)

// An answer is one response, read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// try sends c and returns the answer or the error; it may be called from any
// goroutine.
func (p *program) try(c call) (answer, error) {
	r, err := http.NewRequest(c.method, p.base+c.path, strings.NewReader(c.body))
	if err != nil {
		return answer{}, err
	}
	for _, h := range c.header {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	if c.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "JSESSIONID", Value: c.cookie})
	}
	if c.user != "" {
		r.SetBasicAuth(c.user, c.password)
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

func (p *program) do(t *testing.T, c call) answer {
	t.Helper()
	a, err := p.try(c)
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	return a
}

// credentials returns the call that logs in by REST.
func credentials(user, password string) call {
	body, err := json.Marshal(map[string]string{"username": user, "password": password})
	if err != nil {
		panic(err) // strings always marshal
	}
	return call{method: "POST", path: "/rest/auth/1/session", header: []string{jsonType}, body: string(body)}
}

// login returns the session cookie of a login by REST that must succeed.
func (p *program) login(t *testing.T, user, password string) string {
	t.Helper()
	a := p.do(t, credentials(user, password))
	a.is(t, 200)
	return a.session(t).Value
}

// session returns the session cookie that the answer sets.
func (a answer) session(t *testing.T) *http.Cookie {
	t.Helper()
	var found []*http.Cookie
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == "JSESSIONID" {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d session cookies in %q, want one", len(found), a.header["Set-Cookie"])
	}
	return found[0]
}

// is checks status and headers: "Name: value" must be there exactly so and
// once, "Name:" must be absent.
func (a answer) is(t *testing.T, status int, headers ...string) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d; body %.300q", a.status, status, a.body)
	}
	for _, h := range headers {
		name, want, _ := strings.Cut(h, ":")
		want = strings.TrimSpace(want)
		got := a.header.Values(name)
		switch {
		case want == "" && len(got) != 0:
			t.Errorf("header %s is %q, want none", name, got)
		case want != "" && (len(got) != 1 || got[0] != want):
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
}

var jsonTypes = regexp.MustCompile(`^application/json(;charset=UTF-8)?$`)

// isJSON checks that the body is want, but for spaces and order, under the
// only two content types that node-rest-client parses.
func (a answer) isJSON(t *testing.T, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("the wanted JSON: %v", err)
	}
	if err := json.Unmarshal([]byte(a.body), &g); err != nil || !reflect.DeepEqual(g, w) {
		t.Errorf("body %.500s, want %s (%v)", a.body, want, err)
	}
	if got := a.header.Get("Content-Type"); !jsonTypes.MatchString(got) {
		t.Errorf("Content-Type %q, want application/json", got)
	}
}

func (a answer) contains(t *testing.T, text string) {
	t.Helper()
	if !strings.Contains(a.body, text) {
		t.Errorf("body %.500q, want it to contain %q", a.body, text)
	}
}

// oauth is the challenge of every 401 that shall not open a browser's dialog.
func (p *program) oauth() string {
	return `WWW-Authenticate: OAuth realm="` + url.QueryEscape(p.base) + `"`
}

const basicChallenge = `WWW-Authenticate: Basic realm="protected-area", charset="UTF-8"`
