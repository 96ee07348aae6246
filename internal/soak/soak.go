// Package soak holds the one switch of the tests that count in thousands:
// GATEHOUSE_SOAK, which `make soak` sets. With it they run whole, without it a
// twentieth, so that an ordinary run stays short and still goes every way.
//
// Only tests import this package.
package soak

import "os"

// share is the part of the whole that an ordinary run does, as a divisor.
const share = 20

// Count returns whole where GATEHOUSE_SOAK is set and not empty, else a
// twentieth of it, rounded up.
func Count(whole int) int {
	if os.Getenv("GATEHOUSE_SOAK") != "" {
		return whole
	}
	return (whole + share - 1) / share
}
