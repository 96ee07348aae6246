package middleware

import (
	"encoding/json"
	"os"
	"testing"
)

// readCases reads testdata/name, which outsiders wrote, into rows of type T.
func readCases[T any](t *testing.T, name string) []T {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Count int
		Rows  []T
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Rows) == 0 || len(file.Rows) != file.Count {
		t.Fatalf("%s has %d rows and says %d", name, len(file.Rows), file.Count)
	}
	return file.Rows
}
