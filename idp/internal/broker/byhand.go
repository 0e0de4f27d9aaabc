package broker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crewjam/saml"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// This file links accounts on behalf of an operator. The rules about domains,
// addresses and groups do not apply.

// Named identifies an external account as an operator specifies it.
type Named struct {
	// Attempt is that of a sign-in that was Unknown. Nothing else is needed then.
	Attempt string
	// Subject is the sub of an OpenID Provider, the numeric id of OAuth 2.0, or the
	// NameID of SAML. A subject in its stored form works as well: for SAML, it
	// contains the format and the qualifiers.
	Subject string
	// Issuer is the provider's issuer. Default: that of the configuration or the
	// metadata.
	Issuer string

	// Format of a NameID: persistent, email, unspecified, or a whole name. Default:
	// none, as in a NameID that names none.
	Format string
	// NameQualifier and SPNameQualifier are those of the NameID.
	NameQualifier, SPNameQualifier string
	// Attribute reports that the subject is the value of the option username, for
	// users whose NameID is transient.
	Attribute bool
}

// Errors about an external account that is not specified correctly.
var (
	ErrNoExternal    = errors.New("there is no external provider of this id")
	ErrNoAttempt     = errors.New("there is no such attempt at the external provider; they are kept for a day")
	ErrNoSubject     = errors.New("the subject is missing: it is what the external provider calls the user")
	ErrNotSAML       = errors.New("format, qualifiers and attribute are of SAML alone")
	ErrTransient     = errors.New("a transient NameID is another one each time: set the option username, and name the value of that attribute")
	ErrManyIssuers   = errors.New("the external provider has an issuer for each tenant: name the one of the user")
	ErrUnknownIssuer = errors.New("the metadata of the external provider cannot be fetched; name its issuer, or its entity ID")
	ErrUsername      = errors.New("the external provider has no option username, which names the attribute")
)

// LinkedError means that another user has the external account.
type LinkedError struct{ UserID string }

func (e *LinkedError) Error() string { return "the external account is linked to another user" }

const (
	ticketAttempt = "external_attempt"
	attemptLasts  = 24 * time.Hour
	attemptLength = 10 // of 32 characters each
)

// keepAttempt stores a refused external account, so that an operator can link it.
// Only users of the external provider cause this, so there are not many.
func (b *Broker) keepAttempt(tx store.Tx, a *Assertion) (string, error) {
	attempt := rand.Text()[:attemptLength]
	data, err := json.Marshal(b.identityOf(a, ""))
	if err != nil {
		return "", err
	}
	now := b.Now()
	return attempt, tx.AddTicket(store.Ticket{Kind: ticketAttempt, Hash: store.HashOf(attempt), Data: data, Created: now, Expires: now.Add(attemptLasts)})
}

// takeAttempt returns the external account of an attempt.
func (b *Broker) takeAttempt(tx store.Tx, external, attempt string) (link store.Identity, err error) {
	ticket, err := tx.TakeTicket(ticketAttempt, store.HashOf(strings.ToUpper(attempt)), b.Now())
	if errors.Is(err, store.ErrNotFound) {
		return link, ErrNoAttempt
	}
	if err == nil {
		err = json.Unmarshal(ticket.Data, &link)
	}
	if err == nil && link.External != external {
		err = ErrNoAttempt
	}
	return link, err
}

var nameIDFormats = map[string]string{
	"persistent": string(saml.PersistentNameIDFormat), "email": string(saml.EmailAddressNameIDFormat),
	"unspecified": string(saml.UnspecifiedNameIDFormat), "transient": string(saml.TransientNameIDFormat),
}

// LinkByHand links an external account to a user. It is not an error if it is
// already linked to that user; if it is linked to another one, the error is a
// *LinkedError.
func (b *Broker) LinkByHand(ctx context.Context, id, userID string, named Named) (*store.Identity, error) {
	i := slices.IndexFunc(b.externals, func(e *external) bool { return e.ID == id })
	if i < 0 {
		return nil, ErrNoExternal
	}
	e := b.externals[i]
	link := store.Identity{External: id, Name: short(named.Subject)}
	var err error
	if named.Attempt == "" {
		link.Issuer, link.Subject, err = e.named(ctx, named)
	}
	if err != nil {
		return nil, err
	}
	var user *store.User
	err = b.Store.Update(ctx, func(tx store.Tx) (err error) {
		if named.Attempt != "" {
			if link, err = b.takeAttempt(tx, id, named.Attempt); err != nil {
				return err
			}
		}
		link.UserID, link.Created, link.LastUsed = userID, b.Now(), time.Time{}
		known, err := tx.Identity(link.External, link.Issuer, link.Subject)
		switch {
		case err == nil && known.UserID != userID:
			return &LinkedError{known.UserID}
		case err == nil:
			link = *known
			return nil
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if user, err = tx.User(userID); err != nil {
			return err
		}
		return tx.PutIdentity(link)
	})
	if err != nil {
		return nil, err
	}
	if user != nil {
		b.Accounts.Linked(ctx, user, e.title())
	}
	return &link, nil
}

// named returns the issuer and the subject in the form that assertions have.
func (e *external) named(ctx context.Context, n Named) (issuer, subject string, err error) {
	if err := checkNameID(&saml.NameID{Value: n.Subject}); err != nil {
		return "", "", errors.Join(ErrNoSubject, errors.New(strings.ReplaceAll(err.Error(), "NameID", "subject")))
	}
	p, isSAML := e.kind.(*samlProvider)
	if !isSAML && (n.Format != "" || n.NameQualifier != "" || n.SPNameQualifier != "" || n.Attribute) {
		return "", "", ErrNotSAML
	}
	issuer, subject = n.Issuer, n.Subject
	if isSAML {
		if subject, err = p.named(n); err != nil {
			return "", "", err
		}
	}
	if issuer == "" {
		issuer, err = e.issuer(ctx)
	}
	return issuer, subject, err
}

// issuer returns the issuer of the identities of an external provider.
func (e *external) issuer(ctx context.Context) (string, error) {
	switch p := e.kind.(type) {
	case *oauth2Provider:
		return p.preset.issuer, nil
	case *oidcProvider:
		metadata, err := p.discovery.Metadata(ctx)
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrUnknownIssuer, err)
		}
		if strings.Contains(metadata.Issuer, "{") {
			return "", ErrManyIssuers
		}
		return metadata.Issuer, nil
	case *samlProvider:
		entity, err := p.source.get(ctx)
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrUnknownIssuer, err)
		}
		return entity.EntityID, nil
	}
	return "", ErrNoExternal
}

// named returns the subject of a user whose NameID or attribute an operator knows.
func (p *samlProvider) named(n Named) (string, error) {
	var parts []string
	if json.Unmarshal([]byte(n.Subject), &parts) == nil && (len(parts) == 5 && parts[0] == "nameid" || len(parts) == 3 && parts[0] == "attribute") {
		return subjectOf(parts...), nil // in the stored form
	}
	format, known := nameIDFormats[n.Format]
	if !known {
		format = n.Format
	}
	switch {
	case n.Attribute && p.external.SAML.Username == "":
		return "", ErrUsername
	case n.Attribute:
		return subjectOf("attribute", p.external.SAML.Username, n.Subject), nil
	case format == string(saml.TransientNameIDFormat):
		return "", ErrTransient
	}
	return subjectOf("nameid", format, n.NameQualifier, n.SPNameQualifier, n.Subject), nil
}
