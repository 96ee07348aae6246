package main

import "time"

// A Report is the document that -json prints. Fields may be added; none is
// renamed, and none holds a password.
type Report struct {
	// Status is "ok", all nodes work and agree; "problems", a step failed or
	// nodes differ; or "unreachable", no node could be connected to.
	Status string `json:"status"`
	User   string `json:"user,omitempty"` // as -user gave it
	Nodes  []Node `json:"nodes"`          // the most preferred first
	// Findings are the problems and warnings, of which the latter leave Status
	// at "ok".
	Findings []Finding `json:"findings"`
}

const (
	statusOK          = "ok"
	statusProblems    = "problems"
	statusUnreachable = "unreachable"
)

// kindUnfinished is the finding that -timeout or a signal ended the check.
const kindUnfinished = "unfinished"

// A Node is one address of the directory and what was seen of it.
type Node struct {
	Name      string `json:"name"`
	Address   string `json:"address"`   // host and port that were dialled
	Preferred bool   `json:"preferred"` // the first in the order: logins go there
	Steps     []Step `json:"steps"`     // in the order in which they were taken
	// Milliseconds is the sum of the steps but for the password, over which
	// servers take their time on purpose.
	Milliseconds float64 `json:"milliseconds"`

	Certificate *Certificate `json:"certificate,omitempty"`
	Schema      string       `json:"schema,omitempty"`   // the kind of directory, as -ldap-schema has them
	Server      string       `json:"server,omitempty"`   // what it calls itself
	Vendor      string       `json:"vendor,omitempty"`   // whose program it is
	ClockOff    *float64     `json:"clockOff,omitempty"` // seconds that its clock is before ours
	Changes     []string     `json:"changes,omitempty"`  // contextCSN: the last change from each server
	Entry       *Entry       `json:"entry,omitempty"`    // of the user
	Groups      []string     `json:"groups"`             // of the user, sorted; null: not known
	Password    string       `json:"password,omitempty"` // what became of it: accepted, or why not
	Balanced    string       `json:"balanced,omitempty"` // how it was seen that several servers answer at the address
	fingerprint string       // of the certificate
	missing     bool         // it says that there is no such user
}

// A Step is one part of a login on one node.
type Step struct {
	// Name is connect, starttls, tls, bind (of the service account), server
	// (what it tells about itself), base, user, password or groups.
	Name         string      `json:"name"`
	OK           bool        `json:"ok"`
	Milliseconds float64     `json:"milliseconds"`
	Detail       string      `json:"detail,omitempty"`
	Error        string      `json:"error,omitempty"` // set where OK is false
	Operations   []Operation `json:"operations,omitempty"`
	unfinished   bool        // the whole check ended meanwhile: the node is not to blame
}

// An Operation is one request to the server.
type Operation struct {
	Kind         string  `json:"kind"`
	Base         string  `json:"base,omitempty"` // of a bind: the DN
	Filter       string  `json:"filter,omitempty"`
	Results      int     `json:"results"` // entries
	Milliseconds float64 `json:"milliseconds"`
	Error        string  `json:"error,omitempty"`
}

// A Certificate is what a node has shown.
type Certificate struct {
	Subject  string    `json:"subject"`
	Issuer   string    `json:"issuer"`
	Names    []string  `json:"names"` // that it is good for
	NotAfter time.Time `json:"notAfter"`
	DaysLeft int       `json:"daysLeft"`
	TLS      string    `json:"tls,omitempty"` // the version; empty: there was no agreement
	Trusted  bool      `json:"trusted"`       // authority, name and dates hold
}

// An Entry is the user as a node shows it.
type Entry struct {
	DN       string `json:"dn"`
	ID       string `json:"id"`
	Name     string `json:"name"`
	Disabled bool   `json:"disabled"`
}

// A Finding is one problem or warning.
type Finding struct {
	// Kind is a word for scripts: the name of the step that failed, or one of
	// resolve, groups-differ, access, entry-missing, entry-disabled, entry-id,
	// schema-differs, password-differs, behind, balanced, slow, clock, expires,
	// issuer, unfinished.
	Kind       string   `json:"kind"`
	Warning    bool     `json:"warning"` // worth knowing, and no problem yet
	Nodes      []string `json:"nodes"`   // those that it is about
	Text       string   `json:"text"`
	Suggestion string   `json:"suggestion,omitempty"`
	Groups     []string `json:"groups,omitempty"` // that are missing, access groups first
}
