package main

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"
)

func TestSeedHasTheIssuesOfTheContract(t *testing.T) {
	tr := newTracker(seedIssues(), time.Now)
	for n := 1; n <= 20; n++ {
		is, ok := tr.issue("TEST-" + strconv.Itoa(n))
		if !ok || is.Summary == "" || is.Type == "" || is.Status == "" {
			t.Errorf("TEST-%d: %+v, %v", n, is, ok)
		}
	}
	for _, key := range []string{"TEST-0", "TEST-21", "test-1", ""} {
		if _, ok := tr.issue(key); ok {
			t.Errorf("%q exists", key)
		}
	}
}

func TestCommentsKeepTheLatest(t *testing.T) {
	tr := newTracker(seedIssues(), time.Now)
	for n := range maxComments + 7 {
		tr.addComment("TEST-1", fred, strconv.Itoa(n))
	}
	tr.addComment("TEST-2", fred, "elsewhere")
	cs := tr.commentsOf("TEST-1")
	if len(cs) != maxComments || cs[0].Body != "7" || cs[len(cs)-1].Body != strconv.Itoa(maxComments+6) {
		t.Errorf("%d comments, from %q to %q", len(cs), cs[0].Body, cs[len(cs)-1].Body)
	}
	if n := len(tr.commentsOf("TEST-2")); n != 1 {
		t.Errorf("%d comments on TEST-2, want 1", n)
	}
}

func TestCommentsHandedOutNeverChange(t *testing.T) {
	tr := newTracker(seedIssues(), time.Now)
	tr.addComment("TEST-1", fred, "first")
	held := tr.commentsOf("TEST-1")
	for range 2 * maxComments {
		tr.addComment("TEST-1", fred, "later")
	}
	if len(held) != 1 || held[0].Body != "first" {
		t.Errorf("a reader's comments became %+v", held)
	}
}

func TestAttachmentsStayWithinTheirBounds(t *testing.T) {
	for _, tt := range []struct {
		name       string
		size, add  int
		wantKept   int
		wantOldest int // place of the oldest that stays, in the order added
	}{
		{"all while they fit", 1, maxAttachments, maxAttachments, 0},
		{"the latest when many", 1, maxAttachments + 3, maxAttachments, 3},
		{"the latest when large", maxAttachmentBytes / 8, 11, 8, 3},
		{"the latest when one fills it", maxAttachmentBytes, 2, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTracker(seedIssues(), time.Now)
			content := make([]byte, tt.size)
			var ids []int
			for range tt.add {
				ids = append(ids, tr.attach(attachment{Issue: "TEST-1", Content: content}).ID)
			}
			kept := tr.attachmentsOf("TEST-1")
			if len(kept) != tt.wantKept || kept[0].ID != ids[tt.wantOldest] {
				t.Errorf("%d kept from %d, want %d from %d", len(kept), kept[0].ID, tt.wantKept, ids[tt.wantOldest])
			}
			if tr.bytes != tt.wantKept*tt.size {
				t.Errorf("%d bytes counted, want %d", tr.bytes, tt.wantKept*tt.size)
			}
		})
	}
}

func TestAttachmentIsFoundByItsIdentifierAlone(t *testing.T) {
	tr := newTracker(seedIssues(), time.Now)
	a := tr.attach(attachment{Issue: "TEST-3", Name: "a.txt"})
	for _, tt := range []struct {
		id   string
		want bool
	}{
		{strconv.Itoa(a.ID), true}, {"1", false}, {"", false}, {"x", false}, {"99999999999999999999", false},
	} {
		if _, ok := tr.attachment(tt.id); ok != tt.want {
			t.Errorf("%q: %v, want %v", tt.id, ok, tt.want)
		}
	}
	if n := len(tr.attachmentsOf("TEST-1")); n != 0 {
		t.Errorf("%d attachments on another issue", n)
	}
}

func TestTrackerInParallel(t *testing.T) {
	tr := newTracker(seedIssues(), time.Now)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			key := fmt.Sprintf("TEST-%d", i%2+1)
			for range 100 {
				tr.addComment(key, fred, "x")
				tr.attach(attachment{Issue: key})
				tr.commentsOf(key)
				tr.attachmentsOf(key)
			}
		})
	}
	wg.Wait()
	if n := len(tr.commentsOf("TEST-1")); n != maxComments {
		t.Errorf("%d comments, want %d", n, maxComments)
	}
	if tr.last != 10020+8*200 {
		t.Errorf("last identifier %d, want %d", tr.last, 10020+8*200)
	}
}
