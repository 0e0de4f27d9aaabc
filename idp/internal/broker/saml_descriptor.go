package broker

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crewjam/saml"
	"github.com/crewjam/saml/samlsp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file handles metadata, theirs and ours (SAML Metadata 2.0).

const samlProtocol = "urn:oasis:names:tc:SAML:2.0:protocol"

// parse parses metadata, and returns an error if it cannot be used.
func (s *samlSource) parse(text []byte) (*saml.EntityDescriptor, error) {
	if err := checkNoDeclarations(text); err != nil {
		return nil, err
	}
	var entity *saml.EntityDescriptor
	var err error
	if s.entityID != "" {
		entity, err = samlsp.ParseMetadataByEntityID(text, s.entityID)
	} else if entity, err = samlsp.ParseMetadata(text); err != nil && bytes.Contains(text, []byte("EntitiesDescriptor")) {
		err = errors.New("metadata: it has several entities, or none that is an identity provider; choose one with entity_id")
	}
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	entity.IDPSSODescriptors = slices.DeleteFunc(entity.IDPSSODescriptors, func(role saml.IDPSSODescriptor) bool {
		return !slices.Contains(strings.Fields(role.ProtocolSupportEnumeration), samlProtocol)
	})
	entity = s.withPin(entity)
	return entity, s.check(entity)
}

// withPin removes all certificates except for the pinned one.
func (s *samlSource) withPin(entity *saml.EntityDescriptor) *saml.EntityDescriptor {
	if s.pinned == nil {
		return entity
	}
	for i := range entity.IDPSSODescriptors {
		key := saml.KeyDescriptor{Use: "signing"}
		key.KeyInfo.X509Data.X509Certificates = []saml.X509Certificate{{Data: base64.StdEncoding.EncodeToString(s.pinned.Raw)}}
		entity.IDPSSODescriptors[i].KeyDescriptors = []saml.KeyDescriptor{key}
	}
	return entity
}

func (s *samlSource) check(entity *saml.EntityDescriptor) error {
	services, certificates := 0, 0
	for _, role := range entity.IDPSSODescriptors {
		for _, service := range role.SingleSignOnServices {
			if service.Binding != saml.HTTPRedirectBinding && service.Binding != saml.HTTPPostBinding {
				continue
			}
			services++
			if err := op.CheckURL(service.Location, false); err != nil {
				return fmt.Errorf("metadata: SingleSignOnService: %w", err)
			}
		}
		for _, key := range role.KeyDescriptors {
			if key.Use == "" || key.Use == "signing" {
				certificates += len(key.KeyInfo.X509Data.X509Certificates)
			}
		}
	}
	switch {
	case entity.EntityID == "":
		return errors.New("metadata: it has no entityID")
	case services == 0:
		return errors.New("metadata: it has no SingleSignOnService with a redirect or POST binding")
	case certificates == 0:
		return errors.New("metadata: it has no certificate for signatures")
	case isExpired(entity, s.b.Now()):
		return errors.New("metadata: its validUntil has passed")
	}
	return nil
}

// isExpired reports whether metadata has expired.
func isExpired(entity *saml.EntityDescriptor, now time.Time) bool {
	over := func(until time.Time) bool { return !until.IsZero() && !now.Before(until) }
	return over(entity.ValidUntil) || slices.ContainsFunc(entity.IDPSSODescriptors, func(role saml.IDPSSODescriptor) bool {
		return role.ValidUntil != nil && over(*role.ValidUntil)
	})
}

// authenticated removes ciphers without authentication.
func authenticated(methods []saml.EncryptionMethod) []saml.EncryptionMethod {
	return slices.DeleteFunc(methods, func(m saml.EncryptionMethod) bool { return strings.HasSuffix(m.Algorithm, "-cbc") })
}

// descriptorElement returns our metadata as a document.
func descriptorElement(descriptor *saml.EntityDescriptor) ([]byte, error) {
	text, err := xml.MarshalIndent(descriptor, "", "  ")
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), text...), nil
}
