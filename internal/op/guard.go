package op

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"syscall"
)

// guard keeps a provider's metadata from aiming us at our own machine: an
// endpoint that discovery names on a loopback, unspecified or link-local
// address is refused, by its name and by the address that a connection leads
// to, unless the provider itself is there. Addresses of the configuration are
// the operator's word and are not judged.
type guard struct {
	configured map[string]bool // addresses, as addressKey has them
	named      locality        // of the issuer and the configuration URL, by name
	// found is where the connection led by which the metadata came.
	found atomic.Uint32
	names atomic.Pointer[map[string]string] // endpoints by their address
}

func newGuard(c *DiscoveryConfig) *guard {
	g := &guard{configured: make(map[string]bool)}
	if text := c.address(); text != "" {
		g.configured[addressKey(text)] = true
	}
	for _, row := range endpoints {
		if text := *row.field(&c.Endpoints); text != "" && row.backChannel {
			g.configured[addressKey(text)] = true
		}
	}
	for _, text := range []string{c.Issuer, c.ConfigurationURL} {
		if u, err := url.Parse(text); err == nil {
			g.named |= localityOfHost(u.Hostname())
		}
	}
	return g
}

// addressKey is the address of a request that is made to a URL.
func addressKey(text string) string {
	request, err := http.NewRequest(http.MethodGet, text, nil)
	if err != nil {
		return ""
	}
	return request.URL.String()
}

// localError is returned for an endpoint that the guard refuses.
type localError struct {
	endpoint string // by the name that metadata and configuration have
	host     string // as the metadata has it, or an address that it resolves to
	where    locality
}

func (e *localError) Error() string {
	return fmt.Sprintf("%s: %q is a %s address, which the provider's metadata may name only if the issuer is there as well; if it is right, configure %s",
		e.endpoint, clip(e.host), e.where, e.endpoint)
}

func (g *guard) allows(where locality) bool {
	return where&^(g.named|locality(g.found.Load())) == 0
}

// checkName judges an endpoint that discovery named, by its text.
func (g *guard) checkName(endpoint string, u *url.URL) error {
	if where := localityOfHost(u.Hostname()); !g.allows(where) {
		return &localError{endpoint, u.Hostname(), where}
	}
	return nil
}

// checkMetadata judges the endpoints that discovery named and that we call.
// Browsers go to the others themselves.
func (g *guard) checkMetadata(m *Metadata, own Endpoints) error {
	names := make(map[string]string)
	for _, row := range endpoints {
		address := *row.field(&m.Endpoints)
		if !row.backChannel || address == "" || *row.field(&own) != "" {
			continue
		}
		u, err := url.Parse(address)
		if err != nil {
			return fmt.Errorf("%s: is not a URL", row.name)
		}
		if err := g.checkName(row.name, u); err != nil {
			return err
		}
		names[addressKey(address)] = row.name
	}
	g.names.Store(&names)
	return nil
}

// nameOf is the endpoint that a request goes to.
func (g *guard) nameOf(u *url.URL) string {
	if names := g.names.Load(); names != nil && (*names)[u.String()] != "" {
		return (*names)[u.String()]
	}
	return "endpoint"
}

// control judges the address that a connection is about to be made to. It is a
// net.Dialer's Control: what a name resolves to is known only there.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	if where := localityOfAddress(address); !g.allows(where) {
		return &localError{"endpoint", address, where}
	}
	return nil
}

// localityOfAddress is that of a host and port. What cannot be read counts as
// this machine.
func localityOfAddress(address string) locality {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return thisMachine
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return thisMachine
	}
	return localityOf(addr)
}
