package proxytrust_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/proxytrust"
)

const dnsAddr = "198.18.0.53"

// dns answers for every name with dnsAddr.
var dns = resolver(func(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr(dnsAddr)}, nil
})

// patternErrors returns the PatternErrors that are joined in err.
func patternErrors(err error) (bad []*proxytrust.PatternError) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			bad = append(bad, patternErrors(err)...)
		}
		return bad
	}
	var one *proxytrust.PatternError
	if errors.As(err, &one) {
		bad = append(bad, one)
	}
	return bad
}

// Beside the case file: each reason is the one that helps.
func TestBadPatternsNameTheReason(t *testing.T) {
	for _, tt := range []struct{ pattern, reason string }{
		{" ", "empty but for whitespace"},
		{" 10.0.0.1", "whitespace U+0020"},
		{"10.0.0.1\t", "control character U+0009"},
		{"10.0.0.1\u00a0", "whitespace U+00A0"},
		{"10.0.0.1\u0085", "control character U+0085"},
		{"10.0.0.1\x00", "control character U+0000"},
		{"\ufeff10.0.0.1", "neither part of an address nor of a hostname"},
		{"bücher.example", "xn--"},
		{"\xff.example", "neither part of an address"},
		{"10.0.0.1,10.0.0.2", "comma"},
		{"http://proxy.example.org", "URL"},
		{"*.*.*.*", "trust everybody"},
		{"10.*.0.1", "wildcard"},
		{"256.*", "over 255"},
		{"010.*", "leading zero"},
		{"10.*.", "wildcard"},
		{"10..*", "octet is empty"},
		{"1.2.3.4.*", "octets"},
		{"192.168.*/16", "wildcard"},
		{"proxy*.example.org", "not in a hostname"},
		{"10/8", "octets"},
		{"/8", "before the prefix length"},
		{"proxy.example.org/24", "before the prefix length"},
		{"[2001:db8::]/32", "brackets"},
		{"fe80::1%eth0/64", "zone"},
		{"10.0.0.1:80/24", "port"},
		{"10.0.0.0/+8", "prefix length"},
		{"10.0.0.0/99999999999999999999", "over 32"},
		{"2001:db8::/129", "over 128"},
		{"::ffff:10.0.0.0/95", "IPv4-mapped"},
		{"10.0.0.1-9", "range"},
		{"2001:db8::1-2001:db8::9", "range"},
		{"10.0.0.1.", "octet is empty"},
		{"1.2.3.4.5", "octets"},
		{"proxy.123", "not a decimal number"},
		{"99999999999999999999.1.1.1", "over 255"},
		{"0x7f000001", "hexadecimal"},
		{"127.0.0.0x1", "hexadecimal"},
		{"[2001:db8::1]", "brackets"},
		{"192.0.2.1:80", "port"},
		{"1.2.3.4:80:90", "not an IPv6 address"},
		{"-", "hostname"},
		{".", "hostname"},
		{"proxy.example.org..", "hostname"},
		{"under_score.example", "hostname"},
		{strings.Repeat("a.", 126) + "aa", "253 characters"},
		{"'10.0.0.1'", "address"},
	} {
		t.Run(tt.pattern, func(t *testing.T) {
			_, err := proxytrust.New(proxytrust.Config{Trusted: []string{tt.pattern}, Resolver: dns})
			bad := patternErrors(err)
			if len(bad) != 1 || !strings.Contains(bad[0].Reason, tt.reason) {
				t.Errorf("got %v, want a reason with %q", err, tt.reason)
			}
		})
	}
}

func TestPatternsTrustAsWritten(t *testing.T) {
	for _, tt := range []struct{ pattern, in, out string }{
		{"10.*", "10.255.255.255", "11.0.0.0"},
		{"10.44.*", "10.44.0.0", "10.45.0.0"},
		{"10.44.3.*", "10.44.3.255", "10.44.4.0"},
		{"10.44.22.1/16", "10.44.255.1", "10.45.22.1"},
		{"::ffff:10.44.0.0/112", "10.44.1.1", "10.45.0.0"},
		{"::ffff:10.44.0.1", "10.44.0.1", "10.44.0.2"},
		{"0.0.0.0/0", "255.255.255.254", "2001:db8::1"},
		{"::/0", "2001:db8::1", "192.0.2.1"},
		{"2001:db8::/64", "2001:db8::ffff%eth0", "2001:db8:0:1::"},
		{"proxy.example.org.", dnsAddr, "198.18.0.54"},
		{"10-0-0-1.example", dnsAddr, "10.0.0.1"},
		{"0.0.0.0/0", "192.0.2.1", "0.0.0.0"},
		{"::/0", "::1", "::"},
	} {
		t.Run(tt.pattern+" "+tt.out, func(t *testing.T) {
			trust, err := proxytrust.New(proxytrust.Config{
				Trusted:  []string{tt.pattern},
				Resolver: dns,
				Logger:   slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer trust.Close()
			if !trust.Trusts(netip.MustParseAddr(tt.in)) || trust.Trusts(netip.MustParseAddr(tt.out)) {
				t.Errorf("want %s in and %s out", tt.in, tt.out)
			}
		})
	}
	if newTrust(t, "0.0.0.0/0", "::/0").Trusts(netip.Addr{}) {
		t.Error("no address is trusted")
	}
}

func TestNewReportsAllFaultsTogether(t *testing.T) {
	_, err := proxytrust.New(proxytrust.Config{
		Trusted: []string{"192.168.", "10.0.0.1", "*"},
		Refresh: -time.Second,
	})
	if bad := patternErrors(err); len(bad) != 2 || bad[0].Position != 1 || bad[1].Position != 3 {
		t.Errorf("want entries 1 and 3, got %v", err)
	}
	if !strings.Contains(err.Error(), "Config.Refresh is negative: -1s") {
		t.Errorf("want the negative Refresh, got %v", err)
	}
	const want = `proxytrust: trusted proxy 1, "192.168.": not an IPv4 address: an octet is empty`
	if first, _, _ := strings.Cut(err.Error(), "\n"); first != want {
		t.Errorf("got %q, want %q", first, want)
	}
}

func TestTrustingEverybodyIsLogged(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		warns   bool
	}{
		{"0.0.0.0/0", true},
		{"::/0", true},
		{"2001:db8::/0", true},
		{"::ffff:0:0/96", true},
		{"10.0.0.0/8", false},
	} {
		t.Run(tt.pattern, func(t *testing.T) {
			var log strings.Builder
			c := proxytrust.Config{Trusted: []string{tt.pattern}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			trust, err := proxytrust.New(c)
			if err != nil {
				t.Fatal(err)
			}
			check := func(when string) {
				warned := strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), tt.pattern)
				if warned != tt.warns {
					t.Errorf("%s: warned %v, want %v: %s", when, warned, tt.warns, log.String())
				}
			}
			check("New")
			log.Reset()
			if err := trust.Set([]string{tt.pattern}); err != nil {
				t.Fatal(err)
			}
			check("Set")
		})
	}
}
