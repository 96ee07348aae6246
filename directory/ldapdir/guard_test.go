package ldapdir

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// message builds an LDAPMessage of short elements.
func message(id byte, tag byte, body ...byte) []byte {
	op := append([]byte{tag, byte(len(body))}, body...)
	return append([]byte{0x30, byte(3 + len(op)), 0x02, 0x01, id}, op...)
}

var success = []byte{0x0a, 0x01, 0, 0x04, 0, 0x04, 0}

func TestInspect(t *testing.T) {
	deep := []byte{}
	for range maxDepth + 1 {
		deep = append([]byte{0x30, byte(len(deep))}, deep...)
	}
	for _, tt := range []struct {
		name     string
		in       []byte
		id       int64
		tag      byte
		elements int // 0: malformed
	}{
		{"bind response", message(7, 0x61, success...), 7, 0x61, 6},
		{"long form of a length", []byte{0x30, 0x84, 0, 0, 0, 0x0c, 0x02, 0x01, 7, 0x61, 0x07, 0x0a, 0x01, 0, 0x04, 0, 0x04, 0}, 7, 0x61, 6},
		{"ID of four bytes", []byte{0x30, 0x08, 0x02, 0x04, 0x7f, 0xff, 0xff, 0xff, 0x42, 0}, 1<<31 - 1, 0x42, 3},
		{"nothing", nil, 0, 0, 0},
		{"no sequence", []byte{0x31, 0x03, 0x02, 0x01, 1}, 0, 0, 0},
		{"no ID", []byte{0x30, 0x02, 0x42, 0}, 0, 0, 0},
		{"no operation", []byte{0x30, 0x03, 0x02, 0x01, 1}, 0, 0, 0},
		{"ID of five bytes", []byte{0x30, 0x09, 0x02, 0x05, 0, 0, 0, 0, 1, 0x42, 0}, 0, 0, 0},
		{"ID of no bytes", []byte{0x30, 0x04, 0x02, 0, 0x42, 0}, 0, 0, 0},
		{"indefinite length (RFC 4511 section 5.1)", []byte{0x30, 0x80, 0x02, 0x01, 1, 0x42, 0, 0, 0}, 0, 0, 0},
		{"length of five bytes", []byte{0x30, 0x85, 0, 0, 0, 0, 0x05, 0x02, 0x01, 1, 0x42, 0}, 0, 0, 0},
		{"tag in several bytes", message(1, 0x7f, 0x81, 0x01), 0, 0, 0},
		{"something behind it", append(message(1, 0x61, success...), 0), 0, 0, 0},
		{"element longer than its parent", message(1, 0x61, 0x0a, 0x01, 0, 0x04, 0x7f, 0x04, 0), 0, 0, 0},
		{"result of nine bytes, which the library takes for 0", message(1, 0x61, 0x0a, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 4, 0), 0, 0, 0},
		{"result of no bytes, which the library takes for 0", message(1, 0x61, 0x0a, 0, 4, 0, 4, 0), 0, 0, 0},
		{"too deep", message(1, 0x64, deep...), 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, tag, elements, err := inspect(tt.in)
			if tt.elements == 0 {
				if !errors.Is(err, errBER) {
					t.Fatalf("taken: %d, %#x, %d, %v", id, tag, elements, err)
				}
				return
			}
			if err != nil || id != tt.id || tag != tt.tag || elements != tt.elements {
				t.Errorf("%d, %#x, %d, %v", id, tag, elements, err)
			}
		})
	}
}

// talk returns a guard whose peer has sent what is given, after the guard
// asked with the requests.
func talk(t *testing.T, requests [][]byte, answers ...[]byte) *guard {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	g := newGuard(here, time.Second)
	go io.Copy(io.Discard, there)
	for _, r := range requests {
		if _, err := g.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		for _, a := range answers {
			there.Write(a)
		}
		there.Close()
	}()
	return g
}

func TestGuardAdmitsAnswersToQuestions(t *testing.T) {
	bind, search := message(1, tagBind), message(2, tagSearch)
	var big []byte
	for range 100 {
		big = append(big, message(2, tagEntry, bytes.Repeat([]byte{4, 0}, 60)...)...)
	}
	for _, tt := range []struct {
		name    string
		answers [][]byte
		ok      bool
	}{
		{"one answer each, in any order", [][]byte{message(2, tagEntry), message(1, 0x61, success...), message(2, tagReference), message(2, tagPartial), message(2, tagDone, success...)}, true},
		{"answer to a message that nobody sent", [][]byte{message(3, 0x61, success...)}, false},
		{"second answer", [][]byte{message(1, 0x61, success...), message(1, 0x61, success...)}, false},
		{"end of a search for a bind", [][]byte{message(1, tagDone, success...)}, false},
		{"extended response for a bind", [][]byte{message(1, 0x78, success...)}, false},
		{"bind response for a search", [][]byte{message(2, 0x61, success...)}, false},
		{"notice of disconnection", [][]byte{message(0, 0x78, success...)}, false},
		{"many entries", [][]byte{big}, true},
		{"cut off", [][]byte{message(1, 0x61, success...)[:9]}, false},
		{"length over the limit", [][]byte{{0x30, 0x83, 0x20, 0, 1}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := io.ReadAll(talk(t, [][]byte{bind, search}, tt.answers...))
			if tt.ok != (err == nil) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if want := bytes.Join(tt.answers, nil); tt.ok && !bytes.Equal(got, want) {
				t.Errorf("read %x, want %x", got, want)
			}
		})
	}
}

func TestGuardBoundsAnAnswer(t *testing.T) {
	entry := message(1, tagEntry, bytes.Repeat([]byte{4, 0}, 60)...) // 125 bytes, 63 elements
	endless := bytes.Repeat(entry, 2000)
	got, err := io.ReadAll(talk(t, [][]byte{message(1, tagSearch)}, endless))
	if !errors.Is(err, errTooLarge) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if cost := len(got) / len(entry) * (len(entry)*keepByte + 63*keepItem); cost > maxAnswer {
		t.Errorf("an answer that costs %d was let through", cost)
	}
}

func TestGuardKnowsWhetherAnythingWasSent(t *testing.T) {
	here, there := net.Pipe()
	there.Close()
	g := newGuard(here, time.Second)
	if _, err := g.Write(message(1, tagBind)); err == nil || g.written.Load() != 0 {
		t.Errorf("%v, %d bytes", err, g.written.Load())
	}
}

// A server that reads nothing more must not hold up the writer for longer than
// its deadline.
func TestGuardWriteHasADeadline(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	g := newGuard(here, 10*time.Millisecond)
	began := time.Now()
	if _, err := g.Write(message(1, tagBind)); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// What the guard lets through, the decoder of the library reads to the end, as
// the same message, and in a tree of no more elements than were counted.
func FuzzInspect(f *testing.F) {
	f.Add(message(1, 0x61, success...))
	f.Add(message(2, tagEntry, 4, 1, 'x', 0x30, 0))
	f.Add([]byte{0x30, 0x84, 0, 0, 0, 0x0c, 0x02, 0x01, 7, 0x61, 0x07, 0x0a, 0x01, 0, 0x04, 0, 0x04, 0})
	f.Add([]byte{0x30, 0x80, 0x02, 0x01, 1, 0x42, 0, 0, 0})
	f.Add([]byte{0x30, 0x0c, 0x02, 0x01, 0x01, 0x65, 0x84, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0})
	f.Add([]byte(startTLSRequest))
	f.Fuzz(func(t *testing.T, in []byte) {
		id, tag, elements, err := inspect(in)
		if err != nil {
			return
		}
		rest := bytes.NewReader(in)
		p, err := ber.ReadPacket(rest)
		if err != nil {
			return // refused later, with a value that is not well formed
		}
		if rest.Len() != 0 {
			t.Fatalf("%d bytes left", rest.Len())
		}
		if got := count(p); got > elements {
			t.Errorf("%d elements, counted %d", got, elements)
		}
		if len(p.Children) < 2 || p.Children[1].Tag != ber.Tag(tag&0x1f) {
			t.Fatalf("operation %#x is read as %+v", tag, p.Children)
		}
		if got, ok := p.Children[0].Value.(int64); !ok || got != id && got >= 0 {
			t.Errorf("ID %d is read as %v", id, p.Children[0].Value)
		}
		if again, err := readMessage(bytes.NewReader(in)); err != nil && !errors.Is(err, errTooLarge) || err == nil && !bytes.Equal(again, in) {
			t.Errorf("read from the wire: %x, %v", again, err)
		}
	})
}

func count(p *ber.Packet) int {
	n := 1
	for _, c := range p.Children {
		n += count(c)
	}
	return n
}
