package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// maxFile bounds every file that a flag names.
const maxFile = 4 << 20

// readFile returns the content of the file that a flag names.
func readFile(flag, name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", flag, err)
	case info.IsDir():
		return nil, fmt.Errorf("%s: %s is a directory", flag, name)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s: %s is larger than %d bytes", flag, name, maxFile)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return b, nil
}

// A source is one proxy pattern and where it was read, for error messages.
type source struct{ pattern, where string }

// readPatterns returns the proxy patterns of a file: one a line, which ends in
// LF or CRLF; lines that begin with # and empty ones are skipped. Nothing else
// is trimmed: a pattern with a space is refused by whoever reads it.
func readPatterns(flag, name string) ([]source, error) {
	b, err := readFile(flag, name)
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

// readPassword returns the first line of a file. Spaces are kept: they may
// belong to the password.
func readPassword(flag, name string) (string, error) {
	b, err := readFile(flag, name)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return "", fmt.Errorf("%s: %s begins with an empty line", flag, name)
	}
	return line, nil
}

// readCAs returns the certificate authorities in a PEM file.
func readCAs(flag, name string) (*x509.CertPool, error) {
	b, err := readFile(flag, name)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM form", flag, name)
	}
	return pool, nil
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
