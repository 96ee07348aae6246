package ldapdir

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/go-ldap/ldap/v3"
)

// perConn is the number of searches at once on one service connection. slapd
// closes a connection with more than 100 pending requests of an anonymous
// client (conn_max_pending).
const perConn = 32

// busy is the number from which on another connection is worth its dialling.
const busy = 8

// A searchPool shares a few service connections among all searches.
type searchPool struct {
	dir    *Dir
	node   *node
	places *places
	single *places // where one connection has all

	mu     sync.Mutex
	slots  []*service
	open   map[*service]bool // in a slot, or retired and still in use
	closed bool
}

// A service is one service connection, or the dialling of it.
type service struct {
	ready chan struct{} // closed when conn or err is set
	conn  *conn
	err   error
	// users counts the calls that wait for it or search on it; guarded by the
	// pool. A retired one is closed by its last user.
	users   int
	retired bool
}

func newSearchPool(d *Dir, n *node) *searchPool {
	return &searchPool{
		dir: d, node: n, slots: make([]*service, d.config.SearchConns),
		open:   make(map[*service]bool),
		places: newPlaces(d.config.SearchConns*perConn, d.config.MaxWaiting),
		single: newPlaces(perConn, d.config.MaxWaiting),
	}
}

// place waits for a place on a connection.
func (p *searchPool) place(ctx context.Context) (release func(), err error) {
	if several, _ := p.node.balance.found(); several {
		return p.single.take(ctx)
	}
	return p.places.take(ctx)
}

// get returns a connection to search on, and whether it was dialled for this
// call. The caller runs one search on it.
func (p *searchPool) get(ctx context.Context) (s *service, fresh bool, err error) {
	s, fresh, err = p.choose(ctx)
	if err != nil {
		return nil, false, err
	}
	select {
	case <-s.ready:
		err = s.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		p.done(s)
		return nil, false, err
	}
	return s, fresh, nil
}

// choose books a place on the first connection that is not busy, dialling
// where there is none. Taking the first keeps one connection in use where one
// is enough. Behind a load balancer there is but one, since another might lead
// to another server.
func (p *searchPool) choose(ctx context.Context) (best *service, fresh bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, errClosed
	}
	several, _ := p.node.balance.found()
	for i, s := range p.slots {
		if several && i > 0 {
			break
		}
		if s != nil && p.useless(s) {
			p.retire(s)
			s = nil
		}
		if s == nil {
			p.slots[i] = p.start(ctx)
			best, fresh = p.slots[i], true
			break
		}
		if best == nil || s.users < best.users {
			best = s
		}
		if s.users < busy {
			break
		}
	}
	best.users++
	return best, fresh, nil
}

// start dials in the background: who waits may leave, and the next one finds
// the connection there. What it does is told to the trace of the caller. The
// caller holds mu.
func (p *searchPool) start(caller context.Context) *service {
	s := &service{ready: make(chan struct{}), users: 1}
	p.open[s] = true
	p.dir.wg.Go(func() {
		defer p.done(s)
		ctx, cancel := context.WithTimeout(withTraceOf(p.dir.base, caller), p.node.timeout)
		defer cancel()
		s.conn, s.err = p.node.dialSearches(ctx, true)
		if s.conn != nil {
			p.tellFollowed()
			// Ends the wait for searches whose callers have left.
			s.conn.ldap.SetTimeout(p.node.timeout)
		}
		close(s.ready)
	})
	return s
}

// tellFollowed logs that the server which had all searches may have got a
// successor.
func (p *searchPool) tellFollowed() {
	if _, blind := p.node.balance.found(); blind {
		p.dir.log.Info("a new connection may lead to another server behind the address of a directory node", "server", p.node.name)
	}
}

// useless reports whether a dialled connection is of no more use.
func (p *searchPool) useless(s *service) bool {
	select {
	case <-s.ready:
		return s.err != nil || s.conn.broken() || !p.node.fits(s.conn)
	default:
		return false
	}
}

// run searches on s, for the caller of get. A caller who leaves does not
// disturb the others: the answer is awaited and thrown away. SearchAsync of
// the library would do without the wait, but it ends alike for a complete
// answer, a closed connection and a panic, and a search that was cut off must
// never look like an empty one.
func (p *searchPool) run(ctx context.Context, s *service, request *ldap.SearchRequest) (*ldap.SearchResult, error) {
	type answer struct {
		result *ldap.SearchResult
		err    error
	}
	answers := make(chan answer, 1)
	p.dir.wg.Go(func() {
		defer p.done(s)
		result, err := s.conn.ldap.Search(request)
		answers <- answer{result, err}
	})
	select {
	case a := <-answers:
		return a.result, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// done takes back a place.
func (p *searchPool) done(s *service) {
	p.mu.Lock()
	s.users--
	last := p.forget(s)
	p.mu.Unlock()
	if last && s.conn != nil {
		s.conn.close()
	}
}

// forget reports whether s is retired and nobody uses it any more. The caller
// holds mu and closes it.
func (p *searchPool) forget(s *service) bool {
	if !s.retired || s.users > 0 {
		return false
	}
	delete(p.open, s)
	return true
}

// discard takes s out of use.
func (p *searchPool) discard(s *service) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retire(s)
}

// retire takes s out of use; its last user closes it. The caller holds mu.
func (p *searchPool) retire(s *service) {
	if i := slices.Index(p.slots, s); i >= 0 {
		p.slots[i] = nil
	}
	if !s.retired {
		s.retired = true
		s.users++ // this function, until it is done
		p.dir.wg.Go(func() { p.done(s) })
	}
}

// reset takes all connections out of use.
func (p *searchPool) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slots {
		if s != nil {
			p.retire(s)
		}
	}
}

// drain takes all connections out of use and refuses new ones.
func (p *searchPool) drain() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.reset()
}

// close ends all connections and refuses new ones. Dialling ends with the
// context of the Dir.
func (p *searchPool) close() {
	p.mu.Lock()
	p.closed = true
	open := slices.Collect(maps.Keys(p.open))
	p.mu.Unlock()
	for _, s := range open {
		if <-s.ready; s.conn != nil {
			s.conn.close()
		}
	}
}
