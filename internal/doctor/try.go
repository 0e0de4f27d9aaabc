package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/bounded"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file tries the credentials and the redirect URI at a provider.

// someRedirectURI is sent if no redirect URI is known. It makes no difference to
// providers that check the code first.
const someRedirectURI = "https://localhost/code"

// try tries the credentials and the redirect URIs concurrently. Pushed authorization
// requests require the credentials, so in that case the redirect URIs are tried only
// if credentials may be tried.
func (s *Subject) try(ctx context.Context, m *op.Metadata) []Check {
	if m.Pushed && !s.TryCredentials {
		return s.tryCredentials(ctx)
	}
	done := make(chan []Check, 1)
	go func() { done <- s.tryRedirectURIs(ctx) }()
	checks := s.tryCredentials(ctx)
	return append(checks, <-done...)
}

// tryRedirectURIs tries all redirect URIs, one after the other, and merges equal
// results.
func (s *Subject) tryRedirectURIs(ctx context.Context) (all []Check) {
	for _, uri := range s.RedirectURIs {
		for _, c := range s.tryRedirectURI(ctx, uri) {
			n := slices.IndexFunc(all, func(other Check) bool {
				return other.Name == c.Name && other.Status == c.Status && other.Message == c.Message
			})
			if n < 0 {
				all = append(all, c)
			} else {
				all[n].Details = append(all[n].Details, c.Details...)
			}
		}
	}
	for n := range all {
		if all[n].Status == OK || len(s.RedirectURIs) == 1 {
			all[n].Details = nil
		}
	}
	return all
}

// tryCredentials tries the client's credentials by redeeming a code that was never
// issued.
func (s *Subject) tryCredentials(ctx context.Context) []Check {
	const name = "credentials"
	e := new(Examination)
	if !s.TryCredentials {
		e.info(name, "not tried")
		return e.Checks
	}
	uri := someRedirectURI
	if len(s.RedirectURIs) > 0 {
		uri = s.RedirectURIs[0]
	}
	apart, err := bounded.Within(ctx, within, func(ctx context.Context) (apart bool, err error) {
		err = s.Client.TryCode(ctx, uri)
		var refused *op.Refusal
		if errors.As(err, &refused) && refused.Code == "invalid_grant" {
			apart = s.Client.TellsClientsApart(ctx, uri)
		}
		return apart, err
	})
	e.judgeCredentials(err, apart, s.Client, s.Now())
	return e.Checks
}

// judgeCredentials adds the check of the credentials, given the error from redeeming
// the code. apart reports whether the provider answers differently if the credentials
// are wrong.
func (e *Examination) judgeCredentials(err error, apart bool, c *op.Client, now time.Time) {
	const name = "credentials"
	var refused *op.Refusal
	switch {
	case err == nil:
		e.warn(name, "the provider accepted a code that it never issued", "Tell the provider: anyone could sign in there.")
		return
	case !errors.As(err, &refused):
		if message, remedy, ok := trouble(err, now); ok {
			e.fail(name, "the token endpoint cannot be reached: "+message, remedy)
			return
		}
		e.fail(name, err.Error(), "Check the provider's token endpoint, and anything between here and there.")
		return
	}
	switch refused.Code {
	case "invalid_grant":
		switch {
		case !apart:
			e.info(name, "not known: the provider gives the same answer for wrong ones")
		case c.Secret == nil && (c.AuthMethod == "" || c.AuthMethod == "none"):
			e.ok(name, "the provider knows the client")
		default:
			e.ok(name, "the provider accepts them")
		}
	case "invalid_client":
		e.fail(name, "the provider answers invalid_client"+words(refused), remedyOf(c))
	case "unauthorized_client":
		e.fail(name, "the provider answers unauthorized_client"+words(refused),
			"Check client_id and the secret: Keycloak answers this for a wrong one. If they are right, allow the client the authorization code flow at the provider.")
	default:
		e.info(name, fmt.Sprintf("the provider's answer does not say whether it accepts them: %s%s", refused.Error(), words(refused)))
	}
}

// words returns the provider's description of the error in quotation marks, or
// "". It contains nothing that was sent.
func words(r *op.Refusal) string {
	text := r.Description
	if text == "" {
		text = r.Message
	}
	if text == "" {
		return ""
	}
	return ` ("` + logtext.Clean(text, 160) + `")`
}

// remedyOf returns what to check if the provider does not accept the client.
func remedyOf(c *op.Client) string {
	needs, _, _ := op.AuthMethod(c.AuthMethod)
	switch {
	case needs == op.NeedsKey:
		return "Check client_id, and that the provider has the public key: register the JWKS URI, or the key itself."
	case needs == op.NeedsCertificate:
		return "Check client_id, and that the provider has the certificate of the client."
	case needs == op.NeedsFile:
		return "Check client_id, and that the provider trusts the issuer of the assertion for this client."
	case c.Secret == nil:
		return "Check client_id. If the client is not public, copy its secret from the provider into client_secret."
	}
	return "Check client_id, and copy the secret from the provider into client_secret again. It may have expired."
}

// tryRedirectURI makes an authorization request without a user. A provider that
// knows the redirect URI redirects to it with the error login_required.
func (s *Subject) tryRedirectURI(ctx context.Context, uri string) []Check {
	const name = "redirect URI"
	e := new(Examination)
	if !s.Client.CanTryAuthorization() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	trial, err := s.Client.TryAuthorization(ctx, uri)
	var refused *op.Refusal
	switch {
	case errors.As(err, &refused) && refused.Code == "invalid_client":
		e.info(name, "not known: the provider does not accept the credentials")
	case errors.As(err, &refused):
		e.fail(name, fmt.Sprintf("the provider refuses the authorization request: %s%s", refused.Error(), words(refused)), registerRemedy)
	case err != nil:
		message, remedy, ok := trouble(err, s.Now())
		if !ok {
			message, remedy = err.Error(), "Check the provider's authorization endpoint."
		}
		e.warn(name, "the authorization endpoint cannot be reached from here: "+message, remedy)
	default:
		e.judgeTrial(trial)
	}
	for n := range e.Checks {
		e.Checks[n].Details = []string{uri}
	}
	return e.Checks
}

const registerRemedy = "Register exactly the redirect URI below with the provider, and check client_id."

func (e *Examination) judgeTrial(t *op.Trial) {
	const name = "redirect URI"
	code := ""
	if t.Refused != nil {
		code = t.Refused.Code
	}
	switch {
	case t.Returns && code == "invalid_scope":
		e.ok(name, "the provider knows it")
		e.fail("scopes", "the provider answers invalid_scope"+words(t.Refused), "Remove the scope that it does not know from scopes, or add it to the client at the provider.")
	case t.Returns && code == "unauthorized_client":
		e.fail(name, "the provider answers unauthorized_client"+words(t.Refused), "Allow the client the authorization code flow at the provider.")
	case t.Returns && code == "invalid_request":
		e.fail(name, "the provider refuses the authorization request: invalid_request"+words(t.Refused), "Check authorization_params and pkce, and what the provider requires of this client.")
	case t.Returns:
		e.ok(name, "the provider knows it")
		if t.NotSigned != nil {
			e.fail(signedName, "the provider answers, and "+t.NotSigned.Error(),
				"Have the provider sign its responses for this client (authorization_signed_response_alg), or remove response_mode.")
		}
	case t.Status/100 == 4:
		e.fail(name, fmt.Sprintf("the provider does not accept the authorization request (status %d)", t.Status), registerRemedy)
	default:
		e.info(name, "the provider's answer does not say whether it is registered")
	}
}
