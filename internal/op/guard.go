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

// guard keeps a provider's metadata from directing requests to this machine
// (server-side request forgery). It refuses an endpoint from discovery on a
// loopback, unspecified or link-local address, by its name and by the address of
// the connection, unless the provider itself is there. Configured URLs are not
// checked.
type guard struct {
	configured map[string]bool // configured URLs, by addressKey
	named      locality        // locality of the issuer and the configuration URL, by name
	// found is where the connection led over which the metadata came.
	found atomic.Uint32
	names atomic.Pointer[map[string]string] // names of endpoints by URL
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

// addressKey returns the URL of a request that is made to text.
func addressKey(text string) string {
	request, err := http.NewRequest(http.MethodGet, text, nil)
	if err != nil {
		return ""
	}
	return request.URL.String()
}

// localError means that the guard refused an endpoint.
type localError struct {
	endpoint string // name in metadata
	host     string // host in the metadata, or an address that it resolves to
	where    locality
}

func (e *localError) Error() string {
	return fmt.Sprintf("%s: %q is a %s address, which the provider's metadata may name only if the issuer is there as well; if it is right, configure %s",
		e.endpoint, clip(e.host), e.where, e.endpoint)
}

func (g *guard) allows(where locality) bool {
	return where&^(g.named|locality(g.found.Load())) == 0
}

// checkName checks an endpoint from discovery by its host name.
func (g *guard) checkName(endpoint string, u *url.URL) error {
	if where := localityOfHost(u.Hostname()); !g.allows(where) {
		return &localError{endpoint, u.Hostname(), where}
	}
	return nil
}

// checkMetadata checks the endpoints from discovery that we call. Browsers call the
// others.
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

// nameOf returns the name of the endpoint that a request goes to.
func (g *guard) nameOf(u *url.URL) string {
	if names := g.names.Load(); names != nil && (*names)[u.String()] != "" {
		return (*names)[u.String()]
	}
	return "endpoint"
}

// control checks the address of a connection before it is made. It is a
// net.Dialer's Control, where the resolved address is known.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	if where := localityOfAddress(address); !g.allows(where) {
		return &localError{"endpoint", address, where}
	}
	return nil
}

// localityOfAddress returns the locality of a host and port. If they cannot be
// parsed, it is this machine.
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
