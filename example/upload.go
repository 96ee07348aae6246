package main

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxFiles     = 10  // files of one upload
	maxFileName  = 200 // bytes of a file name
	maxUploading = 8   // uploads under way at once: each may hold maxAttachment in memory
	maxOfOne     = 2   // of them by one user

	// maxMultipart leaves room for the headers of the parts and the token.
	maxMultipart = maxAttachment + 64<<10
)

// An uploadError is a fault of an upload, for the person who sent it.
type uploadError struct {
	status int
	text   string
}

func (e *uploadError) Error() string { return e.text }

var (
	errBusy     = &uploadError{http.StatusServiceUnavailable, "Too many uploads at the moment. Please try again shortly."}
	errYours    = &uploadError{http.StatusTooManyRequests, "You have 2 uploads under way already. Please try again when one of them is done."}
	errTooLarge = &uploadError{http.StatusRequestEntityTooLarge, "The files are larger than 10 MiB together."}
	errTooMany  = &uploadError{http.StatusBadRequest, "There are more than 10 files in one upload."}
	errNoFile   = &uploadError{http.StatusBadRequest, "There is no file in the field \"file\"."}
	errNotForm  = &uploadError{http.StatusUnsupportedMediaType, "Files are sent as multipart/form-data."}
	errBroken   = &uploadError{http.StatusBadRequest, "The upload could not be read."}
)

// upload adds the files of r, which stand in fields named file, to the issue
// with key: all of them or none.
func (s *site) upload(w http.ResponseWriter, r *http.Request, key string) ([]attachment, *uploadError) {
	who := s.visitor(r)
	if err := s.uploads.take(who.Name); err != nil {
		return nil, err
	}
	defer s.uploads.give(who.Name)
	if err := parseUpload(w, r); err != nil {
		return nil, err
	}
	// net/http removes the files of its own request, and r is a copy of that.
	defer r.MultipartForm.RemoveAll()
	headers := r.MultipartForm.File["file"]
	switch {
	case len(headers) == 0:
		return nil, errNoFile
	case len(headers) > maxFiles:
		return nil, errTooMany
	}
	read, err := readAll(headers)
	if err != nil {
		return nil, err
	}
	for i := range read {
		read[i].Issue, read[i].Author = key, who.by()
		read[i] = s.tracker.attach(read[i])
	}
	return read, nil
}

// parseUpload reads the form of r, unless gatehouse has done so already to
// find the form token.
func parseUpload(w http.ResponseWriter, r *http.Request) *uploadError {
	if r.MultipartForm != nil {
		return nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxMultipart)
	err := r.ParseMultipartForm(maxMultipart) // nothing goes to the disk
	var tooLong *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLong), errors.Is(err, multipart.ErrMessageTooLarge):
		return errTooLarge
	case errors.Is(err, http.ErrNotMultipart):
		return errNotForm
	}
	return errBroken
}

// readAll returns the uploaded files, cleaned and within the bounds.
func readAll(headers []*multipart.FileHeader) ([]attachment, *uploadError) {
	var files []attachment
	left := int64(maxAttachment)
	for _, h := range headers {
		if left -= h.Size; left < 0 {
			return nil, errTooLarge
		}
		content, err := readPart(h)
		if err != nil {
			return nil, errBroken
		}
		files = append(files, attachment{Name: cleanFileName(h.Filename), Type: cleanMedia(h.Header.Get("Content-Type")), Content: content})
	}
	return files, nil
}

// readPart returns a copy of the content of one file: what the form holds may
// be a slice of something much larger.
func readPart(h *multipart.FileHeader) ([]byte, error) {
	f, err := h.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content := make([]byte, h.Size)
	_, err = io.ReadFull(f, content)
	return content, err
}

// cleanFileName returns a name that is safe to show and to offer for saving:
// the last element of the path, without control characters, of bounded
// length.
func cleanFileName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, "_"), `\`, "/"))
	name = strings.Map(func(r rune) rune {
		// Cf holds the characters that turn the direction of text: with them
		// a name that ends in .exe can be shown as one that ends in .png.
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '/' {
			return '_'
		}
		return r
	}, name)
	for len(name) > maxFileName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	if strings.Trim(name, ". ") == "" {
		return "attachment"
	}
	return name
}

// cleanMedia returns a media type that is one.
func cleanMedia(value string) string {
	media, _, err := mime.ParseMediaType(value)
	if err != nil || len(media) > 100 {
		return "application/octet-stream"
	}
	return media
}

// Path returns where a can be got, below the context path.
func (a attachment) Path() string {
	return "/attachment/" + strconv.Itoa(a.ID) + "/" + url.PathEscape(a.Name)
}

// Size returns the number of bytes of a.
func (a attachment) Size() int { return len(a.Content) }

// download serves a file for saving, never for showing: what somebody else
// has uploaded must not run as a page of this origin.
func (s *site) download(w http.ResponseWriter, r *http.Request) {
	a, ok := s.tracker.attachment(r.PathValue("id"))
	if !ok || a.Name != r.PathValue("name") {
		s.message(w, r, http.StatusNotFound, "There is no such attachment.")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": a.Name}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("Content-Length", strconv.Itoa(len(a.Content)))
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(a.Content) // a failed write means that the client has gone
}

// postRESTAttachments adds files by the REST API.
func (s *site) postRESTAttachments(w http.ResponseWriter, r *http.Request) {
	is, ok := s.tracker.issue(r.PathValue("key"))
	if !ok {
		noIssue(w)
		return
	}
	added, err := s.upload(w, r, is.Key)
	if err != nil {
		retryLater(w, err.status)
		restError(w, err.status, err.text)
		return
	}
	writeJSON(w, http.StatusOK, newRESTAttachments(s.baseURL(r), added))
}

// postAttachments adds files by the form of the issue's page.
func (s *site) postAttachments(w http.ResponseWriter, r *http.Request) {
	is, ok := s.tracker.issue(r.PathValue("key"))
	if !ok {
		s.message(w, r, http.StatusNotFound, "There is no such issue.")
		return
	}
	if _, err := s.upload(w, r, is.Key); err != nil {
		retryLater(w, err.status)
		s.issuePage(w, r, err.status, issueView{Issue: is, FileError: err.text})
		return
	}
	s.toIssue(w, r, is.Key, "attachments")
}

// retryLater names the time after which a 503 or a 429 may have gone.
func retryLater(w http.ResponseWriter, status int) {
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "2")
	}
}
