package directory

// A Loss is what somebody had and has no longer.
type Loss struct {
	User string // the canonical name as it was asked for, which sessions have
	ID   string // Entry.ID
	// Groups are the ones the user was in; sorted, never modified.
	Groups []string
	// Gone reports that the whole entry has gone or is disabled: end the
	// user's sessions.
	Gone bool
}

// tell calls Config.Lost if a read has brought less than was known.
func (d *Directory) tell(name string, last *known, out outcome) {
	u := last.user
	l := Loss{User: name, ID: u.ID}
	switch {
	case isGone(out.err):
		l.Groups, l.Gone = u.Groups, true
	case out.known == nil || out.known.user.ID != u.ID:
		return
	default:
		if l.Groups = without(u.Groups, out.known.user.Groups); len(l.Groups) == 0 {
			return
		}
	}
	d.config.Logger.Debug("groups are lost", "user", l.User, "groups", shorten(l.Groups), "gone", l.Gone)
	if d.config.Lost != nil {
		d.config.Lost(l)
	}
}
