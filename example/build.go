package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-244866eb/gatehouse/directory"
	"github.com/seed-244866eb/gatehouse/middleware"
	"github.com/seed-244866eb/gatehouse/proxytrust"
)

// An app is the site with all that it needs, ready to be served.
type app struct {
	handler      http.Handler
	certificates []tls.Certificate // none: no TLS
	closers      []func() error    // in the order of opening
}

// close ends what build has opened, the last opened first.
func (a *app) close() error {
	var errs []error
	for _, c := range slices.Backward(a.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// build wires the site as o says. Every error is a fault of o.
func build(o options, log *slog.Logger) (_ *app, err error) {
	a := new(app)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if o.tlsCert != "" {
		cert, err := tls.LoadX509KeyPair(o.tlsCert, o.tlsKey)
		if err != nil {
			return nil, fmt.Errorf("-tls-cert and -tls-key: %w", err)
		}
		a.certificates = []tls.Certificate{cert}
	}
	s, err := newSite(o, log)
	if err != nil {
		return nil, err
	}
	if o.bare {
		if err := checkBase(o); err != nil {
			return nil, err
		}
		log.Warn("-bare: there is no login and no protection of any kind")
		s.gate, s.open, s.ready = bare{}, true, newReadiness(nil, 0)
	} else if err := a.protect(s, o, log); err != nil {
		return nil, err
	}
	a.handler = s.handler()
	return a, nil
}

// newSite returns the site without its gate.
func newSite(o options, log *slog.Logger) (*site, error) {
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	return &site{
		tracker:    newTracker(seedIssues(), time.Now),
		base:       o.baseURL,
		adminGroup: o.adminGroup,
		log:        log,
		pages:      pages,
		uploads:    newSlots(maxUploading, maxOfOne),
	}, nil
}

// checkBase returns what gatehouse says to -base-url, where no gate asks it: a
// path that it refuses would make the routes panic.
func checkBase(o options) error {
	nobody, err := directory.NewStatic()
	if err != nil {
		return err
	}
	auth, err := middleware.New(middleware.Config{Directory: nobody, BaseURL: o.baseURL.text})
	if err != nil {
		return inFlags(err)
	}
	return auth.Close()
}

// protect gives s its gate: proxies, directory, and the middleware that joins
// them. This is what an application does to use gatehouse.
func (a *app) protect(s *site, o options, log *slog.Logger) error {
	trust, err := trustProxies(o, log)
	if err != nil {
		return err
	}
	a.closers = append(a.closers, trust.Close)

	dir, err := o.ldap.Open(log)
	if err != nil {
		return err
	}
	a.closers = append(a.closers, dir.Close)

	config := configure(o, log)
	config.Directory = dir
	config.Trust = trust
	if err := a.showAnswers(&config, o, log); err != nil {
		return err
	}
	auth, err := middleware.New(config)
	if err != nil {
		return inFlags(err)
	}
	a.closers = append(a.closers, auth.Close)

	s.gate, s.directory = auth, auth.Directory()
	s.ready = newReadiness(dir, o.ldap.Timeout)
	return nil
}

// configure returns what o says about logins and sessions. Everything that is
// not mentioned keeps its default, which is the careful choice.
func configure(o options, log *slog.Logger) middleware.Config {
	config := middleware.Config{
		BaseURL:      o.baseURL.text,
		AccessGroups: o.accessGroups,
		GroupTTL:     o.groupTTL,
		ProofTTL:     o.proofTTL,
		NoProofs:     o.proofTTL == 0,
		UpdateAtLogin: map[string]directory.UpdateAtLogin{
			"new": directory.UpdateNewUsers, "never": directory.UpdateNever,
		}[o.groupUpdate],
		LoginTimeout: o.ldap.Timeout,
		Logger:       log,
	}
	// No group is everybody to the middleware. The demo's own default is one
	// group, so an empty list cannot say it on the command line.
	if slices.Contains(o.accessGroups, "*") {
		config.AccessGroups = nil
	}
	config.Session.Idle = o.sessionIdle
	config.Session.Lifetime = o.sessionLifetime
	config.Attempts.Max = o.maxAttempts
	if o.maxAttempts == 0 {
		log.Warn("-max-attempts 0: passwords can be guessed without any limit")
		config.Attempts.InsecureUnlimited = true
		config.NoCaptcha = true
	}
	return config
}

// trustProxies returns the trust in the proxies of both flags.
func trustProxies(o options, log *slog.Logger) (*proxytrust.Trust, error) {
	var all []source
	for _, p := range o.trustedProxies {
		all = append(all, source{p, "-trusted-proxy"})
	}
	if o.trustedProxiesFile != "" {
		more, err := readPatterns("-trusted-proxies-file", o.trustedProxiesFile)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	patterns := make([]string, len(all))
	for i, s := range all {
		patterns[i] = s.pattern
	}
	// An empty list still makes a Trust: it believes nobody, and /whoami can
	// tell that a forwarding header was ignored.
	trust, err := proxytrust.New(proxytrust.Config{Trusted: patterns, Logger: log})
	// Positions count over both flags; the operator wants to know the line.
	var bad *proxytrust.PatternError
	if errors.As(err, &bad) {
		return nil, fmt.Errorf("%s: %q: %s", all[bad.Position-1].where, bad.Pattern, bad.Reason)
	}
	return trust, err
}

// showAnswers gives away the answers of CAPTCHAs, if o asks for that.
func (a *app) showAnswers(config *middleware.Config, o options, log *slog.Logger) error {
	if o.captchaAnswers == "" {
		return nil
	}
	f, err := openAnswers("-insecure-captcha-answers", o.captchaAnswers)
	if err != nil {
		return err
	}
	a.closers = append(a.closers, f.Close)
	config.Captcha.InsecureAnswers = f
	log.Warn("-insecure-captcha-answers: every CAPTCHA can be solved by whoever reads the file; for tests alone", "file", o.captchaAnswers)
	return nil
}

// inFlags returns err in the words of the command line: what the packages
// call Config fields are flags here.
func inFlags(err error) error {
	return errors.New(strings.NewReplacer(
		"middleware: ", "", "session: ", "",
		"Config.BaseURL", "-base-url",
		"Config.AccessGroups", "-access-group",
	).Replace(err.Error()))
}

// newLogger returns the logger of the -log flags.
func newLogger(o options, stderr io.Writer) *slog.Logger {
	h := &slog.HandlerOptions{Level: o.logLevel}
	if o.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(stderr, h))
	}
	return slog.New(slog.NewTextHandler(stderr, h))
}

// exposed reports whether addr can be reached from other machines.
func exposed(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}
