package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxJQL     = 4 << 10 // bytes of a query
	maxClauses = 50      // clauses of a query
)

// A query is a parsed search: an issue matches when every clause does. The
// empty query matches every issue.
type query []clause

// A clause compares one field with one value.
type clause struct {
	field string // type, status, assignee, project, or text for a lone value
	not   bool   // != instead of =
	me    bool   // the value is currentUser()
	value string // as written; compared without regard to case
}

// parseJQL returns the query that s says in the demo's part of JQL:
//
//	query  = [ clause { "AND" clause } ]
//	clause = field ( "=" | "!=" ) value | word | quoted
//	field  = "type" | "issuetype" | "status" | "assignee" | "project"
//	value  = word | quoted | "currentUser()"
//
// Words are anything without space, quotes and = ! < > ~ ( ) ,; quoted values
// stand in '…' or "…", with \ before a quote or a \. Fields, AND and
// currentUser() are read without regard to case. A value that stands alone, which
// Jira does not take, is looked for in summary and description. The error is
// written for the person who typed the query.
func parseJQL(s string) (query, error) {
	if len(s) > maxJQL {
		return nil, fmt.Errorf("the query is longer than %d bytes", maxJQL)
	}
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("the query is not UTF-8")
	}
	p := &jqlParser{rest: s}
	p.next()
	var q query
	for !p.at.end() || len(q) > 0 {
		if len(q) == maxClauses {
			return nil, fmt.Errorf("more than %d clauses", maxClauses)
		}
		c, err := p.clause()
		if err != nil {
			return nil, err
		}
		q = append(q, c)
		if p.at.end() {
			break
		}
		if !p.at.is("and") {
			return nil, fmt.Errorf("expecting 'AND' or the end of the query but got %s", p.at)
		}
		p.next()
	}
	return q, p.err
}

// String returns q in a form that parseJQL reads back as q.
func (q query) String() string {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	var b strings.Builder
	for i, c := range q {
		if i > 0 {
			b.WriteString(" AND ")
		}
		if c.field == "text" {
			b.WriteString(`"` + quote.Replace(c.value) + `"`)
			continue
		}
		b.WriteString(c.field)
		if c.not {
			b.WriteByte('!')
		}
		b.WriteByte('=')
		if c.me {
			b.WriteString("currentUser()")
		} else {
			b.WriteString(`"` + quote.Replace(c.value) + `"`)
		}
	}
	return b.String()
}

// matches reports whether is matches every clause of q, asked by the user
// name me; an anonymous currentUser() matches nobody's issue.
func (q query) matches(is issue, me string) bool {
	for _, c := range q {
		if c.field == "text" {
			if !is.mentions(c.value) {
				return false
			}
			continue
		}
		want := c.value
		if c.me {
			want = me
		}
		// As in Jira, nobody's issue matches neither = nor != somebody.
		have := is.value(c.field)
		if have == "" || strings.EqualFold(have, want) == c.not {
			return false
		}
	}
	return true
}

// mentions reports whether text stands in summary or description.
func (is issue) mentions(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(strings.ToLower(is.Summary), text) || strings.Contains(strings.ToLower(is.Description), text)
}

// value returns what is holds in a field of a query, "" for nothing.
func (is issue) value(field string) string {
	switch field {
	case "type":
		return is.Type
	case "status":
		return is.Status
	case "project":
		return is.Project
	}
	if is.Assignee == nil {
		return ""
	}
	return is.Assignee.Name
}

// A jqlToken is a piece of a query. The zero jqlToken is its end.
type jqlToken struct {
	kind byte // 'w' word, 'q' quoted, else the symbol; '!' is !=
	text string
}

func (t jqlToken) end() bool { return t.kind == 0 }

// is reports whether t is the word w, in any case.
func (t jqlToken) is(w string) bool { return t.kind == 'w' && strings.EqualFold(t.text, w) }

// String names t in an error.
func (t jqlToken) String() string {
	if t.end() {
		return "the end of the query"
	}
	return "'" + t.text + "'"
}

// A jqlParser reads a query with one token of look-ahead.
type jqlParser struct {
	rest string
	at   jqlToken
	err  error // the first fault of the reading itself; at is the end then
}

// clause reads one comparison, or a value that stands alone.
func (p *jqlParser) clause() (clause, error) {
	name := p.at
	if name.kind != 'w' && name.kind != 'q' || name.is("and") {
		return clause{}, p.fail("expecting a field but got %s", name)
	}
	field, known := fieldOf(name.text)
	p.next()
	compared := p.at.kind == '=' || p.at.kind == '!'
	switch {
	case compared && !known:
		return clause{}, p.fail("field %s does not exist here; there are type, status, assignee and project", name)
	case compared:
		c := clause{field: field, not: p.at.kind == '!'}
		p.next()
		err := p.value(&c)
		return c, err
	case known && name.kind == 'w', !p.at.end() && !p.at.is("and"):
		return clause{}, p.fail("expecting '=' or '!=' but got %s", p.at)
	}
	return clause{field: "text", value: name.text}, p.err
}

// value reads what a field is compared with.
func (p *jqlParser) value(c *clause) error {
	switch {
	case p.at.is("and") || p.at.kind != 'w' && p.at.kind != 'q':
		return p.fail("expecting a value but got %s", p.at)
	case p.at.is("currentUser") && strings.HasPrefix(p.rest, "()"):
		c.me = true
		p.rest = p.rest[len("()"):]
	default:
		c.value = p.at.text
	}
	p.next()
	return p.err
}

// fieldOf returns the field of that name as a clause has it.
func fieldOf(name string) (string, bool) {
	name = strings.ToLower(name)
	if name == "issuetype" {
		name = "type"
	}
	switch name {
	case "type", "status", "assignee", "project":
		return name, true
	}
	return "", false
}

// fail returns the fault of the reading, if any, which explains more than
// what follows from it; else the fault described.
func (p *jqlParser) fail(format string, args ...any) error {
	if p.err != nil {
		return p.err
	}
	return fmt.Errorf(format, args...)
}

// next moves to the next token.
func (p *jqlParser) next() {
	p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace)
	p.at = jqlToken{}
	if p.rest == "" {
		return
	}
	switch c := p.rest[0]; {
	case c == '"' || c == '\'':
		p.quoted(c)
	case c == '=':
		p.take('=', 1)
	case strings.HasPrefix(p.rest, "!="):
		p.take('!', 2)
	case strings.IndexByte("!<>~(),", c) >= 0:
		p.take(c, 1)
		// Its kind must not be taken for !=.
		if c == '!' {
			p.at.kind = '?'
		}
	default:
		p.take('w', wordLen(p.rest))
	}
}

// take makes the next n bytes the token.
func (p *jqlParser) take(kind byte, n int) {
	p.at = jqlToken{kind, p.rest[:n]}
	p.rest = p.rest[n:]
}

// wordLen returns the length of the word at the start of s.
func wordLen(s string) int {
	i := strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune(`"'=!<>~(),`, r)
	})
	if i < 0 {
		return len(s)
	}
	return i
}

// quoted reads a value up to the closing quote.
func (p *jqlParser) quoted(quote byte) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == quote:
			p.at = jqlToken{'q', b.String()}
			p.rest = p.rest[i+1:]
			return
		case c == '\\' && i+1 < len(p.rest):
			i++
			b.WriteByte(p.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	p.err = fmt.Errorf("the quote %c is not closed", quote)
	p.rest = ""
}
