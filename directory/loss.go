package directory

// A Loss is what somebody had and has no longer.
type Loss struct {
	User string // the canonical name
	ID   string // Entry.ID
	// Groups are the ones the user was in; sorted, never modified.
	Groups []string
	// Gone reports that the whole entry has gone or is disabled: end the
	// user's sessions.
	Gone bool
}
