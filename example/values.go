package main

import (
	"errors"
	"flag"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Package flag says "parse error" for most wrong values. The values here say
// what is wanted.

// A duration is the value of a flag for a length of time.
type duration time.Duration

// durationFlag adds such a flag to fs.
func durationFlag(fs *flag.FlagSet, d *time.Duration, name string, value time.Duration, usage string) {
	*d = value
	fs.Var((*duration)(d), name, usage)
}

// String returns d as Set takes it.
func (d *duration) String() string { return time.Duration(*d).String() }

// Set takes what [time.ParseDuration] takes.
func (d *duration) Set(s string) error {
	v, err := time.ParseDuration(s)
	if err != nil {
		return errors.New("not a duration such as 30m")
	}
	*d = duration(v)
	return nil
}

// A number is the value of a flag for a whole number.
type number int

// String returns n in decimal digits.
func (n *number) String() string { return strconv.Itoa(int(*n)) }

// Set takes decimal digits.
func (n *number) Set(s string) error {
	v, err := strconv.Atoi(s)
	if err != nil {
		return errors.New("not a whole number such as 3")
	}
	*n = number(v)
	return nil
}

// A toggle is the value of a flag that is on or off.
type toggle bool

// String returns true or false.
func (b *toggle) String() string { return strconv.FormatBool(bool(*b)) }

// Set takes what [strconv.ParseBool] takes.
func (b *toggle) Set(s string) error {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("not true or false")
	}
	*b = toggle(v)
	return nil
}

// IsBoolFlag tells package flag that the name alone means true.
func (b *toggle) IsBoolFlag() bool { return true }

// A level is the value of -log-level.
type level slog.Level

// String returns the name of l.
func (l *level) String() string { return strings.ToLower(slog.Level(*l).String()) }

// Set takes the names that [slog.Level] knows, in either case.
func (l *level) Set(s string) error {
	if (*slog.Level)(l).UnmarshalText([]byte(s)) != nil {
		return errors.New("none of debug, info, warn, error")
	}
	return nil
}

// A list is the value of a repeatable flag. The flag adds to it and never
// replaces what an earlier one said.
type list []string

// String returns the values as the environment takes them.
func (l *list) String() string { return strings.Join(*l, ",") }

// Set adds one value, as it is written: what looks like a proxy to trust and
// is none shall be refused, not repaired.
func (l *list) Set(s string) error {
	switch {
	case s == "":
		return errors.New("is empty")
	case strings.TrimSpace(s) != s:
		return errors.New("begins or ends with white space")
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("holds a control character")
	}
	*l = append(*l, s)
	return nil
}

// setAll adds the values of an environment variable: one a line when there is
// a line break, so that names with a comma can be written, else separated by
// commas, which spaces may follow.
func (l *list) setAll(s string) error {
	sep := ","
	if strings.Contains(s, "\n") {
		sep = "\n"
	}
	for i, part := range strings.Split(s, sep) {
		if sep == "," && i > 0 {
			part = strings.TrimLeft(part, " ")
		}
		if part == "" {
			continue
		}
		if err := l.Set(part); err != nil {
			return err
		}
	}
	return nil
}

// A baseURL is the value of -base-url. The zero baseURL means: from the
// request.
type baseURL struct {
	text    string // as given, for gatehouse to check
	origin  string // scheme and host
	context string // path without a trailing slash; "" at the root
}

// String returns the URL, without a trailing slash.
func (b *baseURL) String() string { return b.origin + b.context }

// Set takes an absolute URL apart. Whether gatehouse can work with it, it says
// itself: see build.
func (b *baseURL) Set(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return errors.New("not an absolute URL such as https://jira.example.org/jira")
	}
	*b = baseURL{s, u.Scheme + "://" + strings.ToLower(u.Host), strings.TrimSuffix(u.Path, "/")}
	return nil
}
