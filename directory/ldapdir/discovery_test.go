package ldapdir

import (
	"net/netip"
	"slices"
	"testing"
)

// Passwords go in the clear to this machine alone: whoever answers for the DNS
// cannot make another one localhost.
func TestLocalhostIsHere(t *testing.T) {
	for _, tt := range []struct {
		name    string
		config  Config
		address string
		want    int // endpoints
	}{
		{"here", Config{URLs: []string{"ldap://localhost"}}, "127.0.0.1", 1},
		{"here by IPv6", Config{URLs: []string{"ldap://localhost"}}, "::1", 1},
		{"elsewhere", Config{URLs: []string{"ldap://localhost"}}, "192.0.2.1", 0},
		{"elsewhere over TLS", Config{URLs: []string{"ldaps://localhost"}}, "192.0.2.1", 1},
		{"elsewhere with StartTLS", Config{URLs: []string{"ldap://localhost"}, StartTLS: true}, "192.0.2.1", 1},
		{"elsewhere, as is wanted", Config{URLs: []string{"ldap://localhost"}, InsecurePlaintext: true}, "192.0.2.1", 1},
	} {
		servers, errs := tt.config.servers()
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		r := &discovery{servers: servers, addresses: map[string][]netip.Addr{"localhost": {netip.MustParseAddr(tt.address)}}}
		if got := r.endpoints(); len(got) != tt.want {
			t.Errorf("%s: %v, want %d", tt.name, got, tt.want)
		}
	}
}

// A name that has another address each time is another server each time: by
// one name its nodes would have one voice, and the second one's no would count
// as the first one's.
func TestANodeIsAnAddress(t *testing.T) {
	r := &discovery{servers: []server{{url: "ldaps://ldap.example.org:636", host: "ldap.example.org", port: "636"}, {url: "ldaps://192.0.2.9:636", host: "192.0.2.9", port: "636"}}}
	var got []string
	for _, ip := range []string{"192.0.2.1", "192.0.2.2"} {
		r.addresses = map[string][]netip.Addr{"ldap.example.org": {netip.MustParseAddr(ip)}, "192.0.2.9": {netip.MustParseAddr("192.0.2.9")}}
		for _, e := range r.endpoints() {
			got = append(got, e.name)
		}
	}
	want := []string{"ldaps://192.0.2.9:636", "ldaps://ldap.example.org:636 (192.0.2.1)", "ldaps://192.0.2.9:636", "ldaps://ldap.example.org:636 (192.0.2.2)"}
	if !slices.Equal(got, want) {
		t.Errorf("nodes %q, want %q", got, want)
	}
}
