package ldapdir

import (
	"crypto/tls"
	"fmt"
	"log/slog"
)

// hidden stands where a password would.
const hidden = "[hidden]"

// shown is a Config without secrets and without methods, for whoever prints.
type shown Config

// shown returns c with nothing in it that must stay secret. Certificates are
// emptied because they come with their private keys.
func (c Config) shown() shown {
	if c.BindPassword != "" {
		c.BindPassword = hidden
	}
	if c.Certificates != nil {
		c.Certificates = make([]tls.Certificate, len(c.Certificates))
	}
	return shown(c)
}

// Format prints the Config with every verb as package fmt prints a struct, but
// [hidden] for the BindPassword and nothing of the Certificates. Package fmt
// asks no method of a value in an unexported field: whoever keeps a Config in
// one gives the outer struct a Format of its own.
func (c Config) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), c.shown())
}

// LogValue returns the Config that Format prints, also to a handler that walks
// through the fields by itself.
func (c Config) LogValue() slog.Value { return slog.AnyValue(c.shown()) }

// Format prints the URLs of the servers, or their domain, whatever the verb, and nothing of
// what the client knows.
func (d *Dir) Format(f fmt.State, _ rune) {
	if d == nil {
		fmt.Fprint(f, "<nil>")
		return
	}
	if d.config.Domain != "" {
		fmt.Fprintf(f, "ldapdir client of the domain %q", d.config.Domain)
		return
	}
	fmt.Fprintf(f, "ldapdir client of %q", d.config.URLs)
}

// LogValue returns what Format prints.
func (d *Dir) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(d)) }
