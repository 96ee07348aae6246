package ldapdir

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory"
)

// errSaturated means that too many calls wait for a connection already. It
// says nothing about the node.
var errSaturated = errors.New("too many calls wait for a connection")

// resultOf returns the error that an answer carries.
func resultOf(message []byte) error {
	packet, err := ber.DecodePacketErr(message)
	if err != nil {
		return err
	}
	return ldap.GetLDAPError(packet)
}

// code returns the result code that the server sent. The library uses codes
// from 200 on for what it noticed itself.
func code(err error) (uint16, bool) {
	var e *ldap.Error
	if errors.As(err, &e) && e.ResultCode < ldap.ErrorNetwork {
		return e.ResultCode, true
	}
	return 0, false
}

func hasCode(err error, want uint16) bool {
	got, ok := code(err)
	return ok && got == want
}

// An answerError is an answer that came and cannot be used: the fault of the
// data or of the set-up, not of the connection.
type answerError struct{ text string }

func (e answerError) Error() string { return e.text }

func badAnswer(format string, args ...any) error { return answerError{fmt.Sprintf(format, args...)} }

// lost reports whether err means that the connection is of no more use.
func lost(err error) bool {
	_, answered := code(err)
	return err != nil && !answered && !errors.Is(err, ldap.ErrSizeLimitExceeded)
}

// A verdict is what an error says about the node.
type verdict int

const (
	healthy verdict = iota // it answered, be it with a refusal
	failing                // it did not, or said that it cannot
	unclear                // the caller left, or never got as far
)

// judge tells what err says about the node that was asked. Only a wait that
// was long enough blames a node for a deadline: callers in a hurry must not
// take it away from the others.
func judge(err error, waitedEnough bool) verdict {
	switch result, ok := code(err); {
	case err == nil:
		return healthy
	case ok && (result == ldap.LDAPResultBusy || result == ldap.LDAPResultUnavailable):
		return failing
	case ok:
		return healthy
	case errors.Is(err, directory.ErrNoUser), errors.Is(err, directory.ErrBadCredentials), errors.Is(err, directory.ErrNoPasswordChange),
		errors.As(err, new(*directory.PasswordError)), errors.Is(err, ldap.ErrSizeLimitExceeded), errors.As(err, new(answerError)):
		return healthy
	case errors.Is(err, errSaturated), errors.Is(err, context.Canceled), errors.Is(err, errClosed):
		return unclear
	case errors.Is(err, context.DeadlineExceeded) && !waitedEnough:
		return unclear
	}
	return failing
}

// unavailable wraps an error as no verdict about the person.
func unavailable(err error) error {
	if errors.Is(err, directory.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", directory.ErrUnavailable, err)
}

// diagnostic returns what the server wrote beside the result, fit for one line
// of a log.
func diagnostic(err error) string {
	const most = 200
	var e *ldap.Error
	if !errors.As(err, &e) || e.Err == nil {
		return ""
	}
	text := e.Err.Error()
	text = strings.ToValidUTF8(text[:min(len(text), 4*most)], "?") // it may be of 2 MiB
	if cut := []rune(text); len(cut) > most {
		text = string(cut[:most]) + "…"
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text))
}
