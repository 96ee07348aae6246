package formtoken_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/seed-244866eb/gatehouse/formtoken"
)

func Example() {
	guard, err := formtoken.New(formtoken.Config{
		// The secret of the session that belongs to the cookie; here all
		// requests are of one session.
		Secret: func(*http.Request) []byte { return []byte("16 random bytes!") },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	app := guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprint(w, guard.Token(r)) // into <input type="hidden" name="atl_token">
			return
		}
		fmt.Fprintf(w, "comment %q kept", r.PostFormValue("body"))
	}))

	send := func(method string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/issue/TEST-1/comment", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		app.ServeHTTP(w, r)
		return w
	}
	token := send("GET", nil).Body.String()
	fmt.Println(send("POST", url.Values{"body": {"hello"}, formtoken.FieldName: {token}}).Body)
	fmt.Println(send("POST", url.Values{"body": {"hello"}}).Code)
	// Output:
	// comment "hello" kept
	// 403
}
