package directory

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What each policy makes of a login, by what is known before it: the groups
// it sees and the reads that it has cost a moment later.
func TestUpdateAtLogin(t *testing.T) {
	for _, tt := range []struct {
		name   string
		update UpdateAtLogin
		age    time.Duration // of what is known; negative: nothing is
		down   bool
		need   string
		groups string // "new" were read by this login, "old" not, "" unknown
		reads  int
		err    error
	}{
		{"always: fresh", UpdateAlways, time.Minute, false, "", "new", 1, nil},
		{"always: new user", UpdateAlways, -1, false, "", "new", 1, nil},
		{"new users: new user", UpdateNewUsers, -1, false, "", "new", 1, nil},
		{"new users: fresh", UpdateNewUsers, time.Minute, false, "", "old", 0, nil},
		{"new users: half the TTL", UpdateNewUsers, 3 * time.Minute, false, "", "old", 1, nil},
		{"new users: the TTL", UpdateNewUsers, 5 * time.Minute, false, "", "new", 1, nil},
		{"new users: over the TTL, directory down", UpdateNewUsers, time.Hour, true, "", "old", 0, nil},
		{"new users: needs a group that is known", UpdateNewUsers, time.Minute, false, "a", "old", 0, nil},
		{"new users: needs a group that is not known", UpdateNewUsers, time.Minute, false, "c", "new", 1, nil},
		{"never: new user", UpdateNever, -1, false, "", "", 0, nil},
		{"never: new user who needs a group", UpdateNever, -1, false, "c", "new", 1, nil},
		{"never: fresh", UpdateNever, time.Minute, false, "", "old", 0, nil},
		{"never: over the TTL", UpdateNever, time.Hour, false, "", "old", 0, nil},
		{"never: over the TTL, needs a group that is known", UpdateNever, time.Hour, false, "a", "old", 0, nil},
		{"never: needs a group that is not known", UpdateNever, time.Minute, false, "c", "new", 1, nil},
		{"never: needs a group that is not known, directory down", UpdateNever, time.Minute, true, "c", "", 0, ErrUnavailable},
		{"never: dead", UpdateNever, 9 * time.Hour, false, "", "", 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, f := newTest(t, Config{UpdateAtLogin: tt.update})
				if tt.age >= 0 {
					d.User(t.Context(), "fred", "id-1")
					time.Sleep(tt.age)
				}
				f.set(func(f *fake) {
					f.groups, f.reads = []string{"a", "b", "c"}, 0
					if tt.down {
						f.err = errDown
					}
				})
				var need []string
				if tt.need != "" {
					need = []string{tt.need}
				}
				u, err := d.Login(t.Context(), Entry{ID: "id-1", Name: "fred"}, need...)
				synctest.Wait()
				want := map[string]string{"new": "a b c", "old": "a b", "": ""}[tt.groups]
				if got := strings.Join(u.Groups, " "); got != want || u.GroupsKnown() != (want != "") || !errors.Is(err, tt.err) {
					t.Errorf("groups %q, %v; want %q, %v", got, err, want, tt.err)
				}
				if _, reads := f.counts(); !tt.down && reads != tt.reads {
					t.Errorf("%d reads, want %d", reads, tt.reads)
				}
			})
		})
	}
}

// What the directory said about the password stays until the next login,
// through the renewals of the groups.
func TestNoticeStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newTest(t, Config{UpdateAtLogin: UpdateNewUsers})
		soon := PasswordNotice{Expires: time.Now().Add(48 * time.Hour)}
		for _, notice := range []PasswordNotice{soon, {}, soon} {
			u, err := d.Login(t.Context(), Entry{ID: "id-1", Name: "fred", Notice: notice})
			if err != nil || u.Notice != notice {
				t.Fatalf("after a login: %+v, %v; want %+v", u, err, notice)
			}
			time.Sleep(time.Minute)
			if u, _ := d.User(t.Context(), "fred", "id-1"); u.Notice != notice {
				t.Errorf("a minute later: %+v", u.Notice)
			}
			time.Sleep(time.Hour)
			if u, _ := d.User(t.Context(), "fred", "id-1"); u.Notice != notice || time.Since(u.GroupsRead) != 0 {
				t.Errorf("renewed: %+v of %v", u.Notice, u.GroupsRead)
			}
		}
	})
}

func TestLogOfALogin(t *testing.T) {
	var out bytes.Buffer
	d, _ := newTest(t, Config{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	login(t, d)
	d.User(t.Context(), "fred", "id-1")
	want := `level=DEBUG msg="updating groups on login" user=fred node=n1 groups=2 took=`
	if strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), want) {
		t.Errorf("logged %s\nwant %s", out.String(), want)
	}
}

type reporting struct{ *fake }

func (reporting) Nodes() []NodeState { return []NodeState{{Name: "n1", Current: true}} }

func TestNodes(t *testing.T) {
	d, f := newTest(t, Config{})
	if n := d.Nodes(); n != nil {
		t.Errorf("nodes of a source that tells none: %v", n)
	}
	d, _ = newTest(t, Config{Source: reporting{f}})
	if n := d.Nodes(); len(n) != 1 || n[0].Name != "n1" || !n[0].Current {
		t.Errorf("nodes: %+v", n)
	}
}
