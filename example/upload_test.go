package main

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// files returns a multipart body and its header; each file is name=content.
func files(t *testing.T, field string, named ...string) (body, header string) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for _, nc := range named {
		name, content, _ := strings.Cut(nc, "=")
		part, err := m.CreateFormFile(field, name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(part, content)
	}
	m.Close()
	return b.String(), "Content-Type: " + m.FormDataContentType()
}

func TestUpload(t *testing.T) {
	big := strings.Repeat("x", maxAttachment/2)
	for _, tt := range []struct {
		name, field string
		files       []string
		status      int
		kept        string // names
	}{
		{"one file", "file", []string{"a.txt=hello"}, 200, "a.txt"},
		{"several files", "file", []string{"a=1", "b=2"}, 200, "a b"},
		{"names without path", "file", []string{`C:\docs\a.txt=1`, "/etc/passwd=2", "..=3"}, 200, "a.txt passwd attachment"},
		{"names that read as they are", "file", []string{"photo\u202Egnp.exe=1"}, 200, "photo_gnp.exe"},
		{"an empty file", "file", []string{"a="}, 200, "a"},
		{"as much as fits", "file", []string{"a=" + big, "b=" + big}, 200, "a b"},
		{"one byte more: none of it", "file", []string{"a=" + big, "b=" + big, "c=x"}, 413, ""},
		{"much more", "file", []string{"a=" + big + big + big}, 413, ""},
		{"too many", "file", strings.Split(strings.Repeat("a=b ", maxFiles)+"a=b", " "), 400, ""},
		{"another field", "files", []string{"a=b"}, 400, ""},
		{"nothing", "file", nil, 400, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestSite(t)
			body, header := files(t, tt.field, tt.files...)
			w := s.send(userFred, "POST", "/rest/api/2/issue/TEST-3/attachments", body, header, noCheck)
			if w.Code != tt.status {
				t.Fatalf("%d, want %d: %.200s", w.Code, tt.status, w.Body)
			}
			var names []string
			for _, a := range s.tracker.attachmentsOf("TEST-3") {
				names = append(names, a.Name)
			}
			if got := strings.Join(names, " "); got != tt.kept {
				t.Errorf("kept %q, want %q", got, tt.kept)
			}
			if s.uploads.taken != 0 || len(s.uploads.by) != 0 {
				t.Error("the place of the upload is not given back")
			}
		})
	}
}

func TestUploadsUnderWayAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name      string
		under     []string // who has uploads under way
		fred      int      // status of one more by fred
		formsFred int      // the same by the form
	}{
		{"one of a user's own", []string{"fred"}, 200, 303},
		{"two of a user's own", []string{"fred", "fred"}, 429, 429},
		{"two of another user", []string{"admin", "admin"}, 200, 303},
		{"all but one", []string{"a", "a", "b", "b", "c", "c", "d"}, 200, 303},
		{"all", []string{"a", "a", "b", "b", "c", "c", "d", "d"}, 503, 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestSite(t)
			for _, user := range tt.under {
				if err := s.uploads.take(user); err != nil {
					t.Fatal(err)
				}
			}
			body, header := files(t, "file", "a=b")
			for path, want := range map[string]int{"/rest/api/2/issue/TEST-3/attachments": tt.fred, "/issue/TEST-3/attachments": tt.formsFred} {
				w := s.send(userFred, "POST", path, body, header)
				if later := w.Header().Get("Retry-After") != ""; w.Code != want || later != (want >= 400) {
					t.Errorf("%s: %d, want %d; Retry-After %t", path, w.Code, want, later)
				}
			}
			for _, user := range tt.under {
				s.uploads.give(user)
			}
			if s.uploads.taken != 0 || len(s.uploads.by) != 0 {
				t.Errorf("%d places are not given back, %v", s.uploads.taken, s.uploads.by)
			}
		})
	}
}

// Without a login everybody is nobody, who must not be one user.
func TestUploadsOfNobodyHaveTheCommonBoundAlone(t *testing.T) {
	s := newTestSite(t, "-bare")
	for range maxUploading {
		if err := s.uploads.take(""); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.uploads.take(""); err != errBusy {
		t.Errorf("got %v", err)
	}
}

func TestDownloadIsForSavingAlone(t *testing.T) {
	s := newTestSite(t)
	body, header := files(t, "file", "zoë's page.html=<script>alert(1)</script>")
	if w := s.send(userFred, "POST", "/issue/TEST-3/attachments", body, header); w.Code != 303 {
		t.Fatalf("upload by the form: %d", w.Code)
	}
	a := s.tracker.attachmentsOf("TEST-3")[0]
	w := s.send(userFred, "GET", a.Path(), "")
	h := w.Header()
	if w.Code != 200 || w.Body.String() != "<script>alert(1)</script>" {
		t.Fatalf("%d %q", w.Code, w.Body)
	}
	for name, want := range map[string]string{"Content-Type": "application/octet-stream", "Content-Disposition": "attachment;", "Content-Security-Policy": "sandbox"} {
		if !strings.HasPrefix(h.Get(name), want) {
			t.Errorf("%s: %q, want %q", name, h.Get(name), want)
		}
	}
	if w := s.send(userFred, "GET", strings.Replace(a.Path(), "page", "other", 1), ""); w.Code != 404 {
		t.Errorf("by another name: %d", w.Code)
	}
}

// FuzzFileName holds that whatever a client calls its file, the name is safe
// to show and the file can be got at the address that it is given.
func FuzzFileName(f *testing.F) {
	for _, name := range []string{"a.txt", "", ".", "..", "a/../b", `C:\x`, "zoë's page.html", "a\x00b", "\xff", "%2e%2e%2fx", "a?b#c;d", "\u202Egnp.exe", strings.Repeat("ä", 300), " . "} {
		f.Add(name)
	}
	pages, err := parsePages()
	if err != nil {
		f.Fatal(err)
	}
	s := &site{tracker: newTracker(seedIssues(), time.Now), gate: bare{}, open: true, pages: pages, ready: newReadiness(nil, 0)}
	h := s.handler()
	f.Fuzz(func(t *testing.T, name string) {
		clean := cleanFileName(name)
		if clean == "" || len(clean) > maxFileName || !utf8.ValidString(clean) || strings.ContainsAny(clean, "/\\\x00\r\n\u202E") || strings.Trim(clean, ". ") == "" {
			t.Fatalf("%q is cleaned to %q", name, clean)
		}
		a := s.tracker.attach(attachment{Issue: "TEST-1", Name: clean, Content: []byte(name)})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", a.Path(), nil))
		_, params, err := mime.ParseMediaType(w.Header().Get("Content-Disposition"))
		if w.Code != 200 || w.Body.String() != name || err != nil || params["filename"] != clean {
			t.Fatalf("%q at %s: %d, Content-Disposition %q", clean, a.Path(), w.Code, w.Header().Get("Content-Disposition"))
		}
	})
}
