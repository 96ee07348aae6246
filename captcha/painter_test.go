package captcha

import (
	"bytes"
	"image"
	"image/png"
	"strings"
	"sync"
	"testing"
)

func TestPaintedPictures(t *testing.T) {
	p := newPainter()
	var group sync.WaitGroup // the promise of Painter: several at once
	for _, r := range glyphs {
		group.Go(func() {
			answer := strings.Repeat(string(r), answerLen)
			a, b := paint(t, p, answer), paint(t, p, answer)
			if a == nil || b == nil {
				return
			}
			if size := a.Bounds().Size(); size != image.Pt(240, 80) {
				t.Errorf("%s: %v pixels, want 240 by 80", answer, size)
			}
			if colours(a) < 3 { // background, a glyph, a line
				t.Errorf("%s: only %d colours", answer, colours(a))
			}
			if same(a, b) {
				t.Errorf("%s: drawn twice in the same way", answer)
			}
		})
	}
	group.Wait()
}

func paint(t *testing.T, p Painter, answer string) image.Image {
	data, err := p.Paint(answer)
	if err != nil {
		t.Errorf("%s: %v", answer, err)
		return nil
	}
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Errorf("%s: %v", answer, err)
		return nil
	}
	return m
}

func colours(m image.Image) int {
	seen := map[[4]uint32]bool{}
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			r, g, b, a := m.At(x, y).RGBA()
			seen[[4]uint32{r, g, b, a}] = true
		}
	}
	return len(seen)
}

func same(a, b image.Image) bool {
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			if a.At(x, y) != b.At(x, y) {
				return false
			}
		}
	}
	return true
}

func TestNothingToPaintIsAnError(t *testing.T) {
	if data, err := newPainter().Paint(""); err == nil || data != nil {
		t.Errorf("Paint of nothing: %d bytes, %v", len(data), err)
	}
}
