package directory

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What is read ahead of a login is what the login takes, and no more is read;
// of somebody unknown, or unseen, nothing is read ahead.
func TestReadAhead(t *testing.T) {
	seen := Entry{ID: "id-1", Name: "fred", Node: "n1"}
	for _, tt := range []struct {
		name          string
		known         bool
		update        UpdateAtLogin
		entry         Entry
		verify        time.Duration // while the groups take a second
		ahead, reads  int
		took          time.Duration
		then          error // of the source, once the read ahead is under way
		wantErr       error
		wantUnchanged bool
	}{
		{"somebody known", true, UpdateAlways, seen, time.Second, 1, 1, time.Second, nil, nil, false},
		{"the password takes longer", true, UpdateAlways, seen, 3 * time.Second, 1, 1, 3 * time.Second, nil, nil, false},
		{"the groups take longer", true, UpdateAlways, seen, 0, 1, 1, time.Second, nil, nil, false},
		{"somebody of whom nothing is known", false, UpdateAlways, seen, time.Second, 0, 1, 2 * time.Second, nil, nil, false},
		{"an entry that no node has shown", true, UpdateAlways, Entry{ID: "id-1", Name: "fred"}, time.Second, 0, 1, 2 * time.Second, nil, nil, false},
		{"a login that reads nothing", true, UpdateNewUsers, seen, time.Second, 0, 0, time.Second, nil, nil, true},
		{"an outage meanwhile: what was known", true, UpdateAlways, seen, time.Second, 1, 2, 2 * time.Second, errDown, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, f := newTest(t, Config{UpdateAtLogin: tt.update})
				if tt.known {
					login(t, d)
				}
				f.set(func(f *fake) { f.reads, f.delay, f.groups = 0, time.Second, []string{"a", "b", "new"} })
				began := time.Now()
				finish := d.ReadAhead(t.Context(), tt.entry)
				synctest.Wait()
				if _, reads := f.counts(); reads != tt.ahead {
					t.Errorf("%d reads ahead, want %d", reads, tt.ahead)
				}
				f.set(func(f *fake) { f.err = tt.then })
				time.Sleep(tt.verify)
				u, err := finish(t.Context(), tt.entry)
				if !errors.Is(err, tt.wantErr) || u.In("new") == tt.wantUnchanged {
					t.Errorf("%+v, %v", u, err)
				}
				if _, reads := f.counts(); reads != tt.reads || time.Since(began) != tt.took {
					t.Errorf("%d reads in %v, want %d in %v", reads, time.Since(began), tt.reads, tt.took)
				}
			})
		})
	}
}

// A caller that has gone takes the read from nobody, and one whose password
// was wrong leaves nothing behind but groups that are as fresh as they look.
func TestReadAheadOfAWrongPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := newTest(t, Config{})
		login(t, d)
		f.set(func(f *fake) { f.delay, f.groups = time.Second, []string{"a", "b", "new"} })
		ctx, cancel := context.WithCancel(t.Context())
		d.ReadAhead(ctx, Entry{ID: "id-1", Name: "fred", Node: "n1"})
		cancel()
		time.Sleep(2 * time.Second)
		if u, err := d.User(t.Context(), "fred", "id-1"); err != nil || !u.In("new") {
			t.Errorf("%+v, %v", u, err)
		}
	})
}

// A wrong password changes nothing by what is read ahead: neither whose the
// name is nor what the directory said about the right one.
func TestReadAheadDecidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := newTest(t, Config{})
		known := Entry{ID: "id-1", Name: "fred", Node: "n1", Notice: PasswordNotice{Expired: true, GraceLogins: 3}}
		if _, err := d.Login(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		f.set(func(f *fake) { f.reads = 0 })
		d.ReadAhead(t.Context(), Entry{ID: "id-2", Name: "fred", Node: "n1"})
		synctest.Wait()
		if _, reads := f.counts(); reads != 0 {
			t.Errorf("%d reads ahead of another entry", reads)
		}
		d.ReadAhead(t.Context(), Entry{ID: "id-1", Name: "fred", Node: "n1"})
		synctest.Wait()
		if u, err := d.User(t.Context(), "fred", "id-1"); err != nil || u.Notice != known.Notice {
			t.Errorf("%+v, %v", u, err)
		}
	})
}
