package cli

import (
	"errors"
	"flag"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Package flag says "parse error" for most wrong values. The values here say
// what is wanted.

// A Duration is the value of a flag for a length of time.
type Duration time.Duration

// DurationVar adds such a flag to fs, and sets d to its default.
func DurationVar(fs *flag.FlagSet, d *time.Duration, name string, value time.Duration, usage string) {
	*d = value
	fs.Var((*Duration)(d), name, usage)
}

// String returns d as Set takes it.
func (d *Duration) String() string { return time.Duration(*d).String() }

// Set takes what [time.ParseDuration] takes.
func (d *Duration) Set(s string) error {
	v, err := time.ParseDuration(s)
	if err != nil {
		return errors.New("not a duration such as 30m")
	}
	*d = Duration(v)
	return nil
}

// A Number is the value of a flag for a whole number.
type Number int

// String returns n in decimal digits.
func (n *Number) String() string { return strconv.Itoa(int(*n)) }

// Set takes decimal digits.
func (n *Number) Set(s string) error {
	v, err := strconv.Atoi(s)
	if err != nil {
		return errors.New("not a whole number such as 3")
	}
	*n = Number(v)
	return nil
}

// A Toggle is the value of a flag that is on or off.
type Toggle bool

// String returns true or false.
func (b *Toggle) String() string { return strconv.FormatBool(bool(*b)) }

// Set takes what [strconv.ParseBool] takes.
func (b *Toggle) Set(s string) error {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("not true or false")
	}
	*b = Toggle(v)
	return nil
}

// IsBoolFlag tells package flag that the name alone means true.
func (b *Toggle) IsBoolFlag() bool { return true }

// A Level is the value of -log-level.
type Level slog.Level

// String returns the name of l.
func (l *Level) String() string { return strings.ToLower(slog.Level(*l).String()) }

// Set takes the names that [slog.Level] knows, in either case.
func (l *Level) Set(s string) error {
	if (*slog.Level)(l).UnmarshalText([]byte(s)) != nil {
		return errors.New("none of debug, info, warn, error")
	}
	return nil
}

// A List is the value of a repeatable flag. The flag adds to it and never
// replaces what an earlier one said.
type List []string

// String returns the values as the environment takes them.
func (l *List) String() string { return strings.Join(*l, ",") }

// Set adds one value, as it is written: what looks like a proxy to trust and
// is none shall be refused, not repaired.
func (l *List) Set(s string) error {
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
func (l *List) setAll(s string) error {
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
