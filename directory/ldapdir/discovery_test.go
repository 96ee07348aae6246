package ldapdir

import (
	"net/netip"
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
