package oidcrp

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// revokeRequest says which sessions are to end: those of a user, one of the
// provider's sessions, or all.
type revokeRequest struct {
	Subject string `json:"subject,omitempty"` // sub
	SID     string `json:"sid,omitempty"`
	All     bool   `json:"all,omitempty"`

	// Provider is the id of the one that the user or session is of; empty for
	// each. Sites may have providers of their own by one id: then it is each of
	// these.
	Provider string `json:"provider,omitempty"`
	// Issuer is the one that the user or session is of; empty for that of each
	// provider that has only one.
	Issuer string `json:"issuer,omitempty"`
}

// revocationAnswer is what was ended.
type revocationAnswer struct {
	Ended []endedSessions `json:"ended"`
}

type endedSessions struct {
	Kind      string   `json:"kind"` // subject, sid or all
	Issuer    string   `json:"issuer,omitempty"`
	Providers []string `json:"providers,omitempty"` // those that have the issuer
}

// revokeSessions ends sessions that began until now, and answers when that is
// kept. It keeps nobody from signing in again.
func (a *App) revokeSessions(r *http.Request) (any, error) {
	var asked revokeRequest
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	ended, err := asked.check(a)
	if err != nil {
		return nil, adminError(http.StatusBadRequest, "%w", err)
	}
	now := a.clock.Now()
	at := now.Add(flow.ClocksApart)
	// Longer than any session lasts, whatever the lifetimes were when it began.
	until := now.Add(maxLifetime + sessionstore.RevocationMargin)
	events := make([]revocation.Event, 0, len(ended))
	for _, e := range ended {
		switch e.Kind {
		case "all":
			events = append(events, revocation.ForAll(at, until))
		case "subject":
			events = append(events, revocation.ForSubject(e.Issuer, asked.Subject, at, until))
		case "sid":
			events = append(events, revocation.ForSID(e.Issuer, asked.SID, at, until))
		}
	}
	if err := a.shared.Revoke(r.Context(), events...); err != nil {
		return nil, adminError(http.StatusServiceUnavailable, "it could not be kept, so that other instances do not know, nor this one after a restart; try again: %w", err)
	}
	for _, e := range ended {
		event := audit.Event{Kind: audit.Revoked, Message: "sessions revoked", Via: "admin_api", Client: remoteIP(r),
			Provider: strings.Join(e.Providers, ","), Issuer: e.Issuer, Subject: asked.Subject, SID: asked.SID}
		a.auditLogger.LogAttrs(r.Context(), event.Level, event.Message, append(event.Attrs(), slog.String("kind", e.Kind))...)
	}
	return revocationAnswer{ended}, nil
}

// check returns what is to be ended, or names the field that is wrong.
func (asked *revokeRequest) check(a *App) (ended []endedSessions, err error) {
	kind, err := asked.kind()
	if err != nil {
		return nil, err
	}
	if kind == "all" {
		return []endedSessions{{Kind: kind}}, nil
	}
	found := false
	for _, u := range a.usedProviders() {
		if asked.Provider != "" && u.ID != asked.Provider {
			continue
		}
		found = true
		if asked.Issuer != "" && !u.Client.Discovery.IsIssuer(asked.Issuer) {
			continue
		}
		issuer, err := u.oneIssuer(asked.Issuer)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(ended, func(e endedSessions) bool { return e.Issuer == issuer })
		if i < 0 {
			ended = append(ended, endedSessions{Kind: kind, Issuer: issuer})
			i = len(ended) - 1
		}
		if !slices.Contains(ended[i].Providers, u.ID) {
			ended[i].Providers = append(ended[i].Providers, u.ID)
		}
	}
	switch {
	case !found && asked.Provider != "":
		return nil, fmt.Errorf("provider: there is none with the id %q", asked.Provider)
	case !found:
		return nil, errors.New("the configuration has no provider")
	case len(ended) == 0:
		return nil, fmt.Errorf("issuer: %q is not the issuer of such a provider", asked.Issuer)
	}
	return ended, nil
}

// kind returns which one of subject, sid and all the request names.
func (asked *revokeRequest) kind() (kind string, err error) {
	for _, named := range []struct {
		kind  string
		given bool
	}{{"subject", asked.Subject != ""}, {"sid", asked.SID != ""}, {"all", asked.All}} {
		if named.given && kind != "" {
			return "", fmt.Errorf("%s: excludes %s", named.kind, kind)
		}
		if named.given {
			kind = named.kind
		}
	}
	return kind, optioncheck.First(
		optioncheck.Refuse("", kind == "", "one of subject, sid and all says what to end"),
		optioncheck.Refuse("provider", kind == "all" && asked.Provider != "", "provider: all ends the sessions of every provider"),
		optioncheck.Refuse("issuer", kind == "all" && asked.Issuer != "", "issuer: all ends the sessions of every issuer"),
	)
}

// oneIssuer returns the issuer that revocations of a user of the provider are kept
// under. The name is that of one of the provider's tenants where it has many,
// else it may be empty.
func (p *provider) oneIssuer(name string) (string, error) {
	if p.Mapping.Tenants == "" {
		return p.Mapping.Issuer, nil
	}
	if issuer := p.Mapping.RevocationIssuer(name); issuer != p.Mapping.Issuer {
		return issuer, nil
	}
	// An address that looks like one for many tenants may be a single issuer's.
	if _, metadata := p.Client.Discovery.Health(); metadata != nil && !metadata.Tenants() {
		return p.Mapping.Issuer, nil
	}
	return "", fmt.Errorf("issuer: provider %s has many tenants, each an issuer of its own: name that of the user's tenant, as %s", p.ID, p.Mapping.Tenants)
}

// remoteIP is the address of the admin API's caller.
func remoteIP(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}
