package main

import (
	"context"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
)

// nodes is a directory of two nodes, of which the second lacks a group.
type nodes struct{ directory.Source }

func (nodes) Nodes() []directory.NodeState {
	return []directory.NodeState{
		{Name: "dc1", Address: "192.0.2.1:636", Server: "dc1.example.org", Up: true, Current: true, Preferred: true, Latency: 3 * time.Millisecond},
		{Name: "dc2", Address: "192.0.2.2:636", Up: true, Balanced: "the suffix went back"},
		{Name: "<dc3>", Address: "192.0.2.3:636", Error: "connection refused", Retry: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)},
	}
}

func (n nodes) Find(ctx context.Context, name string) (directory.Entry, error) {
	e, err := n.Source.Find(ctx, name)
	e.Node = "dc1"
	return e, err
}

func (nodes) Groups(_ context.Context, _ directory.Entry, asked ...string) (directory.GroupSet, error) {
	if len(asked) == 0 {
		return directory.GroupSet{Names: []string{"jira-users"}, Node: "dc1", Preferred: true}, nil
	}
	return directory.GroupSet{Names: []string{"jira-developers", "jira-users"}, Node: "dc2"}, nil
}

func TestAdministratorsSeeTheDirectory(t *testing.T) {
	s := newTestSite(t)
	none := s.send(userAdmin, "GET", "/secure/admin", "").Body.String()
	contains(t, none, []string{`<p id="admin-only">`}, []string{"Directory nodes", "disagree"})

	static, err := directory.NewStatic(directory.Person{Name: "fred"})
	if err != nil {
		t.Fatal(err)
	}
	d, err := directory.New(directory.Config{Source: nodes{static}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if u, err := d.Login(t.Context(), directory.Entry{ID: "static:fred", Name: "fred"}, "jira-developers"); err != nil || !u.In("jira-developers") {
		t.Fatalf("%+v, %v", u, err)
	}
	s.directory = d
	contains(t, s.send(userAdmin, "GET", "/secure/admin", "").Body.String(), []string{
		"Directory nodes", `<th scope="row">dc1</th><td>192.0.2.1:636</td><td>dc1.example.org</td>`, "<td>serves</td>", "<td>3ms</td>",
		"(one of several: the suffix went back)", "<td>ready</td>",
		"&lt;dc3&gt;", `left alone until <time datetime="2026-05-04T03:02:01Z">4 May 2026, 03:02 UTC</time>: connection refused`,
		"People about whom the nodes disagree", "<dt>fred, since", "Kept: jira-developers.", "dc1 lacks jira-developers.", "dc2 lacks nothing.",
	}, []string{"<dc3>"})
	if w := s.send(userFred, "GET", "/secure/admin", ""); w.Code != 403 {
		t.Errorf("somebody else: %d", w.Code)
	}
}
