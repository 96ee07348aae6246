// Package casefile reads the case files in the testdata directories: JSON with
// rows of input and expected answer, which outsiders wrote. A file says how
// many rows it has, so that a copy cut short does not pass for the whole.
//
// Only tests import this package.
package casefile

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// Read returns the rows of the case file at path, in order. It ends the test
// when the file cannot be read, has no row, or has another number of rows than
// its own "count". What R has no field for is ignored; a field is found by its
// json tag, or by its name in any case.
func Read[R any](t testing.TB, path string) []R {
	t.Helper()
	rows, err := read[R](path)
	if err != nil {
		t.Fatalf("casefile: %v", err)
	}
	return rows
}

func read[R any](path string) ([]R, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Count int
		Rows  []R
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	// A loop over no rows passes whatever the code does.
	if len(file.Rows) == 0 || len(file.Rows) != file.Count {
		return nil, fmt.Errorf("%s has %d rows and counts %d", path, len(file.Rows), file.Count)
	}
	return file.Rows, nil
}

// LeftOut reports an error for each id in reasons that no row of the case file
// at path has, and for each without a reason. The map says which rows a test
// leaves out, wholly or in part, and why: a wrong id there would hide that the
// row it stands for is missing, or was renamed and now runs.
func LeftOut(t testing.TB, path string, reasons map[string]string) {
	t.Helper()
	found := map[string]bool{}
	for _, row := range Read[struct{ ID string }](t, path) {
		found[row.ID] = true
	}
	for id, reason := range reasons {
		if !found[id] {
			t.Errorf("casefile: %s is left out, but not in %s", id, path)
		}
		if reason == "" {
			t.Errorf("casefile: %s is left out of %s without a reason", id, path)
		}
	}
}
