package flow

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// This file publishes protected resource metadata (RFC 9728), which tells programs
// where to get tokens for a site, and checks which part of the site a token is for.

// resourcePrefix precedes the path of a resource in the path of its metadata (RFC
// 9728, section 3).
const resourcePrefix = "/.well-known/oauth-protected-resource"

// Resource configures the metadata. Each path that a private route covers is a
// resource.
type Resource struct {
	Name          string
	Scopes        []string
	Documentation string
	// Issuers are the issuers whose tokens are accepted.
	Issuers []string
	// Pinned is the host name of base_url; empty if there is none.
	Pinned string
	// Hosts returns the host names of the site. Patterns and placeholders among
	// them are ignored.
	Hosts func() []string
	// Covers reports whether a private route covers a path.
	Covers func(r *http.Request, path string) bool
}

// IsHost reports whether the configuration gives the site this host name. Clients
// may send any name in Host.
func (s *Resource) IsHost(name string) bool {
	if s.Pinned != "" {
		return strings.EqualFold(name, s.Pinned)
	}
	return slices.ContainsFunc(s.Hosts(), func(host string) bool {
		return !httpconfig.HasPlaceholder(host) && !strings.Contains(host, "*") && strings.EqualFold(name, host)
	})
}

// IsAudience reports whether an audience is the URL of a part of the site.
func (s *Resource) IsAudience(audience string) bool {
	u, err := url.Parse(audience)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || strings.ContainsAny(audience, "?#") {
		return false
	}
	return u.Host != "" && s.IsHost(u.Hostname())
}

// resourceOrigin returns the origin of the request if the configuration names its
// host; else "".
func (x *request) resourceOrigin() string {
	s := x.Scope()
	if x.Resource == nil || s == nil || !x.Resource.IsHost(s.Origin.Hostname()) {
		return ""
	}
	return s.Origin.String()
}

// covers reports whether a path is a resource.
func (x *request) covers(path string) bool {
	if path == "" {
		path = "/"
	}
	return address.Plain(path) && x.Resource.Covers(x.R, path)
}

// resourceMetadataURL returns the URL of the metadata of the requested resource; ""
// if there is none. On public routes it is that of the nearest private parent path.
func (x *request) resourceMetadataURL() string {
	origin := x.resourceOrigin()
	if origin == "" {
		return ""
	}
	path := x.Server.OriginalURL(x.R).Path
	for {
		path = strings.TrimSuffix(path, "/")
		if x.covers(path) {
			return origin + resourcePrefix + path
		}
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return ""
		}
		path = path[:i]
	}
}

// isForResource reports whether the request is for one of the resources or a path
// below one.
func (x *request) isForResource(resources []string) bool {
	origin := x.resourceOrigin()
	path := x.Server.OriginalURL(x.R).Path
	plain := address.HasOneReading(x.Server.OriginalURL(x.R), x.R.URL)
	return origin != "" && slices.ContainsFunc(resources, func(resource string) bool {
		at, ours := strings.CutPrefix(resource, origin)
		at = strings.TrimSuffix(at, "/")
		switch {
		case !ours || at != "" && at[0] != '/':
			return false
		case at == "":
			return true
		}
		rest, below := strings.CutPrefix(path, at)
		return plain && below && (rest == "" || rest[0] == '/')
	})
}

// resourceMetadata is the metadata document (RFC 9728, section 2).
type resourceMetadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers,omitempty"`
	ScopesSupported      []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	Name                 string   `json:"resource_name,omitempty"`
	Documentation        string   `json:"resource_documentation,omitempty"`
}

var resourceEndpoint = endpoint{serve: serveResourceMetadata, methods: []string{http.MethodGet, http.MethodHead, http.MethodOptions}}

// resourceEndpointAt returns the metadata endpoint if path may be one.
func (in *Instance) resourceEndpointAt(path string) (call Call, found bool) {
	rest, found := strings.CutPrefix(path, resourcePrefix)
	if !found || in.Resource == nil || rest != "" && rest[0] != '/' {
		return Call{}, false
	}
	return Call{endpoint: resourceEndpoint, at: in, known: true}, true
}

// serveResourceMetadata serves the metadata. It is the same for all, so pages of
// any origin may read it.
func serveResourceMetadata(x *Exchange, _ *Provider) error {
	original := x.Server.OriginalURL(x.R)
	path := strings.TrimSuffix(strings.TrimPrefix(original.Path, resourcePrefix), "/")
	origin := x.resourceOrigin()
	if origin == "" || original.RawPath != "" || !x.covers(path) {
		if other := x.siblingWithResource(path); other != nil {
			return serveResourceMetadata(other, nil)
		}
		return x.errorPage(http.StatusNotFound, &Failure{Code: errorcode.BadRequest, Cause: errorcode.ErrNoEndpoint}, "")
	}
	document, err := json.Marshal(resourceMetadata{
		Resource: origin + path, AuthorizationServers: x.Resource.Issuers, ScopesSupported: x.Resource.Scopes,
		BearerMethods: []string{"header"}, Name: x.Resource.Name, Documentation: x.Resource.Documentation,
	})
	if err != nil {
		return &Error{Status: http.StatusInternalServerError, Err: fmt.Errorf("write the resource metadata: %w", err)}
	}
	header := x.header()
	pages.StrictSecurityHeaders(header)
	header.Set("Access-Control-Allow-Origin", "*")
	if x.R.Method == http.MethodOptions {
		header.Set("Access-Control-Allow-Methods", "GET, HEAD")
		header.Set("Access-Control-Allow-Headers", "*")
		header.Set("Access-Control-Max-Age", "300")
		x.W.WriteHeader(http.StatusNoContent)
		return nil
	}
	header.Set("Cache-Control", "max-age=300")
	header.Set("Content-Type", "application/json")
	_, _ = x.W.Write(document)
	return nil
}

// siblingWithResource returns the exchange at the first sibling that has the
// resource, or nil.
func (x *Exchange) siblingWithResource(path string) *Exchange {
	for _, in := range x.Siblings {
		if in.Resource == nil {
			continue
		}
		if other := in.At(x.W, x.R, x.State); other.resourceOrigin() != "" && other.covers(path) {
			return &other
		}
	}
	return nil
}
