package main

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/formtoken"
)

//go:embed pages
var pageFiles embed.FS

// maxCommentForm bounds the body of the comment form in bytes: each byte of a
// comment may be written as three.
const maxCommentForm = 3*maxComment + 4<<10

// parsePages returns the templates of all pages.
func parsePages() (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{
		"stamp":   func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
		"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"field":   func() string { return formtoken.FieldName },
		"list":    func(names []string) string { return strings.Join(names, ", ") },
	}).ParseFS(pageFiles, "pages/*.html")
}

// A page is what every template is executed with.
type page struct {
	Title   string
	Context string // before every path
	Token   string // "" where no form needs one
	Visitor visitor
	Gated   bool // there is a login
	View    any  // what the page itself shows
}

// A homeView is the list of issues.
type homeView struct {
	Shown  bool // to visitors without a login only where there is none
	JQL    string
	Error  string
	Issues []issue
}

// home shows the issues that the query asks for, all of them without one.
func (s *site) home(w http.ResponseWriter, r *http.Request) {
	who := s.visitor(r)
	v := homeView{Shown: s.open || who.Name != "", JQL: r.URL.Query().Get("jql")}
	status := http.StatusOK
	if v.Shown {
		q, err := parseJQL(v.JQL)
		if err != nil {
			v.Error, status = "The search was not understood: "+err.Error()+".", http.StatusBadRequest
		} else {
			v.Issues = s.tracker.search(q, who.Name)
		}
	}
	s.render(w, r, status, "home", "Issues", v)
}

// An issueView is one issue with what people added to it, and with what went
// wrong in one of its forms.
type issueView struct {
	Issue       issue
	Comments    []comment
	Attachments []attachment
	Draft       string // the comment that was refused: nobody types it again
	Error       string // of the comment
	FileError   string // of the upload
}

// showIssue shows one issue.
func (s *site) showIssue(w http.ResponseWriter, r *http.Request) {
	is, ok := s.tracker.issue(r.PathValue("key"))
	if !ok {
		s.message(w, r, http.StatusNotFound, "There is no such issue.")
		return
	}
	s.issuePage(w, r, http.StatusOK, issueView{Issue: is})
}

// issuePage answers with the page of v.Issue.
func (s *site) issuePage(w http.ResponseWriter, r *http.Request, status int, v issueView) {
	v.Comments = s.tracker.commentsOf(v.Issue.Key)
	v.Attachments = s.tracker.attachmentsOf(v.Issue.Key)
	s.render(w, r, status, "issue", v.Issue.Key+": "+v.Issue.Summary, v)
}

// postComment adds a comment by the form of the issue's page.
func (s *site) postComment(w http.ResponseWriter, r *http.Request) {
	is, ok := s.tracker.issue(r.PathValue("key"))
	if !ok {
		s.message(w, r, http.StatusNotFound, "There is no such issue.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxCommentForm)
	if err := r.ParseForm(); err != nil {
		status, text := http.StatusBadRequest, "The form could not be read."
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			status, text = http.StatusRequestEntityTooLarge, longComment
		}
		s.issuePage(w, r, status, issueView{Issue: is, Error: text})
		return
	}
	// PostForm alone: a comment in the query would stand in every log.
	body, fault := cleanComment(r.PostForm.Get("body"))
	if fault != "" {
		s.issuePage(w, r, http.StatusBadRequest, issueView{Issue: is, Draft: r.PostForm.Get("body"), Error: fault})
		return
	}
	s.tracker.addComment(is.Key, s.visitor(r).by(), body)
	s.toIssue(w, r, is.Key, "comments")
}

// toIssue sends the browser to a part of the page of an issue, by GET, so
// that loading the page again does not send the form again.
func (s *site) toIssue(w http.ResponseWriter, _ *http.Request, key, part string) {
	w.Header().Set("Location", s.base.context+"/issue/"+key+"#"+part)
	w.WriteHeader(http.StatusSeeOther)
}

// An adminView is what administrators see.
type adminView struct {
	Issues int
	Group  string
	Nodes  []directory.NodeState // of the directory, in the order of preference
	Held   []directory.Held      // about whom they disagree
}

// admin shows the page of the administrators.
func (s *site) admin(w http.ResponseWriter, r *http.Request) {
	v := adminView{Issues: len(s.tracker.issues), Group: s.adminGroup}
	if s.directory != nil {
		v.Nodes, v.Held = s.directory.Nodes(), s.directory.Held()
	}
	s.render(w, r, http.StatusOK, "admin", "Administration", v)
}

// message answers with a page that says text.
func (s *site) message(w http.ResponseWriter, r *http.Request, status int, text string) {
	s.render(w, r, status, "message", http.StatusText(status), text)
}

// render answers with a page, or with 500 and nothing of it.
func (s *site) render(w http.ResponseWriter, r *http.Request, status int, name, title string, view any) {
	// Made first and sent afterwards: half a page with status 200 would hide
	// the fault.
	var b bytes.Buffer
	p := page{Title: title, Context: s.base.context, Token: s.gate.FormToken(r), Visitor: s.visitor(r), Gated: !s.open, View: view}
	if err := s.pages.ExecuteTemplate(&b, name, p); err != nil {
		s.log.Error("a page could not be made", "page", name, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "same-origin") // no-referrer would make browsers send Origin: null with our forms
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // a failed write means that the client has gone
}

// serveStyle serves the style sheet of all pages.
func serveStyle(w http.ResponseWriter, r *http.Request) {
	css, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		http.NotFound(w, r)
		return
	}
	// Not public: gatehouse names user and session in the header.
	w.Header().Set("Cache-Control", "private, max-age=300")
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(css) // a failed write means that the client has gone
}
