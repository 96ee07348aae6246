package proxytrust

import (
	"net/http"
	"net/netip"

	"github.com/seed-244866eb/gatehouse/internal/request"
)

// An Explanation tells how the client of a request was found.
type Explanation struct {
	// Hops are the steps of the decision: the peer, then the elements of the
	// forwarding header from the right, up to the one that ended the walk.
	Hops []Hop

	// Client is the result, equal to what [Trust.Check] returns.
	Client Client
}

// A Hop is one step of an [Explanation].
type Hop struct {
	Text    string     // as the connection or the header gives it, not escaped
	Addr    netip.Addr // invalid when Text is no address
	Trusted bool
	Pattern string // the pattern that trusts it, as it was written; or empty
}

// Explain decides as [Trust.Check] does, and tells each step. It is for logs
// and for the operator; Text is what strangers wrote, so escape it.
func (t *Trust) Explain(r *http.Request) Explanation {
	table := t.table.Load()
	e := Explanation{Client: table.check(r)}
	hop := table.hop(r.RemoteAddr, canonical(request.Peer(r)))
	e.Hops = append(e.Hops, hop)
	rest := elements{lines: r.Header[forwardedFor]}
	for hop.Trusted {
		text, ok := rest.next()
		if !ok {
			break
		}
		addr, _ := parseHop(text)
		hop = table.hop(text, addr)
		e.Hops = append(e.Hops, hop)
	}
	return e
}

// hop describes the canonical address a that was found in text.
func (t *table) hop(text string, a netip.Addr) Hop {
	pattern, trusted := t.pattern(a)
	return Hop{Text: text, Addr: a, Trusted: trusted, Pattern: pattern}
}
