package proxytrust_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// prefixes returns n patterns; the first two hold the proxies of the chain.
func prefixes(n int) []string {
	list := []string{"10.0.0.0/8", "192.168.1.*"}
	for i := len(list); i < n; i++ {
		list = append(list, fmt.Sprintf("172.%d.%d.%d/32", 16+i>>16, i>>8&255, i&255))
	}
	return list
}

// BenchmarkCheck defends 0 allocations and a time that is flat in the number
// of prefixes: the client of a request with three hops. The floor of the walk
// is 0.15 µs; realclientip takes 0.84 µs at 4 prefixes and 400 at 10,000.
func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{4, 100, 10_000} {
		b.Run(fmt.Sprintf("prefixes=%d", n), func(b *testing.B) {
			trust := newTrust(b, prefixes(n)...)
			r := newRequest("10.0.0.1:1234", "X-Forwarded-For", "203.0.113.7, 192.168.1.2, 10.0.0.2")
			b.ReportAllocs()
			for b.Loop() {
				trust.Check(r)
			}
		})
	}
}

// BenchmarkResolve is the walk of BenchmarkCheck alone, with a parsed peer.
func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{4, 100, 10_000} {
		b.Run(fmt.Sprintf("prefixes=%d", n), func(b *testing.B) {
			trust := newTrust(b, prefixes(n)...)
			peer, lines := netip.MustParseAddr("10.0.0.1"), []string{"203.0.113.7, 192.168.1.2, 10.0.0.2"}
			b.ReportAllocs()
			for b.Loop() {
				trust.Resolve(peer, lines)
			}
		})
	}
}

// BenchmarkForged defends that forged hops cost nothing: the two rows differ
// in 100 hops left of the client.
func BenchmarkForged(b *testing.B) {
	for _, n := range []int{0, 100} {
		b.Run(fmt.Sprintf("hops=%d", n), func(b *testing.B) {
			trust := newTrust(b, prefixes(4)...)
			chain := strings.Repeat("8.8.8.8, ", n) + "203.0.113.7, 192.168.1.2, 10.0.0.2"
			r := newRequest("10.0.0.1:1234", "X-Forwarded-For", chain)
			b.ReportAllocs()
			for b.Loop() {
				trust.Check(r)
			}
		})
	}
}

// BenchmarkLongest bounds the worst that http.Server lets in by default: 1 MiB
// of trusted hops, or of commas.
func BenchmarkLongest(b *testing.B) {
	for name, chain := range map[string]string{
		"hops":   strings.Repeat("10.0.0.2,", http.DefaultMaxHeaderBytes/9),
		"commas": strings.Repeat(",", http.DefaultMaxHeaderBytes),
	} {
		b.Run(name, func(b *testing.B) {
			trust := newTrust(b, prefixes(4)...)
			r := newRequest("10.0.0.1:1234", "X-Forwarded-For", chain)
			b.ReportAllocs()
			for b.Loop() {
				trust.Check(r)
			}
		})
	}
}

// BenchmarkSet is a hot change of 10,000 prefixes, which no request waits for.
func BenchmarkSet(b *testing.B) {
	trust, list := newTrust(b), prefixes(10_000)
	b.ReportAllocs()
	for b.Loop() {
		if err := trust.Set(list); err != nil {
			b.Fatal(err)
		}
	}
}
