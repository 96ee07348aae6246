package session

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"github.com/gorilla/sessions"
)

// The values section of data is a row of names with their gob, both with
// their length as a uvarint. Each name is a gob of its own, so that values of
// a type which one handler has registered do not spoil what another reads.

// maxValues bounds the values of one session, so that a visitor whose input
// an application keeps cannot fill a store with a few requests.
const maxValues = 64 << 10

// valuesOf returns the gob of name within section, "" where there is none.
func valuesOf(section, name string) string {
	for n, blob := range eachValues(section) {
		if n == name {
			return blob
		}
	}
	return ""
}

// withValues returns section with blob under name; "" removes the name. It
// returns an error when the whole is over maxValues.
func withValues(section, name, blob string) (string, error) {
	var b []byte
	for n, old := range eachValues(section) {
		if n != name {
			b = appendText(appendText(b, n), old)
		}
	}
	if blob != "" {
		b = appendText(appendText(b, name), blob)
	}
	if len(b) > maxValues {
		return "", fmt.Errorf("session: with values %q the session takes %d bytes, over %d", name, len(b), maxValues)
	}
	return string(b), nil
}

// eachValues yields the names and gobs of section, up to the first fault: what
// was readable before it is kept, and the next save drops the rest.
func eachValues(section string) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		r := reader{rest: section}
		for r.rest != "" {
			name, blob := r.text(maxValues), r.text(maxValues)
			if r.bad || !yield(name, blob) {
				return
			}
		}
	}
}

// decodeValues reads the gob of one name. Gob is safe with hostile bytes in so
// far as it returns an error and allocates in bounds; and these bytes come from
// our own store alone, never from the client as with a cookie store.
func decodeValues(blob string) (map[any]any, error) {
	values := make(map[any]any)
	if blob == "" {
		return values, nil
	}
	err := gob.NewDecoder(strings.NewReader(blob)).Decode(&values)
	return values, err
}

// encodeValues writes the gob of one name; nothing for no values, so that a name
// which was emptied leaves no trace.
func encodeValues(values map[any]any) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(values); err != nil {
		return "", err
	}
	return b.String(), nil
}

// An edit is what an application has done to the values of one name: the keys
// it has set and those it has removed. It can be applied to a later state of
// the same values, so two requests that change different keys keep both.
type edit struct {
	name    string
	set     map[any]any
	removed map[any]any // the keys; their values are not used
	all     bool        // whatever is there goes
	base    string      // the gob that the edit began with,
	after   map[any]any // and what it makes of it
}

// editOf compares g with base, the values it began with. Gob writes a map in
// no order, so values are compared and not their bytes.
func editOf(base string, g *sessions.Session) (edit, error) {
	e := edit{name: g.Name(), set: make(map[any]any), base: base, after: g.Values}
	if g.Options != nil && g.Options.MaxAge < 0 {
		e.all = true
		return e, nil
	}
	old, err := decodeValues(base)
	if err != nil {
		// Unreadable before: what the application holds replaces it.
		e.all, old = true, nil
	}
	for k, v := range g.Values {
		if was, ok := old[k]; !ok || !reflect.DeepEqual(was, v) {
			e.set[k] = v
		}
		delete(old, k)
	}
	e.removed = old
	return e, nil
}

// empty reports that nothing is to be saved. gorilla's sessions.Save saves every
// name of a request, and most have only been read.
func (e edit) empty() bool { return !e.all && len(e.set) == 0 && len(e.removed) == 0 }

// apply returns the gob of blob's values after the edit.
func (e edit) apply(blob string) (string, error) {
	values, err := e.merge(blob)
	if err == nil {
		blob, err = encodeValues(values)
	}
	if err != nil {
		return "", fmt.Errorf("session: values %q: %w", e.name, err)
	}
	return blob, nil
}

// merge returns the values of blob after the edit.
func (e edit) merge(blob string) (map[any]any, error) {
	if e.all {
		return e.set, nil
	}
	// Nobody has saved meanwhile, which is nearly always.
	if blob == e.base {
		return e.after, nil
	}
	values, err := decodeValues(blob)
	maps.DeleteFunc(values, func(k, _ any) bool { _, ok := e.removed[k]; return ok })
	maps.Copy(values, e.set)
	return values, err
}
