package broker

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/crewjam/saml"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// This file provides the entity ID, address and certificates of a SAML identity
// provider, from metadata at a URL or in a file, or from options.

const (
	maxMetadata     = 8 << 20
	metadataTimeout = 10 * time.Second
	// Metadata is fetched again as it says, within these limits.
	metadataAge, metadataMin, metadataMax = time.Hour, 5 * time.Minute, 24 * time.Hour
	metadataRetry                         = 30 * time.Second
)

// samlSource is the source of a provider's description.
type samlSource struct {
	b        *Broker
	external *external
	entityID string
	pinned   *x509.Certificate // nil to use the certificates in metadata
	fixed    *saml.EntityDescriptor
	file     *livefile.Value[*saml.EntityDescriptor]
	url      string
	http     *http.Client

	fetching sync.Mutex
	mu       sync.Mutex
	good     *saml.EntityDescriptor
	next     time.Time // when to fetch it again
	err      error     // result of the last attempt
}

func (b *Broker) newSource(e *external) (*samlSource, error) {
	c, expand := e.SAML, placeholder.Expander{Replace: b.Expand}
	s := &samlSource{b: b, external: e}
	var endpoint string
	for _, option := range []struct {
		name, text string
		to         *string
	}{{"metadata", c.Metadata, &s.url}, {"entity_id", c.EntityID, &s.entityID}, {"endpoint", c.Endpoint, &endpoint}} {
		text, err := expand.Expand(option.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", option.name, err)
		}
		*option.to = text
	}
	if err := s.pin(c.Certificate); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	switch {
	case endpoint != "":
		return s, s.byHand(endpoint)
	case isURL(s.url):
		return s, s.byURL()
	}
	return s, s.byFile(s.url)
}

func (s *samlSource) pin(option string) error {
	if option == "" {
		return nil
	}
	if certificate, err := parseCertificate(option); err == nil {
		s.pinned = certificate
		return nil
	}
	text, err := s.b.readText(option)
	if err != nil {
		return err
	}
	s.pinned, err = parseCertificate(text)
	return err
}

func (s *samlSource) byHand(endpoint string) error {
	if err := op.CheckURL(endpoint, false); err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	s.fixed = s.withPin(&saml.EntityDescriptor{
		EntityID: s.entityID,
		IDPSSODescriptors: []saml.IDPSSODescriptor{{
			SSODescriptor:        saml.SSODescriptor{RoleDescriptor: saml.RoleDescriptor{ProtocolSupportEnumeration: samlProtocol}},
			SingleSignOnServices: []saml.Endpoint{{Binding: saml.HTTPRedirectBinding, Location: endpoint}},
		}},
	})
	return nil
}

func (s *samlSource) byURL() error {
	if err := checkMetadataURL(s.url, s.pinned != nil); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	s.http = &http.Client{Timeout: metadataTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return nil
}

func (s *samlSource) byFile(name string) (err error) {
	s.file, err = livefile.NewLimited(maxMetadata, s.b.Now, func(event livefile.Event) { s.b.logFile(s.external, "metadata", event) },
		func(read livefile.Read) (*saml.EntityDescriptor, error) {
			text, err := read(name)
			if err != nil {
				return nil, fmt.Errorf("metadata: %w", err)
			}
			return s.parse(text)
		})
	return err
}

func (s *samlSource) close() {
	if s.http != nil {
		s.http.CloseIdleConnections()
	}
}

// get returns the description of the provider.
func (s *samlSource) get(ctx context.Context) (*saml.EntityDescriptor, error) {
	entity, err := s.current(ctx)
	if err != nil {
		return nil, failed(Down, err)
	}
	if isExpired(entity, s.b.Now()) {
		return nil, failed(Down, errors.New("the metadata has expired"))
	}
	if other := s.b.sameEntity(s.external, entity.EntityID); other != "" {
		return nil, failed(Unconfigured, fmt.Errorf("external %s has the same entity ID; two must differ", other))
	}
	return entity, nil
}

func (s *samlSource) current(ctx context.Context) (*saml.EntityDescriptor, error) {
	switch {
	case s.fixed != nil:
		return s.fixed, nil
	case s.file != nil:
		return s.file.Get(), nil
	}
	if good, err, due := s.state(); !due {
		return good, err
	} else if good != nil && !s.fetching.TryLock() {
		return good, nil // another request is fetching it
	} else if good == nil {
		s.fetching.Lock()
	}
	defer s.fetching.Unlock()
	if good, err, due := s.state(); !due {
		return good, err
	}
	fresh, err := s.fetch(context.WithoutCancel(ctx))
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.b.Now()
	if err != nil {
		s.err, s.next = err, now.Add(metadataRetry)
		s.b.Logger.LogAttrs(ctx, slog.LevelWarn, "the metadata of an external provider cannot be had; the last good one serves while it is valid",
			slog.String("event", "external_metadata_failed"), slog.String("external", s.external.ID), slog.Bool("have", s.good != nil),
			slog.String("cause", logtext.Clean(err.Error(), maxCause)))
		if s.good == nil {
			return nil, err
		}
		return s.good, nil
	}
	s.good, s.err = fresh, nil
	s.next = now.Add(min(max(cmp.Or(fresh.CacheDuration, metadataAge), metadataMin), metadataMax))
	return s.good, nil
}

// state returns the current description, and whether it has to be fetched again.
func (s *samlSource) state() (good *saml.EntityDescriptor, err error, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.b.Now()
	if s.good == nil {
		return nil, s.err, s.err == nil || !now.Before(s.next)
	}
	return s.good, nil, !now.Before(s.next)
}

// doubt makes the metadata be fetched again soon, because a signature was made with
// an unknown key.
func (s *samlSource) doubt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if soon := s.b.Now().Add(metadataRetry); s.next.After(soon) {
		s.next = soon
	}
}

func (s *samlSource) fetch(ctx context.Context) (*saml.EntityDescriptor, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, errors.New("metadata: is not a URL")
	}
	request.Header.Set("Accept", "application/samlmetadata+xml, application/xml, text/xml")
	response, err := s.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metadata: status %d", response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxMetadata+1))
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	if len(text) > maxMetadata {
		return nil, fmt.Errorf("metadata: is larger than %d bytes", maxMetadata)
	}
	return s.parse(text)
}

// known returns the entity ID without fetching metadata; "" if it is unknown.
func (s *samlSource) known() string {
	switch {
	case s.fixed != nil || s.entityID != "":
		return s.entityID
	case s.file != nil:
		return s.file.Get().EntityID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.good == nil {
		return ""
	}
	return s.good.EntityID
}

// sameEntity returns another external provider with the same entity ID, or "".
func (b *Broker) sameEntity(e *external, entityID string) string {
	for _, other := range b.externals {
		if p, ok := other.kind.(*samlProvider); ok && other != e && !other.Disabled && p.source.known() == entityID {
			return other.ID
		}
	}
	return ""
}
