package main

import (
	"fmt"
	"time"
)

// The people whom the issues name. They are those of the embedded directory,
// but nothing checks that: a tracker in front of another directory keeps its
// history.
var (
	fred  = author{"fred", "Fred Normal"}
	admin = author{"admin", "Admin"}
	zoe   = author{"zoë", "Zoë"}
)

// seedIssues returns TEST-1 to TEST-20, the same at every start.
func seedIssues() []issue {
	issues := make([]issue, len(seeds))
	opened := time.Date(2024, time.March, 4, 9, 0, 0, 0, time.UTC)
	for i, s := range seeds {
		issues[i] = issue{
			ID:          10001 + i,
			Key:         fmt.Sprintf("TEST-%d", i+1),
			Project:     "TEST",
			Type:        s.kind,
			Status:      s.status,
			Summary:     s.summary,
			Description: s.description,
			Assignee:    s.assignee,
			Reporter:    *s.reporter,
			Created:     opened.AddDate(0, 0, 3*i),
		}
	}
	return issues
}

// seeds is the plain text of the issues, in the order of their numbers.
var seeds = [...]struct {
	kind, status       string
	assignee, reporter *author
	summary            string
	description        string
}{
	{"Bug", "Open", &fred, &zoe, "The printer prints the first page twice", "Only on Mondays, and only in colour."},
	{"Task", "Open", &admin, &admin, "Order new name badges", "Twelve people have joined since the last order."},
	{"Bug", "Closed", &fred, &admin, "Login fails for names with an umlaut", "The form sent ISO 8859-1 and the directory wanted UTF-8."},
	{"Story", "In Progress", &zoe, &fred, "Search issues by more than one word", "As a reader I want to find an issue by what I remember of it."},
	{"Bug", "In Progress", &admin, &zoe, "The weekly report is dated one day early", "It is made at midnight, in the wrong time zone."},
	{"Task", "Closed", &zoe, &fred, "Move the wiki to the new host", "Redirect the old address for a year."},
	{"Bug", "Closed", nil, &zoe, "Attachments with a space in the name cannot be opened", "The link stops at the space."},
	{"Story", "Open", nil, &admin, "Tell people when their session is about to end", "Ten minutes before, and not at all on a locked screen."},
	{"Bug", "Open", nil, &fred, "The dark theme shows black links on black", "Noticed on the start page."},
	{"Task", "In Progress", &fred, &admin, "Renew the certificate of the mail server", "It ends in May."},
	{"Bug", "Closed", &admin, &fred, "An integration is locked out every night", "Its old password is still in a forgotten script."},
	{"Story", "Closed", &zoe, &zoe, "Paste a screenshot into a comment", "Dragging a file works already."},
	{"Bug", "Open", &zoe, &admin, "Tables run off the page on a small screen", "Below 400 pixels."},
	{"Task", "Open", &fred, &zoe, "Write down how to restore a backup", "And try it once with somebody who has not done it before."},
	{"Bug", "In Progress", &fred, &zoe, "Users are logged out when the proxy changes", "One address of the pool was not trusted."},
	{"Story", "Open", &fred, &fred, "Vote for an issue", "One vote a person, which can be taken back."},
	{"Bug", "Closed", &zoe, &fred, "The calendar begins the week on Sunday", "It should follow the reader's language."},
	{"Task", "Closed", &admin, &zoe, "Remove the accounts of people who have left", "Ask each team first."},
	{"Bug", "Open", &admin, &fred, "Sorting by date sorts by text", "2 follows 10."},
	{"Story", "In Progress", nil, &zoe, "Subscribe to a search by mail", "Daily or weekly, nothing when nothing is new."},
}
