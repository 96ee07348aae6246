package middleware_test

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/middleware"
)

func Example() {
	dir, err := directory.NewStatic(directory.Person{Name: "fred", Password: "fredpass", Groups: []string{"developers"}})
	if err != nil {
		log.Fatal(err)
	}
	auth, err := middleware.New(middleware.Config{
		Directory: dir, // usually an ldapdir.Dir
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()

	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := middleware.User(r.Context())
		fmt.Fprintf(w, "Hello, %s of %v", user.Name, user.Groups)
	})
	mux := http.NewServeMux()
	mux.Handle("/login", auth.Login())
	mux.Handle("/logout", auth.Logout())
	mux.Handle("/rest/auth/", auth.SessionResource())
	mux.Handle("/", auth.RequireUser(app))
	srv := httptest.NewServer(auth.Handler(mux))
	defer srv.Close()

	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	res, err := client.PostForm(srv.URL+"/login", url.Values{"os_username": {"fred"}, "os_password": {"fredpass"}})
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	fmt.Printf("%s\n%s", res.Header.Get("X-AUSERNAME"), body)
	// Output:
	// fred
	// Hello, fred of [developers]
}
