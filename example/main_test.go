package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A running is the whole program in this process.
type running struct {
	url    string
	stop   context.CancelFunc // as a signal does
	status chan int
	out    chan string  // all of standard output, once it is closed
	log    bytes.Buffer // standard error; to be read after the end
}

// start runs the program, on a port of its choice unless args say otherwise,
// and returns once it listens.
func start(t *testing.T, args, environ []string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	p := &running{stop: cancel, status: make(chan int, 1), out: make(chan string, 1)}
	r, w := io.Pipe()
	go func() {
		p.status <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), environ, w, &p.log)
		w.Close()
	}()
	lines := bufio.NewReader(r)
	first, err := lines.ReadString('\n')
	url, found := strings.CutPrefix(strings.TrimSuffix(first, "\n"), "listening on ")
	if err != nil || !found {
		t.Fatalf("first line of output %q: %v; %s", first, err, p.log.String())
	}
	p.url = url
	go func() {
		rest, _ := io.ReadAll(lines)
		p.out <- first + string(rest)
	}()
	return p
}

// end stops the program and returns its output and its log.
func (p *running) end(t *testing.T) (out, log string) {
	t.Helper()
	p.stop()
	select {
	case status := <-p.status:
		if status != 0 {
			t.Errorf("exit status %d; %s", status, p.log.String())
		}
	case <-time.After(15 * time.Second):
		t.Fatal("does not stop")
	}
	return <-p.out, p.log.String()
}

// The promise to a newcomer: no flag, four people, and each can do what their
// groups allow.
func TestEmbeddedDirectory(t *testing.T) {
	p := start(t, nil, nil)
	for _, tt := range []struct {
		user, password     string
		myself, adminsPage int
	}{
		{"fred", "fredpass", 200, 403},
		{"admin", "adminpass", 200, 200},
		{"nogroups", "nogroupspass", 401, 401},
		{"zoë", "pässwörd", 200, 403},
		{"fred", "wrong", 401, 401},
		{"nobody", "x", 401, 401},
	} {
		for path, want := range map[string]int{"/rest/api/2/myself": tt.myself, "/secure/admin": tt.adminsPage} {
			req, err := http.NewRequest("GET", p.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth(tt.user, tt.password)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s as %s/%s: %d, want %d: %s", path, tt.user, tt.password, res.StatusCode, want, body)
			}
			if path == "/secure/admin" && want == 200 && !strings.Contains(string(body), `<p id="admin-only">`) {
				t.Errorf("the administrators' page lacks its mark: %s", body)
			}
		}
	}
	out, log := p.end(t)
	for _, want := range []string{"fred / fredpass", "admin / adminpass", "nogroups / nogroupspass", "zoë / pässwörd"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not tell %q:\n%s", want, out)
		}
		if strings.Contains(log, strings.Fields(want)[2]) {
			t.Errorf("a password stands in the log:\n%s", log)
		}
	}
	// Alone on their lines, to be pasted into an LDAP client.
	if !regexp.MustCompile(`(?m)^ *ldap://127\.0\.0\.1:\d+\n *dc=example,dc=org$`).MatchString(out) {
		t.Errorf("the output does not tell the directory and its base:\n%s", out)
	}
	if !strings.HasSuffix(log, " msg=stopped\n") {
		t.Errorf("the log does not end with the stop:\n%s", log)
	}
	if _, err := net.DialTimeout("tcp", strings.TrimPrefix(p.url, "http://"), time.Second); err == nil {
		t.Error("still listens after the end")
	}
}

// The first recipe of the contract below a context path, with everything else
// that a base URL decides.
func TestContextPathOfTheWholeProgram(t *testing.T) {
	p := start(t, nil, []string{"GATEHOUSE_BASE_URL=http://jira.example.org/jira", "GATEHOUSE_ACCESS_GROUP=*"})
	res, err := http.Post(p.url+"/jira/rest/auth/1/session", "application/json", strings.NewReader(`{"username":"nogroups","password":"nogroupspass"}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 || len(res.Cookies()) != 1 || !regexp.MustCompile(`^/jira/?$`).MatchString(res.Cookies()[0].Path) {
		t.Errorf("%d, cookies %v", res.StatusCode, res.Header["Set-Cookie"])
	}
	out, _ := p.end(t)
	if !strings.Contains(out, "open http://jira.example.org/jira/ ") {
		t.Errorf("the output does not tell the address:\n%s", out)
	}
}

func TestStopWaitsForRequestsUnderWay(t *testing.T) {
	p := start(t, []string{"-bare"}, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	// The handler runs from here on: it answers 100 when it reads the body.
	io.WriteString(conn, "POST /rest/api/2/issue/TEST-1/comment HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n")
	answer := bufio.NewReader(conn)
	if line, err := answer.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
		t.Fatalf("%q, %v", line, err)
	}
	p.stop()
	io.WriteString(conn, `{"body":"x"}`)
	rest, err := io.ReadAll(answer)
	if err != nil || !strings.Contains(string(rest), " 201 ") {
		t.Errorf("the request under way is answered %q, %v", rest, err)
	}
	p.end(t)
}

func TestTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	p := start(t, []string{"-tls-cert", cert, "-tls-key", key, "-log-format", "json"}, nil)
	if !strings.HasPrefix(p.url, "https://") {
		t.Fatalf("listening on %s", p.url)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	res, err := client.Post(p.url+"/rest/auth/1/session", "application/json", strings.NewReader(`{"username":"fred","password":"fredpass"}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 || len(res.Cookies()) != 1 || !res.Cookies()[0].Secure || res.ProtoMajor != 2 {
		t.Errorf("%s %d, cookies %v", res.Proto, res.StatusCode, res.Header["Set-Cookie"])
	}
	if _, log := p.end(t); !strings.HasPrefix(log, `{"time":`) {
		t.Errorf("the log is not JSON:\n%s", log)
	}
}

// certificate returns the files of a certificate for 127.0.0.1 and its key,
// and a pool that trusts it.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pemCert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, b := range map[string][]byte{cert: pemCert, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(pemCert)
	return cert, key, pool
}

func TestWrongValuesEndWithStatus2AndOneLine(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	spaced := file("spaced", "10.0.0.1\r\n10.0.0.2 \n")
	proxies := file("proxies", "# ours\n10.0.0.1\n10.0.0.300\n")
	text := file("text", "no PEM\n")
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"an unknown flag", []string{"-nonsense"}, "-nonsense"},
		{"a flag of a later version", []string{"-redis", "redis://127.0.0.1"}, "-redis"},
		{"a wrong value", []string{"-max-attempts", "three"}, "-max-attempts"},
		{"an LDAP URL of another kind", []string{"-ldap", "http://127.0.0.1"}, `-ldap "http://127.0.0.1"`},
		{"LDAP in clear text to another machine", []string{"-ldap", "ldap://192.0.2.1"}, "-ldap-insecure-plaintext"},
		{"servers named and to be found", []string{"-ldap", "ldaps://192.0.2.1", "-ldap-srv-domain", "example.org"}, "-ldap or -ldap-srv-domain is required, and not both"},
		{"a domain that is none", []string{"-ldap-srv-domain", "ldaps://example.org"}, `-ldap-srv-domain "ldaps://example.org"`},
		{"a site of no domain", []string{"-ldap-srv-site", "Oslo"}, "-ldap-srv-site goes with -ldap-srv-domain"},
		{"a domain with an at sign", []string{"-ldap-domain", "@example.org"}, `-ldap-domain "@example.org"`},
		{"a base that is no DN", []string{"-ldap-base", "example.org"}, "-ldap-base"},
		{"a base that is no DN of another server", []string{"-ldap", "ldap://127.0.0.1:1", "-ldap-base", "example.org"}, "-ldap-base"},
		{"a template without a place", []string{"-ldap-user-dn-template", "uid=x,dc=example,dc=org"}, "-ldap-user-dn-template"},
		{"a CA file that has none", []string{"-ldap-ca", text}, "-ldap-ca: " + text},
		{"a password file that is missing", []string{"-ldap-bind-dn", "cn=x", "-ldap-bind-password-file", dir + "/none"}, "-ldap-bind-password-file"},
		{"a proxy that is none", []string{"-trusted-proxy", "10.0.0.0/33"}, `-trusted-proxy: "10.0.0.0/33"`},
		{"a line that is none", []string{"-trusted-proxy", "10.0.0.2", "-trusted-proxies-file", proxies}, proxies + `, line 3: "10.0.0.300"`},
		{"a line with a space after the pattern", []string{"-trusted-proxies-file", spaced}, spaced + `, line 2: "10.0.0.2 "`},
		{"a fault of the flags, with the way to help", []string{"-addr", "x", "-log-format", "xml"}, "(-help lists the flags)"},
		{"a certificate that is none", []string{"-tls-cert", text, "-tls-key", text}, "-tls-cert"},
		{"a file of answers that cannot be", []string{"-insecure-captcha-answers", dir}, "-insecure-captcha-answers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, log bytes.Buffer
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // if it starts, it ends at once
			status := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, tt.args...), nil, &out, &log)
			line := log.String()
			if status != 2 || strings.Count(line, "\n") != 1 || !strings.Contains(line, tt.want) {
				t.Errorf("status %d, standard error %q, want 2 and one line with %q", status, line, tt.want)
			}
			if out.Len() > 0 {
				t.Errorf("standard output %q", out.String())
			}
		})
	}
}

// Gatehouse refuses them. Without it, a path of this kind would make the routes
// panic or match what nobody means.
func TestBaseURLsThatGatehouseRefusesAreRefusedAlsoBare(t *testing.T) {
	for _, url := range []string{"ftp://a", "http://:80/", "http://a/?x", "http://a/?", "http://u:secret@a/", "http://a/%6aira", "http://a/{x}", "http://a/{", "http://a/../b", "http://a//b", "http://a/b;c", `http://a/b\c`} {
		for _, bare := range []string{"false", "true"} {
			var log bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // if it starts, it ends at once
			status := run(ctx, []string{"-addr", "127.0.0.1:0", "-base-url", url, "-bare=" + bare}, nil, io.Discard, &log)
			if line := log.String(); status != 2 || strings.Count(line, "\n") != 1 || !strings.Contains(line, "-base-url") || strings.Contains(line, "secret") {
				t.Errorf("%s with -bare=%s: status %d, standard error %q", url, bare, status, line)
			}
		}
	}
}

func TestPortInUseIsNoFaultOfTheValues(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var log bytes.Buffer
	if status := run(t.Context(), []string{"-addr", l.Addr().String()}, nil, io.Discard, &log); status != 1 || strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "-addr: ") || !strings.Contains(log.String(), "port 0") {
		t.Errorf("status %d, standard error %q", status, log.String())
	}
}

func TestInsecureSwitchesWarnLoudly(t *testing.T) {
	answers := filepath.Join(t.TempDir(), "answers")
	p := start(t, []string{"-max-attempts", "0", "-insecure-captcha-answers", answers}, []string{"GATEHOUSE_TYPO=x"})
	_, log := p.end(t)
	for _, want := range []string{"level=WARN msg=\"-max-attempts 0", "level=WARN msg=\"-insecure-captcha-answers", "GATEHOUSE_TYPO"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}
