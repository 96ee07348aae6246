package main

import (
	"html/template"
	"log/slog"
	"net/http"
	"strings"

	"github.com/seed-244866eb/gatehouse/directory"
)

// A gate is what the routes need of gatehouse. *middleware.Auth is one;
// [bare] is the other.
type gate interface {
	Handler(next http.Handler) http.Handler
	RequireUser(next http.Handler) http.Handler
	RequireGroup(next http.Handler, groups ...string) http.Handler
	REST(next http.Handler) http.Handler
	Login() http.Handler
	Logout() http.Handler
	SessionResource() http.Handler
	FormToken(r *http.Request) string
}

// A site is the tracker as people and programs see it over HTTP.
type site struct {
	tracker    *tracker
	gate       gate
	open       bool    // issues are shown to everybody: there is no login
	base       baseURL // of -base-url
	adminGroup string
	directory  *directory.Directory // to show its state; nil where there is no login
	ready      *readiness
	log        *slog.Logger

	pages   *template.Template
	uploads *slots // one place for each upload under way
}

// handler returns all routes, behind the gate. What a route asks of its
// caller stands beside its pattern and belongs to the handler, so no second
// spelling of a path leads around it.
func (s *site) handler() http.Handler {
	mux := http.NewServeMux()
	for _, route := range []struct {
		pattern string
		handler http.Handler
	}{
		{"GET /{$}", http.HandlerFunc(s.home)},
		{"GET /style.css", http.HandlerFunc(serveStyle)},
		{"/login", s.gate.Login()},
		{"/logout", s.gate.Logout()},
		{"/rest/auth/", s.gate.SessionResource()},

		{"GET /issue/{key}", s.person(s.showIssue)},
		{"GET /browse/{key}", s.person(s.showIssue)}, // the address that Jira's people type
		{"POST /issue/{key}/comment", s.person(s.postComment)},
		{"POST /issue/{key}/attachments", s.person(s.postAttachments)},
		{"GET /attachment/{id}/{name}", s.person(s.download)},
		{"GET /secure/admin", s.gate.RequireGroup(http.HandlerFunc(s.admin), s.adminGroup)},

		{"GET /rest/api/{version}/serverInfo", s.gate.REST(s.api(s.serverInfo))},
		{"GET /rest/api/{version}/myself", s.program(s.myself)},
		{"GET /rest/api/{version}/issue/{key}", s.program(s.getIssue)},
		{"GET /rest/api/{version}/search", s.program(s.search)},
		{"POST /rest/api/{version}/search", s.program(s.search)},
		{"POST /rest/api/{version}/issue/{key}/comment", s.program(s.postRESTComment)},
		{"POST /rest/api/{version}/issue/{key}/attachments", s.program(s.postRESTAttachments)},

		{"GET /whoami", http.HandlerFunc(s.whoami)},
		{"GET /healthz", http.HandlerFunc(healthz)},
		{"GET /readyz", s.ready},
	} {
		mux.Handle(s.below(route.pattern), route.handler)
	}
	if s.base.context != "" {
		mux.Handle("GET "+s.base.context, http.RedirectHandler(s.base.context+"/", http.StatusFound))
	}
	return secure(s.gate.Handler(mux))
}

// person returns h for a route of pages: nobody else than a user gets there,
// and browsers are sent to the login page.
func (s *site) person(h http.HandlerFunc) http.Handler { return s.gate.RequireUser(h) }

// program returns h for a route of the REST API: without a user it is 401.
func (s *site) program(h http.HandlerFunc) http.Handler {
	return s.gate.REST(s.gate.RequireUser(s.api(h)))
}

// api answers versions of the REST API other than ours.
func (s *site) api(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v := r.PathValue("version"); v != "2" && v != "latest" {
			restError(w, http.StatusNotFound, "There is no version "+v+" of this API. Versions: 2, latest.")
			return
		}
		h(w, r)
	})
}

// below returns pattern below the context path.
func (s *site) below(pattern string) string {
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		return s.base.context + pattern
	}
	return method + " " + s.base.context + path
}

// Our pages load our own style sheet and send forms back to us. There are no
// scripts, and nobody may frame a page.
const pagePolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// gatePolicy is for the pages of gatehouse, whose style stands in the page
// itself.
const gatePolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure sets what every answer needs, also those of the gate itself.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Content-Security-Policy"] = []string{gatePolicy}
		h["X-Content-Type-Options"] = []string{"nosniff"}
		// Also where there is nothing (404 may be cached, RFC 9110 section
		// 15.1): gatehouse names user and session in every header.
		h["Cache-Control"] = []string{"no-store"}
		next.ServeHTTP(w, r)
	})
}
