package ldapdir

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxCertificates bounds the certificates that are remembered of a node.
	maxCertificates = 16
	// maxChanges bounds the server IDs; OpenLDAP has multi-master set-ups of a
	// handful.
	maxChanges = 64
	// maxMissed is how often the server that is kept to may be missed before
	// another takes its place.
	maxMissed = 3
)

// A backend is what tells a server from the others at the same address.
type backend struct {
	host        string // what the rootDSE calls it; empty: it does not tell
	certificate string // fingerprint; empty: no TLS
}

// alike reports whether two may be one server. A name says more than a
// certificate, which servers share and renew.
func (x backend) alike(y backend) bool {
	if x.host != "" || y.host != "" {
		return x.host == y.host || x.host == "" || y.host == ""
	}
	return x.certificate == y.certificate
}

// A balance is what is known of the servers behind one address: that there is
// one, until something shows that a load balancer hides several. From then on
// one of them is kept to. Its methods are safe for concurrent use.
type balance struct {
	mu   sync.Mutex
	sign string // how it was seen that there are several; empty: it was not
	// kept is the server that has the calls, as far as it can be told; the
	// last one that was met, until there is a sign.
	kept         backend
	certificates []string  // that were shown; the newest last
	renewed      time.Time // when the newest of them was shown first
	changes      map[string]change
	returns      int // how often changes have gone back
	missed       int // connections in a row that did not lead to kept
}

// A change is the last one of a server that was seen, and over which
// connection.
type change struct {
	csn  string
	over *conn
}

// meet takes in who answers on a connection that was dialled at that time, and
// returns the sign if this is the first that there are several.
func (b *balance) meet(x backend, dialled time.Time) (news string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	again := b.show(x.certificate, dialled)
	switch {
	case b.sign != "":
		return ""
	case x.host != "" && b.kept.host != "" && x.host != b.kept.host:
		b.sign = fmt.Sprintf("two rootDSE: %s and %s", b.kept.host, x.host)
		return b.sign
	case again:
		b.sign = "certificates take turns"
		return b.sign
	}
	b.kept = backend{cmp.Or(x.host, b.kept.host), x.certificate}
	return ""
}

// show takes in a certificate, and reports whether it is an older one that was
// thought to be replaced. A single server that renews its certificate shows
// the old one no more, but to who has dialled before.
func (b *balance) show(certificate string, dialled time.Time) (again bool) {
	last := len(b.certificates) - 1
	if certificate == "" || last >= 0 && b.certificates[last] == certificate {
		return false
	}
	i := slices.Index(b.certificates, certificate)
	if i >= 0 {
		if dialled.Before(b.renewed) {
			return false
		}
		b.certificates = slices.Delete(b.certificates, i, i+1)
	}
	b.certificates = append(b.certificates, certificate)
	b.certificates = b.certificates[max(0, len(b.certificates)-maxCertificates):]
	b.renewed = time.Now()
	return i >= 0
}

// seen returns the changes that are known. Only what is read afterwards can be
// older than they.
func (b *balance) seen() map[string]change {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.changes)
}

// compare takes in the changes that were read over a connection, and returns
// the sign if this is the first that there are several. A server that was
// restored from a backup goes back too, once, and has lost its connections: so
// it counts at once while the one that has shown more is open, and otherwise
// the second time.
func (b *balance) compare(before map[string]change, read map[string]string, over *conn) (news string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	back, alive := false, false
	for id, csn := range read {
		if old, ok := before[id]; ok && csn < old.csn {
			back, alive = true, alive || !old.over.broken()
		}
		if b.changes == nil {
			b.changes = make(map[string]change)
		}
		if _, ok := b.changes[id]; ok || len(b.changes) < maxChanges {
			b.changes[id] = change{csn, over}
		}
	}
	if !back {
		return ""
	}
	b.returns++
	if b.sign != "" || !alive && b.returns < 2 {
		return ""
	}
	b.sign = "contextCSN or entryCSN has gone back"
	return b.sign
}

// fits reports whether a connection to x leads to the server that is kept to.
func (b *balance) fits(x backend) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sign == "" || b.kept.alike(x)
}

// arrive takes in where dialling has led to in the end, and returns the server
// of before if it is x that is kept to from now on: because the connection is
// the one for all searches, or since the other was missed again and again, as
// one that its balancer gives no new connections.
func (b *balance) arrive(x backend, searches bool) (before backend, changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sign == "" || b.kept.alike(x) {
		b.missed = 0
		return b.kept, false
	}
	if b.missed++; b.missed < maxMissed && !searches {
		return b.kept, false
	}
	before, b.kept, b.missed = b.kept, x, 0
	return before, true
}

// found reports whether there are several, and whether one cannot be told from
// another.
func (b *balance) found() (several, blind bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sign != "", b.sign != "" && b.name(b.kept) == ""
}

// name returns what tells x from the other servers; empty where there are none
// or it cannot be told. The caller holds mu.
func (b *balance) name(x backend) string {
	switch {
	case b.sign == "":
		return ""
	case x.host != "":
		return x.host
	case len(b.certificates) > 1 && x.certificate != "":
		return "certificate " + x.certificate
	}
	return ""
}

// state returns what the server in use calls itself, and the sign.
func (b *balance) state() (server, sign string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return cmp.Or(b.kept.host, b.name(b.kept)), b.sign
}

// nameOf returns the name of the node, and behind a load balancer of the
// server too where it can be told: each has data of its own, and a voice.
func (n *node) nameOf(x backend) string {
	n.balance.mu.Lock()
	defer n.balance.mu.Unlock()
	if name := n.balance.name(x); name != "" {
		return n.name + " [" + name + "]"
	}
	return n.name
}

// kept returns the name of the node with the server that is kept to.
func (n *node) kept() string {
	n.balance.mu.Lock()
	x := n.balance.kept
	n.balance.mu.Unlock()
	return n.nameOf(x)
}

// elsewhere reports whether a name is that of a server behind the node, and not
// of the one that is kept to: an entry may be on that one alone.
func (n *node) elsewhere(name string) bool {
	return name != n.name && n.is(name) && name != n.kept()
}

// is reports whether a name is that of the node, or of a server behind it.
func (n *node) is(name string) bool {
	return name == n.name || strings.HasPrefix(name, n.name+" [")
}
