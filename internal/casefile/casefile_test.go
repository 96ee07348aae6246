package casefile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/casefile"
)

type row struct {
	ID   string
	Want int `json:"expect_status"`
}

const two = `{"schema": 1, "count": 2, "rows": [{"id": "a-1", "expect_status": 200}, {"id": "a-2", "more": true}]}`

// A recorder is a test that may fail without failing the one that runs it.
type recorder struct {
	testing.TB
	faults []string
	ended  bool
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	r.ended = true
	runtime.Goexit()
}

// record runs f as testing runs a test: in a goroutine that Fatalf may end.
func record(f func(testing.TB)) *recorder {
	r, done := &recorder{}, make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return r
}

// write returns the path of a case file with this text.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cases.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadReturnsTheRowsInOrder(t *testing.T) {
	want := []row{{"a-1", 200}, {"a-2", 0}}
	if got := casefile.Read[row](t, write(t, two)); !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}

func TestReadEndsTheTest(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a file that is cut short", `{"count": 2, "rows": [{"id": "a-1"}]}`, "1 rows and counts 2"},
		{"a row that nobody counted", strings.Replace(two, `"count": 2`, `"count": 1`, 1), "2 rows and counts 1"},
		{"a file that does not count", strings.Replace(two, `"count": 2,`, "", 1), "2 rows and counts 0"},
		{"a file without rows", `{"count": 0, "rows": []}`, "0 rows and counts 0"},
		{"another kind of file", `{}`, "0 rows and counts 0"},
		{"a row of another type", strings.Replace(two, "200", `"200"`, 1), "cannot unmarshal string"},
		{"no JSON", "rows", "invalid character"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.text)
			checkEnds(t, path, tt.want, func(t testing.TB) { casefile.Read[row](t, path) })
		})
	}
	t.Run("no file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "none.json")
		checkEnds(t, path, "open", func(t testing.TB) { casefile.Read[row](t, path) })
		checkEnds(t, path, "open", func(t testing.TB) { casefile.LeftOut(t, path, nil) })
	})
}

// checkEnds holds that f ends its test with one fault, of the file at path.
func checkEnds(t *testing.T, path, want string, f func(testing.TB)) {
	t.Helper()
	r := record(f)
	if !r.ended || len(r.faults) != 1 || !strings.Contains(r.faults[0], want) || !strings.Contains(r.faults[0], path) {
		t.Errorf("ended: %v, faults %q, want one with %q and %q", r.ended, r.faults, want, path)
	}
}

func TestLeftOut(t *testing.T) {
	path := write(t, two)
	for _, tt := range []struct {
		name    string
		reasons map[string]string
		want    []string // what the faults begin with
	}{
		{"nothing", nil, nil},
		{"a row of the file", map[string]string{"a-2": "later"}, nil},
		{"a row that is not there", map[string]string{"a-2": "later", "a-3": "later"}, []string{"casefile: a-3 is left out, but not in "}},
		{"ids are taken as they are", map[string]string{"A-2": "later"}, []string{"casefile: A-2 is left out, but not in "}},
		{"a row without a reason", map[string]string{"a-1": ""}, []string{"casefile: a-1 is left out of "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := record(func(t testing.TB) { casefile.LeftOut(t, path, tt.reasons) })
			if r.ended || !slices.EqualFunc(r.faults, tt.want, strings.HasPrefix) {
				t.Errorf("ended: %v, faults %q, want %q", r.ended, r.faults, tt.want)
			}
		})
	}
}
