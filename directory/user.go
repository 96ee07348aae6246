package directory

import (
	"strings"
	"time"
)

// A User is a person who may be logged in, with the groups last known. It is
// never modified after it was handed out, so that all requests of one person
// can share it; to change something, copy it.
type User struct {
	Name        string // the canonical user name
	ID          string // Entry.ID: stays when the user is renamed
	DisplayName string
	Email       string

	// Groups holds the names of all groups, sorted. Empty means nothing while
	// the groups are unknown; see [User.GroupsKnown].
	Groups []string
	// GroupsRead is when the groups were read; zero: they are unknown.
	GroupsRead time.Time
	// Node is the directory node that supplied the groups.
	Node string

	// Notice is what the directory said about the password at the last login.
	Notice PasswordNotice
}

// GroupsKnown reports whether Groups is what the directory said, at most
// Config.StaleMax ago. An outage leaves them unknown, which is not the same
// as having none: answer it with 503, not with 403.
func (u *User) GroupsKnown() bool {
	return u != nil && !u.GroupsRead.IsZero()
}

// In reports whether the user is in at least one of the groups. Letter case
// does not count. It is false for a nil User and while the groups are
// unknown, and does not allocate.
func (u *User) In(groups ...string) bool {
	if !u.GroupsKnown() {
		return false
	}
	for _, has := range u.Groups {
		for _, want := range groups {
			if strings.EqualFold(has, want) {
				return true
			}
		}
	}
	return false
}

// noting returns u, or a copy, with what was said about the password.
func (u *User) noting(n PasswordNotice) *User {
	if u.Notice == n {
		return u
	}
	u = new(*u)
	u.Notice = n
	return u
}

// newUser returns the user that e stands for with the groups of g; a zero
// GroupSet is unknown.
func newUser(e Entry, g GroupSet) *User {
	return &User{
		Name:        e.Name,
		ID:          e.ID,
		DisplayName: e.DisplayName,
		Email:       e.Email,
		Groups:      g.Names,
		GroupsRead:  g.Read,
		Node:        g.Node,
		Notice:      e.Notice,
	}
}
