package proxytrust_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/seed-244866eb/gatehouse/proxytrust"
)

func Example() {
	trust, err := proxytrust.New(proxytrust.Config{Trusted: []string{"10.44.*"}})
	if err != nil {
		log.Fatal(err)
	}
	defer trust.Close()

	app := trust.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, _ := proxytrust.FromContext(r.Context())
		fmt.Println(client.Addr, client.Scheme, client.Host)
	}))

	// Two proxies of 10.44.* stand before the program. The first entry was
	// forged by the client, which the proxies saw as 10.77.11.252.
	r := httptest.NewRequest("GET", "http://backend:8080/", nil)
	r.RemoteAddr = "10.44.222.10:41830"
	r.Header.Set("X-Forwarded-For", "127.0.0.1, 10.77.11.252, 10.44.44.178")
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("X-Forwarded-Host", "jira.example.com")
	app.ServeHTTP(httptest.NewRecorder(), r)
	// Output: 10.77.11.252 https jira.example.com
}
