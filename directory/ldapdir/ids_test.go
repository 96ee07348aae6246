package ldapdir

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

func unhex(t testing.TB, text string) string {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The GUID is the user class of MS-ADA3, the SID the well-known example of
// MS-DTYP section 2.4.2 with the number of Domain Users.
func TestIdentifiers(t *testing.T) {
	guid := unhex(t, "ba7a96bf e60d d011 a285 00aa003049e2")
	sid := unhex(t, "01 05 000000000005 15000000 dcf4dc3b 833d2b46 828ba628 00020000")
	for _, tt := range []struct{ name, attribute, value, want string }{
		{"GUID as everybody prints it", "objectGUID", guid, "bf967aba-0de6-11d0-a285-00aa003049e2"},
		{"any case", "OBJECTGUID", guid, "bf967aba-0de6-11d0-a285-00aa003049e2"},
		{"GUID cut short", "objectGUID", guid[1:], ""},
		{"SID", "objectSid", sid, "S-1-5-21-1004336348-1177238915-682003330-512"},
		{"SID cut short", "objectSid", sid[:len(sid)-1], ""},
		{"SID of another revision", "objectSid", "\x02" + sid[1:], ""},
		{"SID without a part", "objectSid", unhex(t, "0100000000000005"), ""},
		{"SID of the creator", "objectSid", unhex(t, "010100000000000300000000"), "S-1-3-0"},
		{"UUID is text", "entryUUID", "bf967aba-0de6-11d0-a285-00aa003049e2", "bf967aba-0de6-11d0-a285-00aa003049e2"},
		{"FreeIPA's placeholder is everybody's", "ipaUniqueID", "autogenerate", ""},
	} {
		if got := idText(tt.attribute, tt.value); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	users, ok := siblingSID(sid, "513")
	if text, _ := sidText(users); !ok || text != "S-1-5-21-1004336348-1177238915-682003330-513" {
		t.Errorf("primary group %q", text)
	}
	for _, rid := range []string{"", "-1", "x", "4294967296"} {
		if _, ok := siblingSID(sid, rid); ok {
			t.Errorf("primary group %q", rid)
		}
	}
}

// Whatever a server sends for a SID, it is refused or one of the form that
// goes back as the same bytes; and no byte of it is a character of the filter.
func FuzzSID(f *testing.F) {
	f.Add(unhex(f, "010500000000000515000000dcf4dc3b833d2b46828ba62800020000"))
	f.Add(unhex(f, "010100000000000300000000"))
	f.Add("\x01\x0f" + strings.Repeat("*", 66))
	f.Add(")(objectClass=*")
	f.Fuzz(func(t *testing.T, sid string) {
		text, ok := sidText(sid)
		if ok != validSID(sid) || ok && strings.Count(text, "-") != 2+(len(sid)-8)/4 {
			t.Errorf("%x is %q", sid, text)
		}
		filter, err := ldap.CompileFilter("(objectSid=" + escapeBytes(sid) + ")")
		if sid == "" {
			return // a presence of nothing; never asked for
		}
		if err != nil || filter.Tag != ldap.FilterEqualityMatch || filter.Children[1].Data.String() != sid {
			t.Errorf("%x is asked for as %v, %v", sid, filter, err)
		}
	})
}

func FuzzGUID(f *testing.F) {
	f.Add(unhex(f, "ba7a96bfe60dd011a28500aa003049e2"))
	f.Add("")
	f.Add("bf967aba-0de6-11d0-a285-00aa003049e2")
	f.Fuzz(func(t *testing.T, guid string) {
		text, ok := guidText(guid)
		if ok != (len(guid) == 16) || ok && (len(text) != 36 || strings.Trim(text, "0123456789abcdef-") != "") {
			t.Errorf("%x is %q, %v", guid, text, ok)
		}
	})
}

// The invariant: a range that is taken has exactly the values it names, so
// that the next begins where it ends.
func FuzzRange(f *testing.F) {
	for _, seed := range []string{"range=0-1499", "range=1500-*", "Range=0-0", "range=5-2", "range=-1-*", "range=0-99999999999", "lang-de", "range=0", "range=*-*", "range=+1-+2"} {
		f.Add(seed, 1500)
	}
	f.Fuzz(func(t *testing.T, option string, values int) {
		from, last, ok := parseRange(option, values)
		var low, high int
		fmt.Sscanf(strings.ToLower(option), "range=%d-%d", &low, &high)
		if ok && (from < 0 || from != low || !last && high-low+1 != values) {
			t.Errorf("%q of %d values: %d, %v", option, values, from, last)
		}
	})
}

func TestRanges(t *testing.T) {
	for _, tt := range []struct {
		option string
		values int
		from   int
		last   bool
		ok     bool
	}{
		{"range=0-1499", 1500, 0, false, true},
		{"Range=1500-2999", 1500, 1500, false, true},
		{"range=3000-*", 7, 3000, true, true},
		{"range=0-1499", 1499, 0, false, false},
		{"range=0-1499", 0, 0, false, false},
		{"range=5-2", 3, 0, false, false},
		{"range=x-2", 3, 0, false, false},
		{"range=1", 1, 0, false, false},
		{"lang-de", 1, 0, false, false},
	} {
		from, last, ok := parseRange(tt.option, tt.values)
		if ok != tt.ok || ok && (from != tt.from || last != tt.last) {
			t.Errorf("%s of %d values: %d, %v, %v", tt.option, tt.values, from, last, ok)
		}
	}
}

// A server that leaves values out, or sends some again, is no server of all of
// them.
func TestValuesInRanges(t *testing.T) {
	type part struct {
		name   string
		values []string
	}
	for _, tt := range []struct {
		name  string
		parts []part // one a read, the first came with the entry
		want  string // empty: an error
	}{
		{"without ranges", []part{{"memberOf", []string{"a", "b"}}}, "a b"},
		{"one range", []part{{"memberOf;range=0-*", []string{"a", "b"}}}, "a b"},
		{"three", []part{{"memberOf;range=0-1", []string{"a", "b"}}, {"memberof;range=2-3", []string{"c", "d"}}, {"memberOf;range=4-*", []string{"e"}}}, "a b c d e"},
		{"the first is missing", []part{{"memberOf;range=1-*", []string{"b"}}}, ""},
		{"the second is missing", []part{{"memberOf;range=0-0", []string{"a"}}, {"cn", []string{"x"}}}, ""},
		{"one is left out", []part{{"memberOf;range=0-0", []string{"a"}}, {"memberOf;range=2-*", []string{"c"}}}, ""},
		{"the first again", []part{{"memberOf;range=0-0", []string{"a"}}, {"memberOf;range=0-0", []string{"a"}}}, ""},
		{"nothing more, and no end", []part{{"memberOf;range=0-0", []string{"a"}}, {"memberOf;range=1-*", nil}}, ""},
		{"fewer than it says", []part{{"memberOf;range=0-0", []string{"a"}}, {"memberOf;range=1-2", []string{"b"}}}, ""},
		{"without the range that was asked for", []part{{"memberOf;range=0-0", []string{"a"}}, {"memberOf", []string{"b"}}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &Dir{log: slog.New(slog.DiscardHandler)}
			reads := 0
			run := func(_ context.Context, r *ldap.SearchRequest) (*ldap.SearchResult, error) {
				reads++
				p := tt.parts[reads]
				return &ldap.SearchResult{Entries: []*ldap.Entry{ldap.NewEntry(r.BaseDN, map[string][]string{p.name: p.values})}}, nil
			}
			first := ldap.NewEntry("cn=x", map[string][]string{tt.parts[0].name: tt.parts[0].values})
			got, err := d.values(t.Context(), &node{}, first, "memberOf", run)
			if strings.Join(got, " ") != tt.want || (err == nil) != (tt.want != "") || err == nil && reads != len(tt.parts)-1 {
				t.Errorf("%q, want %q, %v", got, tt.want, err)
			}
		})
	}
}

func TestDisabled(t *testing.T) {
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, attribute, value string
		want                   bool
	}{
		{"normal account", "userAccountControl", "512", false},
		{"ACCOUNTDISABLE", "userAccountControl", "514", true},
		{"disabled, password never expires", "userAccountControl", "66050", true},
		{"lock-out by wrong passwords", "userAccountControl", "528", false},
		{"never expires", "accountExpires", "0", false},
		{"never expires, as made by the tools", "accountExpires", "9223372036854775807", false},
		{"expires at this moment, 2020-01-01", "accountExpires", "132223104000000000", true},
		{"expires on 2021-01-01", "accountExpires", "132539328000000000", false},
		{"inactivated", "nsAccountLock", "TRUE", true},
		{"inactivated, as FreeIPA spells it", "nsaccountlock", "True", true},
		{"activated", "nsAccountLock", "FALSE", false},
		{"locked by wrong passwords", "pwdAccountLockedTime", "20191231000000Z", false},
		{"locked by an administrator", "pwdAccountLockedTime", "000001010000Z", true},
		{"expired in the shadow file", "shadowExpire", "1", false},
	} {
		if got := disabled(ldap.NewEntry("cn=x", map[string][]string{tt.attribute: {tt.value}}), now); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
