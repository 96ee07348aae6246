package directory

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// Invariant I4 of the case file: names with NUL, other C0 controls, DEL or
// invalid UTF-8 are refused before any directory is asked. What the rows say
// about filters and DNs is for the source that builds them.
func TestCasesLDAPEscaping(t *testing.T) {
	b, err := os.ReadFile("testdata/ldap_escaping.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Count int
		Rows  []struct {
			ID  string
			Hex string `json:"utf8_hex"`
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Rows) == 0 || len(file.Rows) != file.Count {
		t.Fatalf("%d rows, the file says %d", len(file.Rows), file.Count)
	}
	refused := 0
	for _, row := range file.Rows {
		t.Run(row.ID, func(t *testing.T) {
			raw, err := hex.DecodeString(row.Hex)
			if err != nil {
				t.Fatal(err)
			}
			name := string(raw)
			bad := strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f }) || !utf8.ValidString(name) || len(name) > 256
			if bad {
				refused++
			}
			d, f := newTest(t, Config{})
			_, err = d.Find(t.Context(), name)
			if errors.Is(err, ErrBadName) != bad {
				t.Errorf("Find(%q) = %v", name, err)
			}
			if finds, _ := f.counts(); bad && finds != 0 {
				t.Errorf("the directory was asked for %q", name)
			}
		})
	}
	if refused == 0 || refused == len(file.Rows) {
		t.Errorf("%d of %d names refused: the rows test one side only", refused, len(file.Rows))
	}
}
