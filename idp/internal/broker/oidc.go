package broker

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authresponse"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// This file implements external OpenID Providers. It uses the relying party's own
// package op for discovery, PKCE, client authentication, ID tokens and userinfo.

type oidcProvider struct {
	external  *external
	options   *opconfig.Resolved
	discovery *op.Discovery
	client    *op.Client
	now       func() time.Time
}

func (b *Broker) newOIDC(e *external) (provider, error) {
	options := *e.OIDC
	if options.Scopes == nil {
		options.Scopes = []string{"openid", "profile", "email"}
	}
	resolved, err := options.Resolve(placeholder.Expander{Replace: b.Expand})
	if err != nil {
		return nil, err
	}
	config, _, err := resolved.DiscoveryConfig(b.Now)
	if err != nil {
		return nil, err
	}
	onFile := func(option string) func(livefile.Event) {
		return func(event livefile.Event) { b.logFile(e, option, event) }
	}
	keys, err := livefile.New(b.Now, onFile("keys"), resolved.OwnKeys)
	if err != nil {
		return nil, err
	}
	discovery, err := resolved.NewDiscovery(config, onFile)
	if err != nil {
		return nil, err
	}
	client, err := resolved.NewClient(discovery, func() op.OwnKeys { return keys.Get().OwnKeys }, b.Now)
	if err != nil {
		return nil, err
	}
	client.Provider = e.ID
	return &oidcProvider{e, resolved, discovery, client, b.Now}, nil
}

func (b *Broker) logFile(e *external, option string, event livefile.Event) {
	switch event.Kind {
	case livefile.Broken:
		b.Logger.Error("a file of an external provider cannot be used; the last good content stays in use", slog.String("event", "external_file_broken"),
			slog.String("external", e.ID), slog.String("option", option), slog.Any("files", event.Files), slog.String("cause", event.Err.Error()))
	case livefile.Writable:
		b.Logger.Warn("users other than the owner can write to a file of an external provider", slog.String("event", "external_file_writable"),
			slog.String("external", e.ID), slog.String("option", option), slog.Any("files", event.Files))
	}
}

func (p *oidcProvider) close() { p.discovery.Close() }

// demands returns what the ID token has to prove about the time of authentication.
func (p *oidcProvider) demands(l *login) op.Demands {
	var proof op.Proof
	if l.MaxAge != nil {
		proof.MaxAge = l.MaxAge
	}
	if l.Fresh {
		proof.MaxAge = new(time.Duration)
	}
	demands := p.client.DemandsOf(proof, p.options.LoginIsAuthTime)
	demands.Began = l.Began
	return demands
}

// opLogin returns the login for package op. Nonce and verifier are derived from the
// browser's secret.
func (p *oidcProvider) opLogin(l *login) op.Login {
	return op.Login{
		State: l.state, Nonce: l.derive("nonce"), Verifier: l.derive("verifier"),
		RedirectURI: p.external.callback, Demands: p.demands(l),
	}
}

func (p *oidcProvider) leave(ctx context.Context, l *login) (departure, error) {
	extra := make(url.Values)
	if l.Hint != "" && len(l.Hint) <= maxText {
		extra.Set("login_hint", l.Hint)
	}
	prompt := l.Prompt
	if l.Fresh {
		prompt = strings.TrimSpace("login " + prompt)
	}
	if prompt != "" {
		extra.Set("prompt", prompt)
	}
	if len(l.ACRs) > 0 {
		extra.Set("acr_values", strings.Join(l.ACRs, " "))
	}
	if len(l.Locales) > 0 {
		extra.Set("ui_locales", strings.Join(l.Locales, " "))
	}
	address, err := p.client.AuthorizationURL(ctx, p.opLogin(l), extra)
	return departure{url: address}, err
}

// finish redeems an authorization response and verifies the result.
func (p *oidcProvider) finish(r *http.Request, l *login) (*Assertion, error) {
	ctx := r.Context()
	response, err := authresponse.Parse(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	metadata, err := p.discovery.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if err := response.CheckIssuer(metadata); err != nil {
		return nil, err
	}
	asked := p.opLogin(l)
	if response.ErrorCode != "" {
		return nil, refusalOf(response.ErrorCode, response.Refused(asked.Nonce, asked.Verifier))
	}
	tokens, err := p.client.Exchange(ctx, response.Code, asked)
	if err != nil {
		return nil, err
	}
	idToken, err := p.client.VerifyIDToken(context.WithoutCancel(ctx), tokens.IDToken, asked.Nonce, tokens.AccessToken, asked.Demands)
	if err != nil {
		return nil, err
	}
	said, _ := op.AuthOf(idToken)
	authTime := asked.Demands.AuthTime(said)
	if err := l.checkTime(authTime, p.now()); err != nil {
		return nil, err
	}
	info, err := p.userinfo(ctx, idToken, tokens)
	if err != nil {
		return nil, err
	}
	return p.assertion(idToken, info, authTime)
}

// refusalOf returns the failure for an error code of an authorization response.
func refusalOf(code string, err error) error {
	switch code {
	case "access_denied", "login_required", "interaction_required", "consent_required", "account_selection_required":
		return failed(Denied, err)
	case "unmet_authentication_requirements":
		return failed(Unproved, err)
	case "temporarily_unavailable", "server_error":
		return failed(Down, err)
	}
	return failed(Unconfigured, err)
}

// userinfo fetches the claims that the ID token lacks. If that fails, the sign-in
// fails, because groups that are not sent would be removed.
func (p *oidcProvider) userinfo(ctx context.Context, idToken op.Claims, tokens op.Tokens) (op.Claims, error) {
	switch p.options.Userinfo {
	case identity.UserinfoNever:
		return nil, nil
	case identity.UserinfoAuto:
		has, err := p.client.HasUserinfo(ctx)
		if err != nil || !has || !p.lacks(idToken) {
			return nil, err
		}
	}
	if tokens.NotBearer != nil {
		return nil, tokens.NotBearer
	}
	info, err := p.client.Userinfo(ctx, tokens.Access(), textOf(idToken, "sub"))
	if op.IsUserinfoLost(err) {
		return nil, failed(Down, err)
	}
	identity.DropSignInClaims(info)
	return info, err
}

// lacks reports whether the ID token lacks a claim that is used here.
func (p *oidcProvider) lacks(idToken op.Claims) bool {
	wanted := append([]string{"email", "name"}, p.options.UsernameClaim[0])
	if len(p.external.localGroups()) > 0 {
		wanted = append(wanted, claims.SplitPath(p.options.GroupsClaim)[0])
	}
	return slices.ContainsFunc(wanted, func(name string) bool { _, ok := idToken[name]; return !ok })
}

// assertion returns the assertion of verified claims. Those of the ID token take
// precedence.
func (p *oidcProvider) assertion(idToken, info op.Claims, authTime time.Time) (*Assertion, error) {
	ends, err := op.SessionExpiry(idToken)
	if err != nil {
		return nil, err
	}
	if !ends.IsZero() && !p.now().Before(ends) {
		return nil, identity.ErrSessionOver
	}
	text := func(name string) string {
		if value := textOf(idToken, name); value != "" {
			return value
		}
		return textOf(info, name)
	}
	a := &Assertion{
		Issuer: textOf(idToken, "iss"), Subject: textOf(idToken, "sub"), AuthTime: authTime, SessionEnds: ends,
		Claims: Claims{
			Email: p.email(idToken, info), Name: text("name"), GivenName: text("given_name"), FamilyName: text("family_name"), Language: text("locale"),
		},
	}
	if a.Issuer == "" || a.Subject == "" {
		return nil, errors.New("the ID token has no iss or no sub")
	}
	for _, name := range p.options.UsernameClaim {
		if a.Name = text(name); a.Name != "" {
			break
		}
	}
	if a.Claims.Groups, err = p.groups(idToken, info); err != nil {
		return nil, err
	}
	a.fill(p.external.Config, identity.ACRs(idToken), p.now())
	return a, nil
}

// email returns the e-mail address if the provider says that it is verified. Both
// claims must be from one source.
func (p *oidcProvider) email(idToken, info op.Claims) string {
	source := idToken
	if textOf(idToken, "email") == "" {
		source = info
	}
	verified, err := claims.FromJSON(source["email_verified"])
	if !p.options.EmailTrusted && (err != nil || !verified.True()) {
		return ""
	}
	return textOf(source, "email")
}

func (p *oidcProvider) groups(idToken, info op.Claims) ([]string, error) {
	for _, source := range []op.Claims{idToken, info} {
		set, err := claims.Encode(source)
		if err != nil {
			return nil, err
		}
		if value, ok := set.PathEach(p.options.GroupsClaim); ok {
			list, _ := value.List()
			return list, nil
		}
	}
	return nil, nil
}

// textOf returns a claim that is a string; "" if it is not.
func textOf(from op.Claims, name string) string {
	var text string
	if json.Unmarshal(from[name], &text) != nil {
		return ""
	}
	return text
}
