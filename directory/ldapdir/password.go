package ldapdir

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory"
)

var _ directory.PasswordChanger = (*Dir)(nil)

// ChangePassword replaces the password of the entry, in one try on one node:
// the entry's own, while that one answers.
//
// In Active Directory it changes unicodePwd, over TLS alone and as the service
// account, since a person whose password has expired cannot bind. That account
// needs no right but the one that everybody has, to change a password of which
// it knows the old one.
//
// Everywhere else it is the Password Modify operation (RFC 3062) over a
// connection of the person, who is bound with the old password for it. Where
// the directory refuses that bind because the password has expired, the service
// account does it, and needs the right to write the person's userPassword. A
// person with a grace login left (pwdGraceAuthnLimit) needs nobody.
//
// The verdicts are those of [directory.PasswordChanger]. An answer that was
// lost is [directory.ErrUnavailable]: the new password may be valid then, and
// Verify tells.
func (d *Dir) ChangePassword(ctx context.Context, e directory.Entry, old, new string) error {
	switch {
	case e.DN == "" || old == "" || len(old) > maxPassword:
		return directory.ErrBadCredentials
	case new == "" || len(new) > maxPassword || !utf8.ValidString(new):
		// RFC 4519 section 2.41 and UTF-16 want text; what is none would become
		// another password than the one that was typed.
		return &directory.PasswordError{Fault: directory.PasswordRefused, Detail: "empty, longer than 64 KiB, or not UTF-8"}
	}
	ctx, end, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	whole := ctx
	err = d.each(ctx, d.order(e.Node), func(part context.Context, n *node) (bool, error) {
		sent, err := d.change(part, whole, n, passwords{e, old, new})
		return !sent, err
	})
	return changeError(err)
}

// changeError returns what the caller hears.
func changeError(err error) error {
	var unwanted *directory.PasswordError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unwanted):
		return unwanted
	case errors.Is(err, directory.ErrNoPasswordChange):
		return err
	}
	return loginError(err, false)
}

// passwords are what a change needs. Nothing prints them.
type passwords struct {
	entry    directory.Entry
	old, new string
}

// change tries one node. It reports whether a password has left the process.
func (d *Dir) change(part, whole context.Context, n *node, p passwords) (sent bool, err error) {
	s, err := d.schemaOf(part, n)
	switch {
	case err != nil:
		return false, err
	case s.kind == kindAD && n.tls == nil:
		return true, noChange("Active Directory takes a new password over TLS alone")
	case s.kind == kindAD:
		return d.changeAsService(part, whole, n, p, d.modifyUnicodePwd)
	}
	expired := false
	sent, err = n.binds.useAt(part, p.entry.Node, func(c *conn) (sent, keep bool, err error) {
		b := d.bindPerson(whole, n, c, p.entry, p.old)
		var refused *directory.AccountError
		may := errors.As(b.verdict, &refused) && refused.MayChange()
		expired = may && !b.taken
		if b.verdict != nil && !(may && b.taken) {
			return b.sent, false, b.verdict
		}
		return true, false, d.modifyPassword(whole, n, c, "", p)
	})
	if expired {
		return d.changeAsService(part, whole, n, p, func(ctx context.Context, n *node, c *conn, p passwords) error {
			return d.modifyPassword(ctx, n, c, p.entry.DN, p)
		})
	}
	return sent, err
}

// changeAsService runs f over a connection of its own that is bound as the
// service account.
func (d *Dir) changeAsService(part, whole context.Context, n *node, p passwords,
	f func(context.Context, *node, *conn, passwords) error) (sent bool, err error) {
	if n.bindDN == "" {
		return true, noChange("the person cannot bind, and there is no service account")
	}
	c, err := n.dialService(part)
	if err != nil {
		return false, err
	}
	defer c.close()
	return true, f(whole, n, c, p)
}

// modifyPassword is the operation of RFC 3062. Without identity it is about
// the person who is bound.
func (d *Dir) modifyPassword(ctx context.Context, n *node, c *conn, identity string, p passwords) error {
	value := ber.NewSequence("")
	for tag, field := range []string{identity, p.old, p.new} {
		if field != "" {
			value.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, ber.Tag(tag), field, ""))
		}
	}
	const oidPasswordModify = "1.3.6.1.4.1.4203.1.11.1"
	request := ldap.NewExtendedRequest(oidPasswordModify, value)
	request.Controls = []ldap.Control{askPolicy()}
	return d.changed(ctx, n, c, p, verdictOnChange, func() error {
		_, err := c.ldap.Extended(request)
		return err
	})
}

// modifyUnicodePwd removes the old value and adds the new one in one
// operation, which Active Directory takes for a change by the person and not
// for a reset (MS-ADTS section 3.1.1.3.1.5.1).
func (d *Dir) modifyUnicodePwd(ctx context.Context, n *node, c *conn, p passwords) error {
	request := ldap.NewModifyRequest(p.entry.DN, nil)
	request.Delete("unicodePwd", []string{unicodePwd(p.old)})
	request.Add("unicodePwd", []string{unicodePwd(p.new)})
	return d.changed(ctx, n, c, p, verdictOnUnicodePwd, func() error { return c.ldap.Modify(request) })
}

// unicodePwd returns the password in quotes as UTF-16, low byte first.
func unicodePwd(password string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(`"` + password + `"`)) {
		b.WriteByte(byte(unit))
		b.WriteByte(byte(unit >> 8))
	}
	return b.String()
}

// changed runs the operation and reports it.
func (d *Dir) changed(ctx context.Context, n *node, c *conn, p passwords, judge func(error, policy) error, operation func() error) error {
	began := time.Now()
	err := c.alone(ctx, operation)
	verdict := judge(err, c.guard.policy())
	d.report(ctx, Operation{Kind: "password", Server: n.name, BaseDN: p.entry.DN, Took: time.Since(began), Err: verdict})
	return verdict
}

// verdictOnChange returns what the answer to a Password Modify means.
func verdictOnChange(err error, said policy) error {
	result, answered := code(err)
	if err == nil || !answered {
		return err
	}
	if fault, ok := faultOf(said.fault); ok {
		return &directory.PasswordError{Fault: fault, Detail: detail(result, err)}
	}
	switch result {
	case ldap.LDAPResultInvalidCredentials:
		return directory.ErrBadCredentials
	case ldap.LDAPResultConstraintViolation:
		return &directory.PasswordError{Fault: directory.PasswordRefused, Detail: detail(result, err)}
	case ldap.LDAPResultProtocolError, // the server does not know the operation
		ldap.LDAPResultReferral, // nor may this one write
		ldap.LDAPResultConfidentialityRequired, ldap.LDAPResultStrongAuthRequired,
		ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultUnwillingToPerform:
		return noChange(detail(result, err))
	}
	return err
}

// faultOf returns the fault of a new password behind an error of the policy
// control. The others (3, no change allowed; 4, the old one is missing) are
// faults of the set-up.
func faultOf(fault int) (directory.PasswordFault, bool) {
	switch fault {
	case faultInsufficient:
		return directory.PasswordTooWeak, true
	case faultTooShort:
		return directory.PasswordTooShort, true
	case faultTooYoung:
		return directory.PasswordTooYoung, true
	case faultInHistory:
		return directory.PasswordReused, true
	case faultTooLong:
		return directory.PasswordRefused, true
	}
	return "", false
}

// verdictOnUnicodePwd returns what the answer to a change of unicodePwd means.
// Windows error codes in hex begin the diagnostic message: 56 for a wrong old
// password, 52D for a new one against the policy. The result is 19, and with
// the latter often 53.
func verdictOnUnicodePwd(err error, _ policy) error {
	result, answered := code(err)
	if err == nil || !answered {
		return err
	}
	message := diagnostic(err)
	switch {
	case strings.HasPrefix(message, "00000056"), result == ldap.LDAPResultInvalidCredentials:
		return directory.ErrBadCredentials
	case strings.HasPrefix(message, "0000052D"), result == ldap.LDAPResultConstraintViolation:
		return &directory.PasswordError{Fault: faultOfWords(message), Detail: detail(result, err)}
	case result == ldap.LDAPResultInsufficientAccessRights, result == ldap.LDAPResultUnwillingToPerform,
		result == ldap.LDAPResultConfidentialityRequired, result == ldap.LDAPResultReferral:
		return noChange(detail(result, err))
	}
	return err
}

// faultOfWords returns the fault that Samba names. Active Directory does not
// tell which rule it was.
func faultOfWords(message string) directory.PasswordFault {
	for _, f := range []struct {
		words string
		fault directory.PasswordFault
	}{
		{"too short", directory.PasswordTooShort},
		{"complexity", directory.PasswordTooWeak},
		{"already used", directory.PasswordReused},
		{"too young", directory.PasswordTooYoung},
	} {
		if strings.Contains(message, f.words) {
			return f.fault
		}
	}
	return directory.PasswordRefused
}

func noChange(why string) error { return fmt.Errorf("%w: %s", directory.ErrNoPasswordChange, why) }
