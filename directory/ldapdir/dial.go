package ldapdir

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// An endpoint is one address of a server, and how to speak to it.
type endpoint struct {
	server
	name    string // for logs and Entry.Node
	address string // host and port to dial
}

// dial opens a connection within ctx and reports its steps. StartTLS is done
// here and not by the library, whose wait for the answer has no deadline.
func (e endpoint) dial(ctx context.Context, writeTimeout time.Duration, report func(Operation)) (*conn, error) {
	var d net.Dialer
	began := time.Now()
	raw, err := d.DialContext(ctx, "tcp", e.address)
	report(Operation{Kind: "dial", Server: e.name, Detail: e.address, Took: time.Since(began), Err: err})
	if err != nil {
		return nil, err
	}
	// Whatever waits on the socket below ends with ctx.
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	secured, err := e.secure(ctx, raw, report)
	if !stop() || err != nil {
		raw.Close()
		return nil, errors.Join(err, ctx.Err())
	}
	g := newGuard(secured, writeTimeout)
	c := &conn{ldap: ldap.NewConn(g, e.tls != nil), guard: g, backend: backend{certificate: fingerprint(secured)}}
	c.ldap.Start()
	return c, nil
}

func (e endpoint) secure(ctx context.Context, raw net.Conn, report func(Operation)) (net.Conn, error) {
	if e.tls == nil {
		return raw, nil
	}
	if e.startTLS {
		began := time.Now()
		err := startTLS(raw)
		report(Operation{Kind: "starttls", Server: e.name, Took: time.Since(began), Err: err})
		if err != nil {
			return nil, fmt.Errorf("StartTLS: %w", err)
		}
	}
	began := time.Now()
	c := tls.Client(raw, e.tls)
	err := c.HandshakeContext(ctx)
	state := c.ConnectionState()
	o := Operation{Kind: "tls", Server: e.name, Detail: "for the name " + e.tls.ServerName, Took: time.Since(began), Err: err}
	if err == nil {
		o.Detail = tls.VersionName(state.Version) + " " + o.Detail
		o.TLS = &state
	}
	report(o)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return c, nil
}

// fingerprint returns what tells the certificate of the peer from others;
// empty without TLS.
func fingerprint(c net.Conn) string {
	secured, ok := c.(*tls.Conn)
	if !ok {
		return ""
	}
	certificates := secured.ConnectionState().PeerCertificates
	if len(certificates) == 0 {
		return ""
	}
	sum := sha256.Sum256(certificates[0].Raw)
	return hex.EncodeToString(sum[:8])
}

// startTLSRequest is message 1, an ExtendedRequest with the name
// 1.3.6.1.4.1.1466.20037 (RFC 4511 section 4.14.1).
const startTLSRequest = "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"

// startTLS asks for TLS and reads exactly the answer. What an attacker has put
// behind it is left to the handshake, which fails; a buffer would carry it
// over into the encrypted stream.
func startTLS(raw net.Conn) error {
	g := newGuard(raw, time.Minute) // the caller's AfterFunc is the deadline
	if _, err := g.Write([]byte(startTLSRequest)); err != nil {
		return err
	}
	message, err := readMessage(raw)
	if err != nil {
		return err
	}
	answer, err := g.admit(message)
	if err != nil {
		return err
	}
	return resultOf(answer)
}
