package ldapserver_test

import (
	"fmt"
	"log"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
)

// A directory with one person, and a client that logs in to it.
func Example() {
	s, err := ldapserver.New(ldapserver.Config{Entries: []ldapserver.Entry{
		{DN: "dc=example,dc=org"},
		{DN: "uid=fred,ou=people,dc=example,dc=org", Attributes: map[string][]string{
			"objectClass":  {"inetOrgPerson"},
			"cn":           {"Fred Normal"},
			"userPassword": {"fredpass"},
		}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	if err := s.Start("127.0.0.1:0"); err != nil {
		log.Fatal(err)
	}

	c, err := ldap.DialURL(s.URL())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.Bind("uid=fred,ou=people,dc=example,dc=org", "fredpass"))
	fmt.Println(s.Stats().Binds)
	// Output:
	// <nil>
	// 1
}
