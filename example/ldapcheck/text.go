package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// A printer writes lines. What servers and users have chosen is in them, so
// nothing that a terminal would obey gets through.
type printer struct{ w *bufio.Writer }

func (p printer) line(format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	// bufio keeps the error for Flush.
	_, _ = p.w.WriteString(strings.Map(printable, strings.ToValidUTF8(text, "?")) + "\n")
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return '?'
}

// writeText prints the report for people.
func writeText(w io.Writer, r *Report, o options) error {
	p := printer{bufio.NewWriter(w)}
	for i := range r.Nodes {
		p.node(&r.Nodes[i], o.verbose)
	}
	if n := len(tried(r)); n == 1 && !o.everyNode {
		p.line("The password was tried once, on %s alone, because a wrong one counts. -bind-every-node tries it on each.", tried(r)[0])
		p.line("")
	}
	p.findings(r.Findings)
	p.line("%s", summary(r))
	return p.w.Flush()
}

func (p printer) node(n *Node, verbose bool) {
	title := n.Name
	if n.Preferred {
		title += "  (the first in the order: logins go there while it works)"
	}
	p.line("%s", title)
	for _, s := range n.Steps {
		p.step(n, s)
		for _, o := range s.Operations {
			if verbose {
				p.line("             %10.1f ms  %s base %q filter %q results %d %s", o.Milliseconds, o.Kind, o.Base, o.Filter, o.Results, o.Error)
			}
		}
	}
	p.line("")
}

func (p printer) step(n *Node, s Step) {
	word, detail := "ok", s.Detail
	if !s.OK {
		word, detail = "FAIL", s.Error
	}
	if s.Name == "tls" && n.Certificate != nil {
		detail += "; certificate of " + n.Certificate.Subject + " by " + n.Certificate.Issuer
		detail += fmt.Sprintf(", %d days left", n.Certificate.DaysLeft)
	}
	p.line("  %-9s  %-4s %8.1f ms  %s", s.Name, word, s.Milliseconds, detail)
}

func (p printer) findings(all []Finding) {
	for i, f := range all {
		word := ""
		if f.Warning {
			word = "warning: "
		}
		p.line("%d. %s%s.", i+1, word, f.Text)
		if f.Suggestion != "" {
			p.line("   -> %s.", f.Suggestion)
		}
	}
	if len(all) > 0 {
		p.line("")
	}
}

// tried returns the nodes that were asked about the password.
func tried(r *Report) (names []string) {
	for _, n := range r.Nodes {
		if n.Password != "" {
			names = append(names, n.Name)
		}
	}
	return names
}

// summary returns what it comes to, in one line.
func summary(r *Report) string {
	about := ""
	if r.User != "" {
		about = " about " + r.User
	}
	switch {
	case slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind == kindUnfinished }):
		return "The check was not finished: see above."
	case r.Status == statusUnreachable:
		return "No node can be connected to."
	case r.Status == statusProblems && len(r.Nodes) == 1:
		return "Not all is well with the one node" + about + ": see above."
	case r.Status == statusProblems:
		return fmt.Sprintf("Of %d nodes, not all work or agree%s: see above.", len(r.Nodes), about)
	case len(r.Nodes) == 1:
		return "The one node works; there is no other to compare it with."
	}
	if groups := r.Nodes[0].Groups; groups != nil {
		about += fmt.Sprintf(" (%d groups)", len(groups))
	}
	return fmt.Sprintf("All %d nodes work and agree%s.", len(r.Nodes), about)
}
