package captcha_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-244866eb/gatehouse/captcha"
)

func Example() {
	var answers bytes.Buffer // stands for the person who looks at the picture
	c, err := captcha.New(captcha.Config{InsecureAnswers: &answers})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	id, err := c.Create(ctx, "fred")
	if err != nil {
		fmt.Println(err)
		return
	}
	png, err := c.Picture(ctx, id)
	fmt.Println(bytes.HasPrefix(png, []byte("\x89PNG")), err)

	answer := strings.Fields(answers.String())[1]
	fmt.Println(c.Check(ctx, id, strings.ToLower(answer), "fred"))
	fmt.Println(errors.Is(c.Check(ctx, id, answer, "fred"), captcha.ErrNotFound))
	// Output:
	// true <nil>
	// <nil>
	// true
}
