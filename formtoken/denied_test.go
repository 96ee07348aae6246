package formtoken

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDenial(t *testing.T) {
	const page, text, asJSON = "text/html; charset=utf-8", "text/plain; charset=utf-8", "application/json"
	root := newGuard(t, Config{})
	below := newGuard(t, Config{BasePath: "/jira/"})
	for _, tt := range []struct {
		name, path, accept string
		g                  *Guard
		err                error
		status             int
		contentType        string
	}{
		{"a browser gets the page", "/issue/1", "text/html,application/xhtml+xml,*/*;q=0.8", root, ErrNoToken, 403, page},
		{"so does a client that says nothing", "/issue/1", "", root, ErrBadToken, 403, page},
		{"or that takes anything", "/issue/1", "*/*", root, ErrCrossOrigin, 403, page},
		{"a program gets the words", "/issue/1", "text/plain", root, ErrNoToken, 403, text},
		{"as JSON if it asks for that", "/issue/1", "application/json, text/plain, */*", root, ErrNoToken, 403, asJSON},
		{"below /rest/ always", "/rest/api/2/x", "text/html", root, ErrNoToken, 403, text},
		{"below /rest/ without Accept", "/rest/api/2/x", "", root, ErrNoToken, 403, text},
		{"below /rest/ as JSON", "/rest/api/2/x", "application/json", root, ErrCrossOrigin, 403, asJSON},
		{"/rest/ below the base path", "/jira/rest/api/2/x", "", below, ErrNoToken, 403, text},
		{"/rest/ elsewhere is a page", "/docs/rest/x", "", below, ErrNoToken, 403, page},
		{"wrapped errors count", "/issue/1", "", root, errors.Join(ErrNoToken), 403, page},
		{"too large", "/issue/1", "", root, ErrTooLarge, 413, page},
		{"too large for a program", "/rest/x", "", root, ErrTooLarge, 413, text},
		{"a broken body", "/issue/1", "", root, errors.New("connection reset"), 400, page},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", tt.path, nil)
			if tt.accept != "" {
				r.Header.Set("Accept", tt.accept)
			}
			w := httptest.NewRecorder()
			w.Header().Set("Vary", "Origin")
			tt.g.Deny(w, r, tt.err)
			if w.Code != tt.status || w.Header().Get("Content-Type") != tt.contentType {
				t.Errorf("%d %s, want %d %s", w.Code, w.Header().Get("Content-Type"), tt.status, tt.contentType)
			}
			if vary := strings.Join(w.Header().Values("Vary"), ", "); vary != "Origin, Cookie" {
				t.Errorf("Vary: %s", vary)
			}
			checkDenial(t, tt.contentType, w.Body.String())
		})
	}
}

func checkDenial(t *testing.T, contentType, body string) {
	switch contentType {
	case "text/plain; charset=utf-8":
		if body != "XSRF check failed" {
			t.Errorf("body %q", body)
		}
	case "application/json":
		var v struct {
			ErrorMessages []string          `json:"errorMessages"`
			Errors        map[string]string `json:"errors"`
		}
		if err := json.Unmarshal([]byte(body), &v); err != nil || v.Errors == nil || len(v.ErrorMessages) != 1 || v.ErrorMessages[0] != "XSRF check failed" {
			t.Errorf("body %q: %v", body, err)
		}
	default: // what a screen reader needs: language, title, one heading, one main part
		for _, want := range []string{`<html lang="en">`, "<title>XSRF Security Token Missing</title>", "<h1>XSRF Security Token Missing</h1>", "<main>", "</main>", `role="alert"`, "XSRF check failed"} {
			if strings.Count(body, want) != 1 {
				t.Errorf("the page has %q %d times, want once:\n%s", want, strings.Count(body, want), body)
			}
		}
	}
}

// The page says what to do, which is not the same for each fault.
func TestPagesTellFaultsApart(t *testing.T) {
	pages := map[string]bool{}
	for _, err := range []error{ErrNoToken, ErrCrossOrigin, ErrTooLarge} {
		pages[page403(err)] = true
	}
	if len(pages) != 3 {
		t.Errorf("%d pages for 3 faults", len(pages))
	}
	if page403(ErrBadToken) != page403(ErrNoToken) {
		t.Error("a wrong token is told from a missing one")
	}
}

func TestDeniedReplacesTheAnswer(t *testing.T) {
	g := newGuard(t, Config{Denied: func(w http.ResponseWriter, _ *http.Request, err error) {
		w.WriteHeader(http.StatusTeapot)
		w.Write([]byte(err.Error()))
	}})
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Origin", "https://attacker.example")
	w := httptest.NewRecorder()
	g.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != http.StatusTeapot || w.Header().Get("Vary") != "Cookie" || !strings.Contains(w.Body.String(), "cross-origin") {
		t.Errorf("%d, Vary %q: %s", w.Code, w.Header().Get("Vary"), w.Body)
	}
}
