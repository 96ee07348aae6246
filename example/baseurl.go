package main

import (
	"errors"
	"net/url"
	"strings"
)

// A baseURL is the value of -base-url. The zero baseURL means: from the
// request.
type baseURL struct {
	text    string // as given, for gatehouse to check
	origin  string // scheme and host
	context string // path without a trailing slash; "" at the root
}

// String returns the URL, without a trailing slash.
func (b *baseURL) String() string { return b.origin + b.context }

// Set takes an absolute URL apart. Whether gatehouse can work with it, it says
// itself: see build.
func (b *baseURL) Set(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return errors.New("not an absolute URL such as https://jira.example.org/jira")
	}
	*b = baseURL{s, u.Scheme + "://" + strings.ToLower(u.Host), strings.TrimSuffix(u.Path, "/")}
	return nil
}
