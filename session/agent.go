package session

import "strings"

// fragments returns the pieces that nearly every browser's user agent is made
// of. In a stored agent the byte 0x80+i stands for piece i, which brings the
// usual 110 bytes to about 30; agents are ASCII, so those bytes are free. The
// list may grow at its end only: stored sessions name the pieces by place.
func fragments() [12]string {
	return [...]string{
		"Mozilla/5.0 (",
		") AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
		".0.0.0 Safari/537.36",
		") AppleWebKit/605.1.15 (KHTML, like Gecko) Version/",
		" Mobile/15E148 Safari/604.1",
		" Safari/605.1.15",
		"Windows NT 10.0; Win64; x64",
		"Macintosh; Intel Mac OS X 10_15_7",
		"X11; Linux x86_64",
		"Linux; Android 10; K",
		" like Mac OS X",
		") Gecko/20100101 Firefox/",
	}
}

// packAgent returns the stored form of a user agent: what is not printable
// ASCII becomes a question mark, which keeps line breaks out of logs and the
// bytes of the pieces free, and the whole is cut to maxAgent bytes.
func packAgent(agent string) string {
	agent = strings.Map(printable, agent[:min(len(agent), maxAgent)])
	for i, piece := range fragments() {
		agent = strings.ReplaceAll(agent, piece, string([]byte{0x80 + byte(i)}))
	}
	return agent
}

// unpackAgent returns the agent that packAgent was given. Bytes that stand for
// nothing are dropped.
func unpackAgent(packed string) string {
	pieces := fragments()
	var b strings.Builder
	for i := range len(packed) {
		c := packed[i]
		switch {
		case c < 0x80:
			b.WriteRune(printable(rune(c)))
		case int(c-0x80) < len(pieces):
			b.WriteString(pieces[c-0x80])
		}
	}
	return b.String()
}

func printable(c rune) rune {
	if c < ' ' || c >= 0x7f {
		return '?'
	}
	return c
}
