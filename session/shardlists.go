package session

// push makes slot i the newest of its class.
func (s *shard) push(i uint32) {
	e := s.at(i)
	ends := &s.ends[classOf(e.user)]
	e.newer, e.older = 0, ends.newest
	if ends.newest != 0 {
		s.at(ends.newest).newer = i
	} else {
		ends.oldest = i
	}
	ends.newest = i
}

// pull takes slot i out of the list of its class.
func (s *shard) pull(i uint32) {
	e := s.at(i)
	ends := &s.ends[classOf(e.user)]
	if e.newer != 0 {
		s.at(e.newer).older = e.older
	} else {
		ends.newest = e.older
	}
	if e.older != 0 {
		s.at(e.older).newer = e.newer
	} else {
		ends.oldest = e.newer
	}
}

// toFront makes slot i the newest. Loads within a sixteenth of the idle time do
// not come here, so the order is by use to that precision.
func (s *shard) toFront(i uint32) {
	s.pull(i)
	s.push(i)
}

// evict removes the least recently used of class that is not key, and reports
// whether there was one.
func (s *shard) evict(class int, key Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.ends[class].oldest
	if i != 0 && s.at(i).hash == key.Hash {
		i = s.at(i).newer
	}
	if i == 0 {
		return false
	}
	s.remove(i)
	return true
}

// sweep looks at the next n slots and removes those that have ended. A few at a
// time is what keeps a lock short: a sweep of everything stops everybody for a
// quarter of a second at a million.
func (s *shard) sweep(now int64, n int) {
	for range min(n, int(s.size)) {
		s.cursor = s.cursor%s.size + 1
		if e := s.at(s.cursor); e.live && e.ended(now) {
			s.remove(s.cursor)
		}
	}
}

// linkUser puts slot i before the others of its place. A place holds the
// sessions of all users whose shard it is; at a million that is about 15.
func (s *shard) linkUser(i uint32) {
	if s.users == nil {
		s.users = new([256]uint32)
	}
	e := s.at(i)
	head := &s.users[e.shard&0xff]
	e.left, e.right = 0, *head
	if *head != 0 {
		s.at(*head).left = i
	}
	*head = i
}

// unlinkUser takes slot i out of its place. The list is linked both ways: one
// user may have a hundred thousand sessions, by a script that logs in for each
// request, and ending one must not walk over the others.
func (s *shard) unlinkUser(i uint32) {
	e := s.at(i)
	if e.left != 0 {
		s.at(e.left).right = e.right
	} else {
		s.users[e.shard&0xff] = e.right
	}
	if e.right != 0 {
		s.at(e.right).left = e.left
	}
}

// list returns the live records of user and removes the ended ones it meets. It
// moves no idle end: an overview must not keep sessions alive.
func (s *shard) list(shard uint16, user string, now int64) map[Key]Record {
	found := make(map[Key]Record)
	if s.users == nil || user == "" {
		return found
	}
	for i := s.users[shard&0xff]; i != 0; {
		e := s.at(i)
		next := e.right
		switch {
		case e.ended(now):
			s.remove(i)
		case e.user == user && e.shard == shard:
			found[Key{Shard: e.shard, Hash: e.hash}] = e.record()
		}
		i = next
	}
	return found
}
