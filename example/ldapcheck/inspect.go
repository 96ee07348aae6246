package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
)

// inspect takes the steps that need no user, and looks for a second server
// behind the address.
func (v *visit) inspect(ctx context.Context) {
	first, t, err := v.look(ctx)
	steps := t.steps()
	v.node.certificate(t.operations())
	switch last := len(steps) - 1; {
	case err != nil && last < 0:
		steps = []Step{{Name: "connect", Error: v.reason(err)}}
	case err != nil && steps[last].OK:
		steps[last].OK, steps[last].Error = false, v.reason(err)
	}
	if last := len(steps) - 1; err != nil {
		v.end(&steps[last])
	}
	for i, s := range steps {
		if s.Name == "server" && s.OK {
			steps[i].Detail = describe(first)
		}
		v.node.Milliseconds += s.Milliseconds
	}
	v.node.Steps = steps
	v.node.Schema, v.node.Server, v.node.Vendor, v.node.Changes = first.Schema, first.Server, first.Vendor, first.Changes
	if !first.Clock.IsZero() {
		off := time.Until(first.Clock).Seconds()
		v.node.ClockOff = &off
	}
	for i := 1; i < looks && err == nil; i++ {
		v.again(ctx, first)
	}
}

func (v *visit) look(ctx context.Context) (ldapdir.Inspection, *tracer, error) {
	ctx, t := trace(ctx)
	seen, err := v.dir.Inspect(ctx, v.node.Name)
	return seen, t, err
}

// again opens another connection and tells whether the same server answers.
func (v *visit) again(ctx context.Context, first ldapdir.Inspection) {
	other, t, err := v.look(ctx)
	if err != nil {
		return // it worked just now; what comes next shows whether it is down
	}
	same := *v.node
	same.certificate(t.operations())
	switch {
	case other.Server != first.Server:
		v.node.Balanced = fmt.Sprintf("%s and %s answer", first.Server, other.Server)
	case same.fingerprint != v.node.fingerprint:
		v.node.Balanced = "two connections have shown different certificates"
	case wentBack(first.Changes, other.Changes):
		v.node.Balanced = "the second of two connections knows less (contextCSN)"
	}
}

// describe returns what a server has told about itself.
func describe(i ldapdir.Inspection) string {
	text := "schema " + i.Schema
	if i.Server != "" {
		text += ", calls itself " + i.Server
	}
	if i.Vendor != "" {
		text += ", " + i.Vendor
	}
	return text
}

// certificate keeps what the server has shown, be it good or not.
func (n *Node) certificate(operations []ldapdir.Operation) {
	for _, o := range operations {
		var bad *tls.CertificateVerificationError
		switch {
		case o.TLS != nil && len(o.TLS.PeerCertificates) > 0:
			n.show(o.TLS.PeerCertificates[0])
			n.Certificate.TLS, n.Certificate.Trusted = tls.VersionName(o.TLS.Version), true
		case errors.As(o.Err, &bad) && len(bad.UnverifiedCertificates) > 0:
			n.show(bad.UnverifiedCertificates[0])
		}
	}
}

func (n *Node) show(c *x509.Certificate) {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	sum := sha256.Sum256(c.Raw)
	n.fingerprint = hex.EncodeToString(sum[:])
	n.Certificate = &Certificate{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Names: names, NotAfter: c.NotAfter,
		DaysLeft: int(time.Until(c.NotAfter).Hours() / 24),
	}
}
