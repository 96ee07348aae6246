package cli

import (
	"crypto/x509"
	"fmt"
	"os"
	"strings"
)

// maxFile bounds every file that a flag names.
const maxFile = 4 << 20

// ReadFile returns the content of the file that a flag names.
func ReadFile(flag, name string) ([]byte, error) {
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

// ReadPassword returns the first line of a file. Spaces are kept: they may
// belong to the password.
func ReadPassword(flag, name string) (string, error) {
	b, err := ReadFile(flag, name)
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

// ReadCAs returns the certificate authorities in a PEM file.
func ReadCAs(flag, name string) (*x509.CertPool, error) {
	b, err := ReadFile(flag, name)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM form", flag, name)
	}
	return pool, nil
}
