package directory

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errDown = errors.New("connection refused")

// login fails the test unless fred is in a and b.
func login(t testing.TB, d *Directory) *User {
	t.Helper()
	u, err := d.Login(t.Context(), Entry{ID: "id-1", Name: "fred"})
	if err != nil || !u.GroupsKnown() || !slices.Equal(u.Groups, []string{"a", "b"}) {
		t.Fatalf("Login: %+v, %v", u, err)
	}
	return u
}

// The states of a user's groups, each with what a request sees and how
// many reads there were after it: two where groups are lost, since one does
// not confirm a loss.
func TestUserByAge(t *testing.T) {
	for _, tt := range []struct {
		name   string
		age    time.Duration
		down   bool
		groups string // "new" were read by or for this request, "old" not, "" unknown
		reads  int    // a moment later
	}{
		{"fresh", time.Minute, false, "old", 0},
		{"fresh, directory down", time.Minute, true, "old", 0},
		{"half the TTL: at once, and read behind", 3 * time.Minute, false, "old", 2},
		{"half the TTL, directory down", 3 * time.Minute, true, "old", 0},
		{"just under the TTL", 5*time.Minute - 1, false, "old", 2},
		{"the TTL: waits for the read", 5 * time.Minute, false, "new", 2},
		{"over the TTL, directory down", 6 * time.Minute, true, "old", 0},
		{"hours later, directory down", 8*time.Hour - 1, true, "old", 0},
		{"dead, directory down", 8 * time.Hour, true, "", 0},
		{"dead", 8 * time.Hour, false, "new", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, f := newTest(t, Config{})
				read := login(t, d).GroupsRead
				time.Sleep(tt.age)
				f.set(func(f *fake) {
					f.groups, f.reads = []string{"c"}, 0
					if tt.down {
						f.err = errDown
					}
				})
				u, err := d.User(t.Context(), "fred", "id-1")
				synctest.Wait()
				if _, reads := f.counts(); reads != tt.reads {
					t.Errorf("%d reads, want %d", reads, tt.reads)
				}
				want := map[string]User{
					"old": {Groups: []string{"a", "b"}, GroupsRead: read},
					"new": {Groups: []string{"c"}, GroupsRead: read.Add(tt.age)},
					"":    {},
				}[tt.groups]
				if !slices.Equal(u.Groups, want.Groups) || !u.GroupsRead.Equal(want.GroupsRead) {
					t.Errorf("groups %v of %v, want %v of %v", u.Groups, u.GroupsRead, want.Groups, want.GroupsRead)
				}
				if (tt.groups == "") != errors.Is(err, ErrUnavailable) || u.Name != "fred" || u.ID != "id-1" {
					t.Errorf("user %+v, error %v", u, err)
				}
			})
		})
	}
}

func TestUserErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*fake)
		id   string
		want error
	}{
		{"never seen: found and read", func(*fake) {}, "id-1", nil},
		{"entry gone", func(f *fake) { f.id = "" }, "id-1", ErrNoUser},
		{"the name is another entry's", func(f *fake) { f.id = "id-2" }, "id-1", ErrNoUser},
		{"a session without an id is nobody's", func(*fake) {}, "", ErrNoUser},
		{"down", func(f *fake) { f.err = errDown }, "id-1", ErrUnavailable},
		{"an error that means nothing here", func(f *fake) { f.err = ErrBadCredentials }, "id-1", ErrUnavailable},
		{"no user and unavailable is unavailable", func(f *fake) { f.err = errors.Join(ErrNoUser, ErrUnavailable) }, "id-1", ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, f := newTest(t, Config{})
			f.set(tt.set)
			u, err := d.User(t.Context(), "fred", tt.id)
			if !errors.Is(err, tt.want) || err == nil && !u.In("a") {
				t.Errorf("%+v, %v; want %v", u, err, tt.want)
			}
			if errors.Is(tt.want, ErrNoUser) && errors.Is(err, ErrUnavailable) {
				t.Errorf("%v is two verdicts", err)
			}
		})
	}
	d, f := newTest(t, Config{})
	if _, err := d.User(t.Context(), "fr\x00ed", "id-1"); !errors.Is(err, ErrBadName) {
		t.Errorf("bad name: %v", err)
	}
	if finds, _ := f.counts(); finds != 0 {
		t.Error("the directory was asked for a bad name")
	}
}

// A session of an entry that was deleted must not become the session of a
// namesake; and the namesake's must not suffer from what is cached.
func TestNamesake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := newTest(t, Config{})
		login(t, d)
		f.set(func(f *fake) { f.id, f.groups = "id-2", []string{"new"} })
		u, err := d.User(t.Context(), "fred", "id-2") // logged in on another application node
		if err != nil || u.ID != "id-2" || !u.In("new") {
			t.Errorf("the new fred: %+v, %v", u, err)
		}
		before, _ := f.counts()
		for range 100 {
			if u, err := d.User(t.Context(), "fred", "id-1"); !errors.Is(err, ErrNoUser) {
				t.Fatalf("the old fred: %+v, %v", u, err)
			}
		}
		if finds, _ := f.counts(); finds != before+1 {
			t.Errorf("an old cookie cost %d searches in a moment, want 1", finds-before)
		}
		time.Sleep(firstPause)
		f.set(func(f *fake) { f.err = errDown })
		if u, err := d.User(t.Context(), "fred", "id-1"); !errors.Is(err, ErrUnavailable) || u.GroupsKnown() {
			t.Errorf("the old fred, directory down: %+v, %v", u, err)
		}
	})
}

func TestGoneUserCostsOneSearchAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := newTest(t, Config{})
		f.set(func(f *fake) { f.err = ErrNoUser })
		for range 100 {
			if u, err := d.User(t.Context(), "fred", "id-1"); !errors.Is(err, ErrNoUser) {
				t.Fatalf("gone: %+v, %v", u, err)
			}
		}
		if finds, _ := f.counts(); finds != 1 {
			t.Errorf("%d searches, want 1", finds)
		}
		f.set(func(f *fake) { f.err = nil })
		login(t, d)
		if u, err := d.User(t.Context(), "fred", "id-1"); err != nil || !u.In("a") {
			t.Errorf("a login meanwhile: %+v, %v", u, err)
		}
		d.Forget("fred")
		f.set(func(f *fake) { f.err = ErrNoUser })
		if _, err := d.User(t.Context(), "fred", "id-1"); !errors.Is(err, ErrNoUser) {
			t.Errorf("gone again: %v", err)
		}
		f.set(func(f *fake) { f.err = nil })
		time.Sleep(firstPause)
		if u, err := d.User(t.Context(), "fred", "id-1"); err != nil || !u.In("a") {
			t.Errorf("back a moment later: %+v, %v", u, err)
		}
	})
}

func TestEmptyGroupsAreKnown(t *testing.T) {
	d, f := newTest(t, Config{})
	f.set(func(f *fake) { f.groups = nil })
	u, err := d.Login(t.Context(), Entry{ID: "id-1", Name: "fred"})
	if err != nil || !u.GroupsKnown() || len(u.Groups) != 0 {
		t.Errorf("%+v, %v", u, err)
	}
	f.set(func(f *fake) { f.err = errDown })
	u, err = d.Login(t.Context(), Entry{ID: "id-3", Name: "ann"})
	if !errors.Is(err, ErrUnavailable) || u == nil || u.GroupsKnown() {
		t.Errorf("down: %+v, %v", u, err)
	}
}

func TestLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := newTest(t, Config{})
		first := login(t, d)
		time.Sleep(time.Second)
		if u := login(t, d); !u.GroupsRead.After(first.GroupsRead) {
			t.Error("a second login did not read the groups")
		}
		if finds, _ := f.counts(); finds != 0 {
			t.Errorf("%d searches for an entry that the login brought", finds)
		}
		f.set(func(f *fake) { f.err = errDown })
		time.Sleep(8*time.Hour - 1)
		login(t, d) // last known
		time.Sleep(time.Nanosecond)
		if u, err := d.Login(t.Context(), Entry{ID: "id-1", Name: "fred"}); !errors.Is(err, ErrUnavailable) || u.GroupsKnown() {
			t.Errorf("after StaleMax: %+v, %v", u, err)
		}
		f.set(func(f *fake) { f.err = ErrNoUser })
		if u, err := d.Login(t.Context(), Entry{ID: "id-1", Name: "fred"}); !errors.Is(err, ErrNoUser) || u != nil {
			t.Errorf("entry gone: %+v, %v", u, err)
		}
		if _, err := d.Login(t.Context(), Entry{Name: "fred"}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("entry without ID: %v", err)
		}
	})
}

// A login that meets the read of a request whose search finds another entry,
// or nobody, asks for its own.
func TestLoginDoesNotTakeAnothersRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := newTest(t, Config{})
		f.set(func(f *fake) { f.delay, f.id = time.Second, "id-0" })
		go d.User(t.Context(), "fred", "id-0")
		time.Sleep(time.Millisecond)
		if u := login(t, d); u.ID != "id-1" {
			t.Errorf("logged in as %+v", u)
		}
	})
}

func TestOneReadForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := newTest(t, Config{})
		f.set(func(f *fake) { f.delay = time.Second })
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				var err error
				if i%2 == 0 {
					_, err = d.User(t.Context(), "fred", "id-1")
				} else {
					_, err = d.Login(t.Context(), Entry{ID: "id-1", Name: "fred"})
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if _, reads := f.counts(); reads != 1 {
			t.Errorf("%d reads for 100 callers", reads)
		}
	})
}

// Who gives up is answered at once and takes the read from nobody else.
func TestCallerThatGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		d, f := newTest(t, Config{})
		f.set(func(f *fake) { f.delay = time.Second })
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "trace"), 10*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			begin := time.Now()
			u, err := d.User(ctx, "fred", "id-1")
			if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || u.GroupsKnown() {
				t.Errorf("who gave up got %+v, %v", u, err)
			}
			if waited := time.Since(begin); waited != 10*time.Millisecond {
				t.Errorf("waited %v", waited)
			}
		})
		time.Sleep(time.Millisecond)
		if u, err := d.User(t.Context(), "fred", "id-1"); err != nil || !u.In("a") {
			t.Errorf("who waited got %+v, %v", u, err)
		}
		wg.Wait()
		if _, reads := f.counts(); reads != 1 {
			t.Errorf("%d reads", reads)
		}
		if f.ctx.Value(key{}) != "trace" {
			t.Error("the read lost the values of who began it")
		}
	})
}

// A stale user whose request cannot wait long gets the last known groups.
func TestDeadlineFallsBackToLastKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := newTest(t, Config{})
		login(t, d)
		time.Sleep(time.Hour)
		f.set(func(f *fake) { f.delay, f.groups = time.Minute, []string{"c"} })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if u, err := d.User(ctx, "fred", "id-1"); err != nil || !u.In("a") {
			t.Errorf("%+v, %v", u, err)
		}
		// Without a deadline of the caller, Config.Timeout ends the read.
		begin := time.Now()
		if u, err := d.User(context.Background(), "fred", "id-1"); err != nil || !u.In("a") {
			t.Errorf("%+v, %v", u, err)
		}
		if waited := time.Since(begin); waited != 4*time.Second {
			t.Errorf("waited %v for a read that began a second before", waited)
		}
	})
}

func TestFailedReadsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := newTest(t, Config{})
		login(t, d)
		time.Sleep(6 * time.Minute)
		f.set(func(f *fake) { f.err, f.finds = errDown, 0 })
		// A request every 100 ms for ten minutes: reads after 0, 1, 3, 7, 15,
		// 31 and 63 s (pauses of 1, 2, 4 … s), then once a minute.
		for range 6000 {
			if u, err := d.User(t.Context(), "fred", "id-1"); err != nil || !u.In("a") {
				t.Fatalf("%+v, %v", u, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if finds, _ := f.counts(); finds < 12 || finds > 16 {
			t.Errorf("%d reads in ten minutes", finds)
		}
		f.set(func(f *fake) { f.err, f.groups = nil, []string{"c"} })
		time.Sleep(time.Minute)
		if u, err := d.User(t.Context(), "fred", "id-1"); err != nil || !u.In("c") {
			t.Errorf("after the outage: %+v, %v", u, err)
		}
	})
}

// Nothing known: the failure is remembered for the pause, and never longer.
func TestUnknownUserBacksOffToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := newTest(t, Config{})
		f.set(func(f *fake) { f.err = errDown })
		for range 10 {
			if _, err := d.User(t.Context(), "fred", "id-1"); !errors.Is(err, ErrUnavailable) {
				t.Fatal(err)
			}
		}
		if finds, _ := f.counts(); finds != 1 {
			t.Errorf("%d reads at once", finds)
		}
		f.set(func(f *fake) { f.err = nil })
		login(t, d) // a login does not wait for the pause
		d.Forget("fred")
		f.set(func(f *fake) { f.err = errDown })
		d.User(t.Context(), "fred", "id-1")
		f.set(func(f *fake) { f.err = nil })
		time.Sleep(time.Second)
		if u, err := d.User(t.Context(), "fred", "id-1"); err != nil || !u.In("a") {
			t.Errorf("%+v, %v", u, err)
		}
	})
}

func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := newTest(t, Config{})
		login(t, d)
		f.set(func(f *fake) { f.groups = []string{"c"} })
		d.Forget("fred")
		d.Forget("nobody")
		if u, err := d.User(t.Context(), "fred", "id-1"); err != nil || !u.In("c") {
			t.Errorf("%+v, %v", u, err)
		}
		// What a read under way brings is from before.
		f.set(func(f *fake) { f.delay = time.Second })
		go d.Login(t.Context(), Entry{ID: "id-1", Name: "fred"})
		time.Sleep(time.Millisecond)
		d.Forget("fred")
		time.Sleep(time.Second)
		_, before := f.counts()
		if _, err := d.User(t.Context(), "fred", "id-1"); err != nil {
			t.Error(err)
		}
		if _, reads := f.counts(); reads != before+1 {
			t.Errorf("%d reads after Forget, want 1", reads-before)
		}
		// Nor is its word that nobody is there.
		d.Forget("fred")
		f.set(func(f *fake) { f.delay, f.err = time.Second, ErrNoUser })
		go d.User(t.Context(), "fred", "id-1")
		time.Sleep(time.Millisecond)
		d.Forget("fred")
		time.Sleep(time.Second)
		f.set(func(f *fake) { f.delay, f.err = 0, nil })
		if u, err := d.User(t.Context(), "fred", "id-1"); err != nil || !u.In("c") {
			t.Errorf("after a read that was forgotten: %+v, %v", u, err)
		}
	})
}

func TestCloseWaitsForReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := newTest(t, Config{})
		login(t, d)
		time.Sleep(4 * time.Minute)
		f.set(func(f *fake) { f.delay = time.Hour })
		if _, err := d.User(t.Context(), "fred", "id-1"); err != nil { // begins a read behind
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		begin := time.Now()
		for range 2 {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
		f.mu.Lock()
		if f.now != 0 || time.Since(begin) != 0 {
			t.Errorf("%d reads under way after Close, which took %v", f.now, time.Since(begin))
		}
		f.mu.Unlock()
		// What is known is served, nothing is read.
		_, before := f.counts()
		time.Sleep(time.Hour)
		if u, err := d.User(t.Context(), "fred", "id-1"); err != nil || !u.In("a") {
			t.Errorf("%+v, %v", u, err)
		}
		if u, err := d.User(t.Context(), "ann", "id-1"); !errors.Is(err, ErrUnavailable) || u.GroupsKnown() {
			t.Errorf("%+v, %v", u, err)
		}
		login(t, d)
		if _, reads := f.counts(); reads != before {
			t.Errorf("%d reads after Close", reads-before)
		}
	})
}
