package adminapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
)

// RevokeRequest is the body of a request for RevokePath: which sessions to end.
// Exactly one of Subject, SID and All is set.
type RevokeRequest struct {
	Subject string `json:"subject,omitempty"` // the user's sub
	SID     string `json:"sid,omitempty"`     // of a session at the provider
	All     bool   `json:"all,omitempty"`

	// Provider is the id of the provider of the user or session; empty for all
	// providers. Sites may have providers of their own with the same id; it means
	// all of these.
	Provider string `json:"provider,omitempty"`
	// Issuer is the issuer of the user or session; empty for that of each
	// provider that has only one.
	Issuer string `json:"issuer,omitempty"`
}

// RevokeResponse is the response of RevokePath.
type RevokeResponse struct {
	Revoked []Revoked `json:"ended"`
}

// Revoked is one revocation that a request causes.
type Revoked struct {
	Kind      string   `json:"kind"` // subject, sid or all
	Issuer    string   `json:"issuer,omitempty"`
	Providers []string `json:"providers,omitempty"` // those with the issuer
}

// The kinds of a revocation.
const (
	kindSubject = "subject"
	kindSID     = "sid"
	kindAll     = "all"
)

// Check returns the revocations that a request means with the given providers.
// An Error with status 400 names the field that is wrong.
func (q *RevokeRequest) Check(providers []Provider) ([]Revoked, error) {
	kind, err := q.kind()
	if err != nil {
		return nil, Error{http.StatusBadRequest, err}
	}
	if kind == kindAll {
		return []Revoked{{Kind: kind}}, nil
	}
	revoked, err := q.perIssuer(kind, providers)
	if err != nil {
		return nil, Error{http.StatusBadRequest, err}
	}
	return revoked, nil
}

// perIssuer returns one revocation for each issuer of the providers that the
// request names.
func (q *RevokeRequest) perIssuer(kind string, providers []Provider) (revoked []Revoked, err error) {
	found := false
	for _, p := range providers {
		if q.Provider != "" && p.ID != q.Provider {
			continue
		}
		found = true
		if q.Issuer != "" && !p.Discovery.IsIssuer(q.Issuer) {
			continue
		}
		issuer, err := p.revocationIssuer(q.Issuer)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(revoked, func(r Revoked) bool { return r.Issuer == issuer })
		if i < 0 {
			revoked = append(revoked, Revoked{Kind: kind, Issuer: issuer})
			i = len(revoked) - 1
		}
		if !slices.Contains(revoked[i].Providers, p.ID) {
			revoked[i].Providers = append(revoked[i].Providers, p.ID)
		}
	}
	switch {
	case !found && q.Provider != "":
		return nil, fmt.Errorf("provider: there is none with the id %q", q.Provider)
	case !found:
		return nil, errors.New("the configuration has no provider")
	case len(revoked) == 0:
		return nil, fmt.Errorf("issuer: %q is not the issuer of such a provider", q.Issuer)
	}
	return revoked, nil
}

// kind returns which of subject, sid and all the request has.
func (q *RevokeRequest) kind() (kind string, err error) {
	for _, named := range []struct {
		kind  string
		given bool
	}{{kindSubject, q.Subject != ""}, {kindSID, q.SID != ""}, {kindAll, q.All}} {
		if named.given && kind != "" {
			return "", fmt.Errorf("%s: excludes %s", named.kind, kind)
		}
		if named.given {
			kind = named.kind
		}
	}
	return kind, optioncheck.First(
		optioncheck.Refuse("", kind == "", "one of subject, sid and all is required"),
		optioncheck.Refuse("provider", kind == kindAll && q.Provider != "", "provider: all ends the sessions of every provider"),
		optioncheck.Refuse("issuer", kind == kindAll && q.Issuer != "", "issuer: all ends the sessions of every issuer"),
	)
}

// revocationIssuer returns the issuer that revocations of the provider's users are
// stored with. name must be one of the provider's tenants if it has many; otherwise
// it may be empty.
func (p *Provider) revocationIssuer(name string) (string, error) {
	if p.Mapping.Tenants == "" {
		return p.Mapping.Issuer, nil
	}
	if issuer := p.Mapping.RevocationIssuer(name); issuer != p.Mapping.Issuer {
		return issuer, nil
	}
	// A URL that looks like one for many tenants may still be that of a single
	// issuer.
	if _, metadata := p.Discovery.Health(); metadata != nil && !metadata.Tenants() {
		return p.Mapping.Issuer, nil
	}
	return "", fmt.Errorf("issuer: provider %s has many tenants, each an issuer of its own: name that of the user's tenant, as %s", p.ID, p.Mapping.Tenants)
}

// Events returns the events for checked revocations. They end the sessions that
// began before at, and are stored until until.
func (q *RevokeRequest) Events(revoked []Revoked, at, until time.Time) []revocation.Event {
	events := make([]revocation.Event, 0, len(revoked))
	for _, r := range revoked {
		switch r.Kind {
		case kindAll:
			events = append(events, revocation.ForAll(at, until))
		case kindSubject:
			events = append(events, revocation.ForSubject(r.Issuer, q.Subject, at, until))
		case kindSID:
			events = append(events, revocation.ForSID(r.Issuer, q.SID, at, until))
		}
	}
	return events
}
