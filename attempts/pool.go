package attempts

// A pool is a growing array whose items are named by an index from 1 on, 0
// being nothing. Items hold no pointers, so that the collector never looks
// into a table full of strangers' names.
type pool[T any] struct {
	items []T
	free  []uint32
}

// at returns the item i; the pointer is good until the next take.
func (p *pool[T]) at(i uint32) *T { return &p.items[i-1] }

// used returns the number of items taken and not given back.
func (p *pool[T]) used() int { return len(p.items) - len(p.free) }

// take returns the index of a zero item.
func (p *pool[T]) take() uint32 {
	if n := len(p.free); n > 0 {
		i := p.free[n-1]
		p.free = p.free[:n-1]
		return i
	}
	var zero T
	p.items = append(p.items, zero)
	return uint32(len(p.items))
}

// give returns item i to the pool and clears it.
func (p *pool[T]) give(i uint32) {
	var zero T
	*p.at(i) = zero
	p.free = append(p.free, i)
}
