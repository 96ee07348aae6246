package session_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"

	"github.com/gorilla/sessions"

	"github.com/seed-244866eb/gatehouse/session"
)

// browse sends one GET as a browser does and prints the answer.
func browse(c *http.Client, url string) {
	resp, err := c.Get(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%s\n", text)
}

// A login, a request with its cookie, and a logout. Whether the password is
// right was somebody else's question.
func Example() {
	m, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		if _, err := m.Login(w, r, session.Principal{User: "fred"}); err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "welcome")
	})
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		if err := m.Logout(w, r); err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "bye")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s, _ := session.FromContext(r.Context())
		fmt.Fprintf(w, "%v: %q", s.State(), s.User().User)
	})
	server := httptest.NewServer(m.Handler(mux))
	defer server.Close()

	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	for _, path := range []string{"/", "/login", "/", "/logout", "/"} {
		browse(browser, server.URL+path)
	}
	// Output:
	// none: ""
	// welcome
	// live: "fred"
	// bye
	// none: ""
}

// An application that uses gorilla/sessions keeps its values on the server by
// changing the one line that makes the store.
func ExampleManager_Get() {
	// Before: var store sessions.Store = sessions.NewCookieStore(key)
	var store sessions.Store
	store, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cart, err := store.Get(r, "cart")
		if err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		visits, _ := cart.Values["visits"].(int)
		cart.Values["visits"] = visits + 1
		if err := cart.Save(r, w); err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "visit ", visits+1)
	}))
	defer server.Close()

	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	browse(browser, server.URL)
	browse(browser, server.URL)
	// Output:
	// visit 1
	// visit 2
}
