package ldapdir

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// What one answer may cost, by what the library was seen to use: a message that
// it decodes has a copy of each byte on each level and a packet for each
// element, and a few are on the way from its reader to its caller at any time;
// of what has arrived there it keeps two copies. Searches that find maxGroups
// groups with DNs of 150 bytes stay below, and so does an entry with as many
// values of memberOf.
const (
	maxMessage   = 1 << 20 // bytes of one LDAP message: 4,096 long memberOf values
	onTheWay     = 4       // messages
	maxDecoding  = 9 << 20 // bytes of memory for these
	decodeByte   = 8       // of these for a byte
	decodeItem   = 512     // and for an element, however short
	maxAnswer    = 8 << 20 // bytes of memory for what is kept of one answer
	keepByte     = 3       // of these for a byte
	keepItem     = 96      // and for an element
	maxKept      = 1 << 20 // bytes of names that one call collects from several answers
	maxDepth     = 16      // of nested elements; LDAP answers need 6
	maxIntBytes  = 4       // of INTEGER and ENUMERATED: RFC 4511 has no greater one
	unsolicited  = 0       // message ID of a notification, RFC 4511 section 4.4
	tagBind      = 0x60
	tagUnbind    = 0x42
	tagSearch    = 0x63
	tagEntry     = 0x64
	tagDone      = 0x65
	tagReference = 0x73
	tagExtended  = 0x77
	tagPartial   = 0x79 // IntermediateResponse
	tagModify    = 0x66
)

var (
	errNotice   = errors.New("the server announces that it closes the connection")
	errTooLarge = errors.New("answer exceeds its limit")
	errBER      = errors.New("malformed BER")
)

// A guard stands between the LDAP library and the connection. The library
// decodes whatever the server sends into a tree of any size, takes an integer
// it cannot hold for 0, which as a result is success, and does not compare
// the kind of an answer with that of the question; the guard lets pass only
// whole messages that are well formed, of bounded cost, and the answer to
// what was asked. Controls it reads itself, since their values are BER inside a
// string, of which the library makes a tree that nobody has counted. It also
// knows whether anything was sent at all.
//
// One goroutine reads; any number may write, one whole message a call.
type guard struct {
	net.Conn
	writeTimeout time.Duration
	written      atomic.Int64 // bytes that may have reached the server

	mu      sync.Mutex
	pending map[int64]*question
	pages   bool   // all answers from here on are kept, and bounded, as one
	cost    int    // of these
	said    policy // with the last answer other than to a search

	message []byte // checked, not yet handed out
	ended   error  // after message
}

// A question is a request without its final answer.
type question struct {
	tag  byte
	cost int
	last [onTheWay]int // what the last messages of the answer cost to decode
	n    int           // messages
}

// decoding adds a message and returns what it costs with those before it.
func (q *question) decoding(cost int) (all int) {
	q.last[q.n%onTheWay] = cost
	q.n++
	for _, c := range q.last {
		all += c
	}
	return all
}

func newGuard(c net.Conn, writeTimeout time.Duration) *guard {
	return &guard{Conn: c, writeTimeout: writeTimeout, pending: make(map[int64]*question), said: noPolicy()}
}

// Write sends one message and remembers what it asks. A stopped server fills
// the buffers of the kernel; without a deadline Write would then block, and
// with it everybody who uses the connection.
func (g *guard) Write(p []byte) (int, error) {
	id, tag, _, err := inspect(p)
	if err != nil {
		return 0, err
	}
	if tag != tagUnbind {
		g.mu.Lock()
		g.pending[id] = &question{tag: tag}
		if tag != tagSearch {
			g.said = noPolicy()
		}
		g.mu.Unlock()
	}
	if err := g.SetWriteDeadline(time.Now().Add(g.writeTimeout)); err != nil {
		return 0, err
	}
	n, err := g.Conn.Write(p)
	g.written.Add(int64(n))
	if err != nil {
		g.Close() // what follows half a message would not be understood
	}
	return n, err
}

// Read hands out checked messages. An error is final: the stream cannot be
// trusted after it.
func (g *guard) Read(p []byte) (int, error) {
	if len(g.message) == 0 {
		if g.ended == nil {
			g.ended = g.next()
		}
		if len(g.message) == 0 {
			return 0, g.ended
		}
	}
	n := copy(p, g.message)
	g.message = g.message[n:]
	return n, nil
}

// next reads and checks a message. One that is too large is the last. Of a
// search that alone has failed by it, with a result: whoever may write into an
// entry of their own must not take the node away from everybody by its size.
// The other searches on the connection are repeated on a new one.
func (g *guard) next() error {
	message, err := readMessage(g.Conn)
	var id int64
	switch {
	case err == nil:
		id, _, _, _ = inspect(message)
		message, err = g.admit(message)
	case errors.Is(err, errTooLarge):
		id = readID(g.Conn)
	}
	if errors.Is(err, errTooLarge) {
		g.message = g.giveUp(id)
		return err
	}
	g.message = message
	return err
}

// giveUp returns the end of the search, as a server would send it that has a
// limit of its own; nothing for what is no search.
func (g *guard) giveUp(id int64) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.pending[id]
	if q == nil || q.tag != tagSearch {
		return nil
	}
	delete(g.pending, id)
	number := binary.BigEndian.AppendUint32(nil, uint32(id)) // maxIntBytes
	done := wrap(tagDone, []byte{0x0a, 1, ldap.LDAPResultAdminLimitExceeded, 4, 0}, wrap(0x04, []byte(errTooLarge.Error())))
	return sequence(wrap(0x02, number), done)
}

// readID returns the ID of a message whose header has been read, or 0, which
// no question has.
func readID(r io.Reader) (id int64) {
	head := make([]byte, 2, 2+maxIntBytes)
	if _, err := io.ReadFull(r, head); err != nil || head[0] != 0x02 || head[1] > maxIntBytes {
		return 0
	}
	number := head[2 : 2+head[1]]
	if _, err := io.ReadFull(r, number); err != nil {
		return 0
	}
	for _, b := range number {
		id = id<<8 | int64(b)
	}
	return id
}

// admit decides whether the message answers a pending question, books it, and
// returns what the library gets of it.
func (g *guard) admit(message []byte) ([]byte, error) {
	id, tag, _, err := inspect(message)
	if err != nil {
		return nil, err
	}
	if id == unsolicited {
		return nil, errNotice
	}
	bare, controls, err := parts(message)
	if err != nil {
		return nil, err
	}
	elements, err := walk(bare, 0)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.pending[id]
	if q == nil {
		return nil, fmt.Errorf("answer to message %d, which nobody sent", id)
	}
	final, ok := answers(q.tag, tag)
	if !ok {
		return nil, fmt.Errorf("answer %#x to request %#x", tag, q.tag)
	}
	if !g.book(q, len(bare), elements) {
		return nil, errTooLarge
	}
	if final {
		delete(g.pending, id)
	}
	if q.tag == tagSearch {
		return pagingOnly(bare, controls)
	}
	g.said = policyOf(controls)
	return bare, nil
}

// book adds a message to the answer, and reports whether that may cost so
// much. The caller holds mu.
func (g *guard) book(q *question, size, elements int) bool {
	cost := &q.cost
	if g.pages {
		cost = &g.cost
	}
	*cost += size*keepByte + elements*keepItem
	return *cost <= maxAnswer && q.decoding(size*decodeByte+elements*decodeItem) <= maxDecoding
}

// keepPages bounds all answers from here on together.
func (g *guard) keepPages() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pages = true
}

// policy returns what came with the last answer other than to a search.
func (g *guard) policy() policy {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.said
}

// answers tells whether a response of the one kind belongs to a request of the
// other, and whether it is the last.
func answers(request, response byte) (final, ok bool) {
	switch request {
	case tagSearch:
		final = response == tagDone
		return final, final || response == tagEntry || response == tagReference || response == tagPartial
	case tagBind, tagExtended, tagModify:
		return true, response == request+1
	}
	return false, false
}

// readMessage reads one LDAPMessage with its header. It reserves no memory on
// the word of a length alone: a body arrives before there is room for the
// next piece of it.
func readMessage(r io.Reader) ([]byte, error) {
	head := make([]byte, 2, 6)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	if head[0] != 0x30 {
		return nil, fmt.Errorf("%w: no LDAPMessage", errBER)
	}
	if long := int(head[1]) - 0x80; long > 0 && long <= 4 {
		head = head[:2+long]
		if _, err := io.ReadFull(r, head[2:]); err != nil {
			return nil, err
		}
	}
	_, size, err := header(head)
	if err != nil {
		return nil, err
	}
	if size > maxMessage {
		return nil, errTooLarge
	}
	return readBody(r, head, size)
}

func readBody(r io.Reader, message []byte, size int) ([]byte, error) {
	const piece = 64 << 10
	for size > 0 {
		n, start := min(size, piece), len(message)
		message = append(message, make([]byte, n)...)
		if _, err := io.ReadFull(r, message[start:]); err != nil {
			return nil, err
		}
		size -= n
	}
	return message, nil
}

// inspect checks that the message is one well-formed element with nothing
// behind it, and returns its ID, the tag of its operation and the number of
// its elements.
func inspect(message []byte) (id int64, tag byte, elements int, err error) {
	head, size, err := header(message)
	if err != nil {
		return 0, 0, 0, err
	}
	if message[0] != 0x30 || len(message) != head+size {
		return 0, 0, 0, fmt.Errorf("%w: no LDAPMessage", errBER)
	}
	if elements, err = walk(message, 0); err != nil {
		return 0, 0, 0, err
	}
	body := message[head:]
	if len(body) < 2 || body[0] != 0x02 || len(body) < 3+int(body[1]) {
		return 0, 0, 0, fmt.Errorf("%w: no message ID", errBER)
	}
	for _, b := range body[2 : 2+body[1]] {
		id = id<<8 | int64(b)
	}
	return id, body[2+body[1]], elements, nil
}

// walk counts the elements of b and checks that each lies within the one
// around it.
func walk(b []byte, depth int) (elements int, err error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("%w: nested too deep", errBER)
	}
	for len(b) > 0 {
		head, size, err := header(b)
		if err != nil {
			return 0, err
		}
		if size > len(b)-head {
			return 0, fmt.Errorf("%w: element longer than its parent", errBER)
		}
		elements++
		const constructed = 0x20
		if b[0]&constructed != 0 {
			inner, err := walk(b[head:head+size], depth+1)
			if err != nil {
				return 0, err
			}
			elements += inner
		}
		b = b[head+size:]
	}
	return elements, nil
}

// header reads the tag and length that b begins with, in the forms that RFC
// 4511 section 5.1 allows: definite lengths, no tag above 30.
func header(b []byte) (head, size int, err error) {
	if len(b) < 2 || b[0]&0x1f == 0x1f || b[1] == 0x80 || b[1] > 0x84 {
		return 0, 0, fmt.Errorf("%w: header", errBER)
	}
	head, size = 2, int(b[1])
	if size > 0x80 {
		head += size - 0x80
		if len(b) < head {
			return 0, 0, fmt.Errorf("%w: header", errBER)
		}
		size = 0
		for _, c := range b[2:head] {
			size = size<<8 | int(c)
		}
	}
	if number := b[0] == 0x02 || b[0] == 0x0a; number && (size < 1 || size > maxIntBytes) {
		return 0, 0, fmt.Errorf("%w: integer of %d bytes", errBER, size)
	}
	return head, size, nil
}
