package attempts

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// wrong tries a wrong password n times and returns how many were let through.
func wrong(c *Counter, client netip.Addr, n int) (passed int) {
	for range n {
		if c.Take(client) {
			passed++
		}
	}
	return passed
}

// An addressRow plays on a counter and says how many tries pass.
type addressRow struct {
	name   string
	config Config
	play   func(c *Counter) int
	want   int
}

func addressRows() []addressRow {
	client := netip.MustParseAddr("192.0.2.1")
	return []addressRow{
		{"a burst of 300", Config{}, func(c *Counter) int { return wrong(c, client, 1000) }, 300},
		{"one more a second", Config{}, func(c *Counter) int {
			wrong(c, client, 300)
			time.Sleep(10 * time.Second)
			return wrong(c, client, 1000)
		}, 10},
		{"as configured", Config{AddressBurst: 5, AddressEvery: time.Minute}, func(c *Counter) int {
			wrong(c, client, 5)
			time.Sleep(2 * time.Minute)
			return wrong(c, client, 1000)
		}, 2},
		{"what was right costs nothing", Config{AddressBurst: 1}, func(c *Counter) (n int) {
			for range 1000 {
				n += wrong(c, client, 1)
				c.Return(client)
			}
			return n
		}, 1000},
		{"giving back makes nobody rich", Config{AddressBurst: 3}, func(c *Counter) int {
			for range 100 {
				c.Return(client)
			}
			return wrong(c, client, 1000)
		}, 3},
		{"a refused take takes nothing", Config{AddressBurst: 1}, func(c *Counter) int {
			wrong(c, client, 1000)
			time.Sleep(time.Second)
			return wrong(c, client, 1000)
		}, 1},
		{"addresses are apart", Config{AddressBurst: 2}, func(c *Counter) int {
			return wrong(c, client, 5) + wrong(c, client.Next(), 5)
		}, 4},
		{"IPv4 in IPv6 is IPv4", Config{AddressBurst: 2}, func(c *Counter) int {
			return wrong(c, client, 5) + wrong(c, netip.MustParseAddr("::ffff:192.0.2.1"), 5)
		}, 2},
		{"a /64 is one address", Config{AddressBurst: 2}, func(c *Counter) int {
			return wrong(c, netip.MustParseAddr("2001:db8::1"), 5) + wrong(c, netip.MustParseAddr("2001:db8::2"), 5)
		}, 2},
		{"unknown addresses are one", Config{AddressBurst: 2}, func(c *Counter) int { return wrong(c, netip.Addr{}, 5) }, 2},
	}
}

func TestAddressLimit(t *testing.T) {
	for _, tt := range addressRows() {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := New(tt.config)
				if err != nil {
					t.Fatal(err)
				}
				if got := tt.play(c); got != tt.want {
					t.Errorf("%d passed, want %d", got, tt.want)
				}
			})
		})
	}
}

// A flood of addresses is bounded in memory, and gives an address
// that has used its tokens up no new ones.
func TestAddressFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{AddressBurst: 2})
		if err != nil {
			t.Fatal(err)
		}
		client := netip.MustParseAddr("192.0.2.1")
		wrong(c, client, 2)
		for i := range uint32(3 * mostAddresses) {
			var ip [4]byte
			binary.BigEndian.PutUint32(ip[:], 10<<24+i)
			c.Take(netip.AddrFrom4(ip))
			c.Take(netip.AddrFrom4(ip))
		}
		if c.Take(client) {
			t.Error("an address that had used its tokens up has new ones")
		}
		n := 0
		for i := range c.addresses.shards {
			s := &c.addresses.shards[i]
			if len(s.ring) != len(s.index) {
				t.Fatalf("%d limiters, %d in the index", len(s.ring), len(s.index))
			}
			n += len(s.ring)
		}
		if n > mostAddresses {
			t.Errorf("%d addresses are held, want at most %d", n, mostAddresses)
		}
		time.Sleep(time.Minute) // everybody is full again, so everybody can go
		if got := wrong(c, netip.MustParseAddr("203.0.113.1"), 5); got != 2 {
			t.Errorf("%d tries of a new address passed, want its own 2", got)
		}
	})
}
