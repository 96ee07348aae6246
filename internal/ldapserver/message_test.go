package ldapserver

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// packet returns a request with message id 1.
func packet(t testing.TB, id int64, tag ber.Tag, children ...*ber.Packet) []byte {
	t.Helper()
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	for _, c := range children {
		op.AppendChild(c)
	}
	return envelope(id, op)
}

func number(tag ber.Tag, n int) *ber.Packet {
	return ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, tag, n, "")
}

func bindPacket(t testing.TB, id int64, dn, password string) []byte {
	return packet(t, id, ldap.ApplicationBindRequest, number(ber.TagInteger, 3), octetString(dn), contextString(0, password))
}

func searchPacket(t testing.TB, id int64, base, filter string) []byte {
	t.Helper()
	f, err := ldap.CompileFilter(filter)
	if err != nil {
		t.Fatal(err)
	}
	return packet(t, id, ldap.ApplicationSearchRequest, octetString(base), number(ber.TagEnumerated, 2),
		number(ber.TagEnumerated, 0), number(ber.TagInteger, 0), number(ber.TagInteger, 0),
		ber.NewLDAPBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, false, ""), f, ber.NewSequence(""))
}

func TestReadMessage(t *testing.T) {
	good := bindPacket(t, 1, fredDN, fredPass)
	for _, tt := range []struct {
		name string
		in   []byte
		want error
	}{
		{"a bind", good, nil},
		{"nothing", nil, io.EOF},
		{"cut short", good[:len(good)-1], io.ErrUnexpectedEOF},
		{"another protocol", []byte("GET / HTTP/1.1\r\n"), errMalformed},
		{"a length of 2^31", []byte{0x30, 0x84, 0x80, 0, 0, 0, 0}, errMalformed},
		{"a length of 2^63", []byte{0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, errMalformed},
		{"a length just over the limit", []byte{0x30, 0x83, 0x10, 0, 1, 2}, errMalformed},
		{"indefinite length", []byte{0x30, 0x80, 2, 1, 1, 0, 0}, errMalformed},
		{"an inner length past the end", []byte{0x30, 5, 2, 9, 1, 0x42, 0}, errMalformed},
		{"message id zero", envelope(0, octetString("")), errMalformed},
		{"negative message id", bindPacket(t, -1, "", ""), errMalformed},
		{"message id of nine octets", []byte{0x30, 13, 2, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0x42, 0}, errMalformed},
		{"empty message id", []byte{0x30, 4, 2, 0, 0x42, 0}, errMalformed},
		{"empty message", []byte{0x30, 0}, errMalformed},
		{"an operation that is none", envelope(1, octetString("x")), errMalformed},
		{"a real number", []byte{0x30, 6, 2, 1, 1, 9, 1, 0x42}, errMalformed},
		{"a long tag", []byte{0x30, 7, 2, 1, 1, 0x7f, 0x81, 1, 0}, errMalformed},
		{"constructed octet string", []byte{0x30, 7, 2, 1, 1, 0x24, 2, 4, 0}, errMalformed},
		{"too deep", nested(maxDepth + 1), errMalformed},
		{"too many elements", many(maxElements), errMalformed},
		{"controls that are none", append([]byte{0x30, 8, 2, 1, 1, 0x42, 0}, 0xa0, 1, 4), errMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readMessage(bufio.NewReader(bytes.NewReader(tt.in)))
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// nested returns a message of n sequences in each other.
func nested(n int) []byte {
	p := octetString("")
	for range n {
		s := ber.NewSequence("")
		s.AppendChild(p)
		p = s
	}
	return p.Bytes()
}

// many returns a sequence of n empty strings.
func many(n int) []byte {
	head := []byte{0x30, 0x83, byte(2 * n >> 16), byte(2 * n >> 8), byte(2 * n)}
	return append(head, bytes.Repeat([]byte{4, 0}, n)...)
}

// A wire is the other end of a connection that has said all it will say.
type wire struct {
	net.Conn // nil: nothing else is called
	in       io.Reader
	out      bytes.Buffer
	idle     func() // waits for the answers
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.in.Read(b)
	if err != nil {
		w.idle() // a client that left would get no answer
	}
	return n, err
}

func (w *wire) Write(b []byte) (int, error)        { return w.out.Write(b) }
func (w *wire) Close() error                       { return nil }
func (w *wire) SetReadDeadline(time.Time) error    { return nil }
func (w *wire) SetWriteDeadline(t time.Time) error { return nil }

// converse returns what the server answers to these bytes.
func converse(s *Server, in []byte) *wire {
	w, _ := talk(s, in)
	return w
}

func talk(s *Server, in []byte) (*wire, *conn) {
	w := &wire{in: bytes.NewReader(in)}
	c := newConn(s, w)
	w.idle = c.ops.Wait
	c.serve(false)
	return w, c
}

// codes returns message id and result code of each response in b.
func codes(t testing.TB, b []byte) (out [][2]int64) {
	t.Helper()
	for r := bufio.NewReader(bytes.NewReader(b)); ; {
		p, err := ber.ReadPacket(r)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil || len(p.Children) < 2 {
			t.Fatalf("the server sent no message: %v in %x", err, b)
		}
		id, _ := p.Children[0].Value.(int64)
		code := int64(-1)
		if op := p.Children[1]; len(op.Children) > 0 {
			if n, ok := op.Children[0].Value.(int64); ok {
				code = n
			}
		}
		out = append(out, [2]int64{id, code})
	}
}

func TestGarbageGetsANoticeOfDisconnection(t *testing.T) {
	s, err := New(Config{Entries: testEntries()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, in := range map[string][]byte{
		"garbage":           []byte("GET / HTTP/1.1\r\n\r\n"),
		"unknown operation": packet(t, 7, 30),
	} {
		w := converse(s, in)
		if got := codes(t, w.out.Bytes()); len(got) != 1 || got[0] != [2]int64{0, 2} || !strings.Contains(w.out.String(), noticeOfDisconnection) {
			t.Errorf("%s: answered %v %q", name, got, w.out.String())
		}
	}
}

// StartTLS is refused when more was sent behind it in the clear, or that
// would count as protected.
func TestStartTLSInjection(t *testing.T) {
	c := Config{Entries: testEntries()}
	c.TLS, _ = certificate(t)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in := packet(t, 1, ldap.ApplicationExtendedRequest, contextString(0, oidStartTLS))
	in = append(in, searchPacket(t, 2, suffix, "(uid=fred)")...)
	if w := converse(s, in); w.out.Len() != 0 {
		t.Errorf("answered %x", w.out.Bytes())
	}
}

func TestMalformedOperations(t *testing.T) {
	s, err := New(Config{Entries: testEntries()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rule := ber.Encode(ber.ClassContext, ber.TypeConstructed, ldap.FilterExtensibleMatch, nil, "")
	bad := func(filter *ber.Packet) []byte {
		return packet(t, 1, ldap.ApplicationSearchRequest, octetString(suffix), number(ber.TagEnumerated, 2),
			number(ber.TagEnumerated, 0), number(ber.TagInteger, 0), number(ber.TagInteger, 0),
			ber.NewLDAPBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, false, ""), filter, ber.NewSequence(""))
	}
	context := func(tag ber.Tag) *ber.Packet {
		return ber.Encode(ber.ClassContext, ber.TypeConstructed, tag, nil, "")
	}
	for _, tt := range []struct {
		name string
		in   []byte
	}{
		{"empty bind", packet(t, 1, ldap.ApplicationBindRequest)},
		{"empty search", packet(t, 1, ldap.ApplicationSearchRequest)},
		{"empty compare", packet(t, 1, ldap.ApplicationCompareRequest)},
		{"filter that is a string", bad(octetString("(uid=fred)"))},
		{"empty not", bad(context(ldap.FilterNot))},
		{"empty equality", bad(context(ldap.FilterEqualityMatch))},
		{"empty substrings", bad(context(ldap.FilterSubstrings))},
		{"empty extensible", bad(rule)},
		{"constructed presence", bad(context(ldap.FilterPresent))},
		{"unknown filter", bad(context(12))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := codes(t, converse(s, tt.in).out.Bytes()); len(got) != 1 || got[0] != [2]int64{1, 2} {
				t.Errorf("answered %v, want a protocol error for message 1", got)
			}
		})
	}
}

func TestAbandonedSearchSendsNothing(t *testing.T) {
	s, err := New(Config{Entries: testEntries()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.SetFault(Fault{Delay: time.Hour})
	in := searchPacket(t, 5, suffix, "(uid=fred)")
	in = append(in, envelope(6, ber.NewInteger(ber.ClassApplication, ber.TypePrimitive, ldap.ApplicationAbandonRequest, 5, ""))...)
	// The end of the input waits for the search: without Abandon an hour.
	done := make(chan *wire)
	go func() { done <- converse(s, in) }()
	select {
	case w := <-done:
		if w.out.Len() != 0 {
			t.Errorf("answered %x", w.out.Bytes())
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the abandoned search goes on")
	}
}

// FuzzConversation sends bytes as a client. Whatever they are, the server
// must come to an end without panic, answer with well-formed messages alone,
// and not let a client in that has not sent a password.
func FuzzConversation(f *testing.F) {
	seeds := [][]byte{
		bindPacket(f, 1, fredDN, fredPass),
		bindPacket(f, 1, "", ""),
		append(bindPacket(f, 1, fredDN, "guess"), searchPacket(f, 2, suffix, "(objectClass=*)")...),
		searchPacket(f, 3, "", "(objectClass=*)"),
		searchPacket(f, 3, suffix, `(&(|(uid=f*e*d)(cn>=a)(cn<=z)(cn~=x))(!(mail=\2a))(:dn:caseIgnoreMatch:=people))`),
		searchPacket(f, 4, suffix, "(member:1.2.840.113556.1.4.1941:=uid=fred,ou=people,dc=example,dc=org)"),
		packet(f, 5, ldap.ApplicationExtendedRequest, contextString(0, oidWhoAmI)),
		packet(f, 6, ldap.ApplicationCompareRequest, octetString(fredDN), octetString("")),
		envelope(7, ber.Encode(ber.ClassApplication, ber.TypePrimitive, ldap.ApplicationUnbindRequest, nil, "")),
		envelope(8, response(ldap.ApplicationDelRequest, Result{}), (&page{size: 2, serial: 1, next: 3}).control()),
		{0x30, 0x84, 0x80, 0, 0, 0},
		nested(70),
		many(100),
	}
	for _, b := range seeds {
		f.Add(b)
	}
	s, err := New(Config{Entries: testEntries(), MemberOf: true, SizeLimit: 5})
	if err != nil {
		f.Fatal(err)
	}
	defer s.Close()
	passwords := []string{fredPass, zoePass, "adminpass"}
	f.Fuzz(func(t *testing.T, in []byte) {
		w, c := talk(s, in)
		codes(t, w.out.Bytes())
		sent := false
		for _, p := range passwords {
			sent = sent || bytes.Contains(in, []byte(p))
		}
		if c.who != nil && !sent {
			t.Errorf("%s bound without a password", c.who.dn.text)
		}
		if bytes.Contains(w.out.Bytes(), []byte(fredPass)) && !sent {
			t.Error("a password was sent")
		}
	})
}

// FuzzDN parses two names. A name equals or is below another only as its
// number of parts allows.
func FuzzDN(f *testing.F) {
	for _, s := range []string{fredDN, "", ",", "=", "a=", `cn=a\,b`, `cn=\41\`, "cn=#0403414243", "a=b+c=d", "uid = fred ; ou=x", "cn=\xff"} {
		f.Add(s, "dc=org")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, okX := parseDN(a)
		y, okY := parseDN(b)
		if !okX || !okY {
			return
		}
		if below(x.key(), y.key()) && len(x.rdns) <= len(y.rdns) {
			t.Errorf("%q below %q", a, b)
		}
		if x.key() == y.key() && len(x.rdns) != len(y.rdns) {
			t.Errorf("%q equals %q", a, b)
		}
	})
}
