package ldapdir_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/directory/ldapdir"
	"github.com/seed-244866eb/gatehouse/internal/ldapserver"
)

// mostHeap is what one call to a hostile server may cost.
const mostHeap = 16 << 20

// A hostile answer is what the server sends to the n-th request that is no
// bind, or for ever to the first.
type hostile struct {
	name   string
	answer func(n int, id int64) []byte
	repeat bool
	found  bool // the answer is one that may be taken
	schema string
}

func hostiles() []hostile {
	const groupDN = "cn=staff,ou=groups,dc=example,dc=org"
	const large = 1<<20 - 200 // a message that is just let through
	text := strings.Repeat("x", 2<<20)
	one := func(b []byte) func(int, int64) []byte { return func(int, int64) []byte { return b } }
	// Made once for each request: what the making leaves behind is not the
	// client's, and would be measured with it.
	made := func(make func(id int64) []byte) func(int, int64) []byte {
		var last int64
		var message []byte
		return func(_ int, id int64) []byte {
			if message == nil || id != last {
				message, last = make(id), id
			}
			return message
		}
	}
	with := func(parts ...[]byte) func(int, int64) []byte {
		return made(func(id int64) []byte { return ldapMessage(id, parts...) })
	}
	entry := func(values ...string) func(int, int64) []byte {
		return made(func(id int64) []byte { return entryMessage(id, groupDN, "cn", values...) })
	}
	return []hostile{
		{name: "garbage", repeat: true, answer: one(bytes.Repeat([]byte("\xde\xad\xbe\xef"), 1<<14))},
		{name: "length 2^31", repeat: true, answer: one([]byte("\x30\x84\x80\x00\x00\x00" + text))},
		{name: "length 2^31-1", repeat: true, answer: one([]byte("\x30\x84\x7f\xff\xff\xff" + text))},
		{name: "length 2^31-1 inside", repeat: true, answer: with([]byte("\x64\x84\x7f\xff\xff\xff" + text[:large]))},
		{name: "a message that does not end", answer: one([]byte("\x30\x83\x0f\xff\xff" + text[:large]))},
		{name: "nested without end", answer: with(tlv(0x64, bytes.Repeat([]byte{0x30, 0x80}, 400_000)))},
		{name: "nested as deep as lengths tell", answer: with(nested(5000))},
		{name: "elements without content", repeat: true, answer: with(tlv(0x64, octets(groupDN), tlv(0x30, bytes.Repeat([]byte{4, 0}, large/2))))},
		{name: "as many elements as are let through", repeat: true, answer: with(tlv(0x64, octets(groupDN), tlv(0x30, bytes.Repeat([]byte{4, 0}, 15_000))))},
		{name: "endless entries", repeat: true, answer: func(n int, id int64) []byte {
			return entryMessage(id, fmt.Sprintf("cn=g%d,ou=groups,dc=example,dc=org", n), "cn", fmt.Sprint("g", n))
		}},
		{name: "endless large entries", repeat: true, answer: entry(text[:large])},
		{name: "endless entries of small values", repeat: true, answer: entry(strings.Split(text[:15_000], "")...)},
		{name: "endless references", repeat: true, answer: with(tlv(0x73, octets("ldap://192.0.2.1/"+text[:1000])))},
		{name: "endless partial answers", repeat: true, answer: with(tlv(0x79, tlv(0x81, []byte(text[:1000]))))},
		{name: "success with a long message", found: true, answer: with(tlv(0x65, []byte{0x0a, 1, 0, 4, 0}, octets(text[:large])))},
		{name: "controls without end", found: true, answer: with(tlv(0x65, []byte{0x0a, 1, 0, 4, 0, 4, 0}),
			tlv(0xa0, bytes.Repeat(tlv(0x30, octets("1.2.3")), 5000)))},
		// The first search is cut off, every page has one after it.
		{name: "pages without end", answer: func(n int, id int64) []byte {
			if n == 0 {
				return ldapMessage(id, tlv(0x65, []byte{0x0a, 1, 4, 4, 0, 4, 0}))
			}
			return append(entryMessage(id, groupDN, "cn", text[:large/2]), moreToCome(id)...)
		}},
		{name: "values without end", schema: "389ds", answer: func(n int, id int64) []byte {
			return append(entryMessage(id, annEntries[0].DN, fmt.Sprintf("memberOf;range=%d-%d", n, n), text[:large/4]),
				ldapMessage(id, tlv(0x65, []byte{0x0a, 1, 0, 4, 0, 4, 0}))...)
		}},
	}
}

// tlv encodes an element around its content (X.690 section 8.1).
func tlv(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	if len(body) < 0x80 {
		return append([]byte{tag, byte(len(body))}, body...)
	}
	return append([]byte{tag, 0x84, byte(len(body) >> 24), byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

func octets(s string) []byte { return tlv(0x04, []byte(s)) }

// nested returns sequences in one another.
func nested(depth int) []byte {
	inner := []byte{4, 0}
	for range depth {
		inner = tlv(0x30, inner)
	}
	return tlv(0x64, inner)
}

func ldapMessage(id int64, parts ...[]byte) []byte {
	number := tlv(0x02, []byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)})
	return tlv(0x30, append([][]byte{number}, parts...)...)
}

// entryMessage returns a SearchResultEntry with one attribute.
func entryMessage(id int64, dn, attribute string, values ...string) []byte {
	var set [][]byte
	for _, v := range values {
		set = append(set, octets(v))
	}
	return ldapMessage(id, tlv(0x64, octets(dn), tlv(0x30, tlv(0x30, octets(attribute), tlv(0x31, set...)))))
}

// moreToCome returns the end of a page that is not the last (RFC 2696).
func moreToCome(id int64) []byte {
	value := tlv(0x30, tlv(0x02, []byte{0}), octets("cookie"))
	return ldapMessage(id, tlv(0x65, []byte{0x0a, 1, 0, 4, 0, 4, 0}), tlv(0xa0, tlv(0x30, octets("1.2.840.113556.1.4.319"), octets(string(value)))))
}

// A heap measures what is in use above what was when it was made.
type heap struct {
	before int64

	mu   sync.Mutex
	most int64
	sent int
}

func newHeap() *heap { return &heap{before: inUse()} }

// inUse returns what a collection has found alive. What is allocated between
// its end and the look would count as in use if the look were at the heap.
func inUse() int64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtime.GC()
	metrics.Read(live)
	return int64(live[0].Value.Uint64())
}

// look measures once more and returns the most that was in use. What stays is
// found by several collections; what died during one of them, by that alone.
func (h *heap) look() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := inUse()
	for range 3 {
		time.Sleep(2 * time.Millisecond)
		now = min(now, inUse())
	}
	h.most = max(h.most, now-h.before)
	return h.most
}

// sending measures before each half of a MiB that the server sends, when the
// client has had the time to take what came before: at a collection in the
// middle of a flood, what became garbage meanwhile would count too.
func (h *heap) sending(b []byte) []byte {
	h.mu.Lock()
	h.sent += len(b)
	due := h.sent >= 1<<19
	if due {
		h.sent = 0
	}
	h.mu.Unlock()
	if due {
		time.Sleep(5 * time.Millisecond)
		h.look()
	}
	return b
}

// fault answers all requests but binds.
func (a hostile) fault(h *heap) ldapserver.Fault {
	var mu sync.Mutex
	n := -1
	return ldapserver.Fault{Repeat: a.repeat, Answer: func(op ldapserver.Op, id int64) []byte {
		if op == ldapserver.OpBind {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		n++
		return h.sending(a.answer(n, id))
	}}
}

// Whatever a server sends, a call costs a bounded amount of memory and returns
// in time, and what it cannot have understood is no verdict.
func TestHostileServer(t *testing.T) {
	for _, a := range hostiles() {
		for name, call := range map[string]func(*ldapdir.Dir, directory.Entry) (any, error){
			"find":   func(d *ldapdir.Dir, _ directory.Entry) (any, error) { return d.Find(t.Context(), "ann") },
			"groups": func(d *ldapdir.Dir, e directory.Entry) (any, error) { return d.Groups(t.Context(), e) },
		} {
			t.Run(a.name+"/"+name, func(t *testing.T) {
				s := serve(t, ldapserver.Config{})
				d := open(t, ldapdir.Config{URLs: []string{s.URL()}, Timeout: 2 * time.Second, Schema: a.schema, UserFilter: "(uid=%s)"})
				ann, _, err := login(t.Context(), d, "ann", "geheim")
				if err != nil {
					t.Fatal("before the attack:", err)
				}
				h := newHeap()
				s.SetFault(a.fault(h))
				began := time.Now()
				kept, err := call(d, ann)
				took := time.Since(began)
				s.SetFault(ldapserver.Fault{})
				d.Close() // and with it the flood
				most := h.look()
				runtime.KeepAlive(kept)
				several := a.repeat && name == "find" && errors.Is(err, directory.ErrNoUser)
				if !errors.Is(err, directory.ErrUnavailable) && !several && !a.found {
					t.Errorf("%v, %v", kept, err)
				}
				t.Logf("%.1f MiB in %v", float64(most)/(1<<20), took)
				if most > mostHeap || took > 10*time.Second {
					t.Errorf("%d bytes of heap and %v, want at most %d bytes and the time of the Config", most, took, mostHeap)
				}
			})
		}
	}
}

// Whoever writes too much into an entry of their own does not take the server
// away from the others: neither from those who come later, nor from those whose
// searches share the connection.
func TestLargeEntryIsItsOwnProblem(t *testing.T) {
	entries := append([]ldapserver.Entry{
		{DN: "uid=one,ou=people,dc=example,dc=org", Attributes: map[string][]string{"objectClass": {"inetOrgPerson"}, "mail": {strings.Repeat("x", 3<<20)}}},
		{DN: "uid=many,ou=people,dc=example,dc=org", Attributes: map[string][]string{"objectClass": {"inetOrgPerson"}, "mail": strings.Split(strings.Repeat("x", 100_000), "")}},
	}, annEntries...)
	s := serve(t, ldapserver.Config{Entries: entries})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}, SearchConns: 1})
	if _, _, err := login(t.Context(), d, "ann", "geheim"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		for _, name := range []string{"one", "many"} {
			_, err := d.Find(t.Context(), name)
			mustBeUnavailable(t, name, err)
			if err != nil && !strings.Contains(err.Error(), "exceeds its limit") {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := d.Find(t.Context(), "ann"); err != nil {
				t.Errorf("after %s, %d: %v", name, i, err)
			}
		}
		wg.Go(func() { d.Find(t.Context(), "one") })
		wg.Go(func() {
			if _, err := d.Find(t.Context(), "ann"); err != nil {
				t.Errorf("beside one, %d: %v", i, err)
			}
		})
		wg.Wait()
	}
}

// Nor do several who ask for it without end.
func TestManyLargeEntriesAreTheirOwnProblem(t *testing.T) {
	entries := append([]ldapserver.Entry{
		{DN: "uid=big,ou=people,dc=example,dc=org", Attributes: map[string][]string{"objectClass": {"inetOrgPerson"}, "mail": {strings.Repeat("x", 1200<<10)}}},
	}, annEntries...)
	s := serve(t, ldapserver.Config{Entries: entries})
	d := open(t, ldapdir.Config{URLs: []string{s.URL()}})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				d.Find(ctx, "big")
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	failed := 0
	for range 100 {
		time.Sleep(5 * time.Millisecond)
		if _, err := d.Find(t.Context(), "ann"); err != nil {
			failed++
			t.Log(err)
		}
	}
	cancel()
	wg.Wait()
	if failed > 0 || !d.Nodes()[0].Up {
		t.Errorf("%d of 100 failed beside them, %+v", failed, d.Nodes()[0])
	}
}

// A server that says yes to every password, or in words that do not fit the
// question, lets in nobody at all, and nobody is counted for it.
func TestHostileYes(t *testing.T) {
	yes := []byte{0x0a, 1, 0, 4, 0, 4, 0}
	answer := func(f func(id int64) []byte) ldapserver.Fault {
		return ldapserver.Fault{Answer: func(op ldapserver.Op, id int64) []byte {
			if op != ldapserver.OpBind {
				return nil
			}
			return f(id)
		}}
	}
	for _, tt := range []struct {
		name  string
		fault ldapserver.Fault
	}{
		{"success", ldapserver.Fault{Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpBind: {}}}},
		{"the ID of the next question", answer(func(id int64) []byte { return ldapMessage(id+1, tlv(0x61, yes)) })},
		{"the end of a search", answer(func(id int64) []byte { return ldapMessage(id, tlv(0x65, yes)) })},
		{"an extended response", answer(func(id int64) []byte { return ldapMessage(id, tlv(0x78, yes)) })},
		{"no result", answer(func(id int64) []byte { return ldapMessage(id, tlv(0x61)) })},
		{"a result of no bytes", answer(func(id int64) []byte { return ldapMessage(id, tlv(0x61, []byte{0x0a, 0, 4, 0, 4, 0})) })},
		{"a result of nine bytes", answer(func(id int64) []byte {
			return ldapMessage(id, tlv(0x61, []byte{0x0a, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 4, 0}))
		})},
		{"a result of another type", answer(func(id int64) []byte { return ldapMessage(id, tlv(0x61, []byte{4, 1, 0, 4, 0, 4, 0})) })},
		{"success that is not the end", answer(func(id int64) []byte { return ldapMessage(id, tlv(0x61, []byte{0x0a, 1, 14, 4, 0, 4, 0})) })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, ldapserver.Config{})
			c := ldapdir.Config{URLs: []string{s.URL()}, Timeout: 2 * time.Second}
			d := openFresh(t, c)
			ann, err := d.Find(t.Context(), "ann")
			if err != nil {
				t.Fatal(err)
			}
			c.UserDNTemplate = "uid=%s,ou=people,dc=example,dc=org"
			made := openFresh(t, c)
			nobody, err := made.Find(t.Context(), "nobody")
			if err != nil {
				t.Fatal(err)
			}
			s.SetFault(tt.fault)
			_, err = d.Verify(t.Context(), ann, "falsch")
			mustBeUnavailable(t, "a known name", err)
			_, err = openFresh(t, ldapdir.Config{URLs: []string{s.URL()}}).Verify(t.Context(), directory.Entry{}, "falsch")
			mustBeUnavailable(t, "a name that was not found", err)
			_, err = made.Verify(t.Context(), nobody, "falsch")
			mustBeUnavailable(t, "a name that does not exist", err)
			if _, err := d.Verify(t.Context(), ann, ""); !errors.Is(err, directory.ErrBadCredentials) {
				t.Errorf("an empty password: %v", err)
			}
		})
	}
}

// The first password that a node takes costs one bind more, which must be
// refused; the next ones do not, until the node has failed.
func TestFirstYesIsTested(t *testing.T) {
	s := serve(t, ldapserver.Config{})
	d := openFresh(t, ldapdir.Config{URLs: []string{s.URL()}, CoolDown: time.Millisecond})
	binds := func(password string, want error, count int) {
		t.Helper()
		before := s.Stats().Binds
		if _, _, err := login(t.Context(), d, "ann", password); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", password, err, want)
		}
		if got := s.Stats().Binds - before; got != count {
			t.Errorf("%s: %d binds, want %d", password, got, count)
		}
	}
	binds("falsch", directory.ErrBadCredentials, 1)
	binds("geheim", nil, 2)
	binds("geheim", nil, 1)
	binds("falsch", directory.ErrBadCredentials, 1)
	s.SetFault(ldapserver.Fault{Results: map[ldapserver.Op]ldapserver.Result{ldapserver.OpSearch: {Code: 52}}})
	if _, _, err := login(t.Context(), d, "ann", "geheim"); !errors.Is(err, directory.ErrUnavailable) {
		t.Error(err)
	}
	s.SetFault(ldapserver.Fault{})
	eventually(t, func() error {
		_, err := d.Find(t.Context(), "ann")
		return err
	})
	binds("geheim", nil, 2)
}

// The entry of a DN template is read with the rights of its owner, also by the
// first login, after which the node is put to the test.
func TestFirstYesWithATemplate(t *testing.T) {
	s := serve(t, ldapserver.Config{DenyAnonymous: true})
	d := openFresh(t, ldapdir.Config{URLs: []string{s.URL()}, UserDNTemplate: "uid=%s,ou=people,dc=example,dc=org", Schema: "openldap"})
	ann, err := d.Find(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	if e, err := d.Verify(t.Context(), ann, "geheim"); err != nil || e.Name != "ann" {
		t.Errorf("%+v, %v", e, err)
	}
}
