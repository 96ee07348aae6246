package middleware

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/session"
)

// remember makes the proof of a login that went well.
func (s *proofs) remember(user, typed, password string, client netip.Addr) Credentials {
	c := Credentials{Name: typed, Password: password, Client: client}
	s.put(c, Accepted{User: &directory.User{Name: user, ID: "id of " + user}, Subject: user, stamp: s.miss(user, c)})
	return c
}

func TestProofsAreBounded(t *testing.T) {
	here := netip.MustParseAddr("192.0.2.1")
	for _, tt := range []struct {
		name string
		user func(i int) string
		made int
		most int
	}{
		{"all together", func(i int) string { return fmt.Sprint("user", i) }, maxProofs + 100, maxProofs},
		{"those of one user", func(int) string { return "fred" }, maxUserProofs + 100, maxUserProofs},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, client := newProofs(time.Minute), here
			var last Credentials
			for i := range tt.made {
				client = client.Next() // a login ends the proofs of its own address
				last = s.remember(tt.user(i), fmt.Sprint("name", i), "p", client)
			}
			if n := len(s.known); n != tt.most {
				t.Errorf("%d proofs, want %d", n, tt.most)
			}
			if _, ok := s.find(last); !ok {
				t.Error("the latest one is forgotten")
			}
			users := 0
			for _, m := range s.users {
				users += len(m)
			}
			if users != len(s.known) {
				t.Errorf("%d proofs by user, %d by name", users, len(s.known))
			}
		})
	}
}

// TestOldProofsGo: what nobody asks for any more does not stay for ever.
func TestOldProofsGo(t *testing.T) {
	here := netip.MustParseAddr("192.0.2.1")
	synctest.Test(t, func(t *testing.T) {
		s := newProofs(time.Minute)
		for i := range 10 {
			s.remember(fmt.Sprint("user", i), "x", "p", here.Next())
		}
		time.Sleep(time.Minute)
		s.remember("fred", "fred", "p", here)
		if len(s.known) != 1 || len(s.users) != 1 {
			t.Errorf("%d proofs of %d users, want the new one", len(s.known), len(s.users))
		}
	})
}

// TestProofDependsOnEachPart: two sets of parts that read the same when put
// together are two.
func TestProofDependsOnEachPart(t *testing.T) {
	s := newProofs(time.Minute)
	here := netip.MustParseAddr("192.0.2.1")
	seen := map[[32]byte]string{}
	for _, c := range []struct {
		user, id, name, password string
		client                   netip.Addr
	}{
		{"ab", "c", "d", "e", here}, {"a", "bc", "d", "e", here}, {"ab", "", "cd", "e", here},
		{"ab", "c", "de", "", here}, {"ab", "c", "d", "e", here.Next()}, {"ab", "c", "d", "f", here},
	} {
		sum := s.sum(session.Principal{User: c.user, ID: c.id}, proofKey{c.name, c.client}, c.password)
		if was, ok := seen[sum]; ok {
			t.Errorf("%v has the sum of %s", c, was)
		}
		seen[sum] = fmt.Sprint(c)
	}
	if other := newProofs(time.Minute); other.sum(session.Principal{User: "ab", ID: "c"}, proofKey{"d", here}, "e") == s.sum(session.Principal{User: "ab", ID: "c"}, proofKey{"d", here}, "e") {
		t.Error("two processes make the same sum: there is no key")
	}
}
