package main

import (
	"net/http"
	"strconv"
	"strings"
)

const (
	defaultResult = 50 // issues of a search without maxResults
	maxResult     = 1000
)

// serverInfo answers what a client asks first; anybody may know.
func (s *site) serverInfo(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		BaseURL        string `json:"baseUrl"`
		Version        string `json:"version"`
		VersionNumbers [3]int `json:"versionNumbers"`
		ServerTitle    string `json:"serverTitle"`
	}{s.baseURL(r), "8.20.0", [3]int{8, 20, 0}, "gatehouse demo"})
}

// myself answers who asks.
func (s *site) myself(w http.ResponseWriter, r *http.Request) {
	v := s.visitor(r)
	if v.Name == "" { // only without a gate
		restError(w, http.StatusUnauthorized, "You are not authenticated. Authentication required to perform this operation.")
		return
	}
	groups := v.Groups
	if groups == nil {
		groups = []string{}
	}
	writeJSON(w, http.StatusOK, struct {
		restUser
		Email         string   `json:"emailAddress"`
		Groups        []string `json:"groups"`
		GroupsUnknown bool     `json:"groupsUnknown,omitempty"` // [] would say: has none
		AuthType      string   `json:"authType"`
	}{newRESTUser(s.baseURL(r), v.author), v.Email, groups, v.GroupsUnknown, v.AuthType})
}

// getIssue answers one issue with all that people added to it.
func (s *site) getIssue(w http.ResponseWriter, r *http.Request) {
	is, ok := s.tracker.issue(r.PathValue("key"))
	if !ok {
		noIssue(w)
		return
	}
	base := s.baseURL(r)
	answer := newRESTIssue(base, is)
	comments := restComments{Comments: []restComment{}}
	for _, c := range s.tracker.commentsOf(is.Key) {
		comments.Comments = append(comments.Comments, newRESTComment(base, c))
	}
	comments.Total = len(comments.Comments)
	attachments := newRESTAttachments(base, s.tracker.attachmentsOf(is.Key))
	answer.Fields.Comment, answer.Fields.Attachment = &comments, &attachments
	writeJSON(w, http.StatusOK, answer)
}

// A searchRequest is the body, or the query string, of a search.
type searchRequest struct {
	JQL        string `json:"jql"`
	StartAt    int    `json:"startAt"`
	MaxResults *int   `json:"maxResults"`
}

// search answers the issues that a query asks for, page by page.
func (s *site) search(w http.ResponseWriter, r *http.Request) {
	q, ok := readSearch(w, r)
	if !ok {
		return
	}
	limit := defaultResult
	// A pointer, because 0 is a question of its own: the total alone.
	if q.MaxResults != nil {
		limit = min(*q.MaxResults, maxResult)
	}
	if q.StartAt < 0 || limit < 0 {
		restError(w, http.StatusBadRequest, "startAt and maxResults must not be negative.")
		return
	}
	// The text names what was typed; JSON escapes it.
	parsed, err := parseJQL(q.JQL)
	if err != nil {
		restError(w, http.StatusBadRequest, "Error in the JQL Query: "+err.Error()+".")
		return
	}
	found := s.tracker.search(parsed, s.visitor(r).Name)
	start := min(q.StartAt, len(found))
	page := found[start:min(start+limit, len(found))]
	issues := make([]restIssue, len(page))
	base := s.baseURL(r)
	for i, is := range page {
		issues[i] = newRESTIssue(base, is)
	}
	writeJSON(w, http.StatusOK, struct {
		StartAt    int         `json:"startAt"`
		MaxResults int         `json:"maxResults"`
		Total      int         `json:"total"`
		Issues     []restIssue `json:"issues"`
	}{q.StartAt, limit, len(found), issues})
}

// readSearch reads what to search for; it reports false when it has answered.
func readSearch(w http.ResponseWriter, r *http.Request) (q searchRequest, ok bool) {
	// Clients use either; both mean the same.
	if r.Method == http.MethodPost {
		return q, readJSON(w, r, &q)
	}
	values := r.URL.Query()
	q.JQL = values.Get("jql")
	for name, set := range map[string]func(int){
		"startAt":    func(n int) { q.StartAt = n },
		"maxResults": func(n int) { q.MaxResults = &n },
	} {
		if text := values.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				restError(w, http.StatusBadRequest, name+" is not a number.")
				return q, false
			}
			set(n)
		}
	}
	return q, true
}

// postRESTComment adds a comment.
func (s *site) postRESTComment(w http.ResponseWriter, r *http.Request) {
	is, ok := s.tracker.issue(r.PathValue("key"))
	if !ok {
		noIssue(w)
		return
	}
	var in struct {
		Body string `json:"body"`
	}
	if !readJSON(w, r, &in) {
		return
	}
	body, fault := cleanComment(in.Body)
	if fault != "" {
		restFieldError(w, "comment", fault)
		return
	}
	c := s.tracker.addComment(is.Key, s.visitor(r).by(), body)
	writeJSON(w, http.StatusCreated, newRESTComment(s.baseURL(r), c))
}

// What people are told about a comment that is not kept.
const (
	noComment   = "Comment body can not be empty!" // in Jira's words
	longComment = "The comment is longer than 32,768 bytes."
)

// cleanComment returns what is kept of a comment, and "", or else what is
// wrong with it.
func cleanComment(body string) (clean, fault string) {
	// Browsers send line breaks as CRLF (HTML, "constructing the entry list"),
	// programs as they like; one form makes the bound fair and the text the
	// same for both.
	body = strings.ToValidUTF8(strings.ReplaceAll(body, "\r\n", "\n"), "\uFFFD")
	switch {
	case strings.TrimSpace(body) == "":
		return "", noComment
	case len(body) > maxComment:
		return "", longComment
	}
	return body, ""
}
