package provider

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// Clients has all applications: configured ones, and those in this Caddy, which
// come and go with their sites. It is safe for concurrent use.
type Clients struct {
	configured map[string]*party

	mu      sync.RWMutex
	builtin map[string]*party
}

// NewClients checks the clients of a configuration.
func NewClients(configured []Client) (*Clients, error) {
	c := &Clients{configured: make(map[string]*party), builtin: make(map[string]*party)}
	for _, client := range configured {
		if err := check(&client); err != nil {
			return nil, fmt.Errorf("client %q: %w", client.ID, err)
		}
		if c.configured[client.ID] != nil {
			return nil, fmt.Errorf("client %q: the id appears twice", client.ID)
		}
		c.configured[client.ID] = &party{Client: client}
	}
	return c, nil
}

// find returns the client with an id, or nil.
func (c *Clients) find(id string) *party {
	if p := c.configured[id]; p != nil {
		return p
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.builtin[id]
}

// isBuiltin reports whether an id is that of a client in this Caddy.
func (c *Clients) isBuiltin(id string) bool {
	p := c.find(id)
	return p != nil && p.builtin != nil
}

// Name returns the display name of a client; "" if it is unknown.
func (c *Clients) Name(id string) string {
	if p := c.find(id); p != nil {
		return p.DisplayName()
	}
	return ""
}

// Initiate returns where an application begins a login that a third party initiates
// (OpenID Connect Core 4); "" if it has no such address. Sites in this Caddy are
// one client, so they are identified by their hosts.
func (c *Clients) Initiate(idOrHost string) string {
	if p := c.find(idOrHost); p != nil && p.builtin == nil {
		return p.InitiateLoginURI
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, p := range c.builtin {
		for _, r := range p.builtin {
			if r.Initiate == nil {
				continue
			}
			if address := r.Initiate(idOrHost); address != "" {
				return address
			}
		}
	}
	return ""
}

// Builtin returns the ids of the clients in this Caddy.
func (c *Clients) Builtin() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	ids := make([]string, 0, len(c.builtin))
	for id := range c.builtin {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Receives reports whether a client has to be notified of ended sessions.
func (c *Clients) Receives(id string) bool {
	p := c.find(id)
	return p != nil && (p.builtin != nil || p.BackchannelLogoutURI != "")
}

// add registers a client in this Caddy, and returns a function that removes it.
func (c *Clients) add(client builtin.Client) (remove func(), err error) {
	switch {
	case client.ID == "":
		return nil, errors.New("a client needs an id")
	case client.Allows == nil:
		return nil, fmt.Errorf("client %q: Allows is missing", client.ID)
	case c.configured[client.ID] != nil:
		return nil, fmt.Errorf("client %q: the id is that of a client of the configuration", client.ID)
	}
	registered := &client
	c.mu.Lock()
	defer c.mu.Unlock()
	c.builtin[client.ID] = builtinParty(append(c.registrations(client.ID), registered))
	return sync.OnceFunc(func() { c.remove(registered) }), nil
}

func (c *Clients) remove(registered *builtin.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := slices.DeleteFunc(c.registrations(registered.ID), func(other *builtin.Client) bool { return other == registered })
	if len(rest) == 0 {
		delete(c.builtin, registered.ID)
		return
	}
	c.builtin[registered.ID] = builtinParty(rest)
}

// registrations returns a copy, because parties in use must not change.
func (c *Clients) registrations(id string) []*builtin.Client {
	if p := c.builtin[id]; p != nil {
		return slices.Clone(p.builtin)
	}
	return nil
}

func builtinParty(registrations []*builtin.Client) *party {
	p := &party{builtin: registrations}
	p.ID = registrations[0].ID
	for _, r := range registrations {
		if p.Name == "" {
			p.Name = r.Name
		}
	}
	return p
}

// publicOrigins returns the origins of public clients, the only ones that call the
// token endpoint from a browser.
func (c *Clients) publicOrigins() map[string]bool {
	origins := make(map[string]bool)
	for _, p := range c.configured {
		if !p.Public {
			continue
		}
		for _, uri := range p.RedirectURIs {
			if origin, ok := originOf(uri); ok {
				origins[origin.String()] = true
			}
		}
	}
	return origins
}

// originOf returns the origin of a URL of HTTP.
func originOf(rawURL string) (address.Origin, bool) {
	scheme, rest, ok := cutScheme(rawURL)
	if !ok {
		return address.Origin{}, false
	}
	end := len(rest)
	for i := range len(rest) {
		if rest[i] == '/' || rest[i] == '?' || rest[i] == '#' {
			end = i
			break
		}
	}
	return address.FromRequest(scheme, rest[:end])
}
