package ldapserver

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

const oidPasswordModify = "1.3.6.1.4.1.4203.1.11.1" // RFC 3062

// A passwordChange is what a client wants, by either operation. Nil is absent.
type passwordChange struct {
	target   *entry
	old, new *string
	reset    bool // Active Directory: without the old one, as an administrator
}

// passwordModify answers the extended operation of RFC 3062, in all results as
// slapd (TestPasswordModifyAsSlapd).
func (c *conn) passwordModify(m *message) {
	generated, o := c.modified(m)
	op := response(ldap.ApplicationExtendedResponse, o.Result)
	if generated != "" {
		v := ber.NewSequence("")
		v.AppendChild(contextString(0, generated))
		op.AppendChild(contextString(11, string(v.Bytes())))
	}
	c.send(envelope(m.id, op, packets(o.Controls, m.controls)...))
}

// modified does the operation. It returns the new password if the client left
// it to the server.
func (c *conn) modified(m *message) (generated string, o BindOutcome) {
	refuse := func(code int, message string) (string, BindOutcome) {
		return "", BindOutcome{Result: Result{Code: code, Message: message}}
	}
	name, change, ok := parsePasswordModify(m.op)
	switch {
	case !ok:
		return refuse(ldap.LDAPResultProtocolError, "malformed password modify request")
	case c.who == nil:
		return refuse(ldap.LDAPResultStrongAuthRequired, "only authenticated users may change passwords")
	}
	change.target = c.who
	if name != nil {
		if change.target, ok = c.server.tree.Load().find(*name); !ok {
			return refuse(ldap.LDAPResultInvalidAttributeSyntax, "Invalid DN")
		}
	}
	if change.target == nil {
		return refuse(ldap.LDAPResultNoSuchObject, "")
	}
	allowed := change.target == c.who || c.passwordAdmin()
	switch {
	case change.old != nil && !(allowed && change.target.holds(*change.old)):
		return refuse(ldap.LDAPResultUnwillingToPerform, "unwilling to verify old password")
	case !allowed:
		return refuse(ldap.LDAPResultInsufficientAccessRights, "")
	}
	if change.new == nil {
		generated = rand.Text()
		change.new = &generated
	}
	if o = c.server.setPassword(change); o.Result.Code != 0 {
		generated = ""
	}
	return generated, o
}

// parsePasswordModify reads PasswdModifyRequestValue, whose parts are all
// optional; a request without a value has none. The value is a message of its
// own and is checked as one.
func parsePasswordModify(op *ber.Packet) (name *string, p passwordChange, ok bool) {
	if len(op.Children) < 2 {
		return nil, p, true
	}
	if !primitive(op.Children[1], 1) {
		return nil, p, false
	}
	raw, left := op.Children[1].Data.Bytes(), 8
	if rest, ok := checkElement(raw, 2, &left); !ok || len(rest) > 0 {
		return nil, p, false
	}
	v, err := ber.DecodePacketErr(raw)
	if err != nil {
		return nil, p, false
	}
	for _, child := range v.Children {
		text := child.Data.String()
		switch {
		case primitive(child, 0):
			name = &text
		case primitive(child, 1):
			p.old = &text
		case primitive(child, 2) && text != "":
			p.new = &text
		default:
			return nil, p, false
		}
	}
	return name, p, true
}

// passwordAdmin reports whether the client may set anybody's password.
func (c *conn) passwordAdmin() bool {
	return c.who != nil && slices.ContainsFunc(c.server.config.PasswordAdmins, func(name string) bool {
		d, ok := parseDN(name)
		return ok && d.key() == c.who.key
	})
}

// holds reports whether the password is that of the entry, whatever a rule
// says of binds.
func (e *entry) holds(password string) bool {
	stored, _ := e.secret()
	return slices.ContainsFunc(stored, func(s string) bool { return passwordMatches(s, password) })
}

// setPassword replaces all passwords of the entry. What follows is new to
// connections that are bound already: they stay so, as with other servers.
func (s *Server) setPassword(p passwordChange) BindOutcome {
	if utf8.RuneCountInString(*p.new) < s.config.MinPassword {
		if s.config.ActiveDirectory {
			return BindOutcome{Result: Result{Code: ldap.LDAPResultConstraintViolation,
				Message: "0000052D: Constraint violation - check_password_restrictions: the password is too short"}}
		}
		const tooShort = 6 // draft-behera-ldap-password-policy-10, section 6.2
		code := int64(tooShort)
		return BindOutcome{Result{Code: ldap.LDAPResultConstraintViolation, Message: "Password fails quality checking policy"},
			[]Control{Policy{Error: &code}.Control()}}
	}
	p.target.changed.Store(p.new)
	return BindOutcome{}
}

// modify answers a modify request. The one change that is done here is that
// of unicodePwd in Active Directory ([MS-ADTS] 3.1.1.3.1.5).
func (c *conn) modify(m *message) {
	if !c.server.config.ChangePasswords || !c.server.config.ActiveDirectory {
		c.refuse(m)
		return
	}
	c.send(envelope(m.id, response(ldap.ApplicationModifyResponse, c.changed(m.op))))
}

func (c *conn) changed(op *ber.Packet) Result {
	unwilling := Result{Code: ldap.LDAPResultUnwillingToPerform,
		Message: "0000001F: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0"}
	name, change, ok := parseUnicodePwd(op)
	e, _ := c.server.tree.Load().find(name)
	_, secure := c.nc.(*tls.Conn)
	switch {
	case c.who == nil:
		return needBind()
	case !ok || !secure: // a password in the clear is refused even when right
		return unwilling
	case e == nil:
		return Result{Code: ldap.LDAPResultNoSuchObject}
	case change.reset && !c.passwordAdmin():
		return Result{Code: ldap.LDAPResultInsufficientAccessRights, Message: "00000005: SecErr: DSID-031A11ED, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0"}
	case !change.reset && !e.holds(*change.old):
		return Result{Code: ldap.LDAPResultConstraintViolation,
			Message: "00000056: AtrErr: DSID-03191083, #1: 0: 00000056: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)"}
	}
	change.target = e
	return c.server.setPassword(change).Result
}

// parseUnicodePwd reads a modify request that deletes the old value and adds
// the new one, or replaces them all.
func parseUnicodePwd(op *ber.Packet) (name string, p passwordChange, ok bool) {
	if len(op.Children) != 2 {
		return "", p, false
	}
	if name, ok = octets(op.Children[0]); !ok {
		return "", p, false
	}
	for _, change := range op.Children[1].Children {
		kind, password, ok := parsePasswordValue(change)
		switch {
		case ok && kind == ldap.DeleteAttribute && p.old == nil:
			p.old = &password
		case ok && kind == ldap.AddAttribute && p.new == nil:
			p.new = &password
		case ok && kind == ldap.ReplaceAttribute && p.new == nil:
			p.new, p.reset = &password, true
		default:
			return name, p, false
		}
	}
	return name, p, p.new != nil && p.reset == (p.old == nil)
}

// parsePasswordValue reads one change of unicodePwd.
func parsePasswordValue(p *ber.Packet) (kind int64, password string, ok bool) {
	if len(p.Children) != 2 || len(p.Children[1].Children) != 2 || len(p.Children[1].Children[1].Children) != 1 {
		return 0, "", false
	}
	kind, okKind := integer(p.Children[0], ber.TagEnumerated)
	name, okName := octets(p.Children[1].Children[0])
	value, okValue := octets(p.Children[1].Children[1].Children[0])
	password, okPassword := fromUTF16(value)
	return kind, password, okKind && okName && okValue && okPassword && strings.EqualFold(name, "unicodePwd")
}

// fromUTF16 returns the password in quotes that value holds.
func fromUTF16(value string) (string, bool) {
	if len(value)%2 != 0 {
		return "", false
	}
	units := make([]uint16, 0, len(value)/2)
	for i := 0; i < len(value); i += 2 {
		units = append(units, binary.LittleEndian.Uint16([]byte(value[i:i+2])))
	}
	text, opened := strings.CutPrefix(string(utf16.Decode(units)), `"`)
	text, closed := strings.CutSuffix(text, `"`)
	return text, opened && closed
}
