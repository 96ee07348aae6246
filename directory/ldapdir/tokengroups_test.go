package ldapdir

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSIDCache(t *testing.T) {
	var c sidCache
	now := time.Unix(1_000_000, 0)
	one, other := "one", "other"
	key := sidKey{one, "dc=x", "S"}
	c.put(key, sidGroup{name: "staff", until: now.Add(time.Minute)})
	for _, tt := range []struct {
		name string
		key  sidKey
		at   time.Time
		want bool
	}{
		{"kept", key, now, true},
		{"until its time", key, now.Add(time.Minute), false},
		{"another node may not have it", sidKey{other, "dc=x", "S"}, now, false},
		{"another base", sidKey{one, "dc=y", "S"}, now, false},
	} {
		if g, ok := c.get(tt.key, tt.at); ok != tt.want || ok && g.name != "staff" {
			t.Errorf("%s: %+v, %v", tt.name, g, ok)
		}
	}
}

// A server that makes groups up, or gives them endless names, costs a bounded
// amount of memory.
func TestSIDCacheIsBounded(t *testing.T) {
	for name, size := range map[string]int{"many": 10, "long": 1 << 20} {
		var c sidCache
		for i := range 100_000 {
			if size > 10 && i == 100 {
				break
			}
			c.put(sidKey{sid: fmt.Sprint(i % 50_000)}, sidGroup{name: strings.Repeat("x", size)})
			sum := 0
			if i%1000 == 0 {
				for k, g := range c.groups {
					sum += len(k.sid) + len(g.name) + len(g.dn)
				}
			}
			if c.bytes > sidBytes || sum > sidBytes {
				t.Fatalf("%s: %d bytes of %d groups", name, c.bytes, len(c.groups))
			}
		}
	}
}
