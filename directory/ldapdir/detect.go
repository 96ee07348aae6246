package ldapdir

import (
	"context"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// What the rootDSE tells. Servers return most of it only when it is asked for
// by name (RFC 4512 section 5.1).
var rootAttributes = []string{
	"supportedCapabilities", "vendorName", "structuralObjectClass", "ipaTopologyPluginVersion",
	"defaultNamingContext", "configurationNamingContext", "dnsHostName", "dsServiceName",
}

// capAD is the capability of every domain controller, and not of AD LDS
// (MS-ADTS section 3.1.1.3.4.3).
const capAD = "1.2.840.113556.1.4.800"

// schemaOf returns the schema of the directory, asking the node for what the
// Config leaves open. The answer is kept for good. No answer is an error and
// never a guess: with the names of another kind of directory a user would
// have no groups.
func (d *Dir) schemaOf(ctx context.Context, n *node) (*schema, error) {
	return d.schemaBy(ctx, n, n.search)
}

// schemaBy is schemaOf through the given kind of search. Calls that come
// before the first answer all ask, so that none waits for another's node.
func (d *Dir) schemaBy(ctx context.Context, n *node, run runner) (*schema, error) {
	if s := d.schema.Load(); s != nil {
		return s, nil
	}
	s, err := d.detect(ctx, n, run)
	if err != nil {
		return nil, err
	}
	if !d.schema.CompareAndSwap(nil, s) {
		s = d.schema.Load()
	}
	d.log.InfoContext(ctx, "schema", "kind", s.kind, "detected", d.config.Schema == kindAuto,
		"userFilter", s.userFilter, "domains", s.domains, "nested", s.nested)
	return s, nil
}

func (d *Dir) detect(ctx context.Context, n *node, run runner) (*schema, error) {
	c := d.config
	// Only names that are typed for a search can have a domain.
	domains := len(c.Domains) == 0 && c.UserDNTemplate == ""
	if c.Schema != kindAuto && (c.Schema != kindAD || !domains) {
		return c.schema(c.Schema), nil
	}
	request := d.request(ctx, "", "(objectClass=*)", rootAttributes)
	request.Scope = ldap.ScopeBaseObject
	result, err := d.search(ctx, n, request, run)
	if err != nil {
		return nil, err
	}
	if len(result.Entries) != 1 {
		return nil, badAnswer("the rootDSE may not be read, so set Config.Schema: %d entries", len(result.Entries))
	}
	root := result.Entries[0]
	kind := c.Schema
	if kind == kindAuto {
		if len(root.Attributes) == 0 {
			return nil, badAnswer("the rootDSE does not show what kind of directory it is, so set Config.Schema")
		}
		kind = kindOf(root)
	}
	if root.GetEqualFoldAttributeValue("dnsHostName") != "" || root.GetEqualFoldAttributeValue("dsServiceName") != "" {
		d.names.Store(true) // in AD LDS and others too
	}
	s := c.schema(kind)
	if kind == kindAD && domains {
		s.domains, err = d.domains(ctx, n, root, run)
	}
	switch {
	case err != nil:
		return nil, err
	case kind != kindAD && (s.nested == nestedInChain || s.nested == nestedTokenGroups):
		// Another server takes the one rule for false and has no value of the
		// other: all users without a group.
		return nil, badAnswer("Config.Nested %q is for Active Directory, and the server is not one", s.nested)
	}
	return s, nil
}

// kindOf returns the kind of directory with this rootDSE.
func kindOf(root *ldap.Entry) string {
	has := func(attribute, value string) bool {
		return slices.ContainsFunc(root.GetEqualFoldAttributeValues(attribute), func(v string) bool {
			return strings.EqualFold(v, value)
		})
	}
	switch {
	case has("supportedCapabilities", capAD):
		return kindAD
	case len(root.GetEqualFoldAttributeValues("ipaTopologyPluginVersion")) > 0:
		return kindFreeIPA
	case has("vendorName", "389 Project"):
		return kind389
	}
	return kindOpenLDAP
}

// domains returns the names of the domain of the node: the one in DNS, and the
// short one before a backslash, which the entry of the domain in the
// configuration has.
func (d *Dir) domains(ctx context.Context, n *node, root *ldap.Entry, run runner) ([]string, error) {
	suffix := root.GetEqualFoldAttributeValue("defaultNamingContext")
	domain, ok := dnsDomain(suffix)
	if !ok {
		return nil, badAnswer("the default naming context %q is no domain, so set Config.Domains", suffix)
	}
	partitions := "CN=Partitions," + root.GetEqualFoldAttributeValue("configurationNamingContext")
	filter := "(&(objectClass=crossRef)(nCName=" + ldap.EscapeFilter(suffix) + "))"
	request := d.request(ctx, partitions, filter, []string{"nETBIOSName"})
	request.SizeLimit = 2
	result, err := d.search(ctx, n, request, run)
	if err != nil && !hasCode(err, ldap.LDAPResultNoSuchObject) {
		return nil, err
	}
	names := []string{domain}
	for _, e := range result.Entries {
		if short := e.GetEqualFoldAttributeValue("nETBIOSName"); short != "" {
			names = append(names, short)
		}
	}
	return names, nil
}

// dnsDomain returns the domain of dc=example,dc=org (RFC 2247).
func dnsDomain(dn string) (string, bool) {
	parsed, err := ldap.ParseDN(dn)
	if err != nil || len(parsed.RDNs) == 0 {
		return "", false
	}
	var labels []string
	for _, r := range parsed.RDNs {
		if len(r.Attributes) != 1 || !strings.EqualFold(r.Attributes[0].Type, "dc") {
			return "", false
		}
		labels = append(labels, r.Attributes[0].Value)
	}
	return strings.Join(labels, "."), true
}
