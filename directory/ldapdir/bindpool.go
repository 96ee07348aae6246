package ldapdir

import (
	"context"
	"sync"
	"time"
)

// maxIdle is how long a bind connection may lie unused: less than the 15
// minutes of Active Directory (MaxConnIdleTime), and than most firewalls.
const maxIdle = 5 * time.Minute

// A bindPool keeps connections on which passwords are checked, one at a time
// each. They are never used for searches of the service: after a bind they
// belong to a stranger.
type bindPool struct {
	node   *node
	places *places

	mu     sync.Mutex
	idle   []*conn // the last used at the end
	age    int     // counts resets
	closed bool
}

func newBindPool(n *node, size, maxWaiting int) *bindPool {
	return &bindPool{node: n, places: newPlaces(size, maxWaiting)}
}

// use runs f with a connection that nobody else uses. When f reports that
// nothing was sent over a connection that was kept, it runs once more with a
// fresh one. f also says whether the connection is good for the next.
func (p *bindPool) use(ctx context.Context, f func(*conn) (sent, keep bool, err error)) (sent bool, err error) {
	release, err := p.places.take(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	for attempt := 0; ; attempt++ {
		c, fresh, age, err := p.take(ctx)
		if err != nil {
			return false, err
		}
		sent, keep, err := f(c)
		p.give(c, keep, age)
		if err == nil || sent || fresh || attempt == 1 || ctx.Err() != nil {
			return sent, err
		}
	}
}

// useAt is use with a connection to the server of that name behind the node,
// where the pool's do not lead and it is reached.
func (p *bindPool) useAt(ctx context.Context, name string, f func(*conn) (sent, keep bool, err error)) (sent bool, err error) {
	if !p.node.elsewhere(name) {
		return p.use(ctx, f)
	}
	release, err := p.places.take(ctx)
	if err != nil {
		return false, err
	}
	c, err := p.node.seek(ctx, name)
	if c != nil {
		defer c.close()
		sent, _, err = f(c)
	}
	release()
	if err != nil || c != nil {
		return sent, err
	}
	return p.use(ctx, f)
}

// take returns the connection used last, which keeps the others idle until
// they are too old, or dials.
func (p *bindPool) take(ctx context.Context) (c *conn, fresh bool, age int, err error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, false, 0, errClosed
	}
	old := p.expire()
	if last := len(p.idle) - 1; last >= 0 {
		c, p.idle = p.idle[last], p.idle[:last]
	}
	age = p.age
	p.mu.Unlock()
	closeAll(old)
	if c == nil {
		c, err = p.node.connect(ctx, false)
		fresh = true
	}
	return c, fresh, age, err
}

// expire takes out what is broken or too old. The caller holds mu.
func (p *bindPool) expire() (old []*conn) {
	kept := p.idle[:0]
	for _, c := range p.idle {
		if c.broken() || !p.node.fits(c) || time.Since(c.since) > maxIdle {
			old = append(old, c)
			continue
		}
		kept = append(kept, c)
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	return old
}

func (p *bindPool) give(c *conn, keep bool, age int) {
	c.since = time.Now()
	p.mu.Lock()
	keep = keep && !p.closed && p.age == age && !c.broken() && p.node.fits(c)
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		c.close()
	}
}

// reset closes what is idle, and what is in use when it comes back.
func (p *bindPool) reset() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.age++
	p.mu.Unlock()
	closeAll(idle)
}

func (p *bindPool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.reset()
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		c.close()
	}
}
