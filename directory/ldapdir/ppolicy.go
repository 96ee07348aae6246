package ldapdir

import (
	"strconv"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// The response controls that tell the state of a password.
const (
	oidPolicy   = "1.3.6.1.4.1.42.2.27.8.5.1" // draft-behera-ldap-password-policy-10, section 6
	oidExpired  = "2.16.840.1.113730.3.4.4"   // draft-vchu-ldap-pwd-policy-00, of Netscape and 389
	oidExpiring = "2.16.840.1.113730.3.4.5"   // the same
)

// The errors of the policy control. Others say nothing that is known here.
const (
	faultNone             = -1
	faultPasswordExpired  = 0
	faultAccountLocked    = 1
	faultChangeAfterReset = 2
	faultInsufficient     = 5
	faultTooShort         = 6
	faultTooYoung         = 7
	faultInHistory        = 8
	faultTooLong          = 9 // OpenLDAP

	tagWarning, tagFault   = 0xa0, 0x81 // of PasswordPolicyResponseValue
	tagExpiring, tagGraces = 0x80, 0x81 // of its warning
)

// A policy is what a server says about account and password beside the result.
type policy struct {
	fault   int           // of the policy control, or faultNone
	expires time.Duration // until the password expires; 0: not told
	graces  int           // logins that an expired password still has; -1: not told
	expired bool          // the control of Netscape is there
	garbled bool          // there is a control that cannot be read
}

// noPolicy is what most servers say.
func noPolicy() policy { return policy{fault: faultNone, graces: -1} }

// policyOf reads what the controls of a response say.
func policyOf(controls []control) policy {
	p := noPolicy()
	for _, c := range controls {
		ok := true
		switch c.oid {
		case oidPolicy:
			ok = p.read(c.value)
		case oidExpired:
			p.expired = true
		case oidExpiring:
			ok = p.readSeconds(c.value)
		}
		p.garbled = p.garbled || !ok
	}
	return p
}

// read reads a PasswordPolicyResponseValue. The library would decode the value
// into a tree of any size, in a string that the guard cannot look into.
func (p *policy) read(value []byte) bool {
	if len(value) == 0 {
		return true
	}
	tag, rest, behind, ok := element(value)
	if !ok || tag != 0x30 || len(behind) > 0 {
		return false
	}
	for len(rest) > 0 {
		var content []byte
		if tag, content, rest, ok = element(rest); !ok {
			return false
		}
		switch tag {
		case tagWarning:
			ok = p.readWarning(content)
		case tagFault:
			p.fault, ok = number(content)
		}
		if !ok {
			return false
		}
	}
	return true
}

func (p *policy) readWarning(b []byte) bool {
	tag, content, _, ok := element(b)
	n, isNumber := number(content)
	switch {
	case !ok || !isNumber:
		return false
	case tag == tagExpiring:
		p.expires = time.Duration(n) * time.Second
	case tag == tagGraces:
		p.graces = n
	}
	return true
}

// number reads an INTEGER or ENUMERATED from 0 to 2^31-1, which is
// what the draft allows.
func number(b []byte) (n int, ok bool) {
	if len(b) < 1 || len(b) > 4 || b[0]&0x80 != 0 {
		return 0, false
	}
	for _, c := range b {
		n = n<<8 | int(c)
	}
	return n, true
}

// readSeconds reads the text of the expiring control.
func (p *policy) readSeconds(value []byte) bool {
	n, err := strconv.ParseUint(string(value[:min(len(value), 16)]), 10, 31)
	if err == nil && p.expires == 0 {
		p.expires = time.Duration(n) * time.Second
	}
	return err == nil
}

// askPolicy returns the control that asks for the word of a server that knows
// it. It is not critical: the others pay no heed to it.
func askPolicy() ldap.Control { return ldap.NewControlBeheraPasswordPolicy() }
