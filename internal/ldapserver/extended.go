package ldapserver

import (
	"crypto/tls"
	"slices"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

const (
	oidStartTLS = "1.3.6.1.4.1.1466.20037"  // RFC 4511, section 4.14
	oidWhoAmI   = "1.3.6.1.4.1.4203.1.11.3" // RFC 4532
)

// extendedName returns the name of an extended request, or "".
func extendedName(op *ber.Packet) string {
	if op.Tag != ldap.ApplicationExtendedRequest || len(op.Children) == 0 || !primitive(op.Children[0], 0) {
		return ""
	}
	return op.Children[0].Data.String()
}

// extended answers an extended request other than StartTLS.
func (c *conn) extended(m *message) {
	if extendedName(m.op) == oidPasswordModify && c.server.config.ChangePasswords {
		c.passwordModify(m)
		return
	}
	if extendedName(m.op) != oidWhoAmI {
		c.send(envelope(m.id, response(ldap.ApplicationExtendedResponse,
			Result{Code: ldap.LDAPResultProtocolError, Message: "unsupported extended operation"})))
		return
	}
	authzID := ""
	if c.who != nil {
		authzID = "dn:" + c.who.dn.text
	}
	op := response(ldap.ApplicationExtendedResponse, Result{})
	op.AppendChild(contextString(11, authzID))
	c.send(envelope(m.id, op))
}

// startTLS answers and changes the connection over. It returns false when the
// connection is of no more use.
func (c *conn) startTLS(m *message) bool {
	r := Result{}
	switch _, isTLS := c.nc.(*tls.Conn); {
	case c.server.config.TLS == nil:
		r = Result{Code: ldap.LDAPResultProtocolError, Message: "unsupported extended operation"}
	case isTLS:
		r = Result{Code: ldap.LDAPResultOperationsError, Message: "TLS already started"}
	case c.r.Buffered() > 0:
		// Requests sent in the clear behind StartTLS would be taken for
		// protected ones: the class of CVE-2011-0411.
		return false
	}
	op := response(ldap.ApplicationExtendedResponse, r)
	op.AppendChild(contextString(10, oidStartTLS))
	if !c.send(envelope(m.id, op)) {
		return false
	}
	return r.Code != 0 || c.secure()
}

// compare answers a compare request (RFC 4511, section 4.10).
func (c *conn) compare(m *message) {
	c.send(envelope(m.id, response(ldap.ApplicationCompareResponse, c.compared(m.op))))
}

func (c *conn) compared(op *ber.Packet) Result {
	malformed := Result{Code: ldap.LDAPResultProtocolError, Message: "malformed compare request"}
	if len(op.Children) != 2 {
		return malformed
	}
	name, ok := octets(op.Children[0])
	attr, value, okAssertion := parseAssertion(op.Children[1])
	if !ok || !okAssertion {
		return malformed
	}
	d, ok := parseDN(name)
	if !ok {
		return Result{Code: ldap.LDAPResultInvalidDNSyntax, Message: "invalid DN"}
	}
	key := attributeKey(attr)
	if c.server.config.ActiveDirectory && c.who == nil {
		return needBind()
	}
	// Comparing a password would be a bind that no counter sees.
	if ruleOf(key) == hidden || c.server.config.DenyAnonymous && c.who == nil {
		return Result{Code: ldap.LDAPResultInsufficientAccessRights}
	}
	e := c.server.tree.Load().byKey[d.key()]
	if e == nil {
		return Result{Code: ldap.LDAPResultNoSuchObject}
	}
	return compareValue(e.get(key), ruleOf(key), value)
}

func compareValue(a *attribute, r rule, value string) Result {
	normal, ok := r.normal(value)
	switch {
	case a == nil:
		return Result{Code: ldap.LDAPResultNoSuchAttribute}
	case !ok:
		return Result{Code: ldap.LDAPResultInvalidAttributeSyntax}
	case slices.Contains(a.normal, normal):
		return Result{Code: ldap.LDAPResultCompareTrue}
	}
	return Result{Code: ldap.LDAPResultCompareFalse}
}
