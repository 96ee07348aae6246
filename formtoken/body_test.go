package formtoken

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

const (
	typeForm      = "application/x-www-form-urlencoded"
	typeMultipart = "multipart/form-data; boundary=x"
)

func post(contentType, body string) *http.Request {
	r := httptest.NewRequest("POST", "/issue/TEST-1/comment", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	r.Header.Set("Cookie", "JSESSIONID=x")
	return r
}

// A tokenRow is a request and what the token rule says of it.
type tokenRow struct {
	name, method, contentType, body string
	header                          http.Header
	want                            error
}

// formRows are forms with the token ok here and there.
func formRows(ok string) []tokenRow {
	form := FieldName + "=" + ok
	return []tokenRow{
		{"form without", "POST", typeForm, "body=x", nil, ErrNoToken},
		{"form with", "POST", typeForm, form, nil, nil},
		{"form with, in capitals and with a charset", "POST", "Application/X-WWW-Form-Urlencoded ; charset=UTF-8", form, nil, nil},
		{"the escaped name is the name", "POST", typeForm, "atl%5Ftoken=" + ok, nil, nil},
		{"the first field counts", "POST", typeForm, FieldName + "=x&" + form, nil, ErrBadToken},
		{"an empty first field counts", "POST", typeForm, FieldName + "=&" + form, nil, ErrBadToken},
		{"the second is not looked at", "POST", typeForm, form + "&" + FieldName + "=x", nil, nil},
		{"names are case-sensitive", "POST", typeForm, "ATL_TOKEN=" + ok, nil, ErrNoToken},
		{"header", "POST", typeForm, "body=x", http.Header{"X-Xsrf-Token": {ok}}, nil},
		{"header wins over a good field", "POST", typeForm, form, http.Header{"X-Xsrf-Token": {"x"}}, ErrBadToken},
		{"so does an empty one", "POST", typeForm, form, http.Header{"X-Xsrf-Token": {""}}, ErrBadToken},
		{"of two headers the first", "POST", typeForm, form, http.Header{"X-Xsrf-Token": {"x", ok}}, ErrBadToken},
		{"multipart without", "POST", typeMultipart, part("body", "x") + "--x--\r\n", nil, ErrNoToken},
		{"multipart with", "POST", typeMultipart, part(FieldName, ok) + "--x--\r\n", nil, nil},
		{"multipart with it last", "POST", typeMultipart, part("body", "x") + part(FieldName, ok) + "--x--\r\n", nil, nil},
		{"multipart, the first counts", "POST", typeMultipart, part(FieldName, "x") + part(FieldName, ok) + "--x--\r\n", nil, ErrBadToken},
		{"multipart, no value runs on", "POST", typeMultipart, part(FieldName, ok+"x") + "--x--\r\n", nil, ErrBadToken},
		{"multipart, a file is no field", "POST", typeMultipart, part(FieldName+`"; filename="f`, ok) + "--x--\r\n", nil, ErrNoToken},
		{"multipart without a boundary", "POST", "multipart/form-data", part(FieldName, ok) + "--x--\r\n", nil, ErrNoToken},
		{"multipart cut off", "POST", typeMultipart, part(FieldName, ok)[:60], nil, ErrNoToken},
		{"multipart, too many parts", "POST", typeMultipart, strings.Repeat(part("a", ""), 1000) + part(FieldName, ok) + "--x--\r\n", nil, ErrNoToken},
	}
}

// freeRows are requests that the rule leaves free, and those that look so.
func freeRows(ok string) []tokenRow {
	form := FieldName + "=" + ok
	return []tokenRow{
		{"text has no fields", "POST", "text/plain", form, nil, ErrNoToken},
		{"text with the header", "POST", "text/plain", "", http.Header{"X-Xsrf-Token": {ok}}, nil},
		{"no type", "POST", "", form, nil, ErrNoToken},
		{"two types", "POST", "", form, http.Header{"Content-Type": {"application/json", typeForm}}, ErrNoToken},
		{"no type at all but a comma", "POST", "text/plain, application/json", form, nil, ErrNoToken},
		{"a malformed type", "POST", "json", "{}", nil, ErrNoToken},
		{"a type with a space", "POST", "application/json text/plain", "{}", nil, ErrNoToken},
		{"text that calls itself JSON", "POST", "text/plain; application/json", "{}", nil, ErrNoToken},
		{"JSON is free", "POST", "application/json", "{}", nil, nil},
		{"JSON with a charset is free", "POST", "application/json;charset=UTF-8", "{}", nil, nil},
		{"other types are free", "POST", "application/octet-stream", "x", nil, nil},
		{"PUT is free", "PUT", typeForm, "body=x", nil, nil},
		{"PATCH is free", "PATCH", typeForm, "body=x", nil, nil},
		{"DELETE is free", "DELETE", typeForm, "", nil, nil},
		{"GET with an override is free", "GET", "", "", http.Header{"X-Http-Method-Override": {"POST"}}, nil},
		{"no-check is free", "POST", typeMultipart, "", http.Header{"X-Atlassian-Token": {"no-check"}}, nil},
		{"nocheck is free", "POST", typeForm, "", http.Header{"X-Atlassian-Token": {"nocheck"}}, nil},
		{"other words are not", "POST", typeForm, "", http.Header{"X-Atlassian-Token": {"true"}}, ErrNoToken},
		{"an empty one is not", "POST", typeForm, "", http.Header{"X-Atlassian-Token": {""}}, ErrNoToken},
		{"own credentials without a cookie are free", "POST", typeForm, "", http.Header{"Authorization": {"Basic eA=="}, "Cookie": nil}, nil},
		{"own credentials beside a cookie are not", "POST", typeForm, "", http.Header{"Authorization": {"Basic eA=="}}, ErrNoToken},
	}
}

func TestTokenRule(t *testing.T) {
	g := newGuard(t, Config{Secret: fixed(secret)})
	ok := mint(secret)
	for _, tt := range append(formRows(ok), freeRows(ok)...) {
		t.Run(tt.name, func(t *testing.T) {
			r := post(tt.contentType, tt.body)
			r.Method = tt.method
			for k, v := range tt.header {
				r.Header[k] = v
			}
			if err := g.CheckToken(r); !errors.Is(err, tt.want) {
				t.Errorf("CheckToken: %v, want %v", err, tt.want)
			}
			if left, err := io.ReadAll(r.Body); err != nil || string(left) != tt.body {
				t.Errorf("the body is not left as it was: %d of %d bytes, %v", len(left), len(tt.body), err)
			}
		})
	}
}

func TestTokenIsNeverReadFromTheQuery(t *testing.T) {
	g := newGuard(t, Config{Secret: fixed(secret)})
	for _, contentType := range []string{typeForm, typeMultipart, "text/plain", ""} {
		r := post(contentType, fields(contentType, nil))
		r.URL.RawQuery = FieldName + "=" + mint(secret)
		if err := g.CheckToken(r); !errors.Is(err, ErrNoToken) {
			t.Errorf("%q: %v, want %v", contentType, err, ErrNoToken)
		}
		// Nor where another handler has merged the query into r.Form.
		r.ParseMultipartForm(1 << 10)
		if err := g.CheckToken(r); !errors.Is(err, ErrNoToken) {
			t.Errorf("%q, parsed: %v, want %v", contentType, err, ErrNoToken)
		}
	}
}

func TestNoSecretLeavesTheOriginRule(t *testing.T) {
	for _, c := range []Config{{}, {Secret: fixed(nil)}, {Secret: fixed([]byte{})}} {
		if err := newGuard(t, c).CheckToken(post(typeForm, "body=x")); err != nil {
			t.Errorf("CheckToken: %v", err)
		}
	}
}

func TestSecretIsNotAskedForNeedlessly(t *testing.T) {
	asked := 0
	g := newGuard(t, Config{Secret: func(*http.Request) []byte { asked++; return secret }})
	get := post("", "")
	get.Method = "GET"
	if err := errors.Join(g.Check(get), g.Check(post("application/json", "{}"))); err != nil || asked != 0 {
		t.Errorf("GET and JSON: asked %d times, %v", asked, err)
	}
	if err := g.Check(post(typeForm, "")); !errors.Is(err, ErrNoToken) || asked != 1 {
		t.Errorf("form: asked %d times, %v", asked, err)
	}
}

// An application's own ParseForm, FormValue and FormFile find what they would
// have found without us, whichever handler has parsed the form first.
func TestFormsAreLeftToTheApplication(t *testing.T) {
	g := newGuard(t, Config{Secret: fixed(secret)})
	ok := mint(secret)
	upload := part(FieldName, ok) + part("body", "a comment") +
		part(`f"; filename="a.txt`, strings.Repeat("data", 10000)) + "--x--\r\n"
	for _, tt := range []struct{ name, contentType, body string }{
		{"urlencoded", typeForm, FieldName + "=" + ok + "&body=a+comment&body=second"},
		{"urlencoded with a fault", typeForm, FieldName + "=" + ok + "&body=a+comment&bad=%zz"},
		{"multipart", typeMultipart, upload},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plain, checked := post(tt.contentType, tt.body), post(tt.contentType, tt.body)
			plain.URL.RawQuery, checked.URL.RawQuery = "q=1&body=query", "q=1&body=query"
			for range 2 { // the second time over the parsed form
				if err := g.CheckToken(checked); err != nil {
					t.Fatal(err)
				}
				errPlain, errChecked := plain.ParseMultipartForm(1<<20), checked.ParseMultipartForm(1<<20)
				if (errPlain == nil) != (errChecked == nil) {
					t.Fatalf("ParseMultipartForm: %v, without the check %v", errChecked, errPlain)
				}
				if !reflect.DeepEqual(plain.Form, checked.Form) || !reflect.DeepEqual(plain.PostForm, checked.PostForm) {
					t.Errorf("Form %v and PostForm %v; without the check %v and %v",
						checked.Form, checked.PostForm, plain.Form, plain.PostForm)
				}
			}
			if tt.contentType != typeMultipart {
				return
			}
			file, head, err := checked.FormFile("f")
			if err != nil || head.Filename != "a.txt" || head.Size != 40000 {
				t.Fatalf("FormFile: %+v, %v", head, err)
			}
			file.Close()
		})
	}
}

func TestMultipartReaderStillStreams(t *testing.T) {
	g := newGuard(t, Config{Secret: fixed(secret), MaxBody: 10 << 10})
	const size = 1 << 20 // far over the bound, behind the token
	body := part(FieldName, mint(secret)) + part(`f"; filename="f`, strings.Repeat("x", size)) + "--x--\r\n"
	r := post(typeMultipart, body)
	if err := g.CheckToken(r); err != nil {
		t.Fatal(err)
	}
	parts, err := r.MultipartReader()
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	for {
		p, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n, _ := io.Copy(io.Discard, p)
		sizes = append(sizes, n)
	}
	if !reflect.DeepEqual(sizes, []int64{tokenSize, size}) {
		t.Errorf("parts of %v bytes", sizes)
	}
}

// A counter tells how much of a body was read.
type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func TestBodyIsReadWithinTheBound(t *testing.T) {
	const bound = 8 << 10
	g := newGuard(t, Config{Secret: fixed(secret), MaxBody: bound})
	token := FieldName + "=" + mint(secret)
	pad := func(n int) string { return strings.Repeat("x", n) }
	for _, tt := range []struct {
		name, contentType, body string
		want                    error
	}{
		{"a form that just fits", typeForm, token + "&b=" + pad(bound-len(token)-3), nil},
		{"a form one byte too large", typeForm, token + "&b=" + pad(bound-len(token)-2), ErrTooLarge},
		{"a large form", typeForm, token + "&b=" + pad(100*bound), ErrTooLarge},
		{"a token behind the bound", typeMultipart, part("b", pad(2*bound)) + part(FieldName, mint(secret)) + "--x--\r\n", ErrTooLarge},
		{"a token that lies across it", typeMultipart, part("b", pad(bound-150)) + part(FieldName, mint(secret)) + "--x--\r\n", ErrTooLarge},
		{"an endless header of a part", typeMultipart, "--x\r\nA: " + pad(2*bound), ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, length := range []int64{int64(len(tt.body)), -1} {
				read := &counter{Reader: strings.NewReader(tt.body)}
				r := post(tt.contentType, "")
				r.Body, r.ContentLength = io.NopCloser(read), length
				if err := g.CheckToken(r); !errors.Is(err, tt.want) {
					t.Errorf("length %d: %v, want %v", length, err, tt.want)
				}
				if read.n > bound+1 {
					t.Errorf("length %d: %d bytes read", length, read.n)
				}
				if left, _ := io.ReadAll(r.Body); string(left) != tt.body {
					t.Errorf("length %d: %d of %d bytes left", length, len(left), len(tt.body))
				}
			}
		})
	}
}

func TestBrokenConnectionIsNoVerdictOnTheToken(t *testing.T) {
	g := newGuard(t, Config{Secret: fixed(secret)})
	broken := errors.New("connection reset")
	for contentType, start := range map[string]string{typeForm: "body=", typeMultipart: part("body", "x")} {
		r := post(contentType, "")
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(start), iotest.ErrReader(broken)))
		r.ContentLength = -1
		if err := g.CheckToken(r); !errors.Is(err, broken) {
			t.Errorf("%s: %v, want %v", contentType, err, broken)
		}
	}
	// Also where it breaks exactly at the bound.
	r := post(typeMultipart, "")
	start := part("body", strings.Repeat("x", 5000))
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(start), iotest.ErrReader(broken)))
	tight := newGuard(t, Config{Secret: fixed(secret), MaxBody: int64(len(start))})
	if err := tight.CheckToken(r); !errors.Is(err, broken) {
		t.Errorf("at the bound: %v, want %v", err, broken)
	}
	r = post(typeForm, "")
	r.Body = nil
	if err := g.CheckToken(r); !errors.Is(err, ErrNoToken) {
		t.Errorf("nil body: %v, want %v", err, ErrNoToken)
	}
}

func TestHeaderCheckAllocatesNothing(t *testing.T) {
	g := newGuard(t, Config{Secret: fixed(secret)})
	r := post(typeForm, "")
	r.Header.Set(HeaderName, mint(secret))
	if n := testing.AllocsPerRun(100, func() { _ = g.Check(r) }); n != 0 {
		t.Errorf("header: %v allocations, want 0", n)
	}
	r = post(typeForm, "")
	r.PostForm = url.Values{FieldName: {mint(secret)}}
	if n := testing.AllocsPerRun(100, func() { _ = g.Check(r) }); n != 0 {
		t.Errorf("parsed form: %v allocations, want 0", n)
	}
}

// FuzzBody: the token found is the one that net/http finds first in the same
// body, and the body is left as it was.
func FuzzBody(f *testing.F) {
	f.Add(false, []byte("atl_token=a&atl_token=b"))
	f.Add(false, []byte("body=%zz&atl%5ftoken=a;b"))
	f.Add(false, []byte("&&=&atl_token"))
	f.Add(true, []byte(part("body", "x")+part(FieldName, "a")+part(FieldName, "b")+"--x--\r\n"))
	f.Add(true, []byte(part(FieldName+`"; filename="f`, "a")+"--x--\r\n"))
	f.Add(true, []byte("--x\nContent-Disposition: form-data; name=atl_token\n\na\n--x--"))
	f.Add(true, []byte("--x\r\nContent-Disposition: form-data; name=\"atl_token\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=61\r\n--x--"))
	f.Add(true, []byte("--x--"))
	g := newGuard(f, Config{Secret: fixed(secret)})
	f.Fuzz(func(t *testing.T, inParts bool, body []byte) {
		if len(body) > 1<<10 { // larger ones show nothing new and are slow to minimize
			return
		}
		contentType, k := typeForm, kindForm
		if inParts {
			contentType, k = typeMultipart, kindMultipart
		}
		r := post(contentType, string(body))
		got, err := g.find(r, k)
		left, errLeft := io.ReadAll(r.Body)
		if errLeft != nil || !bytes.Equal(left, body) {
			t.Fatalf("the body is not left as it was: %q, %v", left, errLeft)
		}
		plain := post(contentType, string(body))
		errPlain := plain.ParseMultipartForm(1 << 20)
		if errPlain != nil && !errors.Is(errPlain, http.ErrNotMultipart) && inParts {
			return // net/http keeps nothing of a form that ends in a fault
		}
		values := plain.PostForm[FieldName]
		if len(values) == 0 && err == nil && !errors.Is(errPlain, multipart.ErrMessageTooLarge) {
			t.Fatalf("found %q where net/http finds none", got)
		}
		if len(values) > 0 && (err != nil || !strings.HasPrefix(values[0], got) || len(got) <= tokenSize && got != values[0]) {
			t.Fatalf("found %q, %v; net/http has %q", got, err, values)
		}
	})
}
