package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// CheckOneOf wants one of the allowed values.
func CheckOneOf(name, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s: %q is none of %s", name, value, strings.Join(allowed, ", "))
}

// CheckPositive refuses zero, which the packages would read as their default
// and people mean as "off" or "at once".
func CheckPositive(name string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s: %v is not positive", name, d)
	}
	return nil
}

// CheckNotNegative wants zero or more.
func CheckNotNegative(name string, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%s: %v is negative", name, d)
	}
	return nil
}

// CheckGiven wants a value.
func CheckGiven(name, value string) error {
	if value == "" {
		return fmt.Errorf("%s: is empty", name)
	}
	return nil
}
