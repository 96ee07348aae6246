package ldapdir

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Config says where the directory is and how people and groups are found in
// it. URLs or Domain and a base are required; all else may be zero. New copies it.
type Config struct {
	// URLs are the servers in order of preference, ldaps://host[:port] or
	// ldap://host[:port]. Each address of a host is a node; the first node
	// that works is used for all. Either URLs or Domain is required.
	URLs []string

	// BaseDN is where users and groups are searched. UserBaseDN and
	// GroupBaseDN narrow it for the one and the other; empty means BaseDN.
	// Each of the two must come from somewhere, but for the user base where
	// there is a UserDNTemplate.
	BaseDN, UserBaseDN, GroupBaseDN string

	// BindDN and BindPassword are the service account for searches. Both
	// empty means that searches are anonymous. The password shows in no log,
	// no error and no JSON; whoever reads a Config from JSON sets it apart.
	BindDN       string
	BindPassword string `json:"-"`

	// UserDNTemplate makes the DN of a user from the name put in place of its
	// %s, as "uid=%s,ou=people,dc=example,dc=org". Then Find asks nothing, and
	// Verify reads the entry after the bind, with the user's own rights. The
	// price: Find cannot tell that a user is gone (Groups can), nor show a
	// display name and mail address, and the entry's DN is its ID, so that
	// another person of the same name later is the same. Empty means that
	// users are searched.
	UserDNTemplate string

	// Schema is the kind of directory: "openldap", "rfc2307", "ad" (Active
	// Directory, Samba), "389ds", "freeipa", or "auto", which reads it from the
	// rootDSE with the first call. It gives the fields below that are empty
	// their defaults. Empty means auto, which never finds rfc2307.
	Schema string

	// The attributes of a user. NameAttribute is the canonical name (empty:
	// uid; sAMAccountName in ad), IDAttribute what stays when the user is
	// renamed (empty: entryUUID; objectGUID in ad, nsUniqueId in 389ds,
	// ipaUniqueID in freeipa; the DN of entries without it),
	// DisplayNameAttribute and EmailAttribute are shown (empty: displayName,
	// mail).
	NameAttribute, IDAttribute, DisplayNameAttribute, EmailAttribute string

	// LoginAttributes are what a person may log in with, as uid and mail. The
	// NameAttribute always is one of them, since sessions find their user by
	// it. A name that stands for several entries is nobody's. Empty means the
	// NameAttribute alone, in ad sAMAccountName and userPrincipalName.
	LoginAttributes []string

	// Domains are names that may stand before or behind a user's: with CORP
	// and corp.example.org in it, CORP\ann and ann@corp.example.org are ann, in
	// any case, unless an entry has that whole name (which a UserDNTemplate
	// does not look for). Empty means none; in ad the domain's name in DNS and
	// its short one, read with the first call.
	Domains []string

	// UserFilter finds a user by the name put in place of each %s. Empty means
	// an equality with one of the LoginAttributes, of an entry that is a
	// person's.
	UserFilter string

	// GroupFilter finds the groups of a user by the DN put in place of each
	// %d and the name in place of each %s. Empty means
	// "(|(member=%d)(uniqueMember=%d)(memberUid=%s))", with the object class
	// of the schema, and the primary group in rfc2307 and ad. An own filter
	// finds what it finds, so without the primary group.
	GroupFilter string

	// GroupNameAttribute is the name of a group. Empty means cn; in ad
	// sAMAccountName, of which a domain has one alone.
	GroupNameAttribute string

	// MemberOf takes the groups from the memberOf values of the user's entry
	// where it has any, without a search. Set it only where the server keeps
	// them complete, as Active Directory does. OpenLDAP's overlay knows no
	// change that was made before it was loaded, so false, the zero value,
	// searches the groups; but in 389ds and freeipa it means true, as long as
	// there is no GroupFilter. The values are the direct groups, in 389ds and
	// freeipa all. The name of a group must stand in its DN, or the groups are
	// searched after all: in ad set GroupNameAttribute to cn.
	MemberOf bool

	// Nested says how groups of groups are found: "off"; "recursive", a search
	// for each level; in Active Directory also "in-chain", one search in which
	// the server goes through the levels, and "token-groups", the list that
	// the server makes for its own use: of security groups alone, and whole at
	// a domain controller but not at a global catalog. Empty means off; in ad
	// token-groups unless GroupFilter or MemberOf is set; in 389ds and freeipa
	// recursive where memberOf, which has them, is empty.
	Nested string

	// NestedDepth is how many levels of groups "recursive" goes through. A
	// level beyond is an error, since the groups would be a part of them.
	// Zero means 10.
	NestedDepth int

	// FollowReferrals follows the referrals and continuation references of
	// group searches to the ReferralHosts. People must be held by the servers
	// themselves. False means that such an answer is no verdict, except in ad,
	// where a search from the root always has three of no interest.
	FollowReferrals bool
	// ReferralHosts are the names of the hosts that are followed to and get
	// the password of the service account, over TLS as the URLs have it. Their
	// addresses are looked up whenever they are needed, within the time of the
	// call. A reference to another host is an error, in ad passed over.
	ReferralHosts []string

	// RootCAs are the authorities that servers' certificates must come from.
	// Nil means those of the system.
	RootCAs *x509.CertPool
	// Certificates are shown to servers that ask for one. None by default.
	// JSON leaves them out: their private keys are secrets too.
	Certificates []tls.Certificate `json:"-"`
	// StartTLS encrypts ldap:// connections before anything else is sent, and
	// goes no further where the server does not. False by default; ldaps://
	// needs none.
	StartTLS bool
	// InsecurePlaintext allows ldap:// without StartTLS to other machines:
	// everybody on the way reads every password. False allows it to loopback
	// alone.
	InsecurePlaintext bool

	// Domain is the DNS domain whose SRV records (RFC 2782) name the servers,
	// in place of URLs: those of _ldaps._tcp, or where there are none those of
	// _ldap._tcp with port 636. With StartTLS only _ldap._tcp is asked, and
	// the port is the record's. Without TLS there is no discovery.
	//
	// DNS is not to be trusted, so a certificate must name the target of the
	// record where that is in the domain, as dc1.example.org in example.org,
	// and the domain itself where it is not.
	Domain string
	// Site is the Active Directory site whose servers come before the others
	// of the Domain. Empty means none.
	Site string
	// SpreadByHost orders nodes of equal rank by the name of the machine and
	// not alike on all machines, so that they share the load: all URLs are of
	// one rank then, and of a Domain the servers of one priority, in the share
	// of their weights. False by default: machines that use the same node
	// agree about everything.
	SpreadByHost bool
	// Resolver asks the DNS, always in the background and every ResolveEvery.
	// Nil means that of the system, zero a minute. Where DNS fails, what is
	// known stays.
	Resolver     *net.Resolver `json:"-"`
	ResolveEvery time.Duration

	// Timeout bounds each call of Find, Verify and Groups, whatever the
	// number of servers; the deadline of the caller's context bounds a whole
	// login. Zero means 5 seconds.
	Timeout time.Duration
	// CoolDown is how long a node that failed is left alone before it is
	// checked in the background; no call waits for it until a check has gone
	// well. Each check that fails doubles the pause, up to MaxCoolDown, or two
	// seconds while no node works at all. Zero means one second and 30
	// seconds, or CoolDown where that is more.
	CoolDown, MaxCoolDown time.Duration
	// FailBack is how long a node must have been well before it is used again
	// in place of a less preferred one. Zero means 30 seconds.
	FailBack time.Duration

	// SearchConns is the number of service connections to a server; searches
	// share them. Zero means 2.
	SearchConns int
	// BindConns is the number of connections to a server on which passwords
	// are checked, one at a time each. Zero means 8.
	BindConns int
	// MaxWaiting is the number of calls that may wait for a connection to a
	// server; one more fails at once. Zero means 256.
	MaxWaiting int

	// Logger gets the operations at debug level and failing servers at warn.
	// No line has a password. Nil discards.
	Logger *slog.Logger
}

// withDefaults returns a copy with every zero field filled.
func (c Config) withDefaults() Config {
	c.URLs, c.Certificates = slices.Clone(c.URLs), slices.Clone(c.Certificates)
	c.UserBaseDN = cmp.Or(c.UserBaseDN, c.BaseDN)
	c.GroupBaseDN = cmp.Or(c.GroupBaseDN, c.BaseDN)
	c.Schema = cmp.Or(c.Schema, kindAuto)
	c.LoginAttributes, c.Domains = slices.Clone(c.LoginAttributes), slices.Clone(c.Domains)
	c.ReferralHosts = slices.Clone(c.ReferralHosts)
	c.NestedDepth = cmp.Or(c.NestedDepth, 10)
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.CoolDown = cmp.Or(c.CoolDown, time.Second)
	c.MaxCoolDown = cmp.Or(c.MaxCoolDown, max(30*time.Second, c.CoolDown))
	c.FailBack = cmp.Or(c.FailBack, 30*time.Second)
	c.ResolveEvery = cmp.Or(c.ResolveEvery, time.Minute)
	c.SearchConns = cmp.Or(c.SearchConns, 2)
	c.BindConns = cmp.Or(c.BindConns, 8)
	c.MaxWaiting = cmp.Or(c.MaxWaiting, 256)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return c
}

// check returns the faults of a Config with defaults.
func (c Config) check() []error {
	var errs []error
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("ldapdir: Config."+format, args...))
	}
	if c.UserBaseDN == "" && c.UserDNTemplate == "" {
		fault("BaseDN or Config.UserBaseDN is required")
	}
	if c.GroupBaseDN == "" {
		fault("BaseDN or Config.GroupBaseDN is required")
	}
	if (c.BindDN == "") != (c.BindPassword == "") {
		// With a DN and no password servers answer "success" and mean
		// anonymous (RFC 4513 section 5.1.2).
		fault("BindDN and Config.BindPassword go together: BindDN is %q", c.BindDN)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"Timeout", c.Timeout}, {"CoolDown", c.CoolDown}, {"MaxCoolDown", c.MaxCoolDown},
		{"FailBack", c.FailBack}, {"ResolveEvery", c.ResolveEvery},
	} {
		if d.value < 0 {
			fault("%s is negative: %v", d.name, d.value)
		}
	}
	if c.MaxCoolDown >= 0 && c.MaxCoolDown < c.CoolDown {
		fault("MaxCoolDown is less than CoolDown: %v", c.MaxCoolDown)
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"SearchConns", c.SearchConns}, {"BindConns", c.BindConns}, {"MaxWaiting", c.MaxWaiting}} {
		if n.value < 0 {
			fault("%s is negative: %d", n.name, n.value)
		}
	}
	errs = append(errs, c.checkSchema()...)
	return append(errs, c.checkTemplates()...)
}

// checkTemplates tries every DN and filter with a harmless name, so that a
// typing error shows at the start and not as a failed login.
func (c Config) checkTemplates() []error {
	errs := c.checkDNs()
	// The name must be the first value, or an entry would not tell its name.
	_, rest, _ := strings.Cut(c.UserDNTemplate, "=")
	if c.UserDNTemplate != "" && (!strings.HasPrefix(rest, "%s,") || strings.Count(rest, "%s") != 1) {
		errs = append(errs, fmt.Errorf("ldapdir: Config.UserDNTemplate %q is not attribute=%%s,… with one %%s", c.UserDNTemplate))
	}
	errs = append(errs, filterFaults("UserFilter", c.UserFilter, "%s")...)
	return append(errs, filterFaults("GroupFilter", c.GroupFilter, "%")...)
}

// checkDNs returns the faults of the DNs that the caller wrote: a base that
// was filled in from BaseDN has that one's fault, which is named once.
func (c Config) checkDNs() (errs []error) {
	type row struct{ name, value, example string }
	rows := []row{
		{"BaseDN", c.BaseDN, "dc=example,dc=org"},
		{"BindDN", c.BindDN, "cn=reader,dc=example,dc=org"},
		{"UserDNTemplate", c.UserDNTemplate, "uid=%s,ou=people,dc=example,dc=org"},
	}
	if c.UserBaseDN != c.BaseDN {
		rows = append(rows, row{"UserBaseDN", c.UserBaseDN, "ou=people,dc=example,dc=org"})
	}
	if c.GroupBaseDN != c.BaseDN {
		rows = append(rows, row{"GroupBaseDN", c.GroupBaseDN, "ou=groups,dc=example,dc=org"})
	}
	for _, r := range rows {
		if _, err := ldap.ParseDN(strings.ReplaceAll(r.value, "%s", "x")); err != nil {
			errs = append(errs, fmt.Errorf("ldapdir: Config.%s %q is no DN; for example %s (%w)", r.name, r.value, r.example, err))
		}
	}
	return errs
}
