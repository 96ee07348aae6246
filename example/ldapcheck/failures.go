package main

import (
	"fmt"
	"strings"
)

// failures tells the steps of a node that failed.
func (c *comparison) failures(n *Node) {
	for _, s := range n.Steps {
		if s.OK || s.unfinished || s.Name == "user" && n.missing && c.someHave() {
			continue
		}
		c.add(Finding{Kind: s.Name, Nodes: []string{n.Name}, Text: n.Name + ": " + s.Name + ": " + s.Error, Suggestion: c.remedy(n, s)})
	}
}

// someHave reports whether some node has the user: then those that have not are
// told as a difference.
func (c *comparison) someHave() bool {
	return len(c.names(func(n *Node) bool { return n.Entry != nil })) > 0
}

// remedy returns what to do about a step that failed.
func (c *comparison) remedy(n *Node, s Step) string {
	switch {
	case s.Name != "connect" && (strings.Contains(s.Error, "deadline exceeded") || strings.Contains(s.Error, "no answer")):
		return "the server accepts connections and does not answer: it hangs, or is busy beyond its means. Meanwhile gatehouse uses the next node, and takes this one back by itself"
	case (s.Name == "server" || s.Name == "base" || s.Name == "user" || s.Name == "groups") && dropped(s.Error):
		return "the server ended the connection in place of an answer: is it up, or in the middle of a restart? Look at its log, and at firewalls and load balancers on the way to " + n.Address
	case strings.HasPrefix(s.Error, noVerdict):
		return "the server did not say whether the password is right: gatehouse answers 503 to that and counts nothing. Look at the log of this node"
	case n.missing:
		s.Name = "user"
	}
	switch s.Name {
	case "connect":
		return "is the server up, and do firewalls let this machine through to " + n.Address + "? Meanwhile gatehouse uses the next node, and takes this one back by itself"
	case "starttls":
		return "the server offers no StartTLS: give it a certificate, or name it with ldaps:// if it has that"
	case "tls":
		return remedyTLS(n, s)
	case "bind":
		return "check -ldap-bind-dn and its password on this node: a change that has reached only some nodes looks like this too"
	case "server":
		return "let the service account read the rootDSE, or name the kind of directory by -ldap-schema"
	case "base":
		return "does this node hold the data, and may the service account (-ldap-bind-dn) read it? Check -ldap-base and the bases of users and groups"
	case "user":
		return "check the spelling, -ldap-user-base and -ldap-schema; names with a domain need -ldap-domain"
	case "password":
		return "the state of the account and the password are the directory's to change; the password was tried on no other node unless that was asked for"
	}
	return "gatehouse takes groups that cannot be read for unknown, never for none: look at the limits and access rules of this node"
}

// dropped goes by the words of go-ldap and package net.
func dropped(text string) bool {
	for _, w := range []string{"Network Error", "connection closed", "connection reset", "broken pipe", "EOF"} {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// remedyTLS goes by the words of crypto/x509, whose error types do not survive
// in a report.
func remedyTLS(n *Node, s Step) string {
	cert := n.Certificate
	switch {
	case cert == nil:
		return "is this a port that speaks TLS, 636 as a rule?"
	case strings.Contains(s.Error, "unknown authority"):
		return fmt.Sprintf("the certificate of %s comes from %s, which is none of the authorities that are trusted here: add that one to the file of -ldap-ca if it is yours, else find out who answers at %s", cert.Subject, cert.Issuer, n.Address)
	case strings.Contains(s.Error, "expired"):
		return "the certificate was good until " + cert.NotAfter.Format("2006-01-02") + ": renew it"
	}
	return "the certificate is for " + join(cert.Names) + ": give -ldap one of these names, or the server a certificate with its name"
}

// warnings tells what is wrong with a node beside its steps.
func (c *comparison) warnings(n *Node) {
	if n.Balanced != "" {
		c.add(Finding{Kind: "balanced", Nodes: []string{n.Name},
			Text:       n.Name + ": more than one server answers at the address: " + n.Balanced,
			Suggestion: "name the servers behind it one by one with -ldap: then every login keeps to one of them, and this tool can compare them"})
	}
	if cert := n.Certificate; cert != nil && cert.Trusted && cert.DaysLeft < warnDays {
		c.add(Finding{Kind: "expires", Warning: true, Nodes: []string{n.Name},
			Text:       fmt.Sprintf("%s: the certificate of %s expires in %d days, on %s", n.Name, cert.Subject, cert.DaysLeft, cert.NotAfter.Format("2006-01-02")),
			Suggestion: "renew it in time: from then on no login goes there"})
	}
	if off := n.ClockOff; off != nil && max(*off, -*off) > maxClockOff {
		c.add(Finding{Kind: "clock", Warning: true, Nodes: []string{n.Name},
			Text:       fmt.Sprintf("%s: its clock is %+.0f s beside that of this machine", n.Name, *off),
			Suggestion: "set both by a time server: accounts and passwords expire by these clocks"})
	}
}

const (
	warnDays    = 30 // before the end of a certificate
	maxClockOff = 60 // seconds
)
