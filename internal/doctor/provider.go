package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// Subject is a provider to examine, as one site uses it.
type Subject struct {
	Client *op.Client
	// RedirectURIs are the known redirect URIs that have to be registered.
	RedirectURIs []string
	// Rules are the rules that users of the provider have to satisfy.
	Rules []*authz.Rule
	// SkipEndSession reports whether logouts do not end the session at the
	// provider.
	SkipEndSession bool
	// Disabled reports whether the provider is disabled.
	Disabled bool
	// TryCredentials reports whether to try the client's credentials.
	TryCredentials bool
	// Inspect examines the identity provider of this Caddy before it runs; may
	// be nil.
	Inspect func(context.Context) []builtin.Finding
	Now     func() time.Time
}

// Examine examines a provider. It returns after a limited time, or soon after ctx is
// done.
func (s *Subject) Examine(ctx context.Context) []Check {
	e := new(Examination)
	if s.Disabled {
		e.info("provider", "disabled: no one can sign in there")
		return e.Checks
	}
	if s.Client.Discovery.InProcess() != nil {
		e.ok("provider", "the identity provider of this Caddy: nothing has to be registered, and calls to it stay within the process")
		s.inspect(ctx, e)
		return e.Checks
	}
	asked, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	i := s.Client.Discovery.Inspect(asked)
	if !e.checkConnection(i, s.Now()) || !e.checkDiscovery(i) {
		e.checkClock(i, s.Client.ClockSkew)
		return e.Checks
	}
	e.checkKeys(i, s.Client)
	e.checkProfile(i, s.Client)
	e.checkClock(i, s.Client.ClockSkew)
	e.checkClientAuth(i.Metadata, s.Client)
	e.checkSigned(i.Metadata, s.Client)
	tried := s.try(ctx, i.Metadata)
	e.checkPKCE(i, s.Client)
	e.checkDPoP(i, s.Client)
	e.checkScopes(i, s.Client)
	e.checkRules(i, s)
	e.checkLogout(i, s)
	e.Checks = append(e.Checks, tried...)
	slices.SortStableFunc(e.Checks, func(a, b Check) int { return slices.Index(order, a.Name) - slices.Index(order, b.Name) })
	return e.Checks
}

// inspect reports the findings of the identity provider of this Caddy about
// itself.
func (s *Subject) inspect(ctx context.Context, e *Examination) {
	if s.Inspect == nil {
		return
	}
	asked, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for _, f := range s.Inspect(asked) {
		if f.Remedy == "" {
			e.ok(f.Name, f.Message)
		} else {
			e.fail(f.Name, f.Message, f.Remedy)
		}
	}
}

// order is the order of the checks of a provider, by name.
var order = []string{
	"connection", "discovery", "keys", "clock", "client authentication", signedName, "credentials", "redirect URI", profileCheck, "PKCE", "DPoP", "scopes", "rules", "logout",
}

// checkDiscovery reports on the metadata. It returns false if it cannot be
// used.
func (e *Examination) checkDiscovery(i *op.Inspection) bool {
	const name = "discovery"
	var issuer *op.IssuerError
	var refused *op.Refusal
	var unfit *op.ProfileError
	switch {
	case errors.As(i.Err, &unfit):
		e.ok(name, "issuer and endpoints")
		e.failProfile(unfit)
	case i.Err == nil && i.Address == "":
		e.info(name, "not needed: the endpoints are configured")
		return true
	case i.Err == nil:
		e.ok(name, "issuer and endpoints")
		return true
	case errors.As(i.Err, &issuer):
		e.failIssuer(name, issuer)
	case errors.As(i.Err, &refused) && refused.Status == 404:
		e.fail(name, "there is nothing at "+i.Address+" (status 404)", "Check the path of the issuer: many providers have one, such as /realms/<name>, and it must match exactly.")
	case errors.As(i.Err, &refused) && refused.Status/100 == 2:
		e.fail(name, i.Err.Error(), "Open "+i.Address+" in a browser: it has to show the metadata of the provider.")
	case errors.As(i.Err, &refused):
		e.fail(name, i.Err.Error(), "The provider answers, but not with its metadata. Look at its log.")
	default:
		e.fail(name, i.Err.Error(), "Open "+i.Address+" in a browser: the address or the metadata is not as needed.")
	}
	return false
}

// checkKeys reports whether the provider has a key for one of the signature
// algorithms that we accept.
func (e *Examination) checkKeys(i *op.Inspection, c *op.Client) {
	const name = "keys"
	accepted := c.AcceptedAlgs(i.Metadata)
	if i.KeysErr != nil {
		e.fail(name, i.KeysErr.Error(), "Look at "+i.Metadata.Endpoints.JWKS+" in a browser: it has to show the provider's public keys.")
		return
	}
	offered := i.Metadata.IDTokenAlgs
	for _, alg := range c.Algs {
		if len(offered) > 0 && !slices.Contains(offered, alg) {
			e.fail(name, fmt.Sprintf("id_token_algs has %s, and the provider offers %s", alg, strings.Join(offered, ", ")),
				"Use one of those in id_token_algs, or have the provider sign with "+alg+" for this client.")
			return
		}
	}
	algs := make(map[string]bool)
	usable := 0
	for _, key := range i.Keys {
		fits := false
		for _, alg := range key.Algs {
			if slices.Contains(accepted, alg) {
				algs[alg], fits = true, true
			}
		}
		if fits {
			usable++
		}
	}
	bySecret := slices.ContainsFunc(accepted, op.Symmetric)
	switch {
	case usable > 0:
		e.ok(name, fmt.Sprintf("%s for %s", count(usable, "key"), strings.Join(slices.Sorted(maps.Keys(algs)), ", ")))
	case bySecret:
		e.ok(name, "the client secret, for "+strings.Join(accepted, ", "))
	default:
		e.fail(name, fmt.Sprintf("the provider has no key for %s, which must sign ID tokens", strings.Join(accepted, ", ")),
			"Set id_token_algs to the algorithm of the provider's keys.")
	}
	for _, key := range i.Skipped {
		if !key.Ordinary {
			e.warn(name, fmt.Sprintf("the key %q is not used: %s", key.KID, key.Reason), "Tell the provider. Its other keys are used.")
		}
	}
}

// odd is the difference between clocks above which they are reported. The Date
// header has a precision of one second.
const odd = 5 * time.Second

// checkClock compares the provider's clock with that of this machine.
func (e *Examination) checkClock(i *op.Inspection, skew time.Duration) {
	const name = "clock"
	if i.Date.IsZero() {
		if i.Err == nil {
			e.info(name, "the provider does not send its time")
		}
		return
	}
	ahead := i.Date.Add(time.Second / 2).Sub(i.Received).Round(time.Second)
	direction := "ahead of"
	if ahead < 0 {
		direction = "behind"
	}
	message := fmt.Sprintf("the provider's is %s %s this machine's", short(ahead.Abs()), direction)
	const remedy = "Correct the clock that is wrong, and use NTP to keep it right."
	switch {
	case ahead.Abs() > skew:
		e.fail(name, fmt.Sprintf("%s, and clock_skew allows %s: sign-ins fail", message, short(skew)), remedy)
	case ahead.Abs() > odd:
		e.warn(name, message, remedy)
	case ahead.Abs() <= time.Second:
		e.ok(name, "as this machine's")
	default:
		e.ok(name, message)
	}
}

// short formats a duration without trailing zero seconds.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	return text
}

// offeredAs has the names under which providers may list methods of client
// authentication, where they differ from ours.
var offeredAs = map[string][]string{
	op.MTLS:          {op.MTLS, "self_signed_tls_client_auth"},
	op.AssertionFile: {"private_key_jwt"},
}

// checkClientAuth reports whether the provider offers the method of client
// authentication.
func (e *Examination) checkClientAuth(m *op.Metadata, c *op.Client) {
	const name = "client authentication"
	method, err := c.ChosenAuth(m)
	if err != nil {
		e.fail(name, err.Error(), "Set client_auth to a method that the provider allows for this client.")
		return
	}
	names := append(offeredAs[method], method)
	offered := func(n string) bool { return slices.Contains(m.AuthMethods, n) }
	switch {
	case len(m.AuthMethods) == 0:
		e.ok(name, method+"; the provider does not say what it offers")
	case slices.ContainsFunc(names, offered):
		e.ok(name, method)
	case method == "none":
		e.warn(name, "no client_secret is configured, and the provider offers "+strings.Join(m.AuthMethods, ", "),
			"Copy the secret from the provider into client_secret, unless the client is public.")
	default:
		e.warn(name, fmt.Sprintf("%s is not among %s, which the provider offers", method, strings.Join(m.AuthMethods, ", ")), "Set client_auth to one of those.")
	}
}

// checkPKCE reports whether the provider supports PKCE with S256 (RFC 7636).
func (e *Examination) checkPKCE(i *op.Inspection, c *op.Client) {
	const name = "PKCE"
	methods := i.Said.CodeChallengeMethods
	offered := slices.Contains(methods, "S256")
	switch {
	case c.NoPKCE && offered:
		e.warn(name, "it is off, and the provider offers it", "Remove pkce off.")
	case c.NoPKCE:
		e.info(name, "off")
	case offered:
		e.ok(name, "S256")
	case methods != nil && c.Profile() != "":
		e.fail(name, "S256 is not among "+strings.Join(methods, ", ")+", which the provider offers, and profile "+string(c.Profile())+" demands it", "Have the provider take S256.")
	case methods != nil:
		e.warn(name, "S256 is not among "+strings.Join(methods, ", ")+", which the provider offers", "If sign-ins fail, write pkce off.")
	default:
		e.info(name, "S256 is sent; the provider does not say whether it checks it")
	}
}

// checkScopes reports requested scopes that the provider does not list. It ignores
// scopes in the form of URIs: those belong to resources, which providers do not list.
func (e *Examination) checkScopes(i *op.Inspection, c *op.Client) {
	const name = "scopes"
	requested := append([]string{"openid"}, c.Scopes...)
	if i.Said.Scopes == nil {
		e.info(name, strings.Join(requested, " ")+"; the provider does not say what it offers")
		return
	}
	var missing []string
	for _, scope := range c.Scopes {
		if !slices.Contains(i.Said.Scopes, scope) && !strings.ContainsAny(scope, ":/") {
			missing = append(missing, scope)
		}
	}
	if len(missing) > 0 {
		e.warn(name, fmt.Sprintf("%s: not among those that the provider offers", strings.Join(missing, " ")),
			"Add it to the client at the provider, or remove it from scopes. Many providers refuse a login with an unknown scope.")
		return
	}
	e.ok(name, strings.Join(requested, " "))
}

// checkLogout reports which kinds of logout the provider supports.
func (e *Examination) checkLogout(i *op.Inspection, s *Subject) {
	const name = "logout"
	var kinds []string
	for _, kind := range []struct {
		name string
		has  bool
	}{
		{"RP-initiated", i.Metadata.EndsSessions()}, {"back-channel", i.Said.Backchannel}, {"front-channel", i.Said.Frontchannel},
		{"token revocation", i.Metadata.Endpoints.Revocation != ""},
	} {
		if kind.has {
			kinds = append(kinds, kind.name)
		}
	}
	message := strings.Join(kinds, ", ")
	switch {
	case len(kinds) == 0:
		e.info(name, "the provider offers none: a logout ends only the session here")
	case s.SkipEndSession && i.Metadata.EndsSessions():
		e.info(name, message+"; end_session is off: users stay signed in there")
	default:
		e.ok(name, message)
	}
}
