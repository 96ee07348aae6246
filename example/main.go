// Command example is a small issue tracker behind gatehouse: people log in
// with a browser, and REST clients made for Jira with a session or with Basic
// credentials, against an LDAP directory. Without flags it brings its own
// directory with four people, so that
//
//	go run ./example
//
// is all that it takes to try it; -help tells what else it can do. Apart from
// that directory it uses the public packages alone: the function protect, in
// build.go, is what an application needs to do, and the method handler of
// site shows how routes say whom they are for.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seed-244866eb/gatehouse/example/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	exitOK    = 0
	exitFault = 1 // a port in use, a disk that is full
	exitUsage = 2 // a wrong flag or value
)

// run is the whole program, until ctx ends. It returns the exit status.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	o, unknown, err := parse(args, environ, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exit(stderr, exitUsage, fmt.Errorf("%w (-help lists the flags)", err))
	}
	log := newLogger(o, stderr)
	for _, name := range unknown {
		log.Warn("an environment variable has our prefix and no meaning", "name", name)
	}
	ldapURL := ""
	if len(o.ldap.URLs) == 0 && o.ldap.SRVDomain == "" && !o.bare {
		people, err := newPeople(o.ldap.Base)
		if err != nil {
			return exit(stderr, exitUsage, err)
		}
		defer people.Close()
		if err := people.Start("127.0.0.1:0"); err != nil {
			return exit(stderr, exitFault, err)
		}
		ldapURL = people.URL()
		o.ldap.URLs = []string{ldapURL}
	}
	app, err := build(o, log)
	if err != nil {
		return exit(stderr, exitUsage, err)
	}
	err = serve(ctx, o, app, ldapURL, stdout, log)
	if err := errors.Join(err, app.close()); err != nil {
		return exit(stderr, exitFault, err)
	}
	log.Info("stopped")
	return exitOK
}

// exit says in one line why the program ends, and returns its status.
func exit(stderr io.Writer, status int, err error) int {
	// Nobody is left to tell that standard error is closed.
	_, _ = fmt.Fprintln(stderr, "example: "+cli.OneLine(err))
	return status
}

// serve answers requests until ctx ends, and then lets those under way come
// to their end. ldapURL is that of the embedded directory, or empty.
func serve(ctx context.Context, o options, a *app, ldapURL string, stdout io.Writer, log *slog.Logger) error {
	listener, err := listen(o.addr)
	if err != nil {
		return err
	}
	server := newServer(a, log)
	scheme := "http"
	if len(a.certificates) > 0 {
		scheme = "https"
	}
	if err := greet(stdout, o, scheme+"://"+listener.Addr().String(), ldapURL); err != nil {
		return errors.Join(err, listener.Close())
	}
	if ldapURL != "" && exposed(listener.Addr().String()) {
		log.Warn("other machines can reach this address, and the passwords of the embedded directory are known to everybody")
	}
	stopped := make(chan error, 1)
	forget := context.AfterFunc(ctx, func() { stopped <- shutdown(server) })
	defer forget()
	if scheme == "https" {
		err = server.ServeTLS(listener, "", "")
	} else {
		err = server.Serve(listener)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// listen listens on the address of -addr.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("-addr: %w; port 0 picks a free one", err)
	}
	if err != nil {
		return nil, fmt.Errorf("-addr: %w", err)
	}
	return l, nil
}

// newServer returns a server that no slow client can hold for ever.
func newServer(a *app, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           a.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute, // 10 MiB of attachments at 1.5 Mbit/s
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, Certificates: a.certificates},
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// shutdown stops server within ten seconds. Who is not done by then is cut
// off, which is no fault of the program.
func shutdown(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	return err
}

// greet tells where the tracker is and who can log in. Scripts read the first
// line.
func greet(stdout io.Writer, o options, url, ldapURL string) error {
	if _, err := fmt.Fprintf(stdout, "listening on %s\n", url); err != nil {
		return err
	}
	open := url + o.baseURL.context + "/"
	if o.baseURL.origin != "" {
		open = o.baseURL.String() + "/"
	}
	if _, err := fmt.Fprintf(stdout, "open %s in a browser\n", open); err != nil {
		return err
	}
	if ldapURL == "" {
		return nil
	}
	return printPeople(stdout, ldapURL, o.ldap.Base)
}
