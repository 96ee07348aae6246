package ldapdir_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
)

// One login: who is it, is this the password, which groups.
func Example() {
	server, err := ldapserver.New(ldapserver.Config{Entries: annEntries})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	if err := server.Start("127.0.0.1:0"); err != nil {
		fmt.Println(err)
		return
	}

	dir, err := ldapdir.New(ldapdir.Config{
		URLs:   []string{server.URL()}, // ldaps://dc1.example.org in earnest
		BaseDN: "dc=example,dc=org",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dir.Close()

	ctx := context.Background()
	entry, err := dir.Find(ctx, "ANN")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = dir.Verify(ctx, entry, "guess")
	fmt.Println(entry.Name, errors.Is(err, directory.ErrBadCredentials))
	_, err = dir.Verify(ctx, entry, "geheim")
	fmt.Println(entry.Name, err)
	groups, err := dir.Groups(ctx, entry)
	fmt.Println(groups.Names, err)
	// Output:
	// ann true
	// ann <nil>
	// [admins staff] <nil>
}

// A trace shows how a login came to its end: which server answered, what was
// asked, how many entries came and how long that took.
func ExampleWithTrace() {
	server, err := ldapserver.New(ldapserver.Config{Entries: annEntries})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	if err := server.Start("127.0.0.1:0"); err != nil {
		fmt.Println(err)
		return
	}
	dir, err := ldapdir.New(ldapdir.Config{URLs: []string{server.URL()}, BaseDN: "dc=example,dc=org", Schema: "openldap"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dir.Close()

	ctx := ldapdir.WithTrace(context.Background(), &ldapdir.Trace{Operation: func(o ldapdir.Operation) {
		// o.Server and o.Took are left out here: they are never the same.
		fmt.Println(o.Kind, o.BaseDN, o.Filter, o.Results, o.Err)
	}})
	entry, err := dir.Find(ctx, "ann")
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := dir.Groups(ctx, entry); err != nil {
		fmt.Println(err)
	}
	// Output:
	// dial   0 <nil>
	// identify dc=example,dc=org (objectClass=*) 0 <nil>
	// search dc=example,dc=org (uid=ann) 1 <nil>
	// search dc=example,dc=org (|(member=uid=ann,ou=people,dc=example,dc=org)(uniqueMember=uid=ann,ou=people,dc=example,dc=org)(memberUid=ann)) 2 <nil>
}
