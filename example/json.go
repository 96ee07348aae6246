package main

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
)

const (
	// contentJSON is spelt as node-rest-client matches it; it parses no other.
	contentJSON = "application/json;charset=UTF-8"

	maxBody = 128 << 10 // bytes of a JSON body: a comment, escaped
)

// readJSON reads the JSON body of r into v; it reports false when it has
// answered.
func readJSON(w http.ResponseWriter, r *http.Request, v any) bool {
	// A form on another site can send text/plain and urlencoded, but no JSON
	// without asking first (CORS preflight): so nothing else is read as JSON.
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		restError(w, http.StatusUnsupportedMediaType, "The body must be application/json.")
		return false
	}
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	err = body.Decode(v)
	if err == nil {
		if _, more := body.Token(); more != io.EOF {
			err = errors.New("more than one value")
		}
	}
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		restError(w, http.StatusRequestEntityTooLarge, "The body is too large.")
	case err != nil:
		restError(w, http.StatusBadRequest, "The body is not the JSON expected here.")
	}
	return err == nil
}

// noIssue answers for a key that no issue has, in Jira's words.
func noIssue(w http.ResponseWriter) { restError(w, http.StatusNotFound, "Issue Does Not Exist") }

// restError answers with the error body of Jira's REST resources.
func restError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, restErrors{Messages: []string{text}, Fields: map[string]string{}})
}

// restFieldError answers 400 for one field of the body.
func restFieldError(w http.ResponseWriter, field, text string) {
	writeJSON(w, http.StatusBadRequest, restErrors{Messages: []string{}, Fields: map[string]string{field: text}})
}

// restErrors is never null in either part: clients unmarshal it into a list
// and a map.
type restErrors struct {
	Messages []string          `json:"errorMessages"`
	Fields   map[string]string `json:"errors"`
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // our own types: cannot happen, and must not pass for an answer
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h["Content-Type"] = []string{contentJSON}
	h["Cache-Control"] = []string{"no-store"}
	w.WriteHeader(status)
	_, _ = w.Write(b) // a failed write means that the client has gone
}
