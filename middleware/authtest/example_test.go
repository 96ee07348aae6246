package authtest_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/middleware"
	"github.com/seed-244866eb/gatehouse/middleware/authtest"
)

func hello(w http.ResponseWriter, r *http.Request) {
	user, ok := middleware.User(r.Context())
	if !ok {
		fmt.Fprint(w, "Hello, whoever you are")
		return
	}
	fmt.Fprint(w, "Hello, "+user.Name)
}

func ExampleAs() {
	r := httptest.NewRequest("GET", "/", nil)
	w := httptest.NewRecorder()
	hello(w, authtest.As(r, &directory.User{Name: "fred", Groups: []string{"jira-users"}}))
	fmt.Println(w.Body)
	// Output: Hello, fred
}

func TestAs(t *testing.T) {
	a := authtest.New(t)
	admins := a.Handler(a.RequireGroup(http.HandlerFunc(hello), "admins"))
	for _, tt := range []struct {
		name string
		user *directory.User
		want int
	}{
		{"nobody is sent to the login", nil, http.StatusSeeOther},
		{"a user without the group is refused", &directory.User{Name: "fred"}, http.StatusForbidden},
		{"a user with the group passes", &directory.User{Name: "ann", Groups: []string{"admins"}}, http.StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			admins.ServeHTTP(w, authtest.As(httptest.NewRequest("GET", "/", nil), tt.user))
			if w.Code != tt.want {
				t.Errorf("status = %d, want %d", w.Code, tt.want)
			}
		})
	}
}

// A failure is a testing.TB that only remembers that it was failed.
type failure struct {
	testing.TB
	text string
}

func (f *failure) Helper() {}

func (f *failure) Fatal(args ...any) {
	f.text = fmt.Sprint(args...)
	runtime.Goexit()
}

func (f *failure) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }

func TestLoginFails(t *testing.T) {
	a := authtest.New(t, directory.Person{Name: "fred", Password: "fredpass"})
	mux := http.NewServeMux()
	mux.Handle("/login", a.Login())
	mux.Handle("/", a.RequireUser(http.HandlerFunc(hello)))
	srv := httptest.NewServer(a.Handler(mux))
	defer srv.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, base, password string
		client               *http.Client
		want                 string
	}{
		{"a wrong password", srv.URL, "wrong", &http.Client{Jar: jar}, "AUTHENTICATED_FAILED"},
		{"a page that only sends to the login page", srv.URL + "/app", "fredpass", &http.Client{Jar: jar}, "want a login page"},
		{"no cookie jar", srv.URL, "fredpass", &http.Client{}, "no cookie jar"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &failure{TB: t}
			var wg sync.WaitGroup
			wg.Go(func() { authtest.Login(f, tt.client, tt.base, "fred", tt.password) })
			wg.Wait()
			if !strings.Contains(f.text, tt.want) {
				t.Errorf("failed with %q, want %q", f.text, tt.want)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	a := authtest.New(t, directory.Person{Name: "fred", Password: "fredpass"})
	mux := http.NewServeMux()
	mux.Handle("/login", a.Login())
	mux.HandleFunc("/", hello)
	srv := httptest.NewServer(a.Handler(mux))
	defer srv.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	authtest.Login(t, client, srv.URL, "fred", "fredpass")
	res, err := client.Get(srv.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("X-AUSERNAME"); got != "fred" {
		t.Errorf("X-AUSERNAME = %q, want fred", got)
	}
}
