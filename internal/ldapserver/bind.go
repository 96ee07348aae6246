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
	name, e, o := c.server.authenticate(m.op)
	if override, ok := f.Results[OpBind]; ok {
		o = BindOutcome{Result: override}
	}
	if o.Result.Code == 0 {
		c.who = e
	}
	c.server.noteBind(Bind{Name: name, Code: o.Result.Code})
	c.send(envelope(m.id, response(ldap.ApplicationBindResponse, o.Result), packets(o.Controls, m.controls)...))
}

// authenticate returns the name that op gives, the entry that it proves to
// be, nil for anonymous, and the answer. The context tag 0 is the simple
// password; 3 would be SASL.
func (s *Server) authenticate(op *ber.Packet) (name string, e *entry, o BindOutcome) {
	refuse := func(code int, message string) (string, *entry, BindOutcome) {
		return name, nil, BindOutcome{Result: Result{Code: code, Message: message}}
	}
	if len(op.Children) != 3 {
		return refuse(ldap.LDAPResultProtocolError, "malformed bind request")
	}
	version, ok := integer(op.Children[0], ber.TagInteger)
	name, okName := octets(op.Children[1])
	if !ok || !okName || version != protocolVersion {
		return refuse(ldap.LDAPResultProtocolError, "only LDAP version 3")
	}
	auth := op.Children[2]
	if !primitive(auth, 0) {
		return refuse(ldap.LDAPResultAuthMethodNotSupported, "simple authentication only")
	}
	e, o = s.simple(name, auth.Data.String())
	return name, e, o
}

// simple answers as slapd does with its default configuration, or as Active
// Directory. With a result other than 0 the entry proves nothing.
func (s *Server) simple(name, password string) (*entry, BindOutcome) {
	wrong := Result{Code: ldap.LDAPResultInvalidCredentials}
	unknown := wrong
	if s.config.ActiveDirectory {
		wrong, unknown = Subcode("52e").Result, Subcode("525").Result
	}
	switch {
	case name == "" && password == "":
		return nil, BindOutcome{}
	case name == "":
		return nil, BindOutcome{Result: unknown}
	case password == "" && s.config.ActiveDirectory:
		// RFC 4513, section 5.1.2, gone the other way: a client that forgets
		// to check for it takes anybody in.
		return nil, BindOutcome{}
	case password == "":
		return nil, BindOutcome{Result: Result{Code: ldap.LDAPResultUnwillingToPerform,
			Message: "unauthenticated bind (DN with no password) disallowed"}}
	}
	e, ok := s.tree.Load().find(name)
	switch {
	case !ok:
		return nil, BindOutcome{Result: Result{Code: ldap.LDAPResultInvalidDNSyntax, Message: "invalid DN"}}
	case e == nil:
		return nil, BindOutcome{Result: unknown}
	}
	return e, e.outcome(password, wrong)
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
