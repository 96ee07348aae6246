package formtoken

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

// CheckToken applies the token rule (R5): a POST of a kind that a form can
// send needs a token of this session, in the header X-XSRF-Token, which wins,
// or in the first atl_token field of the body; the query is never looked at.
// Errors are [ErrNoToken], [ErrBadToken] and [ErrTooLarge], or the fault met
// in reading the body.
//
// Free of the token are all other methods, which no page can send across
// origins without a preflight, other media types such as JSON, for the same
// reason, X-Atlassian-Token: no-check, requests without a session secret, and
// those with their own Authorization header and no cookie.
//
// The body is read only when there is no header, up to Config.MaxBody, and is
// left for the application to read again, parsed or raw: ParseForm,
// ParseMultipartForm, FormFile and MultipartReader all work as if it had not
// been touched.
func (g *Guard) CheckToken(r *http.Request) error {
	if r.Method != http.MethodPost || g.secret == nil {
		return nil
	}
	kind := kindOf(r.Header["Content-Type"])
	if kind == kindOther || noCheck(r.Header["X-Atlassian-Token"]) || ownCredentials(r) {
		return nil
	}
	secret := g.secret(r)
	if len(secret) == 0 {
		return nil
	}
	token, err := g.find(r, kind)
	if err != nil {
		return err
	}
	if !verify(secret, token) {
		return ErrBadToken
	}
	return nil
}

// noCheck reports the header by which scripts say that they are not a form; a
// page elsewhere cannot set it without a preflight. Most clients spell it
// without the hyphen.
func noCheck(lines []string) bool {
	return len(lines) > 0 && (strings.EqualFold(lines[0], "no-check") || strings.EqualFold(lines[0], "nocheck"))
}

// A kind is what a Content-Type means to the token rule.
type kind uint8

const (
	kindOther     kind = iota // needs a preflight: free of the token
	kindOpaque                // a page can send it, but it has no fields
	kindForm                  // application/x-www-form-urlencoded
	kindMultipart             // multipart/form-data
)

// kindOf sorts the CORS-safelisted media types (Fetch, section 2.2.2) from the
// others. A missing or malformed one, or two of them, counts as safelisted: a
// page can send a body without a type, and a browser may read a malformed one
// more leniently than we do.
func kindOf(lines []string) kind {
	if len(lines) != 1 {
		return kindOpaque
	}
	essence, _, _ := strings.Cut(lines[0], ";")
	essence = strings.TrimSpace(essence)
	switch {
	case strings.EqualFold(essence, "application/x-www-form-urlencoded"):
		return kindForm
	case strings.EqualFold(essence, "multipart/form-data"):
		return kindMultipart
	case strings.EqualFold(essence, "text/plain"):
		return kindOpaque
	}
	main, sub, _ := strings.Cut(essence, "/")
	if !isToken(main) || !isToken(sub) {
		return kindOpaque
	}
	return kindOther
}

// isToken reports a token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for _, b := range []byte(s) {
		if b <= ' ' || b >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, b) >= 0 {
			return false
		}
	}
	return s != ""
}

// find returns the token that r carries. A header counts even when it is
// wrong or empty: the field must not rescue it.
func (g *Guard) find(r *http.Request, k kind) (string, error) {
	if v, ok := r.Header["X-Xsrf-Token"]; ok && len(v) > 0 {
		return v[0], nil
	}
	var values []string
	var err error
	switch {
	case k == kindForm && r.PostForm != nil:
		values = r.PostForm[FieldName]
	case k == kindMultipart && r.MultipartForm != nil:
		values = r.MultipartForm.Value[FieldName]
	case r.Body == nil:
	case k == kindForm:
		values, err = g.formField(r)
	case k == kindMultipart:
		values, err = g.partField(r)
	}
	if err == nil && len(values) == 0 {
		err = ErrNoToken
	}
	if err != nil {
		return "", err
	}
	return values[0], nil
}

// formField reads an urlencoded body. A well-formed one becomes r.PostForm,
// so that it is parsed once; the faults of another are left for the
// application's own ParseForm to report.
func (g *Guard) formField(r *http.Request) ([]string, error) {
	if r.ContentLength > g.maxBody {
		return nil, ErrTooLarge
	}
	read := &recorder{src: r.Body, left: g.maxBody}
	defer read.rewind(r)
	if _, err := io.Copy(io.Discard, read); err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(string(read.seen))
	if err == nil {
		r.PostForm = values
	}
	return values[FieldName], nil
}

// maxParts is how many parts of a multipart body are looked at, as many as
// net/http admits in a form.
const maxParts = 1000

// partField reads a multipart body up to its first atl_token field. It does
// not parse the whole, as an upload may be larger than any bound of ours, and
// net/http removes the temporary files of a parsed form only from the request
// it made itself, not from a copy.
func (g *Guard) partField(r *http.Request) ([]string, error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return nil, ErrNoToken
	}
	read := &recorder{src: r.Body, left: g.maxBody}
	defer read.rewind(r)
	parts := multipart.NewReader(read, params["boundary"])
	for range maxParts {
		p, err := parts.NextPart()
		if err != nil {
			return nil, read.fault()
		}
		if p.FormName() != FieldName || p.FileName() != "" {
			continue
		}
		// One character more than a token has is enough to refuse it.
		value, err := io.ReadAll(io.LimitReader(p, tokenSize+1))
		if err != nil {
			return nil, read.fault()
		}
		return []string{string(value)}, nil
	}
	return nil, ErrNoToken
}

// A recorder keeps what is read of a body, up to a bound.
type recorder struct {
	src  io.Reader
	left int64
	seen []byte
	err  error // the first fault of src, or ErrTooLarge
}

// Read implements [io.Reader].
func (c *recorder) Read(p []byte) (int, error) {
	switch {
	case c.err != nil:
		return 0, c.err
	case c.left == 0:
		return 0, c.end()
	}
	n, err := c.src.Read(p[:min(int64(len(p)), c.left)])
	c.seen = append(c.seen, p[:n]...)
	c.left -= int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// end tells a body that just fits from one that is too large.
func (c *recorder) end() error {
	var b [1]byte
	n, err := io.ReadFull(c.src, b[:])
	c.seen = append(c.seen, b[:n]...)
	if n > 0 {
		err = ErrTooLarge
	}
	if err != io.EOF {
		c.err = err
	}
	return err
}

// fault returns why no token was found: a fault of the connection or the
// bound, or else that the body, well-formed or not, has none.
func (c *recorder) fault() error {
	if c.err != nil {
		return c.err
	}
	return ErrNoToken
}

// rewind makes r.Body deliver again what was read, and then the rest.
func (c *recorder) rewind(r *http.Request) {
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(c.seen), c.src), r.Body}
}
