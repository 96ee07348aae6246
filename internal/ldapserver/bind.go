package ldapserver

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

const protocolVersion = 3

// bind answers a bind request (RFC 4511, section 4.2). No other operation of
// the connection runs meanwhile.
func (c *conn) bind(m *message, f *Fault) {
	c.who = nil // whatever comes out, the old identity is gone
	e, r := c.server.authenticate(m.op)
	if override, ok := f.Results[OpBind]; ok {
		r = override
	}
	if r.Code == 0 {
		c.who = e
	}
	c.send(envelope(m.id, response(ldap.ApplicationBindResponse, r)))
}

// authenticate returns the entry that op proves to be, nil for anonymous. The
// context tag 0 is the simple password; 3 would be SASL.
func (s *Server) authenticate(op *ber.Packet) (*entry, Result) {
	if len(op.Children) != 3 {
		return nil, Result{Code: ldap.LDAPResultProtocolError, Message: "malformed bind request"}
	}
	version, ok := integer(op.Children[0], ber.TagInteger)
	name, okName := octets(op.Children[1])
	if !ok || !okName || version != protocolVersion {
		return nil, Result{Code: ldap.LDAPResultProtocolError, Message: "only LDAP version 3"}
	}
	auth := op.Children[2]
	if !primitive(auth, 0) {
		return nil, Result{Code: ldap.LDAPResultAuthMethodNotSupported, Message: "simple authentication only"}
	}
	return s.simple(name, auth.Data.String())
}

// simple answers as slapd does with its default configuration.
func (s *Server) simple(name, password string) (*entry, Result) {
	wrong := Result{Code: ldap.LDAPResultInvalidCredentials}
	switch {
	case name == "" && password == "":
		return nil, Result{}
	case name == "":
		return nil, wrong
	case password == "":
		// RFC 4513, section 5.1.2: a client that forgets to check for this
		// would take anybody in.
		return nil, Result{Code: ldap.LDAPResultUnwillingToPerform, Message: "unauthenticated bind (DN with no password) disallowed"}
	}
	d, ok := parseDN(name)
	if !ok {
		return nil, Result{Code: ldap.LDAPResultInvalidDNSyntax, Message: "invalid DN"}
	}
	e := s.tree.Load().byKey[d.key()]
	if e == nil {
		return nil, wrong
	}
	for _, stored := range e.passwords {
		if passwordMatches(stored, password) {
			return e, Result{}
		}
	}
	return nil, wrong
}

// passwordMatches compares with a stored value: {SSHA} and {SHA} (RFC 2307,
// and the salted form of OpenLDAP), else plain text. Any other scheme matches
// nothing.
func passwordMatches(stored, password string) bool {
	scheme, rest, ok := strings.Cut(strings.TrimPrefix(stored, "{"), "}")
	if !strings.HasPrefix(stored, "{") || !ok {
		return subtle.ConstantTimeCompare([]byte(stored), []byte(password)) == 1
	}
	// An unknown scheme must not fall back to plain text: the hash itself
	// would be the password.
	if scheme = strings.ToUpper(scheme); scheme != "SSHA" && scheme != "SHA" {
		return false
	}
	b, err := base64.StdEncoding.DecodeString(rest)
	if err != nil || len(b) < sha1.Size {
		return false
	}
	sum := sha1.Sum(append([]byte(password), b[sha1.Size:]...))
	return subtle.ConstantTimeCompare(sum[:], b[:sha1.Size]) == 1
}
