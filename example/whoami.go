package main

import (
	"net/http"
	"strings"

	"github.com/seed-244866eb/gatehouse/proxytrust"
)

// whoami answers what is known about the sender of the request. It is open to
// everybody: nothing in it is new to who asks.
func (s *site) whoami(w http.ResponseWriter, r *http.Request) {
	v, c := s.visitor(r), clientOf(r)
	answer := struct {
		User         *string  `json:"user"`
		AuthType     string   `json:"authType"`
		LoginReason  string   `json:"loginReason"`
		Client       string   `json:"client"`
		Chain        []string `json:"chain"` // the farthest first, the TCP peer last
		Scheme       string   `json:"scheme"`
		Host         string   `json:"host"`
		UntrustedHop *string  `json:"untrustedHop"`
	}{AuthType: v.AuthType, LoginReason: v.LoginReason, Client: c.Addr.String(), Chain: chain(r, c), Scheme: c.Scheme, Host: c.Host}
	if v.Name != "" {
		answer.User = &v.Name
	}
	if c.Stopped.IsValid() {
		hop := c.Stopped.String()
		answer.UntrustedHop = &hop
	}
	writeJSON(w, http.StatusOK, answer)
}

// chain returns the addresses that a request claims to have come through, as
// they were written, and the one that it certainly came from.
func chain(r *http.Request, c proxytrust.Client) []string {
	var hops []string
	for _, line := range r.Header.Values("X-Forwarded-For") {
		for hop := range strings.SplitSeq(line, ",") {
			if hop = strings.TrimSpace(hop); hop != "" {
				hops = append(hops, hop)
			}
		}
	}
	return append(hops, c.Peer.String())
}

// clientOf returns who sent r, by the trusted proxies; without a gate, by the
// connection alone.
func clientOf(r *http.Request) proxytrust.Client {
	if c, ok := proxytrust.FromContext(r.Context()); ok {
		return c
	}
	return peerOf(r)
}

// baseURL returns what clients see before the paths of this site.
func (s *site) baseURL(r *http.Request) string {
	if s.base.origin != "" {
		return s.base.String()
	}
	c := clientOf(r)
	return c.Scheme + "://" + c.Host
}
