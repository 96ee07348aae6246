package sambatest

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// longAgo is a day in 2020 in units of 100 ns since 1601.
const longAgo = "132223104000000000"

// domainLDIF lets people have any password, as the tests want to, and locks
// them when they guess.
func domainLDIF() string {
	return change(BaseDN,
		"pwdProperties", "0", // no demands on letters and digits
		"minPwdLength", "4",
		"minPwdAge", "0",
		// A thousand days: a copy may be started long after it was made.
		"maxPwdAge", "-864000000000000",
		"lockoutThreshold", fmt.Sprint(LockAfter),
		"lockoutDuration", "-18000000000", // half an hour
		"lockOutObservationWindow", "-18000000000")
}

// peopleLDIF makes the people and the groups, and brings the accounts into
// their states, but for the one of oldPassLDIF.
func peopleLDIF() string {
	var b strings.Builder
	for _, name := range []string{"reader", Alice, Bob, Disabled, Expired, MustChange, OldPass, Hours, Station, Lock} {
		flags := "512" // NORMAL_ACCOUNT
		if name == Disabled {
			flags = "514" // and ACCOUNTDISABLE
		}
		fmt.Fprintf(&b, `dn: %s
changetype: add
objectClass: user
sAMAccountName: %[2]s
userPrincipalName: %s
userAccountControl: %s
unicodePwd:: %s
displayName: %[2]s of the domain
mail: %[2]s@example.test

`, DN(name), name, UPN(name), flags, unicodePwd(Password(name)))
	}
	for _, g := range [][2]string{{Inner, Alice}, {Mid, Inner}, {Outer, Mid}, {Big, ""}} {
		fmt.Fprintf(&b, "dn: %s\nchangetype: add\nobjectClass: group\nsAMAccountName: %s\n", DN(g[0]), g[0])
		if g[1] != "" {
			fmt.Fprintf(&b, "member: %s\n", DN(g[1]))
		}
		b.WriteByte('\n')
	}
	b.WriteString(change(DN(Expired), "accountExpires", longAgo))
	b.WriteString(change(DN(MustChange), "pwdLastSet", "0"))
	b.WriteString(change(DN(Station), "userWorkstations", "ELSEWHERE"))
	// One bit for each hour of the week.
	b.WriteString(change(DN(Hours), "logonHours:", base64.StdEncoding.EncodeToString(make([]byte, 21))))
	return b.String()
}

// oldPassLDIF makes a password older than the domain allows. Samba
// refuses that to everybody who does not go past its module of passwords.
func oldPassLDIF() string { return change(DN(OldPass), "pwdLastSet", longAgo) }

// membersLDIF fills the group Big. Contacts are made in a tenth of the time
// of users, and are as good as members.
func membersLDIF(n int) string {
	var b, members strings.Builder
	for i := range n {
		dn := DN(fmt.Sprintf("m%04d", i))
		fmt.Fprintf(&b, "dn: %s\nchangetype: add\nobjectClass: contact\n\n", dn)
		fmt.Fprintf(&members, "member: %s\n", dn)
	}
	fmt.Fprintf(&b, "dn: %s\nchangetype: modify\nadd: member\n%smember: %s\n\n", DN(Big), members.String(), DN(Bob))
	return b.String()
}

// change returns a modification that replaces attributes, given in pairs of
// name and value; a name that ends in a colon has its value in base64.
func change(dn string, pairs ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "dn: %s\nchangetype: modify\n", dn)
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "replace: %s\n%s: %s\n-\n", strings.TrimSuffix(pairs[i], ":"), pairs[i], pairs[i+1])
	}
	b.WriteByte('\n')
	return b.String()
}

// unicodePwd returns a value of that attribute in base64: the password in
// quotes, in UTF-16 with the low byte first ([MS-ADTS] 3.1.1.3.1.5).
func unicodePwd(password string) string {
	var raw []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		raw = binary.LittleEndian.AppendUint16(raw, u)
	}
	return base64.StdEncoding.EncodeToString(raw)
}
