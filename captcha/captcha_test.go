package captcha

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// lines collects what InsecureAnswers receives, one Write a line.
type lines struct{ all []string }

func (l *lines) Write(p []byte) (int, error) {
	l.all = append(l.all, string(p))
	return len(p), nil
}

// last returns the answer of the latest challenge.
func (l *lines) last() string {
	return strings.Fields(l.all[len(l.all)-1])[1]
}

// plain draws an answer as itself.
type plain struct{}

func (plain) Paint(answer string) ([]byte, error) { return []byte(answer), nil }

func newCaptcha(t testing.TB) (*Captcha, *lines) {
	t.Helper()
	l := new(lines)
	c, err := New(Config{InsecureAnswers: l, Painter: plain{}})
	if err != nil {
		t.Fatal(err)
	}
	return c, l
}

func create(t testing.TB, c *Captcha, subject string) string {
	t.Helper()
	id, err := c.Create(context.Background(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAnswers(t *testing.T) {
	c, l := newCaptcha(t)
	for _, tt := range []struct {
		name, subject string
		typed         func(answer string) string
		want          error
	}{
		{"as drawn", "fred", func(a string) string { return a }, nil},
		{"in lower case", "fred", strings.ToLower, nil},
		{"with spaces", "fred", func(a string) string { return " " + a[:2] + " \u00a0\u3000\t" + a[2:] + "\n" }, nil},
		{"in full width", "fred", wide, nil},
		{"wrong", "fred", func(string) string { return "WRONG" }, ErrWrongAnswer},
		{"empty", "fred", func(string) string { return "" }, ErrWrongAnswer},
		{"cut off", "fred", func(a string) string { return a[:len(a)-1] }, ErrWrongAnswer},
		{"with more behind it", "fred", func(a string) string { return a + "A" }, ErrWrongAnswer},
		{"twice", "fred", func(a string) string { return a + a }, ErrWrongAnswer},
		{"overlong", "fred", func(a string) string { return a + strings.Repeat(" ", 1<<20) }, ErrWrongAnswer},
		{"not UTF-8", "fred", func(a string) string { return a + "\xff" }, ErrWrongAnswer},
		{"for another subject", "ann", func(a string) string { return a }, ErrWrongAnswer},
		{"for no subject", "", func(a string) string { return a }, ErrWrongAnswer},
		{"for the subject in capitals", "FRED", func(a string) string { return a }, ErrWrongAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := create(t, c, "fred")
			answer := l.last()
			if err := c.Check(t.Context(), id, tt.typed(answer), tt.subject); !errors.Is(err, tt.want) {
				t.Errorf("Check: %v, want %v", err, tt.want)
			}
			// Any attempt burns it, also for its picture.
			if err := c.Check(t.Context(), id, answer, "fred"); !errors.Is(err, ErrNotFound) {
				t.Errorf("the second attempt: %v, want %v", err, ErrNotFound)
			}
			if _, err := c.Picture(t.Context(), id); !errors.Is(err, ErrNotFound) {
				t.Errorf("Picture after an attempt: %v, want %v", err, ErrNotFound)
			}
		})
	}
}

func wide(s string) string {
	return strings.Map(func(r rune) rune { return r - '!' + 0xFF01 }, s)
}

func TestPictureLeavesTheChallengeOpen(t *testing.T) {
	c, l := newCaptcha(t)
	id := create(t, c, "fred")
	for range 3 {
		if png, err := c.Picture(t.Context(), id); err != nil || string(png) != l.last() {
			t.Fatalf("Picture: %q, %v; want the answer %q", png, err, l.last())
		}
	}
	if err := c.Check(t.Context(), id, l.last(), "fred"); err != nil {
		t.Errorf("Check: %v", err)
	}
}

func TestChallengesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for lifetime, want := range map[time.Duration]time.Duration{0: 5 * time.Minute, time.Second: time.Second} {
			l := new(lines)
			c, err := New(Config{Lifetime: lifetime, InsecureAnswers: l, Painter: plain{}})
			if err != nil {
				t.Fatal(err)
			}
			early, late := create(t, c, "fred"), create(t, c, "fred")
			answer := strings.Fields(l.all[0])[1]
			time.Sleep(want - 1)
			if err := c.Check(t.Context(), early, answer, "fred"); err != nil {
				t.Errorf("lifetime %v: shortly before its end: %v", lifetime, err)
			}
			time.Sleep(time.Nanosecond)
			if _, err := c.Picture(t.Context(), late); !errors.Is(err, ErrNotFound) {
				t.Errorf("lifetime %v: Picture at its end: %v", lifetime, err)
			}
			if err := c.Check(t.Context(), late, l.last(), "fred"); !errors.Is(err, ErrNotFound) {
				t.Errorf("lifetime %v: Check at its end: %v", lifetime, err)
			}
		}
	})
}

// counting counts what reaches a store.
type counting struct {
	Store
	calls int
}

func (s *counting) Peek(ctx context.Context, id string) ([]byte, error) {
	s.calls++
	return s.Store.Peek(ctx, id)
}

func (s *counting) Take(ctx context.Context, id string) ([]byte, error) {
	s.calls++
	return s.Store.Take(ctx, id)
}

func TestJunkNeverReachesTheStore(t *testing.T) {
	s := &counting{Store: NewMemory(MemoryConfig{})}
	c, err := New(Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	id := newID()
	for _, junk := range []string{"", "x", id[1:], id + "A", id[:21] + "=", id[:21] + "\n", id[:21] + "/", id[:20] + "\u00e9", strings.Repeat("A", 1<<20)} {
		_, err := c.Picture(t.Context(), junk)
		if err := errors.Join(err, c.Check(t.Context(), junk, "", "")); !errors.Is(err, ErrNotFound) {
			t.Errorf("%.30q: %v", junk, err)
		}
	}
	if s.calls != 0 {
		t.Errorf("%d calls reached the store", s.calls)
	}
	if err := c.Check(t.Context(), id, "", ""); !errors.Is(err, ErrNotFound) || s.calls != 1 {
		t.Errorf("an unknown id: %v, %d calls", err, s.calls)
	}
}

// broken answers with an error, or with data that nobody here has written.
type broken struct {
	data string
	err  error
}

func (b broken) Put(context.Context, string, []byte, time.Duration) error { return b.err }
func (b broken) Peek(context.Context, string) ([]byte, error)             { return []byte(b.data), b.err }
func (b broken) Take(context.Context, string) ([]byte, error)             { return []byte(b.data), b.err }

func TestFaultsOfTheStoreAreNoAnswer(t *testing.T) {
	down := errors.New("store down")
	c, err := New(Config{Store: broken{err: down}})
	if err != nil {
		t.Fatal(err)
	}
	_, errCreate := c.Create(t.Context(), "fred")
	_, errPicture := c.Picture(t.Context(), newID())
	for name, err := range map[string]error{"Create": errCreate, "Picture": errPicture, "Check": c.Check(t.Context(), newID(), "A", "fred")} {
		if !errors.Is(err, down) {
			t.Errorf("%s: %v, want %v", name, err, down)
		}
	}
	for _, data := range []string{"", "\x01", "\x01" + strings.Repeat("x", 32), "\x02" + strings.Repeat("x", 40)} {
		c, _ := New(Config{Store: broken{data: data}})
		_, errPicture := c.Picture(t.Context(), newID())
		errCheck := c.Check(t.Context(), newID(), "", "")
		if errPicture == nil || errCheck == nil {
			t.Errorf("data %q: Picture %v, Check %v", data, errPicture, errCheck)
		}
	}
}

func TestFullStoreRefusesNewChallenges(t *testing.T) {
	c, err := New(Config{Store: NewMemory(MemoryConfig{Max: 1}), Painter: plain{}})
	if err != nil {
		t.Fatal(err)
	}
	id := create(t, c, "fred")
	if again, err := c.Create(t.Context(), "ann"); !errors.Is(err, ErrFull) || again != "" {
		t.Errorf("Create: %q, %v; want %v", again, err, ErrFull)
	}
	if _, err := c.Picture(t.Context(), id); err != nil {
		t.Errorf("the open challenge: %v", err)
	}
}

func TestInsecureAnswersAreWholeLines(t *testing.T) {
	c, l := newCaptcha(t)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() { create(t, c, "fred") })
	}
	group.Wait()
	line := regexp.MustCompile(`^[A-Za-z0-9_-]{22} [` + glyphs + `]{5}\n$`)
	seen := map[string]bool{}
	for _, s := range l.all {
		if !line.MatchString(s) {
			t.Errorf("line %q", s)
		}
		seen[s] = true
	}
	if len(l.all) != 50 || len(seen) != 50 {
		t.Errorf("%d lines, %d different, want 50", len(l.all), len(seen))
	}
	r, w := io.Pipe()
	r.Close()
	c, err := New(Config{InsecureAnswers: w})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(t.Context(), "fred"); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Create with a closed InsecureAnswers: %v", err)
	}
}

// What the store sees is no name, and not the same for two challenges.
func TestStoredDataHidesTheSubject(t *testing.T) {
	const subject = "fred.normal@example.org"
	a, b := encode(newID(), subject, "AAAAA"), encode(newID(), subject, "AAAAA")
	if bytes.Contains(a, []byte("fred")) || bytes.Equal(a, b) {
		t.Errorf("stored: %q and %q", a, b)
	}
}

func TestNewNamesTheFault(t *testing.T) {
	for _, d := range []time.Duration{-1, 1, time.Second - 1} {
		if _, err := New(Config{Lifetime: d}); err == nil || !strings.Contains(err.Error(), "Lifetime") || !strings.Contains(err.Error(), d.String()) {
			t.Errorf("Lifetime %v: %v", d, err)
		}
	}
}

// Answers are drawn evenly from glyphs that cannot be taken for each other.
func TestAnswersAreEven(t *testing.T) {
	for _, pair := range []string{"0O", "OQ", "OD", "1I", "1L", "IL", "IJ", "2Z", "5S", "8B", "6G", "CG", "UV", "VY", "EF"} {
		if strings.Contains(glyphs, pair[:1]) && strings.Contains(glyphs, pair[1:]) {
			t.Errorf("glyphs have both of %s", pair)
		}
	}
	if len(glyphs) == 0 || 256%len(glyphs) != 0 {
		t.Fatalf("%d glyphs: some would be drawn more often than others", len(glyphs))
	}
	const rounds = 16_000
	count := map[rune]int{}
	for range rounds {
		for _, r := range newAnswer() {
			count[r]++
		}
	}
	mean := rounds * answerLen / len(glyphs)
	for _, r := range glyphs {
		if count[r] < mean*9/10 || count[r] > mean*11/10 { // seven standard deviations
			t.Errorf("%c drawn %d times, the mean is %d", r, count[r], mean)
		}
	}
}

func TestOnlyOneOfManyParallelAnswersCounts(t *testing.T) {
	c, l := newCaptcha(t)
	id := create(t, c, "fred")
	var right atomic.Int32
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			if c.Check(t.Context(), id, l.last(), "fred") == nil {
				right.Add(1)
			}
		})
	}
	group.Wait()
	if right.Load() != 1 {
		t.Errorf("%d of 32 right answers counted, want 1", right.Load())
	}
}

// FuzzCheck: nothing but the answer, folded, is right, and nothing panics.
func FuzzCheck(f *testing.F) {
	f.Add("A3KXT", "fred")
	f.Add(" a3k xt ", "fred")
	f.Add(wide("A3KXT"), "fred")
	f.Add("A3KXT", "ann")
	f.Add("\xff\u212aelvin", "")
	f.Add("", "fred")
	f.Fuzz(func(t *testing.T, answer, subject string) {
		const want = "A3KXT"
		store := NewMemory(MemoryConfig{})
		c, err := New(Config{Store: store, Painter: plain{}})
		if err != nil {
			t.Fatal(err)
		}
		id := newID()
		if err := store.Put(t.Context(), id, encode(id, "fred", want), time.Minute); err != nil {
			t.Fatal(err)
		}
		pass := c.Check(t.Context(), id, answer, subject) == nil
		if right := subject == "fred" && len(answer) <= maxAnswer && spells(answer, want); pass != right {
			t.Fatalf("%q by %q for %q: pass %v, want %v", answer, subject, want, pass, right)
		}
	})
}

// spells reports whether answer is want but for spaces and forms of letters.
func spells(answer, want string) bool {
	runes := []rune(strings.Join(strings.Fields(answer), ""))
	if len(runes) != len(want) {
		return false
	}
	for i, r := range runes {
		one := want[i : i+1]
		if forms := one + strings.ToLower(one) + wide(one) + wide(strings.ToLower(one)); !strings.ContainsRune(forms, r) {
			return false
		}
	}
	return true
}

// FuzzDecode: stored data, whoever wrote it, never panics and never gives an
// empty answer.
func FuzzDecode(f *testing.F) {
	f.Add(encode(newID(), "fred", "A3KXT"))
	f.Add([]byte{version})
	f.Add(encode(newID(), "fred", ""))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		bound, answer, err := decode(data)
		if err == nil && (answer == "" || len(bound) != 32) {
			t.Fatalf("%x: bound %x, answer %q", data, bound, answer)
		}
	})
}
