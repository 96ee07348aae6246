package slapdtest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// data is what one server holds, so that tests can ask what is right.
type data struct {
	config Config
	names  []string            // of people
	people map[string]Person   // special ones, by name
	groups map[string][]string // member names by group
	member map[string][]string // groups by member name
}

func newData(c Config) *data {
	d := &data{
		config: c,
		people: make(map[string]Person),
		groups: make(map[string][]string),
		member: make(map[string][]string),
	}
	for i := range c.Users {
		d.names = append(d.names, fmt.Sprintf("u%05d", i))
	}
	for _, p := range c.People {
		d.names = append(d.names, p.Name)
		d.people[p.Name] = p
		for _, g := range p.Groups {
			d.join(g, p.Name)
		}
	}
	d.generate()
	return d
}

// generate draws the members of the generated groups. Omitted ones draw too,
// so that nodes that differ in Omit agree about all others.
func (d *data) generate() {
	if d.config.Users == 0 {
		return
	}
	random := rand.New(rand.NewPCG(7, 7))
	for g := range d.config.Groups {
		members := make(map[int]bool)
		for range 40 {
			members[random.IntN(d.config.Users)] = true
		}
		if d.config.Omit != nil && d.config.Omit(g) {
			continue
		}
		for _, m := range slices.Sorted(maps.Keys(members)) {
			d.join(fmt.Sprintf("g%04d", g), d.names[m])
		}
	}
}

func (d *data) join(group, name string) {
	d.groups[group] = append(d.groups[group], name)
	d.member[name] = append(d.member[name], group)
}

func (d *data) groupsOf(name string) []string {
	return slices.Compact(slices.Sorted(slices.Values(d.member[name])))
}

// ldif returns everything in the form of RFC 2849, parents first.
func (d *data) ldif() string {
	var b strings.Builder
	entry(&b, BaseDN, "objectClass", "dcObject", "objectClass", "organization", "o", "Example", "dc", "example")
	entry(&b, PeopleDN, "objectClass", "organizationalUnit", "ou", "people")
	entry(&b, GroupsDN, "objectClass", "organizationalUnit", "ou", "groups")
	entry(&b, ReaderDN, "objectClass", "organizationalRole", "objectClass", "simpleSecurityObject",
		"cn", "reader", "userPassword", ReaderPassword)
	if d.config.Policy != nil {
		d.policy(&b)
	}
	for _, name := range d.names {
		d.person(&b, name)
	}
	for _, name := range slices.Sorted(maps.Keys(d.groups)) {
		pairs := []string{"objectClass", "groupOfNames", "cn", name}
		for _, m := range d.groups[name] {
			pairs = append(pairs, "member", UserDN(m))
		}
		entry(&b, groupDN(name), pairs...)
	}
	b.WriteString(d.config.LDIF)
	return b.String()
}

func (d *data) person(b *strings.Builder, name string) {
	p, special := d.people[name]
	if !special {
		p = Person{Email: name + "@example.org", DisplayName: "User " + name[1:]}
	}
	if p.Password == "" {
		p.Password = "pw-" + name
	}
	pairs := []string{"objectClass", "inetOrgPerson", "uid", name, "cn", name, "sn", name, "userPassword", p.Password}
	if p.DisplayName != "" {
		pairs = append(pairs, "displayName", p.DisplayName)
	}
	if p.Email != "" {
		pairs = append(pairs, "mail", p.Email)
	}
	if d.config.MemberOf {
		for _, g := range d.groupsOf(name) {
			pairs = append(pairs, "memberOf", groupDN(g))
		}
	}
	entry(b, UserDN(name), pairs...)
}

func (d *data) policy(b *strings.Builder) {
	entry(b, "ou=policies,"+BaseDN, "objectClass", "organizationalUnit", "ou", "policies")
	pairs := []string{"objectClass", "applicationProcess", "objectClass", "pwdPolicy", "cn", "default", "pwdAttribute", "userPassword"}
	for _, name := range slices.Sorted(maps.Keys(d.config.Policy)) {
		pairs = append(pairs, name, d.config.Policy[name])
	}
	entry(b, PolicyDN, pairs...)
}

func groupDN(name string) string { return "cn=" + escapeDN(name) + "," + GroupsDN }

// entry writes an entry. Its entryUUID comes from the DN, so that it is the
// same on every server, as on the replicas of one directory.
func entry(b *strings.Builder, dn string, pairs ...string) {
	value(b, "dn", dn)
	id := sha256.Sum256([]byte(dn))
	fmt.Fprintf(b, "entryUUID: %x-%x-%x-%x-%x\n", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
	for i := 0; i < len(pairs); i += 2 {
		value(b, pairs[i], pairs[i+1])
	}
	b.WriteByte('\n')
}

// value writes one line. Base64 takes any value; the plain form is kept for
// those that a reader of data.ldif understands.
func value(b *strings.Builder, name, v string) {
	if plain(v) {
		fmt.Fprintf(b, "%s: %s\n", name, v)
		return
	}
	fmt.Fprintf(b, "%s:: %s\n", name, base64.StdEncoding.EncodeToString([]byte(v)))
}

// plain reports whether v is a SAFE-STRING of RFC 2849 without a space at its
// end.
func plain(v string) bool {
	if v == "" || strings.ContainsRune(" :<", rune(v[0])) || v[len(v)-1] == ' ' {
		return false
	}
	return !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r >= 0x7f })
}

// escapeDN writes every byte of a value that is not a letter, digit, space
// inside, or one of "-_@.'" as a hex pair (RFC 4514 section 2.4). It is on
// purpose not the code that the client under test uses.
func escapeDN(v string) string {
	var b strings.Builder
	for i := range len(v) {
		c := v[i]
		inner := c == ' ' && i > 0 && i < len(v)-1
		if inner || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("-_@.'", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "\\%02x", c)
	}
	return b.String()
}
