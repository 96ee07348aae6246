package middleware

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
)

func TestSubjects(t *testing.T) {
	fred := directory.Entry{Name: "Fred"}
	for _, tt := range []struct {
		name, typed string
		entry       directory.Entry
		err         error
		before      string
		want        string
		remembered  bool
	}{
		{"an entry is counted as its canonical name", "fred@example.org", fred, nil, "", "fred", true},
		{"nobody is counted as typed", "Ghost ", directory.Entry{}, directory.ErrNoUser, "", "ghost", true},
		{"an outage leaves what was known", "fred@example.org", directory.Entry{}, directory.ErrUnavailable, "fred", "fred", false},
		{"an outage teaches nothing", "fred@example.org", directory.Entry{}, directory.ErrUnavailable, "", "fred@example.org", false},
		{"what cannot be a name is not kept", strings.Repeat("x", 300), directory.Entry{}, directory.ErrBadName, "", strings.Repeat("x", 255), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s subjects
			if got := s.learn(tt.typed, tt.entry, tt.err, tt.before); got != tt.want {
				t.Errorf("learn = %q, want %q", got, tt.want)
			}
			if got, ok := s.get(tt.typed); ok != tt.remembered || ok && got != tt.want {
				t.Errorf("get = %q, %v", got, ok)
			}
		})
	}
}

func TestSubjectsAreBoundedAndForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s subjects
		for i := range 3 * maxSubjects {
			s.learn(fmt.Sprint("name", i), directory.Entry{}, directory.ErrNoUser, "")
		}
		if n := len(s.known); n > maxSubjects {
			t.Errorf("%d names, want at most %d", n, maxSubjects)
		}
		last := fmt.Sprint("name", 3*maxSubjects-1)
		if _, ok := s.get(last); !ok {
			t.Error("the latest name is forgotten")
		}
		time.Sleep(subjectFor)
		if _, ok := s.get(last); ok {
			t.Error("a name is remembered beyond its time")
		}
	})
}
