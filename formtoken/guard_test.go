package formtoken

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/request"
)

func TestZeroConfigAppliesTheOriginRule(t *testing.T) {
	g := newGuard(t, Config{})
	if err := g.Check(post(typeForm, "body=x")); err != nil {
		t.Errorf("a program: %v", err)
	}
	r := post(typeForm, "body=x")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if err := g.Check(r); err == nil {
		t.Error("a cross-site form passes")
	}
}

func TestNewCopiesTheConfig(t *testing.T) {
	trusted := []string{"https://trusted.example"}
	g := newGuard(t, Config{TrustedOrigins: trusted})
	trusted[0] = "https://attacker.example"
	r := secure("POST", "jira.example.com")
	r.Header.Set("Origin", "https://attacker.example")
	if err := g.CheckOrigin(r); err == nil {
		t.Error("the list of trusted origins can be changed after New")
	}
}

func TestHandlerChecksOnce(t *testing.T) {
	asked := 0
	g := newGuard(t, Config{Secret: func(*http.Request) []byte { asked++; return secret }})
	var marked any
	h := g.Handler(g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		marked = request.From(r.Context()).Token
	})))
	h.ServeHTTP(httptest.NewRecorder(), post(typeForm, FieldName+"="+mint(secret)))
	if marked != any(g) || asked != 1 {
		t.Errorf("the record names %v; the secret was asked for %d times, want once", marked, asked)
	}
	// The mark is of this Guard alone.
	other := newGuard(t, Config{Secret: fixed(former)})
	w := httptest.NewRecorder()
	g.Handler(other.Handler(http.NotFoundHandler())).ServeHTTP(w, post(typeForm, FieldName+"="+mint(secret)))
	if w.Code != http.StatusForbidden {
		t.Errorf("another Guard behind ours: status %d, want 403", w.Code)
	}
}

func TestGetCostsNothing(t *testing.T) {
	g := newGuard(t, Config{Secret: fixed(secret)})
	h := g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r, w := secure("GET", "jira.example.com"), httptest.NewRecorder()
	r.Header.Set("Cookie", "JSESSIONID=x")
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	if len(w.Header()) != 0 {
		t.Errorf("headers %v", w.Header())
	}
}

// A form with a file, over a real connection, as the attachments of an issue
// tracker are sent.
func TestUploadOverHTTP(t *testing.T) {
	g := newGuard(t, Config{Secret: fixed(secret)})
	srv := httptest.NewServer(g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, head, err := r.FormFile("file")
		if err != nil {
			t.Errorf("FormFile: %v", err)
			return
		}
		n, _ := io.Copy(io.Discard, file)
		if n != head.Size || r.FormValue("comment") != "see the log" {
			t.Errorf("%d of %d bytes, comment %q", n, head.Size, r.FormValue("comment"))
		}
		io.WriteString(w, "kept "+head.Filename)
	})))
	defer srv.Close()
	send := func(token string) (int, string) {
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		m.WriteField(FieldName, token)
		m.WriteField("comment", "see the log")
		f, _ := m.CreateFormFile("file", "a.log")
		f.Write(bytes.Repeat([]byte("line\n"), 1<<20))
		m.Close()
		r, _ := http.NewRequest("POST", srv.URL, &body)
		r.Header.Set("Content-Type", m.FormDataContentType())
		r.Header.Set("Origin", srv.URL)
		r.Header.Set("Cookie", "JSESSIONID=x")
		res, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(text)
	}
	if code, text := send(mint(secret)); code != 200 || text != "kept a.log" {
		t.Errorf("right token: %d %s", code, text)
	}
	if code, text := send(mint(former)); code != 403 || !strings.Contains(text, "XSRF Security Token Missing") {
		t.Errorf("token of another session: %d %s", code, text)
	}
}
