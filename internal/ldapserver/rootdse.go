package ldapserver

import (
	"strconv"
	"strings"
)

// A Kind is a product that a rootDSE tells by.
type Kind int

// The products whose rootDSE [RootDSE] knows.
const (
	OpenLDAP Kind = iota
	ActiveDirectory
	DirectoryServer389
	FreeIPA
)

// RootDSE returns the attributes for Config.RootDSE by which clients tell the
// product, of a server that calls itself host and holds base.
func RootDSE(k Kind, base, host string) map[string][]string {
	switch k {
	case ActiveDirectory:
		return adRootDSE(base, host)
	case DirectoryServer389, FreeIPA:
		m := map[string][]string{
			"objectClass":          {"top"},
			"vendorName":           {"389 Project"},
			"vendorVersion":        {"389-Directory/2.3.2 B2023.117.0000"},
			"defaultNamingContext": {base},
			"netscapemdsuffix":     {"cn=ldap://dc=" + host + ":389"},
			"dataversion":          {"020261125010203020261125010203"},
		}
		if k == FreeIPA {
			m["ipatopologypluginversion"] = []string{"1.0"}
			m["ipatopologyismanaged"] = []string{"on"}
			m["ipaDomainLevel"] = []string{"1"}
		}
		return m
	}
	return map[string][]string{ // slapd gives no vendorName
		"objectClass":       {"top", "OpenLDAProotDSE"},
		"vendorName":        nil,
		"configContext":     {"cn=config"},
		"monitorContext":    {"cn=Monitor"},
		"subschemaSubentry": {"cn=Subschema"},
	}
}

// adRootDSE follows [MS-ADTS] 3.1.1.3.2.
func adRootDSE(base, host string) map[string][]string {
	config := "CN=Configuration," + base
	short, domain, _ := strings.Cut(host, ".")
	server := "CN=" + strings.ToUpper(short) + ",CN=Servers,CN=Default-First-Site-Name,CN=Sites," + config
	const windows2016 = 7
	return map[string][]string{
		"vendorName":                 nil,
		"defaultNamingContext":       {base},
		"rootDomainNamingContext":    {base},
		"configurationNamingContext": {config},
		"schemaNamingContext":        {"CN=Schema," + config},
		"namingContexts":             {base, config, "CN=Schema," + config},
		"dnsHostName":                {host},
		"serverName":                 {server},
		"dsServiceName":              {"CN=NTDS Settings," + server},
		"ldapServiceName":            {domain + ":" + short + "$@" + strings.ToUpper(domain)},
		"isGlobalCatalogReady":       {"TRUE"},
		"isSynchronized":             {"TRUE"},
		"domainFunctionality":        {strconv.Itoa(windows2016)},
		"forestFunctionality":        {strconv.Itoa(windows2016)},
		// LDAP_CAP_ACTIVE_DIRECTORY_OID, _LDAP_INTEG_, _V51_, _V60_, _V61_R2_,
		// _W8_: [MS-ADTS] 3.1.1.3.4.3.
		"supportedCapabilities": {"1.2.840.113556.1.4.800", "1.2.840.113556.1.4.1791", "1.2.840.113556.1.4.1670",
			"1.2.840.113556.1.4.1935", "1.2.840.113556.1.4.2080", "1.2.840.113556.1.4.2237"},
	}
}
