package captcha

import (
	"bytes"
	"fmt"

	"github.com/mojocn/base64Captcha"
)

const (
	pictureWidth  = 240 // pixels
	pictureHeight = 80
)

// A painter draws through base64Captcha, of which nothing else is used: its
// store neither binds nor expires a challenge on time.
type painter struct {
	driver *base64Captcha.DriverString
}

func newPainter() painter {
	return painter{base64Captcha.NewDriverString(
		pictureHeight, pictureWidth,
		0, // noise letters look like letters of the answer to people
		base64Captcha.OptionShowHollowLine|base64Captcha.OptionShowSlimeLine,
		answerLen, glyphs, nil, nil, fonts())}
}

// fonts are those of the library in which every glyph can be told apart.
func fonts() []string {
	return []string{"RitaSmith.ttf", "actionj.ttf", "chromohv.ttf", "wqy-microhei.ttc"}
}

// Paint implements [Painter].
func (p painter) Paint(answer string) ([]byte, error) {
	item, err := p.driver.DrawCaptcha(answer)
	if err != nil {
		return nil, fmt.Errorf("captcha: drawing: %w", err)
	}
	var png bytes.Buffer
	if _, err := item.WriteTo(&png); err != nil {
		return nil, fmt.Errorf("captcha: drawing: %w", err)
	}
	return png.Bytes(), nil
}
