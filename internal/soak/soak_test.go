package soak_test

import (
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/soak"
)

func TestCount(t *testing.T) {
	for _, tt := range []struct {
		name, set   string
		whole, want int
	}{
		{"whole in a soak", "1", 10_000, 10_000},
		{"a twentieth without", "", 10_000, 500},
		{"at least one", "", 1, 1},
		{"rounded up", "", 21, 2},
		{"nothing of nothing", "", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("GATEHOUSE_SOAK", tt.set)
			if got := soak.Count(tt.whole); got != tt.want {
				t.Errorf("Count(%d) = %d, want %d", tt.whole, got, tt.want)
			}
		})
	}
}
