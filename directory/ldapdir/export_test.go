package ldapdir

// Believe takes the nodes of d for vetted and for servers that tell of no
// changes, so that a test which counts operations does not count those of new
// nodes and connections.
func Believe(d *Dir) {
	nodes, _ := d.list()
	for _, n := range nodes {
		n.vetted.Store(true)
		n.changeless.Store(true)
	}
}
