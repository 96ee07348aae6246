package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/middleware"
)

// A visitor is the sender of a request, as the pages need to know one.
type visitor struct {
	author
	Email         string
	Groups        []string
	GroupsUnknown bool // the directory could not tell; Groups is empty
	Unknown       bool // nobody can tell who it is at the moment
	AuthType      string
	LoginReason   string
	Notice        string // about the password; "" for none
	Admin         bool   // for links alone: the page itself has a handler that asks
}

// visitor returns the sender of r; an anonymous one has no Name.
func (s *site) visitor(r *http.Request) visitor {
	id, _ := middleware.FromContext(r.Context())
	v := visitor{AuthType: id.AuthType, LoginReason: id.LoginReason, Unknown: id.Unknown}
	u := id.User
	if u == nil {
		return v
	}
	v.Name, v.DisplayName, v.Email = u.Name, u.DisplayName, u.Email
	if v.DisplayName == "" {
		v.DisplayName = u.Name
	}
	if v.GroupsUnknown = !u.GroupsKnown(); !v.GroupsUnknown {
		v.Groups = u.Groups
	}
	v.Admin = u.In(s.adminGroup)
	v.Notice = notice(u.Notice, time.Now())
	return v
}

// notice returns what a person should know about a password that will not let
// them in for ever; "" for nothing.
func notice(n directory.PasswordNotice, now time.Time) string {
	const day = 24 * time.Hour
	switch left := n.Expires.Sub(now); {
	case n.Expired && n.GraceLogins == 1:
		return "Your password has expired: you can log in with it once more."
	case n.Expired && n.GraceLogins > 1:
		return fmt.Sprintf("Your password has expired: you can log in with it %d more times.", n.GraceLogins)
	case n.Expired, !n.Expires.IsZero() && left <= 0:
		return "Your password has expired: you cannot log in with it again."
	case n.Expires.IsZero():
		return ""
	case left < day:
		return "Your password expires within a day."
	case left < 2*day:
		return "Your password expires in one day."
	default:
		return fmt.Sprintf("Your password expires in %d days.", left/day)
	}
}

// by returns v as the author of something; where there is no login, that is
// anonymous.
func (v visitor) by() author {
	if v.Name == "" {
		return author{"anonymous", "Anonymous"}
	}
	return v.author
}
