package ldapdir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// lookupTimeout bounds one round of questions to the DNS: two tries at
	// each of two name servers.
	lookupTimeout = 20 * time.Second
	// maxNodes bounds what DNS can make us keep: who answers for it chooses
	// the number of records.
	maxNodes = 64
)

// A discovery finds the addresses of the servers. One goroutine uses it.
type discovery struct {
	config   Config
	machine  string // spreads the order; empty: it is the same everywhere
	patience time.Duration
	report   func(Operation)

	// What is known: an answer that does not come changes nothing.
	servers   []server
	addresses map[string][]netip.Addr // by host
}

// fixed reports whether no name has to be looked up, and fills in the
// addresses of those that have their own.
func (r *discovery) fixed() bool {
	r.addresses = make(map[string][]netip.Addr)
	fixed := r.config.Domain == ""
	for _, s := range r.servers {
		ip, err := netip.ParseAddr(s.host)
		if err != nil {
			fixed = false
			continue
		}
		r.addresses[s.host] = []netip.Addr{ip}
	}
	return fixed
}

// round asks for everything once and hands on the endpoints: when all answers
// are there, and before that when its patience is over and with each answer
// from then on, so that one name server that is down does not hold up the nodes
// that are known.
func (r *discovery) round(ctx context.Context, publish func([]endpoint)) error {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	early := time.NewTimer(r.patience)
	defer early.Stop()
	var errs []error
	if r.config.Domain != "" {
		found, err := r.discover(ctx)
		if err == nil {
			r.servers = found
		}
		errs = append(errs, err)
	}
	answers, hosts := r.lookups(ctx)
	impatient := false
	for hosts > 0 {
		select {
		case a := <-answers:
			hosts--
			if a.err == nil {
				r.addresses[a.host] = a.addresses
			}
			errs = append(errs, a.err)
		case <-early.C:
			impatient = true
		}
		if impatient {
			publish(r.endpoints())
		}
	}
	publish(r.endpoints())
	return errors.Join(errs...)
}

// An answer is what DNS said about a host.
type answer struct {
	host      string
	addresses []netip.Addr
	err       error
}

// lookups asks for the addresses of all hosts at once.
func (r *discovery) lookups(ctx context.Context) (<-chan answer, int) {
	known := make(map[string]bool)
	for _, s := range r.servers {
		_, noIP := netip.ParseAddr(s.host)
		if noIP != nil {
			known[s.host] = true
		}
	}
	answers := make(chan answer, len(known))
	var wg sync.WaitGroup
	for host := range known {
		wg.Go(func() { answers <- r.lookup(ctx, host) })
	}
	return answers, len(known)
}

func (r *discovery) lookup(ctx context.Context, host string) answer {
	began := time.Now()
	addresses, err := r.resolver().LookupNetIP(ctx, "ip", host)
	r.report(Operation{Kind: "resolve", Server: host, Detail: "addresses", Results: len(addresses), Took: time.Since(began), Err: err})
	for i := range addresses {
		addresses[i] = addresses[i].Unmap()
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return answer{host, slices.Compact(addresses), err}
}

func (r *discovery) resolver() *net.Resolver { return cmp.Or(r.config.Resolver, net.DefaultResolver) }

// discover returns the servers of the domain, those of the site first.
func (r *discovery) discover(ctx context.Context) (all []server, err error) {
	domain := strings.TrimSuffix(r.config.Domain, ".") + "."
	if r.config.Site != "" {
		// A site without servers of its own is served by the others.
		all, err = r.records(ctx, r.config.Site+"._sites."+domain, 0)
		if err != nil && !notFound(err) {
			return nil, err
		}
	}
	others, err := r.records(ctx, domain, 1)
	if err != nil && (len(all) == 0 || !notFound(err)) {
		return nil, err
	}
	for _, s := range others {
		if !slices.ContainsFunc(all, func(o server) bool { return o.url == s.url }) {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the domain %s names no servers", domain)
	}
	// The order of the answers is random. What is left out must stay left out.
	slices.SortFunc(all, func(a, b server) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.weight, a.weight), cmp.Compare(a.url, b.url))
	})
	return all[:min(len(all), maxNodes)], nil // each is a question of its own
}

// records returns the servers that the SRV records below the name stand for.
// Active Directory has no records of _ldaps, but answers on 636 wherever it
// has a certificate.
func (r *discovery) records(ctx context.Context, name string, tier int) ([]server, error) {
	if r.config.StartTLS {
		found, err := r.lookupSRV(ctx, "ldap", name)
		return r.targets(found, tier, 0), err
	}
	found, err := r.lookupSRV(ctx, "ldaps", name)
	if err == nil || !notFound(err) {
		return r.targets(found, tier, 0), err
	}
	found, err = r.lookupSRV(ctx, "ldap", name)
	return r.targets(found, tier, 636), err
}

func (r *discovery) lookupSRV(ctx context.Context, service, name string) ([]*net.SRV, error) {
	began := time.Now()
	_, found, err := r.resolver().LookupSRV(ctx, service, "tcp", name)
	r.report(Operation{Kind: "resolve", Server: "_" + service + "._tcp." + name, Detail: "SRV", Results: len(found), Took: time.Since(began), Err: err})
	if len(found) > 0 {
		err = nil // some records are no names of machines; the library has left them out
	}
	return found, err
}

// notFound reports whether the DNS says that there is no such name.
func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// targets returns the servers of the records. A port other than 0 is taken in
// place of the record's.
func (r *discovery) targets(records []*net.SRV, tier int, port uint16) (all []server) {
	scheme := "ldaps"
	if r.config.StartTLS {
		scheme = "ldap"
	}
	domain := strings.ToLower(strings.TrimSuffix(r.config.Domain, "."))
	for _, record := range records {
		host := strings.ToLower(strings.TrimSuffix(record.Target, "."))
		if host == "" {
			continue // "the service is decidedly not available", RFC 2782
		}
		// Whoever forges DNS can name any machine, and own a certificate for
		// it, but not for one in the domain.
		name := host
		if host != domain && !strings.HasSuffix(host, "."+domain) {
			name = domain
		}
		number := fmt.Sprint(cmp.Or(port, record.Port))
		all = append(all, server{
			url: scheme + "://" + net.JoinHostPort(host, number), host: host, port: number,
			tls: r.config.tlsFor(name), startTLS: r.config.StartTLS,
			rank: tier<<16 | int(record.Priority), weight: int(record.Weight),
		})
	}
	return all
}

// endpoints returns the addresses of the servers, in order.
func (r *discovery) endpoints() []endpoint {
	var all []endpoint
	for _, s := range r.servers {
		addresses := r.addresses[s.host]
		for _, ip := range addresses {
			if s.loopback && !ip.IsLoopback() {
				continue // "localhost" of somebody who answers for our DNS
			}
			e := endpoint{server: s, name: s.url, address: net.JoinHostPort(ip.String(), s.port)}
			// Also where there is one address: the name may have another one next
			// time, which is another server with data of its own.
			if ip.String() != s.host {
				e.name += " (" + ip.String() + ")"
			}
			all = append(all, e)
		}
	}
	sortEndpoints(all, r.machine)
	return all[:min(len(all), maxNodes)]
}

// resolve keeps the nodes as DNS has them, until Close. While it fails, it
// asks more often.
func (d *Dir) resolve(r *discovery) {
	failures := 0
	for d.base.Err() == nil {
		err := r.round(d.base, d.setNodes)
		d.resolved(err)
		wait := d.config.ResolveEvery
		failures++
		if err == nil {
			failures = 0
		} else {
			wait = min(wait, time.Second<<min(failures-1, 10))
		}
		select {
		case <-time.After(wait):
		case <-d.base.Done():
		}
	}
}

// resolved notes how a round went. After the first one no call waits, whether
// there are nodes or not.
func (d *Dir) resolved(err error) {
	d.mu.Lock()
	if err != nil && d.base.Err() == nil && (d.unresolved == nil || d.unresolved.Error() != err.Error()) {
		d.log.Warn("names of the directory cannot be resolved; what is known stays", "error", err, "nodes", len(d.nodes))
	}
	d.unresolved = err
	d.mu.Unlock()
	d.letIn()
	d.lookedOnce.Do(func() { close(d.looked) })
}

// letIn lets in the calls that waited for nodes.
func (d *Dir) letIn() { d.openOnce.Do(func() { close(d.open) }) }

// Resolve waits until the names of the servers have been looked up once, for
// Config.Timeout at most. The error is [directory.ErrUnavailable] when no node
// is known then. Calls wait by themselves, and for the first nodes alone; it is
// for whoever wants to see all.
func (d *Dir) Resolve(ctx context.Context) error {
	ctx, end, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	select {
	case <-d.looked:
	case <-ctx.Done(): // some names are still unknown
	}
	return nil
}
