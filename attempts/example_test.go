package attempts_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/seed-244866eb/gatehouse/attempts"
)

// A login handler asks the counter before it looks at the password.
func Example() {
	counter, err := attempts.New(attempts.Config{Challenge: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	login := func(user, password string, solved bool) string {
		try, err := counter.Begin(ctx, attempts.Login{
			User:   user,
			Client: netip.MustParseAddr("192.0.2.1"),
			Solved: solved,
		})
		if errors.Is(err, attempts.ErrChallenge) {
			return "403: answer the CAPTCHA"
		}
		if err != nil {
			return "503 or 429"
		}
		outcome := attempts.Failed
		if password == "fredpass" { // ask the directory
			outcome = attempts.Succeeded
		}
		status, err := try.End(ctx, outcome)
		if err != nil {
			return "503"
		}
		return fmt.Sprintf("%d logins, %d failed", status.Logins, status.FailedLogins)
	}

	for _, password := range []string{"a", "b", "c", "fredpass"} {
		fmt.Println(login("Fred", password, false))
	}
	fmt.Println(login("fred", "fredpass", true))
	// Output:
	// 0 logins, 1 failed
	// 0 logins, 2 failed
	// 0 logins, 3 failed
	// 403: answer the CAPTCHA
	// 1 logins, 3 failed
}
