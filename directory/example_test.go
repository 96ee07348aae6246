package directory_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/seed-244866eb/gatehouse/directory"
)

// A login finds the entry, verifies the password and reads the groups.
func Example() {
	people, err := directory.NewStatic(directory.Person{
		Name: "fred", Password: "fredpass", DisplayName: "Fred Normal",
		Groups: []string{"jira-users", "jira-developers"},
	})
	if err != nil {
		log.Fatal(err)
	}
	dir, err := directory.New(directory.Config{Source: people})
	if err != nil {
		log.Fatal(err)
	}
	defer dir.Close()

	ctx := context.Background()
	entry, err := dir.Find(ctx, "FRED")
	if err != nil {
		log.Fatal(err)
	}
	_, err = dir.Verify(ctx, entry, "guess")
	fmt.Println(errors.Is(err, directory.ErrBadCredentials))

	entry, err = dir.Verify(ctx, entry, "fredpass")
	if err != nil {
		log.Fatal(err)
	}
	user, err := dir.Login(ctx, entry)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.Name, user.Groups, user.In("Jira-Users"))

	// Every later request of the session:
	user, err = dir.User(ctx, user.Name, user.ID)
	fmt.Println(user.DisplayName, err)
	// Output:
	// true
	// fred [jira-developers jira-users] true
	// Fred Normal <nil>
}
