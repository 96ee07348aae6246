package ldapserver

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Relative identifiers of Active Directory ([MS-DTYP] 2.4.2.4).
const (
	DomainUsersRID = 513
	firstRID       = 10_000 // of the entries that bring no objectSid
)

// SID returns the binary objectSid of the relative identifier in the domain
// of this package, S-1-5-21-1-2-3 ([MS-DTYP] 2.4.2.2).
func SID(rid uint32) string {
	b := []byte{1, 5, 0, 0, 0, 0, 0, 5}
	for _, n := range []uint32{21, 1, 2, 3, rid} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return string(b)
}

// Subcode returns the outcome by which Active Directory tells the state of an
// account: 525 no such user, 52e wrong password, 530 not at this hour, 531
// not at this workstation, 532 password expired, 533 disabled, 701 account
// expired, 773 must change the password, 775 locked.
func Subcode(data string) *BindOutcome {
	return &BindOutcome{Result: Result{Code: ldap.LDAPResultInvalidCredentials,
		Message: "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data " + data + ", v2580"}}
}

// completeAD adds what Active Directory maintains itself. GUIDs and SIDs are
// bytes of which most are no text.
func (e *entry) completeAD(rid uint32) {
	e.fill("distinguishedName", e.dn.text)
	guid := sha1.Sum([]byte("objectGUID:" + e.key))
	e.fill("objectGUID", string(guid[:16]))
	if e.get("samaccountname") != nil {
		e.fill("objectSid", SID(rid))
	}
}

// indexAD notes by which names people bind, and which groups hold whom.
func (t *tree) indexAD() {
	for _, e := range t.entries {
		for _, v := range e.texts("userprincipalname") {
			t.logins[foldSpaces(v)] = e
		}
		for _, v := range e.texts("samaccountname") {
			domain := e.dn.domain()
			netbios, _, _ := strings.Cut(domain, ".")
			t.logins[foldSpaces(v+"@"+domain)] = e
			t.logins[foldSpaces(netbios+`\`+v)] = e
		}
		for _, v := range e.texts("objectsid") {
			t.bySID[v] = e
		}
		if m := e.get("member"); m != nil {
			for _, key := range m.normal {
				t.holders[key] = append(t.holders[key], e)
			}
		}
	}
}

// texts returns the values of the attribute as they were given.
func (e *entry) texts(key string) []string {
	if a := e.get(key); a != nil {
		return a.values
	}
	return nil
}

// domain returns the DNS name that the dc components make.
func (d dn) domain() string {
	var labels []string
	for _, rdn := range d.rdns {
		if quoted, ok := strings.CutPrefix(rdn, "dc="); ok {
			if label, err := strconv.Unquote(quoted); err == nil {
				labels = append(labels, label)
			}
		}
	}
	return strings.Join(labels, ".")
}

// find returns the entry that a bind names: by DN, and in Active Directory
// also by user principal name and DOMAIN\user. No other server takes those,
// and answers 34.
func (t *tree) find(name string) (e *entry, ok bool) {
	if d, ok := parseDN(name); ok {
		return t.byKey[d.key()], true
	}
	return t.logins[foldSpaces(name)], t.logins != nil
}

const tokenGroups = "tokengroups"

// withTokenGroups returns a copy of the entry with the constructed attribute
// tokenGroups: the SIDs of all security groups that hold it by any path, the
// primary group among them ([MS-ADTS] 3.1.1.4.5.19).
func (t *tree) withTokenGroups(e *entry) *entry {
	copied := &entry{dn: e.dn, key: e.key, attrs: slices.Clone(e.attrs)}
	queue := slices.Clone(t.holders[e.key])
	if primary := t.primaryGroup(e); primary != nil {
		queue = append(queue, primary)
	}
	seen := map[*entry]bool{}
	for ; len(queue) > 0; queue = queue[1:] {
		group := queue[0]
		if seen[group] || !group.security() {
			continue
		}
		seen[group] = true
		copied.add("tokenGroups", group.texts("objectsid")...)
		queue = append(queue, t.holders[group.key]...)
	}
	return copied
}

// primaryGroup returns the group whose SID is that of the entry with
// primaryGroupID as its last part. It does not list the entry as a member.
func (t *tree) primaryGroup(e *entry) *entry {
	sids, ids := e.texts("objectsid"), e.texts("primarygroupid")
	if len(sids) != 1 || len(ids) != 1 || len(sids[0]) < 4 {
		return nil
	}
	rid, err := strconv.ParseUint(ids[0], 10, 32)
	if err != nil {
		return nil
	}
	domain := sids[0][:len(sids[0])-4]
	return t.bySID[string(binary.LittleEndian.AppendUint32([]byte(domain), uint32(rid)))]
}

// security reports whether a group grants rights: a groupType without the
// sign bit is that of a mailing list.
func (e *entry) security() bool {
	kind := e.texts("grouptype")
	return len(kind) == 0 || strings.HasPrefix(kind[0], "-")
}

// parseSID reads the form S-1-5-21-…, which Active Directory takes in filters
// beside the bytes.
func parseSID(v string) (string, bool) {
	parts := strings.Split(v, "-")
	if len(parts) < 4 || len(parts) > 18 || parts[0] != "S" || parts[1] != "1" {
		return "", false
	}
	authority, err := strconv.ParseUint(parts[2], 10, 48)
	if err != nil {
		return "", false
	}
	b := binary.BigEndian.AppendUint64(nil, authority)
	b[0], b[1] = 1, byte(len(parts)-3)
	for _, p := range parts[3:] {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return "", false
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return string(b), true
}

// needBind is what Active Directory answers to a client that has not bound.
func needBind() Result {
	return Result{Code: ldap.LDAPResultOperationsError, Message: fmt.Sprintf(
		"%08X: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v2580", 0x4DC)}
}
