package proxytrust_test

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/casefile"
	"github.com/seed-244866eb/gatehouse/proxytrust"
)

const notForwarded = "RFC 7239 Forwarded cannot be chosen as the forwarding header yet"

// leftOut are the rows of client_ip.json that nothing here decides.
var leftOut = map[string]string{
	"client_ip-027": notForwarded,
	"client_ip-129": notForwarded,
	"client_ip-131": notForwarded,
	"client_ip-133": notForwarded,
	"client_ip-135": notForwarded,
	"client_ip-137": notForwarded,
	"client_ip-139": notForwarded,
	"client_ip-141": notForwarded,
	"client_ip-143": notForwarded,
	"client_ip-145": notForwarded,
	"client_ip-147": notForwarded,
	"client_ip-149": notForwarded,
	"client_ip-151": notForwarded,
	"client_ip-153": notForwarded,
	"client_ip-155": notForwarded,
	"client_ip-157": notForwarded,
	"client_ip-159": notForwarded,
	"client_ip-161": notForwarded,
}

type clientRow struct {
	ID             string
	RemoteAddr     string `json:"remote_addr"`
	Headers        [][2]string
	Trusted        []string
	Expect         string
	AlsoAcceptable []string `json:"also_acceptable"`
	MustNot        []string `json:"must_not"`
}

func TestClientAddressCases(t *testing.T) {
	const path = "testdata/client_ip.json"
	casefile.LeftOut(t, path, leftOut)
	for _, row := range casefile.Read[clientRow](t, path) {
		t.Run(row.ID, func(t *testing.T) {
			if why, ok := leftOut[row.ID]; ok {
				t.Skip(why)
			}
			checkClientRow(t, row)
		})
	}
}

func checkClientRow(t *testing.T, row clientRow) {
	r := newRequest(row.RemoteAddr)
	for _, h := range row.Headers {
		r.Header.Add(h[0], h[1])
	}
	trust := newTrust(t, row.Trusted...)
	c := trust.Check(r)
	got := text(c.Addr)
	if got != row.Expect && !slices.Contains(row.AlsoAcceptable, got) {
		t.Errorf("client %q, want %q", got, row.Expect)
	}
	if slices.Contains(row.MustNot, got) {
		t.Errorf("client %q is forbidden", got)
	}
	client, stopped := trust.Resolve(c.Peer, r.Header["X-Forwarded-For"])
	if client != c.Addr || stopped != c.Stopped {
		t.Errorf("Resolve: %v, %v; Check: %v, %v", client, stopped, c.Addr, c.Stopped)
	}
}

type protoRow struct {
	ID           string
	PeerTrusted  bool     `json:"peer_trusted"`
	ArrivesTLS   bool     `json:"arrives_tls"`
	Lines        []string `json:"x_forwarded_proto_lines"`
	ExpectSecure bool     `json:"expect_secure"`
}

func TestSchemeCases(t *testing.T) {
	trust := newTrust(t, "10.0.0.0/8")
	for _, row := range casefile.Read[protoRow](t, "testdata/forwarded_proto.json") {
		t.Run(row.ID, func(t *testing.T) {
			r := newRequest("192.0.2.1:1")
			if row.PeerTrusted {
				r.RemoteAddr = "10.0.0.1:1"
			}
			if row.ArrivesTLS {
				r.TLS = new(tls.ConnectionState)
			}
			r.Header["X-Forwarded-Proto"] = row.Lines
			if got := trust.Check(r).Scheme == "https"; got != row.ExpectSecure {
				t.Errorf("secure: %v, want %v", got, row.ExpectSecure)
			}
		})
	}
}

type patternRow struct {
	ID            string
	Pattern       string
	Valid         bool
	Matches       []string
	NotMatches    []string `json:"not_matches"`
	ErrorMentions string   `json:"error_mentions"`
}

func TestPatternCases(t *testing.T) {
	for _, row := range casefile.Read[patternRow](t, "testdata/trusted_proxy_patterns.json") {
		t.Run(row.ID, func(t *testing.T) {
			trust, err := proxytrust.New(proxytrust.Config{
				Trusted:  []string{"198.18.0.1", row.Pattern},
				Resolver: dns,
			})
			if !row.Valid {
				checkRefused(t, err, row)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer trust.Close()
			for _, s := range row.Matches {
				checkTrusted(t, trust, s, true)
			}
			for _, s := range row.NotMatches {
				checkTrusted(t, trust, s, false)
			}
		})
	}
}

// checkTrusted asks for an address, and sends a request from it as the peer.
func checkTrusted(t *testing.T, trust *proxytrust.Trust, s string, want bool) {
	t.Helper()
	if s == "@dns" {
		s = dnsAddr
	}
	a := netip.MustParseAddr(s)
	if got := trust.Trusts(a); got != want {
		t.Errorf("Trusts(%s) = %v, want %v", s, got, want)
	}
	r := newRequest(netip.AddrPortFrom(a, 1).String(), "X-Forwarded-For", "203.0.113.200")
	if got := text(trust.Check(r).Addr) == "203.0.113.200"; got != want {
		t.Errorf("header of peer %s believed: %v, want %v", s, got, want)
	}
}

func checkRefused(t *testing.T, err error, row patternRow) {
	t.Helper()
	bad := patternErrors(err)
	if len(bad) != 1 {
		t.Fatalf("%d pattern errors, want 1: %v", len(bad), err)
	}
	if bad[0].Position != 2 || bad[0].Pattern != row.Pattern {
		t.Errorf("entry %d, %q, want 2, %q", bad[0].Position, bad[0].Pattern, row.Pattern)
	}
	if !strings.Contains(bad[0].Reason, row.ErrorMentions) {
		t.Errorf("reason %q does not mention %q", bad[0].Reason, row.ErrorMentions)
	}
}

// The worked case of Crowd's documentation.
func TestWorkedCase(t *testing.T) {
	for _, tt := range []struct{ name, trusted, want, stopped string }{
		{"all proxies are trusted", "10.44.*", "10.77.11.252", ""},
		{"one proxy is missing", "10.44.222.10", "10.44.44.178", "10.44.44.178"},
		{"nobody is trusted", "192.0.2.1", "10.44.222.10", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRequest("10.44.222.10:1", "X-Forwarded-For", "10.77.11.252, 10.44.222.10, 10.44.44.178")
			c := newTrust(t, tt.trusted).Check(r)
			if text(c.Addr) != tt.want || text(c.Stopped) != tt.stopped {
				t.Errorf("client %v, stopped %v, want %s, %q", c.Addr, c.Stopped, tt.want, tt.stopped)
			}
		})
	}
}
