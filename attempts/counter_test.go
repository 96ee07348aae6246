package attempts_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/seed-244866eb/gatehouse/attempts"
)

func TestThreeFailuresAskForCaptcha(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := attempts.New(attempts.Config{Challenge: true})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			try, err := c.Begin(t.Context(), attempts.Login{User: "Fred"})
			if err != nil {
				t.Fatal(err)
			}
			st, err := try.End(t.Context(), attempts.Failed)
			if err != nil || st.Failures != i+1 {
				t.Fatalf("End = %+v, %v; want %d failures", st, err, i+1)
			}
		}
		var refused *attempts.RefusedError
		_, err = c.Begin(t.Context(), attempts.Login{User: "fred"})
		if !errors.Is(err, attempts.ErrChallenge) || !errors.As(err, &refused) || refused.Failures != 3 {
			t.Fatalf("Begin = %v, want ErrChallenge with 3 failures", err)
		}
		if _, err := c.Begin(t.Context(), attempts.Login{User: "fred", Solved: true}); err != nil {
			t.Fatalf("Begin with a solved CAPTCHA = %v", err)
		}
	})
}
