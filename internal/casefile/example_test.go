package casefile_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/seed-244866eb/gatehouse/internal/casefile"
)

// A test runs every row as a subtest and says which it leaves out.
func Example() {
	test := func(t *testing.T) {
		const path = "testdata/status.json"
		leftOut := map[string]string{"status-003": "needs a shared store"}
		casefile.LeftOut(t, path, leftOut)
		for _, row := range casefile.Read[struct {
			ID   string
			Code int
			Text string `json:"expect_text"`
		}](t, path) {
			if leftOut[row.ID] != "" {
				continue
			}
			t.Run(row.ID, func(t *testing.T) {
				if got := http.StatusText(row.Code); got != row.Text {
					t.Errorf("%d is %q, want %q", row.Code, got, row.Text)
				}
			})
		}
	}
	fmt.Printf("%T\n", test)
	// Output: func(*testing.T)
}
