package attempts_test

import (
	"testing"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/internal/storetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Attempts(t, func(*testing.T) attempts.Store {
		return attempts.NewMemory(attempts.MemoryConfig{})
	})
}
