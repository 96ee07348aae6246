package directory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNewReportsAllFaultsTogether(t *testing.T) {
	_, err := New(Config{TTL: -1, StaleMax: -2, Timeout: -3, Max: -4, Hold: -5, UpdateAtLogin: 3})
	for _, want := range []string{"Source is required", "TTL is negative: -1ns", "StaleMax is negative: -2ns", "Timeout is negative: -3ns", "Max is negative: -4", "Hold is negative: -5", "UpdateAtLogin is unknown: 3"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want %q", err, want)
		}
	}
	if _, err := New(Config{Source: &fake{}, TTL: time.Hour, StaleMax: time.Minute}); err == nil {
		t.Error("New accepted a StaleMax under the TTL")
	}
	if _, err := New(Config{Source: &fake{}, StaleMax: 10 * time.Minute, Hold: time.Hour}); err == nil {
		t.Error("New accepted a Hold over the StaleMax")
	}
	if d, err := New(Config{Source: &fake{}, StaleMax: 10 * time.Minute}); err != nil || d.config.Hold != 10*time.Minute {
		t.Errorf("a StaleMax under the default of Hold: %v", err)
	}
	d, err := New(Config{Source: &fake{}, TTL: 24 * time.Hour})
	if err != nil || d.config.StaleMax != 24*time.Hour {
		t.Errorf("a TTL over the default of StaleMax: %v", err)
	}
}

func TestCheckName(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		ok       bool
	}{
		{"ASCII", "fred", true},
		{"any alphabet", "zoë", true},
		{"what LDAP escapes", `a*(b)\,"+`, true},
		{"domain", `EXAMPLE\fred`, true},
		{"256 bytes", strings.Repeat("a", 256), true},
		{"257 bytes", strings.Repeat("a", 257), false},
		{"empty", "", false},
		{"NUL", "fred\x00", false},
		{"newline", "fred\n", false},
		{"unit separator", "\x1f", false},
		{"space", " ", true},
		{"DEL", "\x7f", false},
		{"not UTF-8", "\xff", false},
		{"surrogate", "\xed\xa0\x80", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckName(tt.in)
			if (err == nil) != tt.ok || err != nil && !(errors.Is(err, ErrBadName) && errors.Is(err, ErrNoUser)) {
				t.Errorf("CheckName(%q) = %v", tt.in, err)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	e := Entry{ID: "id-1", Name: "fred"}
	for _, tt := range []struct {
		name     string
		entry    Entry
		password string
		err      error // of the source
		want     error
	}{
		{"accepted", e, "x", nil, nil},
		{"refused", e, "x", ErrBadCredentials, ErrBadCredentials},
		{"empty password is not asked", e, "", nil, ErrBadCredentials},
		{"unknown error is no verdict", e, "x", errDown, ErrUnavailable},
		{"time-out is no verdict", e, "x", context.DeadlineExceeded, ErrUnavailable},
		{"no user is no verdict about a password", e, "x", ErrNoUser, ErrUnavailable},
		{"two verdicts are none", e, "x", errors.Join(ErrBadCredentials, ErrUnavailable), ErrUnavailable},
		{"nobody, refused", Entry{}, "x", ErrBadCredentials, ErrBadCredentials},
		{"a yes to nobody is no verdict", Entry{}, "x", nil, ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, f := newTest(t, Config{})
			f.set(func(f *fake) { f.err = tt.err })
			got, err := d.Verify(t.Context(), tt.entry, tt.password)
			if !errors.Is(err, tt.want) || err == nil && got.ID != "id-1" || err != nil && got.ID != "" {
				t.Errorf("%+v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	d, f := newTest(t, Config{})
	if e, err := d.Find(t.Context(), "fred"); err != nil || e.Name != "fred" {
		t.Errorf("%+v, %v", e, err)
	}
	f.set(func(f *fake) { f.err = errDown })
	if _, err := d.Find(t.Context(), "fred"); !errors.Is(err, ErrUnavailable) || !errors.Is(err, errDown) {
		t.Errorf("down: %v", err)
	}
	f.set(func(f *fake) { f.err, f.id = nil, "" })
	if _, err := d.Find(t.Context(), "fred"); !errors.Is(err, ErrNoUser) || errors.Is(err, ErrUnavailable) {
		t.Errorf("nobody: %v", err)
	}
}

func TestIn(t *testing.T) {
	known := &User{Groups: []string{"jira-administrators", "Jira-Users", "größe"}, GroupsRead: time.Now()}
	unknown := &User{Groups: known.Groups}
	for _, tt := range []struct {
		name   string
		user   *User
		groups []string
		want   bool
	}{
		{"in", known, []string{"jira-administrators"}, true},
		{"letter case", known, []string{"JIRA-users"}, true},
		{"beyond ASCII", known, []string{"GRÖSSE", "GRÖßE"}, true},
		{"any of them", known, []string{"x", "jira-users"}, true},
		{"none of them", known, []string{"jira", "jira-users2", ""}, false},
		{"none asked for", known, nil, false},
		{"unknown groups", unknown, []string{"jira-users"}, false},
		{"nobody", nil, []string{"jira-users"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.user.In(tt.groups...); got != tt.want {
				t.Errorf("In(%q) = %v", tt.groups, got)
			}
		})
	}
}

// One line when an outage begins and one when it ends, whatever the number of
// users, and no line for people who do not exist.
func TestLogOfAnOutage(t *testing.T) {
	var out bytes.Buffer
	d, f := newTest(t, Config{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	f.set(func(f *fake) { f.err = errDown })
	for _, name := range []string{"fred", "ann", "bob"} {
		d.User(t.Context(), name, "id-1")
	}
	f.set(func(f *fake) { f.err = nil })
	login(t, d)
	login(t, d)
	f.set(func(f *fake) { f.id = "" })
	d.User(t.Context(), "nobody", "id-1")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "level=WARN") || !strings.Contains(lines[0], "connection refused") || !strings.Contains(lines[1], "level=INFO") {
		t.Errorf("logged\n%s", out.String())
	}
}

func static(t *testing.T) *Static {
	t.Helper()
	groups := []string{"b", "a", "b"}
	s, err := NewStatic(
		Person{Name: "Fred", Password: "fredpass", Email: "fred@example.org", Groups: groups},
		Person{Name: "zoë", Password: "pässwörd", DisplayName: "Zoë"},
		Person{Name: "guest"},
	)
	if err != nil {
		t.Fatal(err)
	}
	groups[0] = "changed"
	return s
}

func TestStatic(t *testing.T) {
	s := static(t)
	e, err := s.Find(t.Context(), "FRED")
	want := Entry{ID: "static:fred", Name: "Fred", DisplayName: "Fred", Email: "fred@example.org", Node: "static"}
	if err != nil || fmt.Sprint(e) != fmt.Sprint(want) {
		t.Errorf("Find: %+v, %v; want %+v", e, err, want)
	}
	g, err := s.Groups(t.Context(), e)
	if err != nil || !slices.Equal(g.Names, []string{"a", "b"}) || g.Node != "static" || g.Read.IsZero() {
		t.Errorf("Groups: %+v, %v", g, err)
	}
	if _, err := s.Find(t.Context(), "frida"); !errors.Is(err, ErrNoUser) {
		t.Errorf("unknown name: %v", err)
	}
	if _, err := s.Groups(t.Context(), Entry{ID: "uid=x"}, staticNode); !errors.Is(err, ErrNoUser) {
		t.Errorf("groups of an entry of another source: %v", err)
	}
	for _, tt := range []struct {
		name, user, password string
		ok                   bool
	}{
		{"right", "fred", "fredpass", true},
		{"right, beyond ASCII", "ZOË", "pässwörd", true},
		{"wrong", "fred", "Fredpass", false},
		{"another's", "fred", "pässwörd", false},
		{"empty", "fred", "", false},
		{"nobody", "", "fredpass", false},
		{"person without password", "guest", "x", false},
		{"person without password, empty", "guest", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var e Entry
			if tt.user != "" {
				e, _ = s.Find(t.Context(), tt.user)
			}
			got, err := s.Verify(t.Context(), e, tt.password)
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrBadCredentials) || (got.ID != "") != tt.ok {
				t.Errorf("Verify: %+v, %v", got, err)
			}
		})
	}
}

func TestStaticHonoursTheContext(t *testing.T) {
	s := static(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, errFind := s.Find(ctx, "fred")
	_, errVerify := s.Verify(ctx, Entry{ID: "static:fred"}, "fredpass")
	_, errGroups := s.Groups(ctx, Entry{ID: "static:fred"})
	for _, err := range []error{errFind, errVerify, errGroups} {
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

func TestNewStaticReportsAllFaultsTogether(t *testing.T) {
	_, err := NewStatic(Person{Name: "a"}, Person{Name: ""}, Person{Name: "A"}, Person{Name: "b\n", Password: "secret"})
	for _, want := range []string{`person 1: ""`, `person 2: "A" occurs twice`, `person 3: "b\n"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewStatic: %v, want %s", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Error("the error shows a password")
	}
}

func TestPasswordsDoNotPrint(t *testing.T) {
	p := Person{Name: "fred", Password: "fredpass"}
	s, err := NewStatic(p)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "p", p, "pp", &p)
	j, _ := json.Marshal(p)
	out := fmt.Sprintf("%v %+v %#v %s %q %+v %#v %+v %v", p, p, p, p, p, &p, &p, s, []Person{p}) + log.String() + string(j)
	if strings.Contains(out, "fredpass") || !strings.Contains(out, "fred") {
		t.Errorf("printed %s", out)
	}
}

// FuzzCheckName states what a name that passed can be.
func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"fred", "", "zoë", "a\x00b", "\xff", "\u0085", strings.Repeat("é", 128), `EXAMPLE\fred`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		ok := CheckName(name) == nil
		bad := name == "" || len(name) > 256 || strings.ToValidUTF8(name, "\x00") != name ||
			strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
		if ok == bad {
			t.Errorf("CheckName(%q) passed: %v", name, ok)
		}
		// The fold of a Static is stable and blind to letter case.
		if ok && (foldName(foldName(name)) != foldName(name) || strings.EqualFold(name, "fred") != (foldName(name) == foldName("fred"))) {
			t.Errorf("foldName(%q) = %q", name, foldName(name))
		}
	})
}
