package main

import (
	"net/http"

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
	Admin         bool // for links alone: the page itself has a handler that asks
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
	return v
}

// by returns v as the author of something; where there is no login, that is
// anonymous.
func (v visitor) by() author {
	if v.Name == "" {
		return author{"anonymous", "Anonymous"}
	}
	return v.author
}
