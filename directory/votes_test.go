package directory

import (
	"strings"
	"testing"
	"testing/synctest"
)

// The table of the groups' states, row by row. Unless a script says more,
// three nodes have fred in a, b and c; n1 is preferred and in use; TTL 5
// minutes, Hold 15, StaleMax 8 hours. See [script.run] for the steps.
func TestVotes(t *testing.T) {
	for _, tt := range []struct{ name, steps string }{
		// fresh, over TTL/2
		{"fresh: nobody is asked", "login=a,b,c 2m n1=a user=a,b,c asked="},
		{"half the TTL: at once, one read behind", "login=a,b,c 3m n1=a,b,c,d user=a,b,c asked=n1 user=a,b,c,d asked="},
		// over the TTL
		{"over the TTL: a request waits for the read", "login=a,b,c 5m n1=a,b,c,d user=a,b,c,d"},
		{"over the TTL, all nodes down: as known", "login=a,b,c 6m n1=down n2=down n3=down user=a,b,c 7h user=a,b,c"},
		{"dead: unknown", "login=a,b,c 8h n1=down n2=down n3=down user=unknown held= lost="},
		// nothing lost
		{"a group more counts at once", "login=a,b,c n1=a,b,c,d login=a,b,c,d asked=n1 held="},
		{"another node that lacks nothing becomes the origin", "login=a,b,c n1=down login=a,b,c asked=n2 n2=a,b n3=a,b login=a,b asked=n2,n3 lost=c"},
		// a loss
		{"a loss that a second node confirms is one now", "login=a,b,c n1=a,b n2=a,b login=a,b asked=n1,n2 held= lost=c"},
		{"a removal at all nodes is seen after the TTL", "login=a,b,c n1=a n2=a n3=a 4m59s user=a,b,c 1s user=a lost=b,c"},
		{"a loss that a second node does not confirm is held", "login=a,b,c n1=a,b login=a,b,c asked=n1,n2 held=c lost="},
		{"what is gained counts while another group is held", "login=a,b,c n1=a,b,d login=a,b,c,d held=c"},
		{"each group has its own verdict", "login=a,b,c n1=a n2=a,b login=a,b held=b lost=c"},
		{"a laggard in use asks until the origin or the preferred node speaks", "login=a,b,c first=n2 n2=a,b n3=a,b login=a,b,c asked=n2,n1 held=c"},
		{"two laggards that miss the same agree with each other, and decide nothing", "login=a,b,c n1=down n2=a,b n3=a,b login=a,b,c asked=n2,n3,n2 held=c lost="},
		{"two laggards agree, one of them preferred, and the origin is down: held, then by the preferred node's word", "n1=a,b n2=a,b login/c=a,b,c n3=down login/c=a,b,c held=c 14m59s login=a,b,c 1s login=a,b lost=c"},
		{"a node that has shown one group only takes no other", "n1=down n2=a n3=b first=n2 login/b=a,b asked=n2,n3 n2=down login/b=a,b asked=n3,n3 lost="},
		{"a laggard that is alone with the origin down takes nothing, though it is preferred", "n1=a,b login/c=a,b,c n2=down n3=down login=a,b,c lost= held=c"},
		{"letter case is no loss", "login=a,b,c n1=A,b,c login=A,b,c asked=n1 held="},
		{"all other nodes down: a second connection to the origin confirms", "login=a,b,c n1=a,b n2=down n3=down login=a,b asked=n1,n1 lost=c"},
		{"no second opinion at all: held", "first=n2 login=a,b,c first=n3 n1=down n2=down n3=a,b login=a,b,c asked=n3,n3 held=c"},
		// held, and how it ends
		{"held ends when the nodes agree that the group is there", "login=a,b,c n1=a,b login=a,b,c held=c n1=a,b,c login=a,b,c held= asked=n1"},
		{"held ends when the nodes agree that it is not", "login=a,b,c n1=a,b login=a,b,c held=c n2=a,b 3m login=a,b held= lost=c"},
		{"held for 15 minutes, then by the preferred node's word", "login=a,b,c n1=a,b login=a,b,c 12m login=a,b,c 3m login=a,b held=-c lost=c"},
		{"held for 15 minutes, although others were asked a moment ago", "login=a,b,c n1=a,b login=a,b,c 14m login=a,b,c asked=n1,n2 1m login=a,b"},
		{"held for 15 minutes, and not for less", "login=a,b,c n1=a,b login=a,b,c 14m59s login=a,b,c held=c lost="},
		{"what the preferred node's word took, no other node gives back", "login=a,b,c n1=a,b login=a,b,c 15m login=a,b first=n2 login=a,b 1h login=a,b held=-c first=n1 login/c=refused held=-c"},
		{"it comes back by the preferred node's word", "login=a,b,c n1=a,b login=a,b,c 15m login=a,b n1=a,b,c login=a,b,c held="},
		{"the preferred node's yes needs no hold, nor ends one that a laggard keeps up", "login=a,b,c first=n2 n2=a,b login=a,b,c 1h login=a,b,c held=c lost= first=n1 login=a,b,c held="},
		{"preferred node down: held beyond 15 minutes", "login=a,b,c n1=down n2=a,b n3=a,b login=a,b,c 1h login=a,b,c held=c lost="},
		{"preferred node down: held up to StaleMax", "login=a,b,c n1=down n2=a,b n3=a,b login=a,b,c 7h59m59s login=a,b,c 1s login=a,b held= lost=c"},
		{"preferred node down, another has it: StaleMax, then the word of the one in use", "login=a,b,c n1=down n2=a,b login=a,b,c 4h login=a,b,c 3h59m login=a,b,c lost= 1m login=a,b lost=c"},
		{"the node in use may alternate", "login=a,b,c n1=a,b first=n2 login=a,b,c first=n1 login=a,b,c first=n2 login=a,b,c 5m first=n1 user=a,b,c first=n2 5m user=a,b,c first=n1 login=a,b,c lost="},
		{"while held, requests cause no more reads than usual", "login=a,b,c n1=a,b login=a,b,c 2m user=a,b,c asked= 30s user=a,b,c asked= 1s user=a,b,c asked=n1,n2 user=a,b,c asked="},
		{"while held, logins ask one node, and others after half the TTL", "login=a,b,c n1=a,b login=a,b,c asked=n1,n2 login=a,b,c asked=n1 2m30s login=a,b,c asked=n1 1s login=a,b,c asked=n1,n2 1s login=a,b,c asked=n1"},
		{"held does not end by the yes of one that nobody contradicts just now", "login=a,b,c n1=a,b login=a,b,c first=n2 1m login=a,b,c asked=n2 held=c"},
		{"while held, another loss is voted on at once", "login=a,b,c n1=a,b login=a,b,c n1=a n2=a login=a asked=n1,n2 lost=b,c held="},
		{"a failed read changes nothing that is held", "login=a,b,c n1=a,b login=a,b,c n1=down n2=down n3=down 6m user=a,b,c held=c"},
		{"a second node that hangs: held after half the time-out", "login=a,b,c n1=a,b n2=hangs login=a,b,c took=2.5s held=c"},
		// entry gone or disabled
		{"gone on two nodes: gone now", "login=a,b,c n1=gone n2=gone 6m user=gone asked=n2 lost=gone held="},
		{"disabled on two nodes: gone now", "login=a,b,c n1=disabled n2=disabled 6m user=gone asked=n2 lost=gone"},
		{"gone on one node: held, for the TTL at most, then the preferred node's word", "login=a,b,c n1=gone 6m user=a,b,c held=gone lost= 4m59s user=a,b,c lost= 1s user=gone lost=gone held="},
		{"gone on a laggard that is in use: the preferred node has it", "login=a,b,c first=n2 n2=gone 6m user=a,b,c 6m user=a,b,c 1h user=a,b,c held=gone lost= n2=a,b,c user=a,b,c 6m user=a,b,c held="},
		{"gone on one, there on another: the preferred node is asked", "first=n2 login=a,b,c first=n3 n3=gone 6m user=a,b,c asked=n2,n1 6m user=a,b,c lost="},
		{"gone on a laggard, and a group taken by all others", "login=a,b,c first=n2 n2=gone n1=a,b n3=a,b 6m user=a,b lost=c held=gone n2=a,b 6m user=a,b held="},
		{"gone on two laggards, preferred node and origin down: the TTL, then unknown", "login=a,b,c n1=down n2=gone n3=gone 6m user=a,b,c held=gone 5m user=unknown lost= n1=a,b,c 1m user=a,b,c"},
		{"gone on one, there on another, preferred node down: the TTL, then unknown", "login=a,b,c n1=down n2=gone 6m user=a,b,c 5m user=unknown 1h user=unknown lost= n2=a,b,c 1m user=a,b,c held="},
		{"gone with nobody to ask: held", "login=a,b,c first=n2 n1=down n3=down n2=gone 6m user=a,b,c held=gone lost="},
		{"gone on one node, long after: no session ends", "login=a,b,c 9h n1=down n2=gone user=unknown lost="},
		{"nothing known, gone on the node in use: gone", "n1=gone user=gone"},
		{"the name is another entry's on one node: held", "login=a,b,c n1=other 6m user=a,b,c held=gone"},
		{"the name is another entry's on two nodes", "login=a,b,c n1=other n2=other 6m user=gone"},
		{"a loss, and a second node without the entry: a third one is asked", "login=a,b,c n1=a,b n2=gone login=a,b,c asked=n1,n2,n3 held=gone,c lost="},
		{"a loss, and no other node with the entry: a second connection confirms", "login=a,b,c n1=a,b n2=gone n3=gone login=a,b asked=n1,n2,n3,n1 held=gone lost=c"},
		{"a loss, and no second opinion but of a node without the entry: 15 minutes", "login=a,b,c n1=a,b n2=gone n3=hangs login=a,b,c held=gone,c 14m55s login=a,b,c 1s login=a,b held=gone,-c lost=c"},
		{"a loss on a laggard in use, and another without the entry: held, and still known later", "login=a,b,c n1=down n2=a,b n3=gone login=a,b,c 6m user=a,b,c 1h user=a,b,c lost="},
		{"the preferred node lacks the entry, the one in use has it: held, then by its word", "login=a,b,c first=n2 n1=gone n2=a,b login=a,b,c asked=n2,n1,n3 held=gone 4m59s user=a,b,c 1s user=gone lost=gone"},
		{"a laggard in use, and the origin without the entry: held", "first=n2 login=a,b,c n1=down n2=gone first=n3 n3=a,b login=a,b,c held=gone,c lost="},
		{"in doubt whether there is an entry: one yes does not end that", "login=a,b,c n1=gone 6m user=a,b,c first=n2 n1=hangs login=a,b,c held=gone"},
		{"gone on the preferred node, and no second opinion: unknown after the TTL", "login=a,b,c n1=gone n2=hangs 6m user=a,b,c 5m user=unknown lost="},
		{"in doubt whether there is an entry: what is held stays so", "login=a,b,c n1=a,b login=a,b,c held=c n1=gone 6m user=a,b,c held=gone,c"},
		{"a login while it is in doubt whether there is an entry does not end that", "login=a,b,c n1=gone 6m user=a,b,c first=n2 1m login=a,b,c asked=n2,n1 held=gone first=n1 4m user=gone lost=gone"},
		// who logs in, and is not found on the node in use
		{"somebody known is found on another node", "login=a,b,c n1=gone find=n2"},
		{"somebody known is found by the node that answers", "login=a,b,c n1=gone n2=down find=n3"},
		{"known, and gone on two nodes: gone", "login=a,b,c n1=gone n2=gone find=gone"},
		{"known, gone on the node in use, others were well a moment ago: unknown", "login=a,b,c n1=gone n2=down n3=down find=unknown 15m find=gone"},
		{"known, gone on the node in use, another hangs: unknown", "login=a,b,c n1=gone n2=hangs find=unknown"},
		{"known, gone on two laggards, preferred node and origin long down: unknown", "login=a,b,c n1=down n2=gone n3=gone 16m find=unknown"},
		{"nobody who was ever known: gone", "n1=gone find=gone asked="},
		// nothing known, and a login that needs a group
		{"one node's yes is enough", "n2=a n3=a login/b=a,b,c asked=n1 held="},
		{"a no that all nodes share is a refusal", "n1=a n2=a n3=a login/b=refused asked=n1,n2,n3,n1 held="},
		{"two laggards that miss the same, a third knows better: allowed, held", "n1=a n2=a login/b=a,b,c asked=n1,n2,n3 held=b,c"},
		{"a laggard in use, the preferred node knows better", "first=n2 n2=a login/b=a,b,c asked=n2,n1 held=b,c"},
		{"all that answer say no, the preferred node is down: unknown", "n1=down n2=a n3=a login/b=unknown asked=n2,n3,n2 user/b=unknown"},
		{"one node's no twice is none while others were well a moment ago", "n2=down n3=down n1=a login/b=unknown asked=n1,n1 14m login/b=unknown"},
		{"one node's no twice is a no, when it is the preferred one and long alone", "n2=down n3=down n1=a 15m login/b=refused asked=n1,n1"},
		{"two nodes' no is none while a third was well a moment ago", "n1=a n2=a n3=down login/b=unknown asked=n1,n2,n1 15m login/b=refused"},
		{"the preferred node's no is none, when nobody gives a second", "n1=a n2=hangs login/b=unknown took=2.5s asked=n1,n2"},
		{"one node's no twice is none, when it is another", "n1=down n3=down n2=a login/b=unknown"},
		{"a node that was down knows better", "n1=down n2=a n3=a login/b=unknown n1=a,b 1m login/b=a,b asked=n1"},
		{"a needed group that is held lets in", "login/c=a,b,c n1=a,b login/c=a,b,c held=c"},
		{"known without the needed group: one yes is enough", "n1=a n2=a n3=a login=a n3=a,b login/b=a,b held=b"},
		{"known without the needed group, and the preferred node down: no verdict", "n1=a n2=a n3=a login=a n1=down login/b=unknown user=a"},
		{"known without the needed group, all nodes down: no verdict", "n1=a n2=a n3=a login=a n1=down n2=down user=a n3=down user=a"},
		{"a session after a restart: the needed group is asked for as at a login", "n1=a n2=a user/b=a,b,c held=b,c"},
		{"dead, the needed group missing on laggards, preferred node down: unknown", "login/c=a,b,c 9h n1=down n2=a n3=a user/c=unknown"},
		{"a needed group, and a node without the entry: one more no", "n1=a n2=gone n3=a login/b=refused asked=n1,n2,n3,n1"},
		{"a needed group, a node without the entry, a third knows better", "n1=a n2=gone login/b=a,b,c asked=n1,n2,n3 held=gone,b,c"},
		{"another needed group brings back none that the preferred node's word took", "login=a,b,c n1=a,b login=a,b,c 15m login=a,b held=-c n2=a,b,c,d login/d=a,b,d held=d,-c"},
		{"nothing needed: one read", "n1=a login=a asked=n1 held="},
		{"the preferred node's word about a needed group, after 15 minutes", "n1=a login/b=a,b,c 16m login/b=refused lost=b,c 1h login/b=refused held=-b,-c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				newScript(t, Config{}).run(tt.steps)
			})
		})
	}
}

// The log has one line when a hold begins and one when it ends, whatever the
// number of requests, and says which node lacks what.
func TestLogOfAHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, Config{})
		s.run("login=a,b,c n1=a,b login=a,b,c")
		for range 100 {
			s.run("login=a,b,c 1s user=a,b,c")
		}
		s.run("n1=a,b,c login=a,b,c login=a,b,c")
		lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "level=WARN") || !strings.Contains(lines[0], "user=fred groups=c") ||
			!strings.Contains(lines[0], "n1 lacks 1, n2 lacks 0") || !strings.Contains(lines[1], "level=INFO") {
			t.Errorf("logged\n%s", s.log.String())
		}
		// No verdict about one user is no outage.
		s = newScript(t, Config{})
		s.run("n1=down login/x=unknown 1m user/x=unknown")
		if s.log.Len() > 0 {
			t.Errorf("logged of a login that needs x\n%s", s.log.String())
		}
	})
}
