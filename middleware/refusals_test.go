package middleware

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/seed-244866eb/gatehouse/directory"
)

func TestSubjectOf(t *testing.T) {
	for _, tt := range []struct {
		name, typed string
		entry       directory.Entry
		err         error
		want        string
	}{
		{"an entry is counted as its canonical name", "fred@example.org", directory.Entry{Name: "Fred"}, nil, "fred"},
		{"nobody is counted as typed", "Ghost ", directory.Entry{}, directory.ErrNoUser, "ghost"},
		{"in an outage as typed", "fred@example.org", directory.Entry{}, directory.ErrUnavailable, "fred@example.org"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := subjectOf(tt.typed, tt.entry, tt.err); got != tt.want {
				t.Errorf("subjectOf = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	mail := Credentials{Name: "fred@example.org", Client: here}
	synctest.Test(t, func(t *testing.T) {
		var s refusals
		s.add(mail, "fred")
		if got, ok := s.subject(mail); !ok || got != "fred" {
			t.Errorf("subject = %q, %v", got, ok)
		}
		for _, other := range []Credentials{
			{Name: "fred", Client: here},
			{Name: "fred@example.org", Client: there},
			{Name: "fred@example.org", Client: here, Uncertain: true},
		} {
			if _, ok := s.subject(other); ok {
				t.Errorf("%v from %v (uncertain %v) is taken for refused", other, other.Client, other.Uncertain)
			}
		}
		time.Sleep(refusedFor - time.Nanosecond)
		s.add(mail, "fred") // knocking makes it no longer
		if _, ok := s.subject(mail); !ok {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Nanosecond)
		if _, ok := s.subject(mail); ok {
			t.Error("remembered beyond its time")
		}
	})
}

func TestWhoWasWelcomeIsRefusedAsHimselfAlone(t *testing.T) {
	mail := Credentials{Name: "fred@example.org"}
	synctest.Test(t, func(t *testing.T) {
		var s refusals
		s.add(mail, "fred@example.org") // nobody's, so far
		s.admit(mail, "fred")
		if _, ok := s.subject(mail); ok {
			t.Error("still refused as somebody else after a login")
		}
		s.add(mail, "fred@example.org")
		if _, ok := s.subject(mail); ok {
			t.Error("refused as somebody else")
		}
		s.add(mail, "fred")
		if got, ok := s.subject(mail); !ok || got != "fred" {
			t.Errorf("subject = %q, %v; want the user's own refusal", got, ok)
		}
		time.Sleep(welcomeFor)
		s.add(mail, "fred@example.org")
		if got, _ := s.subject(mail); got != "fred@example.org" {
			t.Errorf("subject a day later = %q", got)
		}
	})
}

func TestRefusalsAreBounded(t *testing.T) {
	var s refusals
	for i := range 3 * maxRefused {
		s.add(Credentials{Name: fmt.Sprint("name", i)}, "x")
	}
	if n := len(s.known); n > maxRefused {
		t.Errorf("%d names, want at most %d", n, maxRefused)
	}
	if _, ok := s.subject(Credentials{Name: fmt.Sprint("name", 3*maxRefused-1)}); !ok {
		t.Error("the latest name is forgotten")
	}
}

// TestRefusalsKeepNoPieceOfABody: a name cut from a request body would keep
// the whole of it in memory, the password included.
func TestRefusalsKeepNoPieceOfABody(t *testing.T) {
	body := "ghost:" + strings.Repeat("p", 1000)
	name := body[:5]
	var s refusals
	s.add(Credentials{Name: name}, subjectOf(name, directory.Entry{}, directory.ErrNoUser))
	for k, v := range s.known {
		if unsafe.StringData(k.name) == unsafe.StringData(name) || unsafe.StringData(v.subject) == unsafe.StringData(name) {
			t.Error("what is remembered is a piece of the body")
		}
	}
}
