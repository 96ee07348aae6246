// Package storetest holds the contracts of the Store interfaces of session,
// attempts and captcha. The memory stores and every other implementation run
// the same tests.
package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/session"
)

// tick is the unit of time in the contract of sessions, long enough for a
// server on a busy machine to tell one from two.
const tick = 100 * time.Millisecond

// Session runs the contract of session.Store on the stores that new returns,
// which may share their content: every subtest uses keys of its own. A store
// in memory runs on the fake clock of testing/synctest, any other in real
// time, a few seconds in all.
func Session(t *testing.T, new func(*testing.T) session.Store) {
	for _, tt := range []struct {
		name string
		test func(*sessions)
	}{
		{"an unknown key is not found", (*sessions).unknown},
		{"a record comes back as it was saved", (*sessions).roundTrip},
		{"a first save needs a free key", (*sessions).firstSave},
		{"a save needs the stored version", (*sessions).staleSave},
		{"a save does not bring back what was deleted", (*sessions).lateSave},
		{"a deleted record is gone, and deleting again is no error", (*sessions).deleted},
		{"the shard is part of the key", (*sessions).otherShard},
		{"a record expires however much it is used", (*sessions).expires},
		{"an unused record ends after its idle time", (*sessions).idles},
		{"use moves the idle end", (*sessions).used},
		{"without an idle time a record waits for its expiry", (*sessions).neverIdle},
		{"the key of an ended record is free", (*sessions).freed},
		{"a list has the live records of one user", (*sessions).lists},
		{"a list of nobody is empty", (*sessions).listsNobody},
		{"a list moves no idle end", (*sessions).listsQuietly},
		{"a record that changes its user changes lists", (*sessions).changesUser},
		{"of parallel saves one wins", (*sessions).race},
		{"parallel logins of one user are all listed", (*sessions).parallelLogins},
		{"any order of operations agrees with a plain map", (*sessions).model},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := new(t)
			if _, ok := store.(*session.Memory); !ok {
				tt.test(newSessions(t, store))
				return
			}
			synctest.Test(t, func(t *testing.T) { tt.test(newSessions(t, store)) })
		})
	}
}

// sessions is one run of the contract: a store, with calls that fail the test.
type sessions struct {
	*testing.T
	session.Store
	ctx  context.Context
	user string // of this run alone
}

func newSessions(t *testing.T, store session.Store) *sessions {
	return &sessions{T: t, Store: store, ctx: t.Context(), user: "fred-" + rand.Text()}
}

// key returns a new key; the users of a run all share shard 7.
func (s *sessions) key() session.Key {
	k := session.Key{Shard: 7}
	rand.Read(k.Hash[:])
	return k
}

// record returns a record of the run's user that outlives the test.
func (s *sessions) record() session.Record {
	return session.Record{User: s.user, Kind: session.KindSession, Expires: time.Now().Add(time.Hour), Idle: time.Hour, Data: "data"}
}

// save saves r, which must succeed, and returns it as the store has it now.
func (s *sessions) save(k session.Key, r session.Record) session.Record {
	s.Helper()
	if err := s.Save(s.ctx, k, r); err != nil {
		s.Fatalf("Save: %v", err)
	}
	r.Version++
	return r
}

// conflicts saves r, which must be refused.
func (s *sessions) conflicts(k session.Key, r session.Record) {
	s.Helper()
	if err := s.Save(s.ctx, k, r); !errors.Is(err, session.ErrConflict) {
		s.Errorf("Save of version %d: %v, want ErrConflict", r.Version, err)
	}
}

// has loads what must be want. It counts as a use.
func (s *sessions) has(k session.Key, want session.Record) {
	s.Helper()
	got, err := s.Load(s.ctx, k)
	if err != nil {
		s.Fatalf("Load: %v", err)
	}
	if !same(got, want) {
		s.Errorf("Load = %v %q\nwant   %v %q", got, got.Data, want, want.Data)
	}
}

// lacks loads what must not be there; an error of another kind would mean that
// the store did not answer.
func (s *sessions) lacks(k session.Key) {
	s.Helper()
	if got, err := s.Load(s.ctx, k); !errors.Is(err, session.ErrNotFound) {
		s.Errorf("Load = %v, %v, want ErrNotFound", got, err)
	}
}

func (s *sessions) list(user string) map[session.Key]session.Record {
	s.Helper()
	got, err := s.List(s.ctx, 7, user)
	if err != nil {
		s.Fatalf("List: %v", err)
	}
	return got
}

// listed lists the records of user, which must be want.
func (s *sessions) listed(user string, want map[session.Key]session.Record) {
	s.Helper()
	if got := s.list(user); !maps.EqualFunc(got, want, same) {
		s.Errorf("List(%q) = %v\nwant %v", user, got, want)
	}
}

// same compares to the millisecond, which is what servers keep.
func same(a, b session.Record) bool {
	d := a.Expires.Sub(b.Expires).Abs()
	a.Expires, b.Expires = time.Time{}, time.Time{}
	return a == b && d < 2*time.Millisecond
}

func (s *sessions) unknown() { s.lacks(s.key()) }

// roundTrip uses what careless encodings lose: bytes that are no text, names
// that are not ASCII, empty and large data.
func (s *sessions) roundTrip() {
	for _, r := range []session.Record{
		{User: s.user, Kind: session.KindSession, Idle: time.Hour, Data: "a\x00b\r\n\xff\xfe"},
		{User: "Jürgen 中 " + s.user, Kind: session.KindRememberMe, Data: ""},
		{User: "", Kind: session.KindSession, Idle: 90 * time.Minute, Data: strings.Repeat("x", 64<<10)},
	} {
		r.Expires = time.Now().Add(time.Hour)
		k := s.key()
		s.has(k, s.save(k, r))
	}
}

// firstSave is the collision of two new sessions: the second must not take over
// the first, nor its place in a list.
func (s *sessions) firstSave() {
	k := s.key()
	r := s.save(k, s.record())
	other := s.record()
	other.User, other.Data = "mallory", "other"
	s.conflicts(k, other)
	s.has(k, r)
}

func (s *sessions) staleSave() {
	k := s.key()
	first := s.save(k, s.record())
	second := first
	second.Data = "second"
	second = s.save(k, second)
	s.conflicts(k, first)
	ahead := second
	ahead.Version++
	s.conflicts(k, ahead)
	s.has(k, second)
}

// lateSave is a request that read before a logout and saves after it.
func (s *sessions) lateSave() {
	k := s.key()
	r := s.save(k, s.record())
	if err := s.Delete(s.ctx, k); err != nil {
		s.Fatal(err)
	}
	s.conflicts(k, r)
	s.lacks(k)
	s.listed(s.user, nil)
}

func (s *sessions) deleted() {
	k := s.key()
	s.save(k, s.record())
	for range 2 {
		if err := s.Delete(s.ctx, k); err != nil {
			s.Errorf("Delete: %v", err)
		}
		s.lacks(k)
	}
	s.save(k, s.record())
}

// otherShard matters because a client chooses both halves of its cookie.
func (s *sessions) otherShard() {
	k := s.key()
	r := s.save(k, s.record())
	other := k
	other.Shard++
	s.lacks(other)
	if err := s.Delete(s.ctx, other); err != nil {
		s.Error(err)
	}
	s.has(k, r)
}

func (s *sessions) expires() {
	k, r := s.key(), s.record()
	r.Expires = time.Now().Add(3 * tick)
	r = s.save(k, r)
	time.Sleep(2 * tick)
	s.has(k, r)
	time.Sleep(2 * tick)
	s.lacks(k)
	s.listed(s.user, nil)
}

func (s *sessions) idles() {
	k, r := s.key(), s.record()
	r.Idle = 2 * tick
	s.save(k, r)
	time.Sleep(3 * tick)
	s.listed(s.user, nil)
	s.lacks(k)
}

// used sleeps within the idle time by more than the sixteenth that a store may
// leave out.
func (s *sessions) used() {
	k, r := s.key(), s.record()
	r.Idle = 3 * tick
	r = s.save(k, r)
	for range 4 {
		time.Sleep(2 * tick)
		s.has(k, r)
	}
	time.Sleep(4 * tick)
	s.lacks(k)
}

func (s *sessions) neverIdle() {
	k, r := s.key(), s.record()
	r.Idle = 0
	r = s.save(k, r)
	time.Sleep(3 * tick)
	s.has(k, r)
}

// freed also shows that the version of an ended record opens nothing.
func (s *sessions) freed() {
	k, r := s.key(), s.record()
	r.Expires = time.Now().Add(tick)
	old := s.save(k, r)
	time.Sleep(2 * tick)
	s.conflicts(k, old)
	s.has(k, s.save(k, s.record()))
}

func (s *sessions) lists() {
	want := make(map[session.Key]session.Record)
	for _, kind := range []session.Kind{session.KindSession, session.KindSession, session.KindRememberMe} {
		k, r := s.key(), s.record()
		r.Kind = kind
		want[k] = s.save(k, r)
	}
	for _, user := range []string{"", "x" + s.user, strings.ToUpper(s.user)} {
		r := s.record()
		r.User = user
		s.save(s.key(), r)
	}
	gone := s.key()
	s.save(gone, s.record())
	if err := s.Delete(s.ctx, gone); err != nil {
		s.Fatal(err)
	}
	s.listed(s.user, want)
}

func (s *sessions) listsNobody() {
	s.listed("nobody-"+s.user, nil)
}

// listsQuietly is the operator who looks at a list all day: nobody may stay
// logged in by it.
func (s *sessions) listsQuietly() {
	k, r := s.key(), s.record()
	r.Idle = 3 * tick
	s.save(k, r)
	for range 2 {
		time.Sleep(2 * tick)
		s.list(s.user)
	}
	s.lacks(k)
}

// changesUser saves one key for another user, who alone may list it afterwards.
func (s *sessions) changesUser() {
	k := s.key()
	r := s.save(k, s.record())
	r.User = "ann-" + s.user
	r = s.save(k, r)
	s.listed(s.user, nil)
	s.listed(r.User, map[session.Key]session.Record{k: r})
}

// race saves each version of one record sixteen times at once.
func (s *sessions) race() {
	k, r := s.key(), s.record()
	for range 20 {
		var wg sync.WaitGroup
		errs := make([]error, 16)
		for i := range errs {
			wg.Go(func() { errs[i] = s.Save(s.ctx, k, r) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, session.ErrConflict) {
				s.Fatal(err)
			}
		}
		if won != 1 {
			s.Fatalf("%d of 16 saves of version %d won", won, r.Version)
		}
		r.Version++
	}
	s.has(k, r)
}

// parallelLogins would lose some where the index is read, changed and written
// in steps.
func (s *sessions) parallelLogins() {
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			k := s.key()
			if err := s.Save(s.ctx, k, s.record()); err != nil {
				s.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(s.list(s.user)); n != 50 {
		s.Errorf("%d sessions listed after 50 logins", n)
	}
}

// model runs random operations on a few keys and users beside a map.
func (s *sessions) model() {
	seed := mathrand.Uint64()
	s.Logf("seed %d", seed)
	rnd := mathrand.New(mathrand.NewPCG(seed, 0))
	users := []string{"", s.user, "ann-" + s.user}
	keys := []session.Key{s.key(), s.key(), s.key(), s.key(), s.key()}
	model := make(map[session.Key]session.Record)
	for range 2000 {
		k := keys[rnd.IntN(len(keys))]
		switch stored, ok := model[k]; rnd.IntN(5) {
		case 0:
			if err := s.Delete(s.ctx, k); err != nil {
				s.Fatal(err)
			}
			delete(model, k)
		case 1, 2:
			r := s.record()
			r.User, r.Data = users[rnd.IntN(len(users))], rand.Text()
			r.Version = uint64(rnd.IntN(3)) + max(stored.Version, 1) - 1
			if r.Version != stored.Version {
				s.conflicts(k, r)
				break
			}
			model[k] = s.save(k, r)
		case 3:
			if ok {
				s.has(k, stored)
			} else {
				s.lacks(k)
			}
		case 4:
			user := users[1+rnd.IntN(2)]
			want := maps.Clone(model)
			maps.DeleteFunc(want, func(_ session.Key, r session.Record) bool { return r.User != user })
			s.listed(user, want)
		}
	}
}
