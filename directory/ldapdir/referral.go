package ldapdir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// maxReferrals is how many servers one search may lead to.
const maxReferrals = 8

func isIPv6(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Is6()
}

// partialError says that a part of the answer is elsewhere.
func partialError(references []string) error {
	return badAnswer("a part of the answer is elsewhere, as %q: narrow the base, or set Config.FollowReferrals", references[0])
}

// referrals returns the URLs of a result 10 (RFC 4511 section 4.1.10).
func referrals(err error) (urls []string) {
	var e *ldap.Error
	if !errors.As(err, &e) || !hasCode(err, ldap.LDAPResultReferral) || e.Packet == nil || len(e.Packet.Children) < 2 {
		return nil
	}
	for _, part := range e.Packet.Children[1].Children {
		if part.ClassType != ber.ClassContext || part.Tag != 3 {
			continue
		}
		for _, u := range part.Children {
			urls = append(urls, u.Data.String())
		}
	}
	return urls
}

// A referral is a search that another server is to answer.
type referral struct {
	endpoint endpoint
	request  *ldap.SearchRequest
}

func (r referral) String() string { return r.endpoint.name + "/" + r.request.BaseDN }

// complete adds to the answer of a search what it refers to, or says that it
// is not complete.
func (r *reading) complete(ctx context.Context, request *ldap.SearchRequest, result *ldap.SearchResult, err error) ([]*ldap.Entry, error) {
	referred := referrals(err)
	if err != nil && (len(referred) == 0 || !r.dir.config.FollowReferrals) {
		return nil, err
	}
	entries := result.Entries
	queue, err := r.references(request, referred, result.Referrals)
	seen := map[string]bool{}
	for err == nil && len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		if seen[next.String()] {
			continue
		}
		if seen[next.String()] = true; len(seen) > maxReferrals {
			return nil, badAnswer("the search leads to more than %d other places", maxReferrals)
		}
		var more []referral
		result, more, err = r.follow(ctx, next)
		if err == nil {
			entries, queue = append(entries, result.Entries...), append(queue, more...)
		}
	}
	if err != nil {
		return nil, err
	}
	if len(entries) > maxGroups {
		return nil, ldap.ErrSizeLimitExceeded
	}
	return entries, nil
}

// follow searches where a referral leads. What fails there is no fault of our
// node, and is not its result code.
func (r *reading) follow(ctx context.Context, to referral) (*ldap.SearchResult, []referral, error) {
	n := &node{
		endpoint: to.endpoint, bindDN: r.node.bindDN, bindPassword: r.node.bindPassword,
		timeout: r.node.timeout, report: r.dir.report,
	}
	result, err := r.dir.searchFresh(ctx, n, to.request)
	referred := referrals(err)
	if err != nil && len(referred) == 0 {
		return nil, nil, badAnswer("%s, to which %s refers: %v", n.name, r.node.name, err)
	}
	more, err := r.references(to.request, referred, result.Referrals)
	return result, more, err
}

// references returns what is to be followed: of a result 10 one of the servers,
// which are alike, and of the continuations every one.
func (r *reading) references(request *ldap.SearchRequest, referred, continued []string) (out []referral, refused error) {
	for _, raw := range referred {
		to, err := r.reference(request, raw)
		if err == nil {
			out, refused = append(out, to), nil
			break
		}
		refused = err
	}
	for _, raw := range continued {
		to, err := r.reference(request, raw)
		switch {
		case err == nil:
			out = append(out, to)
		case r.schema.kind != kindAD:
			refused = cmp.Or(refused, err)
		}
	}
	return out, refused
}

// errNotListed is why a reference is not followed.
var errNotListed = errors.New("the host is none of Config.ReferralHosts")

// reference returns where raw leads (RFC 4516), if it may be followed. Only to
// hosts of the Config goes the service account: a server that lies would send
// the password anywhere. The filter stays ours, for the same reason.
func (r *reading) reference(request *ldap.SearchRequest, raw string) (referral, error) {
	if !r.dir.config.FollowReferrals {
		return referral{}, partialError([]string{raw})
	}
	fail := func(err error) (referral, error) {
		return referral{}, badAnswer("reference to %q is not followed: %v", raw, err)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return fail(errors.New("it is no URL"))
	}
	if !slices.ContainsFunc(r.dir.config.ReferralHosts, func(h string) bool { return strings.EqualFold(h, u.Hostname()) }) {
		return fail(errNotListed)
	}
	next := *request
	next.Controls = nil
	next.BaseDN = cmp.Or(strings.TrimPrefix(u.Path, "/"), request.BaseDN)
	parts := strings.Split(u.RawQuery, "?") // attributes, scope, filter, extensions
	if len(parts) > 2 && strings.Join(parts[2:], "") != "" {
		return fail(errors.New("it has a filter or extensions"))
	}
	if len(parts) > 1 && parts[1] != "" {
		scope := slices.Index([]string{"base", "one", "sub"}, strings.ToLower(parts[1]))
		if scope < 0 {
			return fail(fmt.Errorf("scope %q", parts[1]))
		}
		next.Scope = scope
	}
	e, err := r.endpoint(u)
	if err != nil {
		return fail(err)
	}
	return referral{e, &next}, nil
}

// endpoint returns where and how to dial: no less protected than our node.
func (r *reading) endpoint(u *url.URL) (endpoint, error) {
	c, n := r.dir.config, r.node
	c.StartTLS = c.StartTLS && u.Scheme != "ldaps"
	s, err := c.server(u.Scheme + "://" + u.Host)
	switch {
	case err != nil:
		return endpoint{}, err
	case s.tls == nil && n.tls != nil:
		return endpoint{}, errors.New("it is in the clear")
	case s.tls != nil && n.tls != nil:
		s.tls.Certificates = n.tls.Certificates
	}
	host := s.host
	if s.loopback && net.ParseIP(host) == nil {
		host = "127.0.0.1" // whatever the name means to a resolver
	}
	return endpoint{server: s, name: s.url, address: net.JoinHostPort(host, s.port)}, nil
}
