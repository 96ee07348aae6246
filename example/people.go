package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
)

// A person is one entry of the embedded directory.
type person struct {
	uid, password, name, mail string
	groups                    []string
}

// people are those of the embedded directory.
var people = [...]person{
	{"fred", "fredpass", "Fred Normal", "fred@example.org", []string{"jira-users", "jira-developers"}},
	{"admin", "adminpass", "Admin", "admin@example.org", []string{"jira-users", "jira-administrators"}},
	{"nogroups", "nogroupspass", "No Groups", "nogroups@example.org", nil},
	{"zoë", "pässwörd", "Zoë", "zoe@example.org", []string{"jira-users"}},
}

// newPeople returns an LDAP server with people below base, which does not
// listen yet. To the rest of the program it is a server like any other, and
// so it is to ldapsearch.
func newPeople(base string) (*ldapserver.Server, error) {
	server, err := ldapserver.New(ldapserver.Config{Entries: entries(base), MemberOf: true})
	if err != nil {
		// Each entry has its own fault then, and all have the same cause.
		return nil, fmt.Errorf("-ldap-base: %q is not a distinguished name", base)
	}
	return server, nil
}

// entries returns people and their groups below base.
func entries(base string) []ldapserver.Entry {
	list := []ldapserver.Entry{
		{DN: base, Attributes: map[string][]string{"objectClass": {classOf(base)}}},
		{DN: "ou=people," + base, Attributes: map[string][]string{"objectClass": {"organizationalUnit"}}},
		{DN: "ou=groups," + base, Attributes: map[string][]string{"objectClass": {"organizationalUnit"}}},
	}
	members := make(map[string][]string)
	var groups []string // in a fixed order, so that every start is the same
	for _, p := range people {
		dn := "uid=" + p.uid + ",ou=people," + base
		list = append(list, ldapserver.Entry{DN: dn, Attributes: map[string][]string{
			"objectClass":  {"inetOrgPerson"},
			"cn":           {p.name},
			"sn":           {p.name},
			"displayName":  {p.name},
			"mail":         {p.mail},
			"userPassword": {p.password},
		}})
		for _, g := range p.groups {
			if members[g] == nil {
				groups = append(groups, g)
			}
			members[g] = append(members[g], dn)
		}
	}
	for _, g := range groups {
		list = append(list, ldapserver.Entry{DN: "cn=" + g + ",ou=groups," + base, Attributes: map[string][]string{
			"objectClass": {"groupOfNames"}, "member": members[g],
		}})
	}
	return list
}

// classOf returns the object class of the entry at base, by what it is named.
func classOf(base string) string {
	attribute, _, _ := strings.Cut(base, "=")
	switch strings.ToLower(strings.TrimSpace(attribute)) {
	case "dc":
		return "domain"
	case "o":
		return "organization"
	case "ou":
		return "organizationalUnit"
	}
	return "top"
}

// printPeople tells a newcomer who can log in, and where the directory is:
// URL and base DN alone on a line, to be pasted into an LDAP client.
func printPeople(w io.Writer, ldapURL, base string) error {
	var b strings.Builder
	b.WriteString("people:\n")
	for _, p := range people {
		groups := strings.Join(p.groups, ", ")
		if groups == "" {
			groups = "no group"
		}
		fmt.Fprintf(&b, "  %s / %s (%s)\n", p.uid, p.password, groups)
	}
	fmt.Fprintf(&b, "their directory, and its base DN:\n  %s\n  %s\n", ldapURL, base)
	_, err := io.WriteString(w, b.String())
	return err
}
