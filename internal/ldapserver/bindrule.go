package ldapserver

import (
	"slices"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// OIDs of response controls that tell of the state of an account.
const (
	// PolicyOID is the password policy control of draft-behera-ldap-password-
	// policy. It is sent to clients that have asked for it alone.
	PolicyOID = "1.3.6.1.4.1.42.2.27.8.5.1"
	// ExpiredOID and ExpiringOID are sent by 389 Directory Server unasked; the
	// value of the second is the number of seconds in decimal.
	ExpiredOID  = "2.16.840.1.113730.3.4.4"
	ExpiringOID = "2.16.840.1.113730.3.4.5"
)

// A BindRule says how binds to an entry end in place of the usual result: an
// account that is locked, inactivated, expired. The zero rule changes nothing.
type BindRule struct {
	// Right is the outcome with the right password, nil for success.
	Right *BindOutcome
	// Wrong is the outcome with a wrong password, nil for result 49.
	Wrong *BindOutcome
	// UntilChanged ends the rule when the password is changed.
	UntilChanged bool
}

// A BindOutcome is the answer to a bind. Code 0 proves the identity.
type BindOutcome struct {
	Result   Result
	Controls []Control
}

// A Control is a response control (RFC 4511, section 4.1.11).
type Control struct {
	OID   string
	Value string // BER or text, as the control has it; empty: none
}

// A Policy is the content of a password policy response control. A nil
// pointer leaves its part out.
type Policy struct {
	ExpiresIn *int64 // timeBeforeExpiration in seconds
	Grace     *int64 // graceAuthNsRemaining
	Error     *int64 // 0 expired, 1 locked, 2 must change, 6 too short, …
}

// Control returns the control that carries p (draft-behera-ldap-password-
// policy-10, section 6.2).
func (p Policy) Control() Control {
	v := ber.NewSequence("")
	var warning *ber.Packet
	switch {
	case p.ExpiresIn != nil:
		warning = contextInteger(0, *p.ExpiresIn)
	case p.Grace != nil:
		warning = contextInteger(1, *p.Grace)
	}
	if warning != nil {
		choice := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
		choice.AppendChild(warning)
		v.AppendChild(choice)
	}
	if p.Error != nil {
		v.AppendChild(contextInteger(1, *p.Error))
	}
	return Control{OID: PolicyOID, Value: string(v.Bytes())}
}

func contextInteger(tag ber.Tag, n int64) *ber.Packet {
	return ber.NewInteger(ber.ClassContext, ber.TypePrimitive, tag, n, "")
}

// A Bind is one bind that was answered.
type Bind struct {
	Name string // as the client sent it
	Code int    // of the result
}

// Binds returns the last binds that were answered, oldest first, as many as
// Config.KeepBinds says.
func (s *Server) Binds() []Bind {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.binds)
}

// noteBind keeps the bind, and forgets the oldest when there are too many: the
// names come from strangers.
func (s *Server) noteBind(b Bind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config.KeepBinds == 0 {
		return
	}
	if len(s.binds) >= s.config.KeepBinds {
		s.binds = slices.Delete(s.binds, 0, 1)
	}
	s.binds = append(s.binds, b)
}

// secret returns what proves the entry, and the rule for its binds.
func (e *entry) secret() ([]string, BindRule) {
	if changed := e.changed.Load(); changed != nil {
		rule := e.rule
		if rule.UntilChanged {
			rule = BindRule{}
		}
		return []string{*changed}, rule
	}
	return e.passwords, e.rule
}

// outcome returns the answer to a bind with the password.
func (e *entry) outcome(password string, wrong Result) BindOutcome {
	stored, rule := e.secret()
	right := slices.ContainsFunc(stored, func(s string) bool { return passwordMatches(s, password) })
	switch {
	case right && rule.Right != nil:
		return *rule.Right
	case right:
		return BindOutcome{}
	case rule.Wrong != nil:
		return *rule.Wrong
	}
	return BindOutcome{Result: wrong}
}

// packets returns the controls for a client that has sent the list.
func packets(controls []Control, sent []control) (out []*ber.Packet) {
	asked := slices.ContainsFunc(sent, func(c control) bool { return c.oid == PolicyOID })
	for _, c := range controls {
		if c.OID == PolicyOID && !asked {
			continue
		}
		p := ber.NewSequence("")
		p.AppendChild(octetString(c.OID))
		if c.Value != "" {
			p.AppendChild(octetString(c.Value))
		}
		out = append(out, p)
	}
	return out
}
