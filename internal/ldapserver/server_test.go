package ldapserver

import "testing"

func TestNewNamesEveryBadEntry(t *testing.T) {
	_, err := New(Config{Entries: []Entry{{DN: "dc=org"}, {DN: "DC = Org"}, {DN: "nonsense"}}, SizeLimit: -1})
	if err == nil {
		t.Fatal("New accepted them")
	}
}
