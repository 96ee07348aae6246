package main

import (
	"net/url"
	"strconv"
)

// The shapes of answers follow Jira's REST API, version 2, as far as clients
// look: names of fields, numbers as strings in identifiers, null for nobody.

// timeLayout is how Jira writes times: three digits, no colon in the zone, and
// never Z.
const timeLayout = "2006-01-02T15:04:05.000-0700"

// restUser is a person in an answer.
type restUser struct {
	Self        string `json:"self"`
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
}

// restNamed is what Jira shows as an object with a name.
type restNamed struct {
	Name string `json:"name"`
}

// restIssue is an issue in an answer.
type restIssue struct {
	ID     string     `json:"id"`
	Key    string     `json:"key"`
	Self   string     `json:"self"`
	Fields restFields `json:"fields"`
}

// restFields are the fields of an issue. A search leaves out what people
// added, as Jira's does: a page of it would be large.
type restFields struct {
	Summary     string            `json:"summary"`
	Description string            `json:"description"`
	Type        restNamed         `json:"issuetype"`
	Status      restNamed         `json:"status"`
	Project     restProject       `json:"project"`
	Assignee    *restUser         `json:"assignee"`
	Reporter    restUser          `json:"reporter"`
	Created     string            `json:"created"`
	Comment     *restComments     `json:"comment,omitempty"`
	Attachment  *[]restAttachment `json:"attachment,omitempty"`
}

// restProject is the project of an issue.
type restProject struct {
	Key  string `json:"key"`
	Name string `json:"name"`
}

// restComments are all comments of an issue, oldest first.
type restComments struct {
	Comments []restComment `json:"comments"`
	Total    int           `json:"total"`
}

// restComment is a comment in an answer.
type restComment struct {
	ID      string   `json:"id"`
	Author  restUser `json:"author"`
	Body    string   `json:"body"`
	Created string   `json:"created"`
}

// restAttachment is a file in an answer.
type restAttachment struct {
	ID       string   `json:"id"`
	Filename string   `json:"filename"`
	Author   restUser `json:"author"`
	Created  string   `json:"created"`
	Size     int      `json:"size"`
	MimeType string   `json:"mimeType"`
	Content  string   `json:"content"` // where to get it
}

// newRESTUser returns a as it stands in answers.
func newRESTUser(base string, a author) restUser {
	return restUser{base + "/rest/api/2/user?username=" + url.QueryEscape(a.Name), a.Name, a.DisplayName}
}

// newRESTIssue returns is as it stands in answers, without what people added.
func newRESTIssue(base string, is issue) restIssue {
	out := restIssue{
		ID:   strconv.Itoa(is.ID),
		Key:  is.Key,
		Self: base + "/rest/api/2/issue/" + is.Key,
		Fields: restFields{
			Summary:     is.Summary,
			Description: is.Description,
			Type:        restNamed{is.Type},
			Status:      restNamed{is.Status},
			Project:     restProject{is.Project, is.Project},
			Reporter:    newRESTUser(base, is.Reporter),
			Created:     is.Created.Format(timeLayout),
		},
	}
	if is.Assignee != nil {
		u := newRESTUser(base, *is.Assignee)
		out.Fields.Assignee = &u
	}
	return out
}

// newRESTComment returns c as it stands in answers.
func newRESTComment(base string, c comment) restComment {
	return restComment{strconv.Itoa(c.ID), newRESTUser(base, c.Author), c.Body, c.Created.Format(timeLayout)}
}

// newRESTAttachments returns as as they stand in answers: never null.
func newRESTAttachments(base string, as []attachment) []restAttachment {
	out := make([]restAttachment, len(as))
	for i, a := range as {
		out[i] = restAttachment{
			ID:       strconv.Itoa(a.ID),
			Filename: a.Name,
			Author:   newRESTUser(base, a.Author),
			Created:  a.Created.Format(timeLayout),
			Size:     len(a.Content),
			MimeType: a.Type,
			Content:  base + a.Path(),
		}
	}
	return out
}
