package slapdtest_test

import (
	"fmt"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/slapdtest"
)

// A test starts a server, asks it, and sees what reached it.
func Example() {
	test := func(t *testing.T) {
		s := slapdtest.Start(t, slapdtest.Config{
			Users: 100, Groups: 10,
			People: []slapdtest.Person{{Name: "ann", Groups: []string{"developers"}}},
		})
		before := s.Counts()
		// … log ann in against s.TLSURL() with s.Roots() …
		if got := s.Counts().Sub(before); got.Binds > 3 {
			t.Errorf("%d binds", got.Binds)
		}
	}
	_ = test
	fmt.Println(slapdtest.UserDN("ann"))
	// Output: uid=ann,ou=people,dc=example,dc=org
}
