package middleware

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-244866eb/gatehouse/attempts"
	"github.com/seed-244866eb/gatehouse/session"
)

const (
	// maxProofs bounds the proofs of all users, and maxUserProofs those of
	// one: only right passwords make them, but who has one can send it from a
	// whole network.
	maxProofs     = 1 << 15
	maxUserProofs = 1 << 8
	// idleMACs is how many states of the keyed hash wait for the next use.
	idleMACs = 1 << 4
	// proofStamps is the number of counters that users share.
	proofStamps = 1 << 10
)

// proofs remembers for a while which Basic credentials were right, so that the
// next request with the same ones costs no bind. A proof is good for the same
// password under the same name from the same client alone, and gone with the
// first password from there that is another one: whoever guesses has one guess
// that is not counted, and that only if it is right. So no proof is left when
// failures have armed that client, which could tell a right password from a
// wrong one by it. Another process knows nothing of those failures, but its
// proof, too, is gone with the first wrong guess.
type proofs struct {
	ttl  time.Duration // 0: nothing is remembered
	key  []byte        // of this process alone
	idle chan *proofMAC
	seed maphash.Seed

	mu    sync.RWMutex
	known map[proofKey]*proof
	users map[string]map[proofKey]*proof // the same, by proof.subject
	// stamps count what has made proofs of a user worthless, so that a login
	// which ends afterwards leaves none. A user who shares a counter with
	// another loses one proof now and then, which costs one bind.
	stamps [proofStamps]uint64
}

// A proofKey is a name as typed, in NFC, from one client.
type proofKey struct {
	name   string
	client netip.Addr // the /64 of IPv6, as failed logins are counted
}

// A proof is one password that was right. It does not tell the password.
type proof struct {
	subject string
	who     session.Principal
	mac     [sha256.Size]byte
	until   time.Time
	gone    atomic.Bool // from known; set under the lock
}

// newProofs returns proofs that are good for ttl.
func newProofs(ttl time.Duration) *proofs {
	key := make([]byte, sha256.Size)
	rand.Read(key)
	return &proofs{
		ttl:   ttl,
		key:   key,
		idle:  make(chan *proofMAC, idleMACs),
		seed:  maphash.MakeSeed(),
		known: make(map[proofKey]*proof),
		users: make(map[string]map[proofKey]*proof),
	}
}

// keyOf returns what proofs of c are found by, and false where none may be made:
// behind an address that many people may share nobody has one for himself.
func (s *proofs) keyOf(c Credentials) (proofKey, bool) {
	return proofKey{c.Name, subnet(c.Client)}, s.ttl > 0 && c.Client.IsValid() && !c.Uncertain
}

// subnet returns addr, or its /64 for IPv6: there one client has them all.
func subnet(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	if !addr.Is6() {
		return addr
	}
	p, _ := addr.WithZone("").Prefix(64)
	return p.Addr()
}

// find returns whose credentials c are, if they were right a moment ago.
// Others than those end the proof, before anything else is done with them.
func (s *proofs) find(c Credentials) (session.Principal, bool) {
	key, ok := s.keyOf(c)
	if !ok {
		return session.Principal{}, false
	}
	s.mu.RLock()
	p := s.known[key]
	s.mu.RUnlock()
	if p == nil {
		return session.Principal{}, false
	}
	sum := s.sum(p.who, key, c.Password)
	if subtle.ConstantTimeCompare(sum[:], p.mac[:]) != 1 || !time.Now().Before(p.until) {
		if !p.gone.Load() { // else somebody has done it, and the next login may be under way
			s.miss(p.subject, c)
		}
		return session.Principal{}, false
	}
	// Of a crowd of guesses that all have found the proof, one that comes
	// after a wrong one is not told that it is right.
	return p.who, !p.gone.Load()
}

// miss ends the proofs of a user at c's client and returns the stamp that put
// needs. Every try calls it before it begins, at whatever door.
func (s *proofs) miss(subject string, c Credentials) (stamp uint64) {
	if s.ttl == 0 {
		return 0
	}
	client := subnet(c.Client)
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, p := range s.users[subject] {
		if key.client == client {
			s.drop(key, p)
		}
	}
	s.stamps[s.slot(subject, client)]++
	return s.stamp(subject, client)
}

// forget ends all proofs of a user, also those of logins under way.
func (s *proofs) forget(subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, p := range s.users[subject] {
		s.drop(key, p)
	}
	s.stamps[s.slot(subject, netip.Addr{})]++
}

// put remembers that c was right, unless something has happened since its
// login began. A user who was counted as somebody else, which a directory
// without a search can bring about, could not be found again to be forgotten.
func (s *proofs) put(c Credentials, res Accepted) {
	key, ok := s.keyOf(c)
	if !ok || res.Subject != attempts.Fold(res.User.Name) {
		return
	}
	now := time.Now()
	p := &proof{
		subject: res.Subject,
		who:     session.Principal{User: res.User.Name, ID: res.User.ID},
		until:   now.Add(s.ttl),
	}
	p.mac = s.sum(p.who, key, c.Password)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stamp(p.subject, key.client) != res.stamp {
		return
	}
	if old := s.known[key]; old != nil {
		s.drop(key, old)
	}
	s.thin(s.known, maxProofs, now)
	s.thin(s.users[p.subject], maxUserProofs, now)
	if s.users[p.subject] == nil {
		s.users[p.subject] = make(map[proofKey]*proof)
	}
	s.known[key], s.users[p.subject][key] = p, p
}

// thin ends a few proofs of m whose time is over, and where m is full at least
// one.
func (s *proofs) thin(m map[proofKey]*proof, most int, now time.Time) {
	full, looked := len(m) >= most, 0
	for key, p := range m {
		if looked++; !now.Before(p.until) || full && looked == 1 {
			s.drop(key, p)
		}
		if looked == 16 {
			return
		}
	}
}

// drop takes a proof out. The caller holds mu.
func (s *proofs) drop(key proofKey, p *proof) {
	p.gone.Store(true)
	delete(s.known, key)
	delete(s.users[p.subject], key)
	if len(s.users[p.subject]) == 0 {
		delete(s.users, p.subject)
	}
}

// stamp tells whether proofs of a user at a client have become worthless
// meanwhile: it is another one then. The caller holds mu.
func (s *proofs) stamp(subject string, client netip.Addr) uint64 {
	return s.stamps[s.slot(subject, netip.Addr{})] + s.stamps[s.slot(subject, client)]
}

// slot returns the counter of a user at a client; of the user alone for none.
func (s *proofs) slot(subject string, client netip.Addr) uint64 {
	return maphash.Comparable(s.seed, proofKey{subject, client}) % proofStamps
}

// A proofMAC computes the sums of proofs; its parts are used again.
type proofMAC struct {
	hash hash.Hash
	buf  []byte
}

// sum returns the keyed hash of all that a proof depends on. Each part comes
// after its length, or two of them could share what stands between them.
func (s *proofs) sum(who session.Principal, key proofKey, password string) (sum [sha256.Size]byte) {
	var m *proofMAC
	select {
	case m = <-s.idle:
		m.hash.Reset()
	default:
		m = &proofMAC{hash: hmac.New(sha256.New, s.key)}
	}
	addr := key.client.As16()
	b := append(m.buf[:0], addr[:]...)
	for _, part := range [...]string{who.User, who.ID, key.name, password} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	m.hash.Write(b)
	clear(b) // the password stood there
	copy(sum[:], m.hash.Sum(b[:0]))
	m.buf = b
	select {
	case s.idle <- m:
	default:
	}
	return sum
}
