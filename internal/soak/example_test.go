package soak_test

import (
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/soak"
)

// A test says how often it runs in a soak, and gets the number for this run.
func Example() {
	test := func(t *testing.T) {
		for round := range soak.Count(10_000) {
			t.Log("round", round)
		}
	}
	_ = test
	// Output:
}
