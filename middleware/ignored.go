package middleware

import (
	"net/netip"
	"sync"
)

// maxIgnored bounds the peers that are remembered as having been logged:
// anybody can send the header.
const maxIgnored = 256

// ignoredProxies remembers which untrusted peers have sent forwarding
// headers, so that each is logged once. The zero value is ready.
type ignoredProxies struct {
	mu   sync.Mutex
	seen map[netip.Addr]struct{}
}

// first reports whether peer is new, and false for all when too many are.
func (p *ignoredProxies) first(peer netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.seen[peer]; ok || len(p.seen) >= maxIgnored {
		return false
	}
	if p.seen == nil {
		p.seen = make(map[netip.Addr]struct{})
	}
	p.seen[peer] = struct{}{}
	return true
}
