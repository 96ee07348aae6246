package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/seed-244866eb/gatehouse/example/cli"
)

// A source is one proxy pattern and where it was read, for error messages.
type source struct{ pattern, where string }

// readPatterns returns the proxy patterns of a file: one a line, which ends in
// LF or CRLF; lines that begin with # and empty ones are skipped. Nothing else
// is trimmed: a pattern with a space is refused by whoever reads it.
func readPatterns(flag, name string) ([]source, error) {
	b, err := cli.ReadFile(flag, name)
	if err != nil {
		return nil, err
	}
	var patterns []source
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(string(b), "\ufeff")) {
		n++
		if strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if line != "" {
			patterns = append(patterns, source{line, fmt.Sprintf("%s: %s, line %d", flag, name, n)})
		}
	}
	return patterns, nil
}

// openAnswers opens the file that CAPTCHA answers are appended to. Whoever
// reads it can solve every challenge, so nobody else may, also where the file
// was there before.
func openAnswers(flag, name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		err = f.Chmod(0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", flag, err), f.Close())
	}
	return f, nil
}
