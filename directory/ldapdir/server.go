package ldapdir

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// A server is what the configuration names, by a URL or through an SRV record.
// Each of its addresses is a node.
type server struct {
	url        string // in full
	host, port string
	tls        *tls.Config // nil: plain
	startTLS   bool
	loopback   bool // no other address may be dialled
	// rank is the place in the order; servers of one rank may be spread over
	// the machines. Of a greater weight more machines prefer it.
	rank, weight int
}

// servers returns the servers of the URLs, and the faults of what names
// servers.
func (c Config) servers() ([]server, []error) {
	var all []server
	errs := c.checkDomain()
	for i, raw := range c.URLs {
		s, err := c.server(raw)
		if err == nil && slices.ContainsFunc(all, func(o server) bool { return o.url == s.url }) {
			err = errors.New("is there twice")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("ldapdir: Config.URLs%s: %w", shownURL(i, raw), err))
			continue
		}
		if !c.SpreadByHost {
			s.rank = i
		}
		all = append(all, s)
	}
	return all, errs
}

// shownURL returns which one of the URLs it is: scheme and host where they can be
// told, else its number. All other parts may be, or hold, a password, and where
// the URL does not parse, so may any.
func shownURL(i int, raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return fmt.Sprintf(", number %d", i+1)
	}
	return fmt.Sprintf(" %q", u.Scheme+"://"+u.Host)
}

// checkDomain returns the faults of Domain and Site.
func (c Config) checkDomain() (errs []error) {
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("ldapdir: Config."+format, args...))
	}
	if (len(c.URLs) == 0) == (c.Domain == "") {
		fault("URLs or Config.Domain is required, and not both")
	}
	if c.Domain != "" && !isDomain(c.Domain) {
		fault("Domain %q is no DNS domain; for example example.org", c.Domain)
	}
	switch {
	case c.Site != "" && c.Domain == "":
		fault("Site goes with Config.Domain")
	case c.Site != "" && (!isDomain(c.Site) || strings.Contains(c.Site, ".")):
		fault("Site %q is no name of a site; for example Default-First-Site-Name", c.Site)
	}
	return errs
}

// isDomain reports whether the name is made of letters, digits, hyphens and
// underscores, with dots between, as names of machines and sites are.
func isDomain(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		odd := strings.ContainsFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		})
		if odd || label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

func (c Config) server(raw string) (server, error) {
	u, err := parseURL(raw)
	if err != nil {
		return server{}, err
	}
	host, secure := u.Hostname(), u.Scheme == "ldaps"
	inTheClear := !secure && !c.StartTLS && !c.InsecurePlaintext
	switch {
	case secure && c.StartTLS:
		return server{}, errors.New("StartTLS is for ldap:// alone")
	case inTheClear && !loopback(host):
		return server{}, errors.New("passwords would cross the network in the clear; use ldaps, StartTLS or InsecurePlaintext")
	}
	port := cmp.Or(u.Port(), ldap.DefaultLdapPort)
	if secure {
		port = cmp.Or(u.Port(), ldap.DefaultLdapsPort)
	}
	s := server{
		url: u.Scheme + "://" + net.JoinHostPort(host, port), host: host, port: port,
		startTLS: c.StartTLS, loopback: inTheClear, weight: 1,
	}
	if secure || c.StartTLS {
		s.tls = c.tlsFor(host)
	}
	return s, nil
}

// tlsFor returns how to speak TLS to a server whose certificate must have the
// name.
func (c Config) tlsFor(name string) *tls.Config {
	return &tls.Config{ServerName: name, RootCAs: c.RootCAs, Certificates: c.Certificates, MinVersion: tls.VersionTLS12}
}

// parseURL returns the parts of ldap://host[:port] or ldaps://host[:port]. It
// is asked first, since whether a host is loopback says nothing before it is
// known to be one.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	// The error itself quotes the URL, of which any part may be a password.
	case err != nil && strings.Contains(err.Error(), "invalid port"):
		return nil, errors.New("the port is not a number")
	case err != nil:
		return nil, errors.New("is no URL; for example ldaps://dc1.example.org:636")
	case u.Scheme != "ldap" && u.Scheme != "ldaps":
		return nil, errors.New("the scheme is neither ldaps nor ldap")
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("has more than scheme, host and port")
	}
	return u, checkHost(u)
}

// checkHost returns the fault of host and port. Package url takes all before
// the last colon for the host, and no port for one.
func checkHost(u *url.URL) error {
	host, port := u.Hostname(), u.Port()
	_, noIP := netip.ParseAddr(host)
	_, noBareIP := netip.ParseAddr(u.Host)
	number, noNumber := strconv.ParseUint(port, 10, 16)
	switch {
	case host == "":
		return errors.New("no host")
	case noBareIP == nil && strings.Contains(u.Host, ":"):
		return errors.New("an IPv6 address needs brackets")
	case strings.HasSuffix(u.Host, ":"), noIP != nil && strings.Contains(host, ":"):
		return errors.New("the port is not a number")
	case port != "" && (noNumber != nil || number == 0):
		return errors.New("the port is not between 1 and 65535")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
