package middleware_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/middleware"
	"github.com/seed-244866eb/gatehouse/session"
)

// groupTTL is the default of Config.GroupTTL.
const groupTTL = 5 * time.Minute

// TestWhoIsGoneLosesTheSessions, and does not get them back with the entry: a
// cookie from before is nobody's.
func TestWhoIsGoneLosesTheSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var source spellings
		w := newWorld(t, func(c *middleware.Config) { source = newSpellings(c) })
		first, second, other := w.login("fred", "fredpass"), w.login("fred", "fredpass"), w.login("alice", "right")
		time.Sleep(groupTTL + time.Second)
		source.goneName.Store("fred")
		if rec := w.get("/secure/x", first); rec.Code != 303 {
			t.Errorf("while the entry is gone: %d", rec.Code)
		}
		synctest.Wait()
		source.goneName.Store("")
		time.Sleep(groupTTL)
		for _, cookie := range []string{first, second} {
			if rec := w.get("/secure/x", cookie); rec.Code != 303 {
				t.Errorf("a session of before: %d", rec.Code)
			}
		}
		if rec := w.get("/secure/x", other); rec.Code != 200 {
			t.Errorf("somebody else's: %d", rec.Code)
		}
		if n := strings.Count(w.log.String(), "The user 'fred' is gone from the directory, or disabled there; all sessions were ended."); n != 1 {
			t.Errorf("%d lines, want one:\n%s", n, w.log)
		}
	})
}

// TestWhoLosesGroupsLosesTheProofs, and no session.
func TestWhoLosesGroupsLosesTheProofs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var source spellings
		w := newWorld(t, func(c *middleware.Config) {
			c.AccessGroups, c.ProofTTL = nil, time.Hour
			source = newSpellings(c)
		})
		cookie := w.login("fred", "fredpass")
		w.basicFrom(here, "fred", "fredpass")
		w.basicFrom(there, "fred", "fredpass")
		source.noGroups.Store(true)
		time.Sleep(groupTTL + time.Second)
		if rec := w.get("/secure/x", cookie); rec.Code != 200 {
			t.Fatalf("the session: %d", rec.Code)
		}
		synctest.Wait()
		before := w.source.binds.Load()
		w.basicFrom(here, "fred", "fredpass")
		w.basicFrom(there, "fred", "fredpass")
		if got := w.source.binds.Load() - before; got != 2 {
			t.Errorf("%d binds, want one for each client", got)
		}
		if !strings.Contains(w.log.String(), `groups="jira-developers, jira-users"`) {
			t.Errorf("the log does not name the groups:\n%s", w.log)
		}
	})
}

// TestSessionsThatCannotBeEnded are told of; the directory's word still keeps
// them out.
func TestSessionsThatCannotBeEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var source spellings
		down := false
		w := newWorld(t, func(c *middleware.Config) {
			c.Session.Store = brokenStore{session.NewMemory(session.MemoryConfig{}), &down}
			c.NoProofs = true
			source = newSpellings(c)
		})
		cookie := w.login("fred", "fredpass")
		source.goneName.Store("fred")
		time.Sleep(groupTTL + time.Second)
		down = true
		if rec := w.basicFrom(here, "fred", "fredpass"); rec.Code != 401 {
			t.Errorf("Basic: %d", rec.Code)
		}
		if _, err := w.auth.Directory().User(t.Context(), "fred", "static:fred"); !errors.Is(err, directory.ErrNoUser) {
			t.Errorf("the directory says %v", err)
		}
		synctest.Wait()
		down = false
		if rec := w.get("/secure/x", cookie); rec.Code != 303 {
			t.Errorf("the session that could not be ended: %d", rec.Code)
		}
		if !strings.Contains(w.log.String(), "some sessions could not be ended") || !strings.Contains(w.log.String(), errBroken.Error()) {
			t.Errorf("log:\n%s", w.log)
		}
	})
}
