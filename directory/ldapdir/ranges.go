package ldapdir

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// values returns all values of an attribute of e. Active Directory returns the
// first 1,500 as memberOf;range=0-1499 and nothing as memberOf (MS-ADTS section
// 3.1.1.3.1.3.3); then the others are read from the same node.
func (d *Dir) values(ctx context.Context, n *node, e *ldap.Entry, attribute string, run runner) ([]string, error) {
	part, found := rangeOf(e, attribute)
	if !found {
		return e.GetEqualFoldAttributeValues(attribute), nil
	}
	if part.from != 0 {
		return nil, badAnswer("the values of %s begin with number %d", attribute, part.from)
	}
	all, size := part.values, 0
	for !part.last {
		for _, v := range part.values {
			size += len(v)
		}
		if len(all) > maxGroups || size > maxKept {
			return nil, ldap.ErrSizeLimitExceeded
		}
		next := fmt.Sprintf("%s;range=%d-*", attribute, len(all))
		more, err := d.readEntry(ctx, n, e.DN, []string{next}, run)
		if err != nil {
			return nil, err
		}
		if part, found = rangeOf(more, attribute); !found || part.from != len(all) || len(part.values) == 0 {
			return nil, badAnswer("the values of %s from number %d on are missing", attribute, len(all))
		}
		all = append(all, part.values...)
	}
	return all, nil
}

// A valueRange is a part of the values of an attribute.
type valueRange struct {
	from   int
	last   bool
	values []string
}

// rangeOf returns the part of the values that e has, if it has a part.
func rangeOf(e *ldap.Entry, attribute string) (valueRange, bool) {
	for _, a := range e.Attributes {
		name, options, _ := strings.Cut(a.Name, ";")
		if !strings.EqualFold(name, attribute) {
			continue
		}
		for option := range strings.SplitSeq(options, ";") {
			if from, last, ok := parseRange(option, len(a.Values)); ok {
				return valueRange{from, last, a.Values}, true
			}
		}
	}
	return valueRange{}, false
}

// parseRange reads range=0-1499 or range=1500-* of an attribute with that
// many values. What is no such option, or does not fit, is not ok.
func parseRange(option string, values int) (from int, last, ok bool) {
	name, bounds, _ := strings.Cut(option, "=")
	low, high, _ := strings.Cut(bounds, "-")
	first, err := strconv.ParseUint(low, 10, 31)
	if !strings.EqualFold(name, "range") || err != nil {
		return 0, false, false
	}
	if high == "*" {
		return int(first), true, true
	}
	end, err := strconv.ParseUint(high, 10, 31)
	return int(first), false, err == nil && end-first+1 == uint64(values) && end >= first
}
