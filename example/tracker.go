package main

import (
	"slices"
	"strconv"
	"sync"
	"time"
)

// Bounds of what people can add. The demo keeps everything in memory, so the
// oldest comments and attachments go when there are too many.
const (
	maxComment         = 32 << 10 // bytes of one comment
	maxComments        = 50       // comments kept of one issue
	maxAttachment      = 10 << 20 // bytes of all files of one upload
	maxAttachments     = 256      // attachments kept of all issues
	maxAttachmentBytes = 64 << 20 // bytes of all attachments together
)

// An author is a person as the tracker remembers one: whoever left a comment
// stays its author after leaving the directory.
type author struct {
	Name        string // login name
	DisplayName string // what people read; Name when the directory has none
}

// An issue is a task of the tracker. Issues are made at the start and never
// changed; what people add to one is kept beside it.
type issue struct {
	ID          int    // 10001 for TEST-1
	Key         string // TEST-1
	Project     string // TEST
	Type        string // Bug, Task or Story
	Status      string // Open, In Progress or Closed
	Summary     string
	Description string
	Assignee    *author // nil: nobody
	Reporter    author
	Created     time.Time
}

// A comment is what one person said on an issue.
type comment struct {
	ID      int
	Author  author
	Body    string // plain text
	Created time.Time
}

// An attachment is a file that one person added to an issue.
type attachment struct {
	ID      int
	Issue   string // key of the issue
	Author  author
	Name    string // file name, cleaned
	Type    string // media type, as claimed by the client: never served as such
	Content []byte // never modified
	Created time.Time
}

// A tracker holds the issues and what people add to them, in bounded memory.
// It is safe for concurrent use.
type tracker struct {
	now    func() time.Time
	issues []issue        // in the order of their numbers; never modified
	index  map[string]int // key to place in issues; never modified

	mu          sync.RWMutex
	last        int                  // the last identifier given out
	comments    map[string][]comment // by key; slices are replaced, never modified
	attachments []attachment         // oldest first
	bytes       int                  // of all attachments
}

// newTracker returns a tracker that holds issues.
func newTracker(issues []issue, now func() time.Time) *tracker {
	t := &tracker{
		now:      now,
		issues:   issues,
		index:    make(map[string]int, len(issues)),
		last:     10000 + len(issues),
		comments: make(map[string][]comment),
	}
	for i, is := range issues {
		t.index[is.Key] = i
	}
	return t
}

// issue returns the issue with key.
func (t *tracker) issue(key string) (issue, bool) {
	i, ok := t.index[key]
	if !ok {
		return issue{}, false
	}
	return t.issues[i], true
}

// search returns the issues that q asks for, as seen by the user name me.
func (t *tracker) search(q query, me string) []issue {
	var found []issue
	for _, is := range t.issues {
		if q.matches(is, me) {
			found = append(found, is)
		}
	}
	return found
}

// addComment adds a comment to the issue with key, which must exist. The
// oldest comment of the issue goes when there are more than maxComments.
func (t *tracker) addComment(key string, by author, body string) comment {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	c := comment{ID: t.last, Author: by, Body: body, Created: t.now()}
	old := t.comments[key]
	if len(old) >= maxComments {
		old = old[len(old)-maxComments+1:]
	}
	t.comments[key] = append(slices.Clip(old), c)
	return c
}

// commentsOf returns the comments of the issue with key, oldest first. The
// caller must not modify the result.
func (t *tracker) commentsOf(key string) []comment {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.comments[key]
}

// attach adds a, whose ID and time it sets, to its issue, which must exist.
// The oldest attachments of all issues go until the bounds are met.
func (t *tracker) attach(a attachment) attachment {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	a.ID, a.Created = t.last, t.now()
	t.attachments = append(t.attachments, a)
	t.bytes += len(a.Content)
	drop := 0
	for t.bytes > maxAttachmentBytes || len(t.attachments)-drop > maxAttachments {
		t.bytes -= len(t.attachments[drop].Content)
		drop++
	}
	t.attachments = slices.Delete(t.attachments, 0, drop)
	return a
}

// attachmentsOf returns the attachments of the issue with key, oldest first.
func (t *tracker) attachmentsOf(key string) []attachment {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var found []attachment
	for _, a := range t.attachments {
		if a.Issue == key {
			found = append(found, a)
		}
	}
	return found
}

// attachment returns the attachment with the identifier id, in decimals.
func (t *tracker) attachment(id string) (attachment, bool) {
	n, err := strconv.Atoi(id)
	if err != nil {
		return attachment{}, false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	i := slices.IndexFunc(t.attachments, func(a attachment) bool { return a.ID == n })
	if i < 0 {
		return attachment{}, false
	}
	return t.attachments[i], true
}
