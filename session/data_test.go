package session

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"

func sample() data {
	return data{
		secret: "0123456789abcdef", created: 1_790_000_000, address: netip.MustParseAddr("192.0.2.1"),
		id: "d3b0c1a8-7c1e-103e-9d1c-0f7bd0a5c1c2", agent: packAgent(chrome),
	}
}

func TestDataRoundTrip(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*data)
	}{
		{"a usual one", func(*data) {}},
		{"nothing but a secret", func(d *data) { *d = data{secret: d.secret} }},
		{"IPv6", func(d *data) { d.address = netip.MustParseAddr("2001:db8::1") }},
		{"elevated", func(d *data) { d.elevated = d.created + 600 }},
		{"values", func(d *data) { d.values = "\x01a\x02bc" }},
		{"the longest id", func(d *data) { d.id = strings.Repeat("x", maxID) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := sample()
			tt.edit(&want)
			if got, ok := decode(want.encode()); !ok || got != want {
				t.Errorf("%+v, %v, want %+v", got, ok, want)
			}
		})
	}
}

// One address has one spelling, or binding would tell two of one client.
func TestDataFoldsAddresses(t *testing.T) {
	d := sample()
	d.address = netip.MustParseAddr("::ffff:192.0.2.1")
	got, ok := decode(d.encode())
	if want := netip.MustParseAddr("192.0.2.1"); !ok || got.address != want {
		t.Errorf("%v, want %v", got.address, want)
	}
	d.address = netip.MustParseAddr("fe80::1%eth0")
	got, ok = decode(d.encode())
	if want := netip.MustParseAddr("fe80::1"); !ok || got.address != want {
		t.Errorf("%v, want %v", got.address, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := sample().encode()
	head := good[:1+secretSize]
	for _, tt := range []struct{ name, text string }{
		{"nothing", ""},
		{"version 0", "\x00" + good[1:]},
		{"version 2", "\x02" + good[1:]},
		{"a version alone", "\x01"},
		{"half a secret", good[:9]},
		{"a secret alone", head},
		{"a number with a needless byte", head + "\x80\x00\x00\x00\x00\x00"},
		{"a number without an end", head + strings.Repeat("\xff", 20)},
		{"a time past the year 9999", head + "\xff\xff\xff\xff\xff\x7f\x00\x00\x00\x00"},
		{"an address of 5 bytes", head + "\x00\x00\x05abcde\x00\x00"},
		{"a mapped address", head + "\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04\x00\x00"},
		{"half an address", head + "\x00\x00\x04ab"},
		{"an id longer than the rest", head + "\x00\x00\x00\x05ab"},
		{"an id over the bound", head + "\x00\x00\x00\x81\x08" + strings.Repeat("x", 2000)},
		{"an agent over the bound", head + "\x00\x00\x00\x00\xc9\x01" + strings.Repeat("x", 2000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d, ok := decode(tt.text); ok {
				t.Errorf("decoded to %+v", d)
			}
		})
	}
	for n := range len(good) {
		if _, ok := decode(good[:n]); ok {
			t.Errorf("decoded the first %d of %d bytes", n, len(good))
		}
	}
}

func TestAgents(t *testing.T) {
	const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
	const safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
	for _, tt := range []struct {
		name, agent, want string
		size              int // at most, packed
	}{
		{"none", "", "", 0},
		{"curl", "curl/8.5.0", "curl/8.5.0", 10},
		{"Chrome", chrome, chrome, 10},
		{"Firefox", firefox, firefox, 22},
		{"Safari on a telephone", safari, safari, 38},
		{"line breaks and escapes", "a\r\n\x1b[31m", "a???[31m", 99},
		{"bytes that stand for pieces", "\x80\x81", "??", 2},
		{"not ASCII", "Bot Jürgen", "Bot J?rgen", 99},
		{"endless", strings.Repeat("x", 9999), strings.Repeat("x", maxAgent), maxAgent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			packed := packAgent(tt.agent)
			if got := unpackAgent(packed); got != tt.want || len(packed) > tt.size {
				t.Errorf("%q in %d bytes, want %q in %d", got, len(packed), tt.want, tt.size)
			}
		})
	}
}

// FuzzDecode holds that no content of a store makes the decoder panic, and
// that whatever it accepts is what encode writes for it, byte by byte: there
// is no second reading of a record.
func FuzzDecode(f *testing.F) {
	good := sample().encode()
	section, err := withValues("", "cart", "gob")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "\x00", good, good + section, good[:20], "\x02" + good[1:], strings.Repeat("\xff", 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := decode(text)
		if !ok {
			return
		}
		if len(d.secret) != secretSize {
			t.Errorf("a secret of %d bytes", len(d.secret))
		}
		if again := d.encode(); again != text {
			t.Errorf("%q\nencodes to %q", text, again)
		}
		if agent := unpackAgent(d.agent); strings.ContainsFunc(agent, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("agent %q is not printable", agent)
		}
		for name, blob := range eachValues(d.values) {
			if len(name)+len(blob) > len(text) {
				t.Error("values from nowhere")
			}
		}
		rec := Record{User: "fred", Kind: KindSession, Data: text}
		if s, ok := newTicket(Key{}, rec); !ok || s.principal().ID != d.id {
			t.Errorf("ticket %v, %v", s.principal(), ok)
		}
	})
}

// FuzzCookies holds that scanning never panics, that each candidate stands in
// the lines letter by letter as the value of a cookie of the name, that splitting
// the header over lines changes nothing (RFC 9113, 8.2.3), and that every
// well-formed cookie which net/http finds is found.
func FuzzCookies(f *testing.F) {
	token, _ := newToken("fred")
	for _, seed := range []string{
		"", "JSESSIONID=" + token, "a=b; JSESSIONID=" + token + "; c=d", "JSESSIONID=x; JSESSIONID=" + token,
		`$Version=1; a="x; JSESSIONID=` + token + `"`, "\u00a0JSESSIONID=" + token, "JSESSIONID=\"" + token + "\"",
		";;;=;JSESSIONID", "jsessionid=" + token, strings.Repeat("JSESSIONID="+token[:44]+"AA;", 20),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		var whole, split candidates
		whole.scan([]string{header}, "JSESSIONID")
		split.scan(strings.Split(header, ";"), "JSESSIONID")
		if whole != split {
			t.Errorf("%q: %d candidates in one line, %d in several", header, whole.n, split.n)
		}
		for _, c := range netHTTPCookies(header) {
			key, ok := parseToken(c)
			if ok && !whole.over && !whole.has(key) {
				t.Errorf("%q: %q is missing", header, c)
			}
		}
		for _, key := range whole.keys[:whole.n] {
			if !standsIn(header, key) {
				t.Errorf("%q: a candidate that was not sent", header)
			}
		}
	})
}

// netHTTPCookies returns the values that net/http reads for JSESSIONID.
func netHTTPCookies(header string) []string {
	var values []string
	r := http.Request{Header: http.Header{"Cookie": {header}}}
	for _, c := range r.CookiesNamed("JSESSIONID") {
		values = append(values, c.Value)
	}
	return values
}

// standsIn reports whether a value of 46 letters after "=" in header has key.
func standsIn(header string, key Key) bool {
	for i := range header {
		rest := strings.TrimLeft(strings.TrimPrefix(header[i:], "="), " \t\"")
		if header[i] == '=' && len(rest) >= tokenSize {
			if k, ok := parseToken(rest[:tokenSize]); ok && k == key {
				return true
			}
		}
	}
	return false
}
