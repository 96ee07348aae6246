package ldapdir

// Believe takes the nodes of d for vetted, so that a test which counts binds
// does not count the one that vets a node.
func Believe(d *Dir) {
	nodes, _ := d.list()
	for _, n := range nodes {
		n.vetted.Store(true)
	}
}
