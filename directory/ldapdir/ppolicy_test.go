package ldapdir

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"io"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// controlOf is the control of RFC 4511 section 4.1.11, by the encoder of the
// standard library.
func controlOf(t testing.TB, oid string, value []byte) []byte {
	t.Helper()
	b, err := asn1.Marshal(struct {
		OID   []byte
		Value []byte
	}{[]byte(oid), value})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// withControls puts controls behind a short message.
func withControls(message []byte, controls ...[]byte) []byte {
	return sequence(message[2:], wrap(0xa0, controls...))
}

// The values are written out by the draft's definition, section 6.2:
//
//	PasswordPolicyResponseValue ::= SEQUENCE {
//	   warning [0] CHOICE {
//	      timeBeforeExpiration [0] INTEGER (0 .. maxInt),
//	      graceAuthNsRemaining [1] INTEGER (0 .. maxInt) } OPTIONAL,
//	   error   [1] ENUMERATED { … } OPTIONAL }
func TestPolicyControl(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name, oid, value string
		want             policy
	}{
		{"nothing to say", oidPolicy, "\x30\x00", policy{fault: faultNone, graces: -1}},
		{"no value", oidPolicy, "", policy{fault: faultNone, graces: -1}},
		{"password expired", oidPolicy, "\x30\x03\x81\x01\x00", policy{fault: faultPasswordExpired, graces: -1}},
		{"account locked", oidPolicy, "\x30\x03\x81\x01\x01", policy{fault: faultAccountLocked, graces: -1}},
		{"change after reset", oidPolicy, "\x30\x03\x81\x01\x02", policy{fault: faultChangeAfterReset, graces: -1}},
		{"expires in a day", oidPolicy, "\x30\x07\xa0\x05\x80\x03\x01\x51\x80", policy{fault: faultNone, expires: day, graces: -1}},
		{"no grace is left", oidPolicy, "\x30\x05\xa0\x03\x81\x01\x00", policy{fault: faultNone}},
		{"three graces", oidPolicy, "\x30\x05\xa0\x03\x81\x01\x03", policy{fault: faultNone, graces: 3}},
		{"warning and error", oidPolicy, "\x30\x08\xa0\x03\x81\x01\x03\x81\x01\x02", policy{fault: faultChangeAfterReset, graces: 3}},
		{"an error of later days", oidPolicy, "\x30\x03\x81\x01\x63", policy{fault: 99, graces: -1}},
		{"a field of later days", oidPolicy, "\x30\x06\x82\x01\x00\x81\x01\x01", policy{fault: faultAccountLocked, graces: -1}},
		{"Netscape expired", oidExpired, "0", policy{fault: faultNone, graces: -1, expired: true}},
		{"Netscape expiring", oidExpiring, "86400", policy{fault: faultNone, expires: day, graces: -1}},
		{"a control that nobody asked for", "1.2.3", "\x30", policy{fault: faultNone, graces: -1}},
		{"cut off", oidPolicy, "\x30\x03\x81\x01", policy{fault: faultNone, graces: -1, garbled: true}},
		{"something behind it", oidPolicy, "\x30\x00\x00", policy{fault: faultNone, graces: -1, garbled: true}},
		{"no sequence", oidPolicy, "\x04\x00", policy{fault: faultNone, graces: -1, garbled: true}},
		{"error of no bytes", oidPolicy, "\x30\x02\x81\x00", policy{fault: 0, graces: -1, garbled: true}},
		{"negative graces", oidPolicy, "\x30\x05\xa0\x03\x81\x01\xff", policy{fault: faultNone, graces: -1, garbled: true}},
		{"five bytes of seconds", oidPolicy, "\x30\x09\xa0\x07\x80\x05\x01\x00\x00\x00\x00", policy{fault: faultNone, graces: -1, garbled: true}},
		{"empty warning", oidPolicy, "\x30\x02\xa0\x00", policy{fault: faultNone, graces: -1, garbled: true}},
		{"length of 2^31", oidPolicy, "\x30\x84\x80\x00\x00\x00", policy{fault: faultNone, graces: -1, garbled: true}},
		{"Netscape, no number", oidExpiring, "soon", policy{fault: faultNone, graces: -1, garbled: true}},
		{"Netscape, no end of digits", oidExpiring, "99999999999999999999999999", policy{fault: faultNone, graces: -1, garbled: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer := withControls(message(1, 0x61, success...), controlOf(t, tt.oid, []byte(tt.value)))
			g := talk(t, [][]byte{message(1, tagBind)}, answer)
			got, err := io.ReadAll(g)
			if err != nil || !bytes.Equal(got, sequence(message(1, 0x61, success...)[2:])) {
				t.Fatalf("the library gets %x, %v", got, err)
			}
			if g.policy() != tt.want {
				t.Errorf("%+v, want %+v", g.policy(), tt.want)
			}
		})
	}
}

// What came with one answer must not be taken for part of the next one.
func TestPolicyIsOfOneAnswer(t *testing.T) {
	expired := controlOf(t, oidExpired, []byte("0"))
	g := talk(t, [][]byte{message(1, tagBind)}, withControls(message(1, 0x61, success...), expired))
	if _, err := io.ReadAll(g); err != nil || !g.policy().expired {
		t.Fatal(g.policy(), err)
	}
	g.Write(message(2, tagBind))
	if g.policy() != noPolicy() {
		t.Errorf("before the answer: %+v", g.policy())
	}
}

// The library makes a tree of some 250 bytes for every two bytes in the value
// of a control, which to the guard is one string.
func TestControlsDoNotReachTheLibrary(t *testing.T) {
	bomb := wrap(0x30, bytes.Repeat([]byte{0x30, 0}, 1<<19-100))
	for _, oid := range []string{oidPolicy, oidPaging, ldap.ControlTypeServerSideSortingResult, ldap.ControlTypeSyncDone, ldap.ControlTypeDirSync} {
		answer := withControls(message(1, 0x61, success...), controlOf(t, oid, bomb))
		got, err := io.ReadAll(talk(t, [][]byte{message(1, tagBind)}, answer))
		if err != nil || bytes.Contains(got, []byte(oid)) {
			t.Errorf("%s of a bind: %d bytes reach the library, %v", oid, len(got), err)
		}
		answer = withControls(message(1, tagDone, success...), controlOf(t, oid, bomb))
		got, err = io.ReadAll(talk(t, [][]byte{message(1, tagSearch)}, answer))
		if err == nil && bytes.Contains(got, []byte(oid)) {
			t.Errorf("%s of a search: %d bytes reach the library", oid, len(got))
		}
	}
}

func TestPagingControlReachesTheLibrary(t *testing.T) {
	paging := controlOf(t, oidPaging, []byte("\x30\x08\x02\x01\x00\x04\x03abc"))
	answer := withControls(message(1, tagDone, success...), controlOf(t, "1.2.3", nil), paging)
	got, err := io.ReadAll(talk(t, [][]byte{message(1, tagSearch)}, answer))
	if err != nil {
		t.Fatal(err)
	}
	p, err := ber.DecodePacketErr(got)
	if err != nil || len(p.Children) != 3 || len(p.Children[2].Children) != 1 {
		t.Fatalf("%x, %v", got, err)
	}
	c, err := ldap.DecodeControl(p.Children[2].Children[0])
	if c, ok := c.(*ldap.ControlPaging); err != nil || !ok || string(c.Cookie) != "abc" {
		t.Errorf("%+v, %v", c, err)
	}
}

// Whatever is behind the operation, the library gets a message that the guard
// would let pass again, the same but for its controls, and what they say is
// within bounds.
func FuzzControls(f *testing.F) {
	bind := message(1, 0x61, success...)
	for _, value := range []string{"\x30\x03\x81\x01\x02", "\x30\x07\xa0\x05\x80\x03\x01\x51\x80", "\x30\x05\xa0\x03\x81\x01\x03", "86400", "\x30\x84\x80\x00\x00\x00"} {
		for _, oid := range []string{oidPolicy, oidExpired, oidExpiring, oidPaging} {
			f.Add(withControls(bind, controlOf(f, oid, []byte(value))))
		}
	}
	f.Add(bind)
	f.Add(sequence(bind[2:], []byte("\xa0\x05\x30\x03\x01\x01\xff")))
	f.Add(sequence(bind[2:], []byte("\x8a\x01x")))
	f.Fuzz(func(t *testing.T, in []byte) {
		id, tag, _, err := inspect(in)
		if err != nil {
			return
		}
		bare, controls, err := parts(in)
		if err != nil {
			if !errors.Is(err, errBER) {
				t.Error(err)
			}
			return
		}
		p := policyOf(controls)
		if p.graces < -1 || p.fault < faultNone || p.expires < 0 || p.expires > 1<<31*time.Second {
			t.Errorf("%+v", p)
		}
		paged, err := pagingOnly(bare, controls)
		if err != nil {
			paged = bare
		}
		for _, out := range [][]byte{bare, paged} {
			again, sameTag, _, err := inspect(out)
			if err != nil || again != id || sameTag != tag {
				t.Fatalf("%x became %x: %d, %#x, %v", in, out, again, sameTag, err)
			}
		}
	})
}
