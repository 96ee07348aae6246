package session_test

import (
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/storetest"
	"github.com/seed-244866eb/gatehouse/session"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Session(t, func(*testing.T) session.Store {
		return session.NewMemory(session.MemoryConfig{})
	})
}
