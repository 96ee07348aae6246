package ldapdir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// watch checks nodes in the background when it is time to, until Close. So
// no call ever tries a node that has failed, and one that recovers comes back
// by itself.
func (d *Dir) watch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-d.kicked:
		case <-d.base.Done():
			return
		}
		timer.Reset(d.startChecks())
	}
}

// kick has watch look at once.
func (d *Dir) kick() {
	select {
	case d.kicked <- struct{}{}:
	default:
	}
}

// startChecks starts the checks that are due and returns the time to the next
// one. Each has a goroutine, so that a node that hangs does not hold up the
// checks of others.
func (d *Dir) startChecks() time.Duration {
	nodes, current := d.list()
	alone, r := true, better
	for _, n := range nodes {
		alone = alone && !n.up()
	}
	next := time.Hour
	for _, n := range nodes {
		if n == current {
			r = serving
		}
		at, ok := n.due(r, alone)
		if n == current {
			r = standby
		}
		if !ok {
			continue
		}
		wait := time.Until(at)
		if wait > 0 {
			next = min(next, wait)
			continue
		}
		n.beginCheck()
		d.wg.Go(func() {
			d.checkNode(n)
			d.kick()
		})
	}
	return next
}

// checkNode checks one node and draws the conclusions.
func (d *Dir) checkNode(n *node) {
	ctx, cancel := context.WithTimeout(d.base, d.config.Timeout/2)
	defer cancel()
	began := time.Now()
	err := d.check(ctx, n)
	took := time.Since(began)
	d.report(ctx, Operation{Kind: "probe", Server: n.name, BaseDN: d.probeBase(), Took: took, Err: err})
	v := judge(err, true)
	if hasCode(err, ldap.LDAPResultNoSuchObject) || hasCode(err, ldap.LDAPResultAdminLimitExceeded) {
		// A server without its data, as while it is loaded, knows nobody. One
		// that has too much to say about one name floods every search.
		v = failing
	}
	back, failed := n.endCheck(v, err, took)
	switch {
	case failed:
		d.lost(d.base, n, err)
	case back:
		d.log.Info("directory node answers again", "server", n.name)
		d.choose(d.base)
	}
	d.failBack(d.base)
}

// probeBase is what a check reads: the base of the searches that each login
// makes. A service that may not search reads the rootDSE, which every server
// shows.
func (d *Dir) probeBase() string {
	switch {
	case d.config.UserDNTemplate == "":
		return d.config.UserBaseDN
	case d.config.BindDN != "":
		return d.config.GroupBaseDN
	}
	return ""
}

// probe makes a real search, since a server that hangs still accepts
// connections. One that is up is asked over a connection that calls use,
// which keeps that alive; one that is down over a new one.
func (d *Dir) probe(ctx context.Context, n *node) error {
	request := d.request(ctx, d.probeBase(), "(objectClass=*)", []string{"1.1"})
	request.Scope = ldap.ScopeBaseObject
	w, err := d.probeWay(ctx, n)
	if err == nil {
		defer w.close()
		_, err = w.search(ctx, request)
	}
	if err == nil {
		err = w.compareChanges(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) && d.base.Err() == nil {
		return fmt.Errorf("no answer to a search within %v: %w", d.config.Timeout/2, err)
	}
	return err
}

// probeWay returns the way that a check goes.
func (d *Dir) probeWay(ctx context.Context, n *node) (*way, error) {
	if n.up() {
		return n.shared(), nil
	}
	return n.opinion(ctx, nil)
}

// changesBase returns the entry of which the last changes are read.
func (d *Dir) changesBase() string {
	if d.probeBase() == "" {
		return ""
	}
	return cmp.Or(d.config.BaseDN, d.probeBase())
}

// searchFresh runs a search over a connection of its own.
func (d *Dir) searchFresh(ctx context.Context, n *node, request *ldap.SearchRequest) (*ldap.SearchResult, error) {
	w, err := n.opinion(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer w.close()
	return d.search(ctx, n, request, w.search)
}
