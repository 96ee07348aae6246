package ldapdir

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"github.com/seed-244866eb/gatehouse/directory"
)

// adMessage is what Windows Server 2016 writes beside result 49; Samba writes
// the same with v1db1.
const adMessage = "80090308: LdapErr: DSID-0C09041C, comment: AcceptSecurityContext error, data %s, v4563"

func refusal(code uint16, message string) error {
	return fmt.Errorf("ldap://dc1: %w", &ldap.Error{ResultCode: code, Err: errors.New(message)})
}

// wrong is a refusal without a state, none no verdict.
const (
	wrong directory.AccountState = "wrong password"
	none  directory.AccountState = "no verdict"
	fine  directory.AccountState = "welcome"
)

func TestVerdictOnBind(t *testing.T) {
	ad := func(code string) error { return refusal(49, fmt.Sprintf(adMessage, code)) }
	fault := func(f int) policy { p := noPolicy(); p.fault = f; return p }
	netscape := func(graces int) policy { return policy{fault: faultNone, expired: true, graces: graces} }
	garbled := policy{fault: faultNone, graces: -1, garbled: true}
	barred := directory.Entry{DN: "uid=ann", Disabled: true}
	for _, tt := range []struct {
		name  string
		entry directory.Entry
		err   error
		said  policy
		want  directory.AccountState
		right bool // PasswordRight
	}{
		// learn.microsoft.com, "System Error Codes (1300-1699)" and (1700-3999),
		// in hex; that 530 to 533, 701 and 773 need the right password is in
		// every list of them, and Samba does the same.
		{"525 no such user", directory.Entry{}, ad("525"), noPolicy(), wrong, false},
		{"52e wrong password", directory.Entry{}, ad("52e"), noPolicy(), wrong, false},
		{"530 logon hours", directory.Entry{}, ad("530"), noPolicy(), directory.OutsideLogonHours, true},
		{"531 workstation", directory.Entry{}, ad("531"), noPolicy(), directory.OtherWorkstation, true},
		{"532 password expired", directory.Entry{}, ad("532"), noPolicy(), directory.PasswordExpired, true},
		{"533 disabled", directory.Entry{}, ad("533"), noPolicy(), directory.AccountDisabled, true},
		{"701 account expired", directory.Entry{}, ad("701"), noPolicy(), directory.AccountExpired, true},
		{"773 must change", directory.Entry{}, ad("773"), noPolicy(), directory.PasswordMustChange, true},
		{"775 locked, whatever the password", directory.Entry{}, ad("775"), noPolicy(), directory.AccountLocked, false},
		{"51f no logon server", directory.Entry{}, ad("51f"), noPolicy(), none, false},
		{"a sub-code of another kind", directory.Entry{}, ad("80090346"), noPolicy(), wrong, false},
		{"decimal is not hex", directory.Entry{}, ad("1331"), noPolicy(), wrong, false},
		{"no number", directory.Entry{}, ad("533x"), noPolicy(), wrong, false},
		{"no sub-code", directory.Entry{}, refusal(49, "Invalid credentials"), noPolicy(), wrong, false},
		{"no message", directory.Entry{}, refusal(49, ""), noPolicy(), wrong, false},
		{"a sub-code with another result", directory.Entry{}, refusal(52, fmt.Sprintf(adMessage, "533")), noPolicy(), none, false},
		{"49 for a disabled entry tells nothing of the password", barred, refusal(49, ""), noPolicy(), wrong, false},

		{"policy: locked", directory.Entry{}, refusal(49, ""), fault(faultAccountLocked), directory.AccountLocked, false},
		{"policy: expired", directory.Entry{}, refusal(49, ""), fault(faultPasswordExpired), directory.PasswordExpired, true},
		{"policy: expired, as ApacheDS says before it compares", directory.Entry{}, refusal(49, "INVALID_CREDENTIALS: Bind failed: paasword expired"), fault(faultPasswordExpired), directory.PasswordExpired, false},
		{"policy: expired, as FreeIPA says before it compares", directory.Entry{}, refusal(49, "Password is expired.\n"), fault(faultPasswordExpired), directory.PasswordExpired, false},
		{"FreeIPA: a wrong password while there are graces", directory.Entry{}, refusal(49, ""), netscape(1), wrong, false},
		{"policy: change after reset needs a success", directory.Entry{}, refusal(49, ""), fault(faultChangeAfterReset), wrong, false},
		{"policy: change after reset", directory.Entry{}, nil, fault(faultChangeAfterReset), directory.PasswordMustChange, true},
		{"policy: garbage beside a wrong password", directory.Entry{}, refusal(49, ""), garbled, wrong, false},
		{"policy: garbage beside a success", directory.Entry{}, nil, garbled, none, false},
		{"Netscape: expired", directory.Entry{}, refusal(49, "password expired!"), netscape(-1), directory.PasswordExpired, true},
		{"Netscape: must change", directory.Entry{}, nil, netscape(-1), directory.PasswordMustChange, true},
		{"389: grace login", directory.Entry{}, nil, netscape(2), fine, false},

		{"389: inactivated", directory.Entry{}, refusal(53, "Account inactivated. Contact system administrator."), noPolicy(), directory.AccountDisabled, false},
		{"389: inactivated, by control", directory.Entry{}, refusal(53, ""), fault(faultAccountLocked), directory.AccountDisabled, false},
		{"53 for an entry that is disabled", barred, refusal(53, "no"), noPolicy(), directory.AccountDisabled, false},
		{"FreeIPA: account expired", directory.Entry{}, refusal(53, "Account (Kerberos principal) is expired"), noPolicy(), directory.AccountExpired, false},
		{"FreeIPA: locked for good", directory.Entry{}, refusal(53, "Entry permanently locked.\n"), noPolicy(), directory.AccountLocked, false},
		{"FreeIPA: locked", directory.Entry{}, refusal(53, "Too many failed logins.\n"), noPolicy(), directory.AccountLocked, false},
		{"any other 53", directory.Entry{}, refusal(53, "unwilling"), noPolicy(), none, false},
		{"389: locked", directory.Entry{}, refusal(19, "Exceed password retry limit. Please try later."), noPolicy(), directory.AccountLocked, false},
		{"389: locked, by control", directory.Entry{}, refusal(19, ""), fault(faultAccountLocked), directory.AccountLocked, false},
		{"any other 19", directory.Entry{}, refusal(19, "constraint"), noPolicy(), none, false},

		{"success", directory.Entry{}, nil, noPolicy(), fine, false},
		{"success for an entry that is disabled", barred, nil, noPolicy(), directory.AccountDisabled, true},
		{"locked with a result about the server", directory.Entry{}, refusal(51, ""), fault(faultAccountLocked), none, false},
		{"transport", directory.Entry{}, errors.New("connection reset"), fault(faultAccountLocked), none, false},
		{"the library's own code", directory.Entry{}, refusal(ldap.ErrorNetwork, "data 533"), noPolicy(), none, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := verdictOnBind(tt.entry, tt.err, tt.said)
			if got, right := shape(err); got != tt.want || right != tt.right {
				t.Errorf("%v (password right: %v), want %s (%v)", err, right, tt.want, tt.right)
			}
		})
	}
}

// shape names the verdict in err.
func shape(err error) (is directory.AccountState, passwordRight bool) {
	var a *directory.AccountError
	switch {
	case err == nil:
		return fine, false
	case errors.As(err, &a):
		return a.State, a.PasswordRight
	case errors.Is(err, directory.ErrBadCredentials):
		return wrong, false
	}
	return none, false
}

func TestDetailIsOneShortLine(t *testing.T) {
	err := verdictOnBind(directory.Entry{}, refusal(53, "Account inactivated\r\nforged line \x1b[31m\xff"+strings.Repeat("x", 1<<20)), noPolicy())
	if text := err.Error(); len(text) > 400 || strings.ContainsAny(text, "\r\n\x1b") || !utf8.ValidString(text) || !strings.Contains(text, "result 53: Account inactivated") {
		t.Errorf("%q", text)
	}
}

// Only the codes of the table are states, wherever they stand; anything else
// beside 49 is a wrong password, and so a refusal all the same.
func FuzzSubCode(f *testing.F) {
	for _, code := range []string{"525", "52e", "530", "533", "773", "775", "51f", "0533", "533 ", "", "zz", "-533", "100000533"} {
		f.Add(fmt.Sprintf(adMessage, code))
	}
	f.Add(", data 533")
	f.Add("data 533,")
	known := map[uint64]bool{0x530: true, 0x531: true, 0x532: true, 0x533: true, 0x701: true, 0x773: true, 0x775: true}
	f.Fuzz(func(t *testing.T, message string) {
		err := verdictOnBind(directory.Entry{}, refusal(49, message), noPolicy())
		code, ok := subCode(diagnostic(refusal(49, message)))
		noServer := ok && code == 0x51f
		if errors.Is(err, directory.ErrBadCredentials) == noServer {
			t.Fatalf("%q: %v", message, err)
		}
		if noServer {
			return
		}
		if state, _ := shape(err); (state != wrong) != (ok && known[code]) {
			t.Errorf("%q: %s for code %x, %v", message, state, code, ok)
		}
	})
}
