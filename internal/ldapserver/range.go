package ldapserver

import (
	"fmt"
	"strconv"
	"strings"
)

// A span is the range that a client has asked for, of Active Directory's
// range option ([MS-ADTS] 3.1.1.3.1.3.3).
type span struct{ low, high int }

const toTheEnd = 1<<31 - 1 // the * of range=0-*

// parseSpan takes the range option off an attribute description. A
// description without one, or with one that is malformed, stays as it is; the
// latter then names an attribute that nobody has.
func parseSpan(name string) (bare string, s span, ok bool) {
	bare, option, _ := strings.Cut(strings.ToLower(name), ";range=")
	low, high, _ := strings.Cut(option, "-")
	if high == "*" {
		high = strconv.Itoa(toTheEnd)
	}
	var errLow, errHigh error
	s.low, errLow = strconv.Atoi(low)
	s.high, errHigh = strconv.Atoi(high)
	if errLow != nil || errHigh != nil || s.low < 0 || s.low > s.high {
		return name, span{}, false
	}
	return bare, s, true
}

// pieces returns the attribute as it is sent: whole, or the values of the
// asked range, at most limit. The first look at a long attribute shows, as
// Active Directory does, the bare name without any value too: a client that
// knows nothing of ranges must not take it for a group without members.
func (a *attribute) pieces(asked *span, limit int) []piece {
	n := len(a.values)
	if limit == 0 || asked == nil && n <= limit {
		return []piece{{a.name, a.values}}
	}
	s := span{0, toTheEnd}
	if asked != nil {
		s = *asked
	}
	low := min(s.low, n)
	end := min(s.high, low+limit-1, n-1) + 1
	last := strconv.Itoa(end - 1)
	if end >= n {
		last = "*"
	}
	part := piece{fmt.Sprintf("%s;range=%d-%s", a.name, s.low, last), a.values[low:max(low, end)]}
	if asked == nil {
		return []piece{{name: a.name}, part}
	}
	return []piece{part}
}

// A piece is an attribute as it is sent.
type piece struct {
	name   string
	values []string
}
