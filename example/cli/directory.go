package cli

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
)

// A Directory is what the -ldap flags say.
type Directory struct {
	URLs         []string
	Base         string
	UserBase     string
	GroupBase    string
	BindDN       string
	BindPassword string // from the file or the environment, never a flag: ps shows those
	BindFile     string
	Schema       string
	Domains      []string
	SRVDomain    string
	Site         string
	Timeout      time.Duration
	Template     string
	CA           string
	StartTLS     bool
	Plaintext    bool
}

// AddTo adds the flags that fill d to a command, and sets d to their defaults.
// none says what happens without a server. Scripts elsewhere rely on names and
// defaults: flags may be added, and none changed.
func (d *Directory) AddTo(c Command, none string) {
	fs := c.Flags
	fs.Var((*List)(&d.URLs), "ldap", "`URL` of an LDAP server, ldaps:// or ldap://; repeatable, in order of preference ("+none+")")
	fs.StringVar(&d.SRVDomain, "ldap-srv-domain", "", "find the LDAP servers by the SRV records of the DNS domain `NAME`, in place of -ldap")
	fs.StringVar(&d.Site, "ldap-srv-site", "", "prefer the servers of the Active Directory site `NAME` of -ldap-srv-domain")
	fs.StringVar(&d.Base, "ldap-base", "dc=example,dc=org", "search below `DN`")
	fs.StringVar(&d.UserBase, "ldap-user-base", "", "search people below `DN` (default: the base)")
	fs.StringVar(&d.GroupBase, "ldap-group-base", "", "search groups below `DN` (default: the base)")
	fs.StringVar(&d.BindDN, "ldap-bind-dn", "", "search as `DN` (default: anonymous)")
	fs.StringVar(&d.BindFile, "ldap-bind-password-file", "", "the password of -ldap-bind-dn is the first line of `FILE` (or GATEHOUSE_LDAP_BIND_PASSWORD)")
	fs.StringVar(&d.Schema, "ldap-schema", "auto", "the `KIND` of directory: auto, openldap, rfc2307, ad, 389ds or freeipa")
	fs.Var((*List)(&d.Domains), "ldap-domain", "NAME\\user and user@NAME are user, for the domain `NAME`; repeatable (default: the names that Active Directory tells, else none)")
	DurationVar(fs, &d.Timeout, "ldap-timeout", 5*time.Second, "a whole login takes at most `D`")
	fs.StringVar(&d.Template, "ldap-user-dn-template", "", "`T`, for example uid=%s,ou=people,dc=example,dc=com: no search before the bind")
	fs.StringVar(&d.CA, "ldap-ca", "", "trust the certificate authorities in `FILE` (PEM) for LDAP (default: those of the system)")
	fs.Var((*Toggle)(&d.StartTLS), "ldap-starttls", "secure ldap:// by StartTLS")
	fs.Var((*Toggle)(&d.Plaintext), "ldap-insecure-plaintext", "send passwords in clear text to ldap:// servers on other machines")
	c.Secrets["ldap-bind-password"] = &d.BindPassword
}

// Check returns all faults of d that can be told without opening a file.
func (d *Directory) Check() error {
	return errors.Join(
		CheckOneOf("-ldap-schema", d.Schema, "auto", "openldap", "rfc2307", "ad", "389ds", "freeipa"),
		CheckPositive("-ldap-timeout", d.Timeout),
		CheckGiven("-ldap-base", d.Base),
		d.checkBind(),
	)
}

// checkBind holds name and password of the service account together: half of
// them would fall back to an anonymous search without a word.
func (d *Directory) checkBind() error {
	password := d.BindFile != "" || d.BindPassword != ""
	switch {
	case d.BindDN != "" && !password:
		return errors.New("-ldap-bind-dn: needs -ldap-bind-password-file or GATEHOUSE_LDAP_BIND_PASSWORD")
	case d.BindDN == "" && password:
		return errors.New("-ldap-bind-password-file (or GATEHOUSE_LDAP_BIND_PASSWORD): needs -ldap-bind-dn")
	}
	return nil
}

// Open returns the directory. Nothing is dialled yet: a directory that is down
// must not keep a program from starting.
func (d *Directory) Open(log *slog.Logger) (*ldapdir.Dir, error) {
	config := ldapdir.Config{
		URLs:              d.URLs,
		BaseDN:            d.Base,
		UserBaseDN:        d.UserBase,
		GroupBaseDN:       d.GroupBase,
		BindDN:            d.BindDN,
		BindPassword:      d.BindPassword,
		UserDNTemplate:    d.Template,
		Schema:            d.Schema,
		Domains:           d.Domains,
		Domain:            d.SRVDomain,
		Site:              d.Site,
		StartTLS:          d.StartTLS,
		InsecurePlaintext: d.Plaintext,
		Timeout:           d.Timeout,
		Logger:            log,
	}
	// The file wins over the environment, as flags do.
	var err error
	if d.BindFile != "" {
		if config.BindPassword, err = ReadPassword("-ldap-bind-password-file", d.BindFile); err != nil {
			return nil, err
		}
	}
	// Given a CA, the authorities of the system no longer count: a directory's
	// certificate comes from one place.
	if d.CA != "" {
		if config.RootCAs, err = ReadCAs("-ldap-ca", d.CA); err != nil {
			return nil, err
		}
	}
	dir, err := ldapdir.New(config)
	if err != nil {
		return nil, inFlags(err)
	}
	return dir, nil
}

// inFlags returns err in the words of the command line: what the package calls
// Config fields are flags here.
func inFlags(err error) error {
	return errors.New(strings.NewReplacer(
		"ldapdir: ", "",
		"Config.URLs", "-ldap",
		"Config.BaseDN", "-ldap-base",
		"Config.UserBaseDN", "-ldap-user-base",
		"Config.GroupBaseDN", "-ldap-group-base",
		"Config.BindDN", "-ldap-bind-dn",
		"Config.UserDNTemplate", "-ldap-user-dn-template",
		"Config.Domains", "-ldap-domain", // before the name that it begins with
		"Config.Domain", "-ldap-srv-domain",
		"Config.Site", "-ldap-srv-site",
		"InsecurePlaintext", "-ldap-insecure-plaintext",
		"StartTLS", "-ldap-starttls",
	).Replace(err.Error()))
}
