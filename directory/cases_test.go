package directory

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-244866eb/gatehouse/internal/casefile"
)

// Invariant I4 of the case file: names with NUL, other C0 controls, DEL or
// invalid UTF-8 are refused before any directory is asked. What the rows say
// about filters and DNs is for the source that builds them.
func TestCasesLDAPEscaping(t *testing.T) {
	rows := casefile.Read[struct {
		ID  string
		Hex string `json:"utf8_hex"`
	}](t, "testdata/ldap_escaping.json")
	refused := 0
	for _, row := range rows {
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
	if refused == 0 || refused == len(rows) {
		t.Errorf("%d of %d names refused: the rows test one side only", refused, len(rows))
	}
}
