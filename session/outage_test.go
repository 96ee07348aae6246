package session_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/seed-244866eb/gatehouse/session"
)

func TestStoreFailures(t *testing.T) {
	f, m := newFaulty(t)
	cookie := "JSESSIONID=" + login(t, m, "fred")
	w := httptest.NewRecorder()

	f.load = errDown
	s := m.Check(request(cookie))
	if s.State() != session.Unknown || !errors.Is(s.Err(), errDown) || s.User() != (session.Principal{}) || s.Secret() != nil {
		t.Errorf("load: %v, %v", s, s.Err())
	}
	if _, err := m.Find(t.Context(), cookie[11:]); !errors.Is(err, errDown) || errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find: %v", err)
	}
	if s := m.Check(request("")); s.State() != session.None {
		t.Errorf("without a cookie: %v, want no question to the store", s)
	}

	f.load, f.delete = nil, errDown
	if err := m.Logout(w, request(cookie)); !errors.Is(err, errDown) {
		t.Errorf("Logout: %v", err)
	}
	if _, err := m.Login(w, request(cookie), fred); !errors.Is(err, errDown) {
		t.Errorf("Login: %v", err)
	}
	if err := m.Revoke(t.Context(), cookie[11:]); !errors.Is(err, errDown) {
		t.Errorf("Revoke: %v", err)
	}
	f.delete, f.save = nil, errDown
	if _, err := m.Login(w, request(""), fred); !errors.Is(err, errDown) {
		t.Errorf("Login: %v", err)
	}
	if _, _, err := m.Create(t.Context(), fred, session.Origin{}); !errors.Is(err, errDown) {
		t.Errorf("Create: %v", err)
	}
	if got := w.Header().Values("Set-Cookie"); got != nil {
		t.Errorf("a failure answers Set-Cookie %q", got)
	}
	f.save = nil
	if s := m.Check(request(cookie)); s.State() != session.Live {
		t.Errorf("the session did not outlive the outage: %v", s)
	}
}

// One live cookie beside one that could not be looked up may be one of two.
func TestOneUnknownCookieMakesTheRequestUnknown(t *testing.T) {
	store := session.NewMemory(session.MemoryConfig{})
	m := newManager(t, session.Config{Store: store})
	a, b := login(t, m, "fred"), login(t, m, "ann")
	for _, order := range [][2]string{{a, b}, {b, a}} {
		half := newManager(t, session.Config{Store: &failNth{Store: store, n: 2}})
		s := half.Check(request("JSESSIONID=" + order[0] + "; JSESSIONID=" + order[1]))
		if s.State() != session.Unknown || s.User().User != "" || s.Hash() != "" {
			t.Errorf("%v", s)
		}
	}
}

// failNth fails the nth Load.
type failNth struct {
	session.Store
	n int
}

func (f *failNth) Load(ctx context.Context, key session.Key) (session.Record, error) {
	if f.n--; f.n == 0 {
		return session.Record{}, errDown
	}
	return f.Store.Load(ctx, key)
}

// Deleting first means that a crash in between logs out; saving first would
// leave two valid identifiers.
func TestLoginDeletesBeforeItSaves(t *testing.T) {
	f, m := newFaulty(t)
	cookie := "JSESSIONID=" + login(t, m, "fred")
	f.calls = nil
	f.save = errDown
	w := httptest.NewRecorder()
	if _, err := m.Login(w, request(cookie), session.Principal{User: "ann"}); !errors.Is(err, errDown) {
		t.Fatal(err)
	}
	if want := []string{"load", "delete", "save"}; !slices.Equal(f.calls, want) {
		t.Errorf("calls %v, want %v", f.calls, want)
	}
	if s := m.Check(request(cookie)); s.State() != session.Dead {
		t.Errorf("the old identifier is %v", s)
	}
}
