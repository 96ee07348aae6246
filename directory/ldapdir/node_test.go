package ldapdir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory"
)

func TestJudge(t *testing.T) {
	result := func(code uint16) error { return fmt.Errorf("wrapped: %w", ldap.NewError(code, errors.New("x"))) }
	late := context.DeadlineExceeded
	for _, tt := range []struct {
		name   string
		err    error
		enough bool
		want   verdict
	}{
		{"success", nil, true, healthy},
		{"wrong password", result(49), true, healthy},
		{"operations error", result(1), true, healthy},
		{"busy", result(51), false, failing},
		{"unavailable", result(52), false, failing},
		{"lost connection", result(ldap.ErrorNetwork), false, failing},
		{"dial", io.EOF, false, failing},
		{"deadline after a fair wait", late, true, failing},
		{"deadline of somebody in a hurry", late, false, unclear},
		{"the caller left", context.Canceled, true, unclear},
		{"the bind was lost because the caller left", errors.Join(context.Canceled, result(ldap.ErrorNetwork)), true, unclear},
		{"queue", saturatedError{late}, true, unclear},
		{"no such user", fmt.Errorf("x: %w", directory.ErrNoUser), true, healthy},
		{"entry that cannot be used", badAnswer("x"), true, healthy},
		{"too many groups", ldap.ErrSizeLimitExceeded, true, healthy},
		{"service account refused", serviceError{result(49)}, true, failing},
	} {
		if got := judge(tt.err, tt.enough); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
