package ldapdir

import (
	"fmt"
	"testing"
)

// Endpoints of one rank are shared by the machines in proportion to their
// weights; a rank that is better comes first on all of them.
func TestSpreadByWeight(t *testing.T) {
	const machines = 4000
	weights := map[string]int{"a": 10, "b": 30, "c": 60, "d": 0}
	first, spared := map[string]int{}, 0
	for i := range machines {
		machine := fmt.Sprintf("app%d.example.org", i)
		all := []endpoint{{server: server{url: "last", rank: 1, weight: 1000}}}
		for url, weight := range weights {
			all = append(all, endpoint{server: server{url: url, weight: weight}})
		}
		sortEndpoints(all, machine)
		first[all[0].url]++
		if all[len(all)-1].url != "last" {
			t.Fatalf("%s prefers a worse rank: %v", machine, all)
		}
		// Without its first, a machine goes to its second, and the others stay.
		rest := append([]endpoint(nil), all[1:]...)
		sortEndpoints(rest, machine)
		if rest[0].url == all[1].url {
			spared++
		}
	}
	for url, weight := range weights {
		if share, want := float64(first[url])/machines, float64(weight)/100; share < want-0.03 || share > want+0.03 {
			t.Errorf("%s is the first of %.3f of the machines, want %.2f", url, share, want)
		}
	}
	if spared != machines {
		t.Errorf("%d of %d machines would go elsewhere", machines-spared, machines)
	}
}

// Without a machine the order is the same everywhere: rank, weight, name,
// address as a number.
func TestOrderEverywhere(t *testing.T) {
	want := []endpoint{
		{server: server{url: "b", weight: 9}, address: "192.0.2.9:636"}, {server: server{url: "a", weight: 1}, address: "192.0.2.9:636"},
		{server: server{url: "a", weight: 1}, address: "192.0.2.10:636"}, {server: server{url: "a", weight: 1}, address: "[2001:db8::1]:636"},
		{server: server{url: "z", rank: 1, weight: 99}, address: "192.0.2.1:636"},
	}
	for shift := range want {
		got := append(append([]endpoint(nil), want[shift:]...), want[:shift]...)
		sortEndpoints(got, "")
		for i := range got {
			if got[i].url != want[i].url || got[i].address != want[i].address {
				t.Errorf("shifted by %d: place %d has %s %s", shift, i, got[i].url, got[i].address)
			}
		}
	}
}
