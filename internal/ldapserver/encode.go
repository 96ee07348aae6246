package ldapserver

import (
	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// noticeOfDisconnection is the name of the one unsolicited notification that
// a server sends (RFC 4511, section 4.4.1).
const noticeOfDisconnection = "1.3.6.1.4.1.1466.20036"

// envelope returns the bytes of a message around op. AppendChild of asn1-ber
// copies the child as it is at that moment, so everything here is built from
// the inside outwards.
func envelope(id int64, op *ber.Packet, controls ...*ber.Packet) []byte {
	m := ber.NewSequence("")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	m.AppendChild(op)
	if len(controls) > 0 {
		list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
		for _, c := range controls {
			list.AppendChild(c)
		}
		m.AppendChild(list)
	}
	return m.Bytes()
}

// response returns an operation that carries r; callers append what else
// their kind of response has.
func response(tag ber.Tag, r Result) *ber.Packet {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, r.Code, ""))
	op.AppendChild(octetString(r.Matched))
	op.AppendChild(octetString(r.Message))
	if len(r.Referrals) > 0 {
		list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 3, nil, "")
		for _, u := range r.Referrals {
			list.AppendChild(octetString(u))
		}
		op.AppendChild(list)
	}
	return op
}

func octetString(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

// contextString returns an implicitly tagged octet string.
func contextString(tag ber.Tag, s string) *ber.Packet {
	return ber.NewString(ber.ClassContext, ber.TypePrimitive, tag, s, "")
}

// notice returns a notice of disconnection.
func notice(r Result) []byte {
	op := response(ldap.ApplicationExtendedResponse, r)
	op.AppendChild(contextString(10, noticeOfDisconnection))
	return envelope(0, op)
}

// encodeEntry returns a SearchResultEntry (RFC 4511, section 4.5.2) with the
// attributes that sel wants. Passwords are no attributes of an entry here, so
// no selection can name them.
func encodeEntry(id int64, e *entry, sel *selection) []byte {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	op.AppendChild(octetString(e.dn.text))
	list := ber.NewSequence("")
	for _, a := range e.attrs {
		if !sel.wants(a) {
			continue
		}
		for _, p := range a.pieces(sel.span(a.key), sel.limit) {
			list.AppendChild(encodePiece(p, sel.typesOnly))
		}
	}
	op.AppendChild(list)
	return envelope(id, op)
}

func encodePiece(p piece, typesOnly bool) *ber.Packet {
	values := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
	if !typesOnly {
		for _, v := range p.values {
			values.AppendChild(octetString(v))
		}
	}
	one := ber.NewSequence("")
	one.AppendChild(octetString(p.name))
	one.AppendChild(values)
	return one
}

// encodeReference returns a SearchResultReference (RFC 4511, section 4.5.3).
func encodeReference(id int64, urls []string) []byte {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultReference, nil, "")
	for _, u := range urls {
		op.AppendChild(octetString(u))
	}
	return envelope(id, op)
}
