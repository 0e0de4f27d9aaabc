package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authresponse"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// This file implements external providers with OAuth 2.0 and without ID tokens.
// Claims come from their API, with the access token of the user, which is not kept.
// Such providers cannot say when or how the user authenticated, so requests that
// demand either are refused.

type oauth2Provider struct {
	external *external
	preset   preset
	config   oauth2.Config
	http     *http.Client
	now      func() time.Time
}

const (
	apiTimeout = 10 * time.Second
	maxAnswer  = 1 << 20
)

func (b *Broker) newOAuth2(e *external) (provider, error) {
	expand := placeholder.Expander{Replace: b.Expand}
	secret, err := expand.Expand(e.OAuth2.ClientSecret)
	if err != nil {
		return nil, fmt.Errorf("client_secret: %w", err)
	}
	id, err := expand.Expand(e.OAuth2.ClientID)
	if err != nil {
		return nil, fmt.Errorf("client_id: %w", err)
	}
	return newOAuth2Provider(e, presets[e.OAuth2.Preset], id, secret, b.Now), nil
}

func newOAuth2Provider(e *external, row preset, id, secret string, now func() time.Time) *oauth2Provider {
	scopes := row.scopes
	if len(e.localGroups()) > 0 {
		scopes = append(scopes[:len(scopes):len(scopes)], row.groupScopes...)
	}
	return &oauth2Provider{
		external: e, preset: row, now: now,
		config: oauth2.Config{
			ClientID: id, ClientSecret: secret, RedirectURL: e.callback, Scopes: scopes,
			Endpoint: oauth2.Endpoint{AuthURL: row.authorize, TokenURL: row.token, AuthStyle: oauth2.AuthStyleInParams},
		},
		http: &http.Client{Timeout: apiTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

func (p *oauth2Provider) close() { p.http.CloseIdleConnections() }

func (p *oauth2Provider) leave(_ context.Context, l *login) (departure, error) {
	if l.Fresh || l.MaxAge != nil {
		return departure{}, failed(Unproved, errors.New("this external provider does not say when a user signed in, which max_age or prompt=login asks for"))
	}
	return departure{url: p.config.AuthCodeURL(l.state, oauth2.S256ChallengeOption(l.derive("verifier")))}, nil
}

func (p *oauth2Provider) finish(r *http.Request, l *login) (*Assertion, error) {
	response, err := authresponse.Parse(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	if response.NamesOther(func(issuer string) bool { return issuer == p.preset.issuer }) {
		return nil, errors.New("the parameter iss is another provider's")
	}
	if response.ErrorCode != "" {
		return nil, refusalOf(response.ErrorCode, response.Refused(l.derive("verifier")))
	}
	ctx := context.WithValue(r.Context(), oauth2.HTTPClient, p.http)
	token, err := p.config.Exchange(ctx, response.Code, oauth2.VerifierOption(l.derive("verifier")))
	if err != nil {
		return nil, exchangeFailure(err)
	}
	return p.assertion(ctx, token)
}

// exchangeFailure returns the failure of a token request. It repeats nothing of the
// response, which may contain a token.
func exchangeFailure(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return failed(Invalid, fmt.Errorf("the token endpoint refused the code with status %d", refused.Response.StatusCode))
	}
	return failed(Down, errors.New("the token endpoint does not answer as it should"))
}

// object is a JSON object of an API.
type object map[string]any

func (o object) text(name string) string {
	text, _ := o[name].(string)
	return text
}

// number returns a member that is a number or a string of digits.
func (o object) number(name string) string {
	digits := fmt.Sprint(o[name])
	if digits == "" || strings.Trim(digits, "0123456789") != "" || digits == "0" {
		return ""
	}
	return digits
}

func (p *oauth2Provider) assertion(ctx context.Context, token *oauth2.Token) (*Assertion, error) {
	var user object
	if err := p.get(ctx, token, p.preset.user, &user); err != nil {
		return nil, err
	}
	id := user.number(p.preset.id)
	if id == "" {
		return nil, errors.New("the API does not say who the user is")
	}
	a := &Assertion{
		Issuer: p.preset.issuer, Subject: id, Name: user.text(p.preset.name),
		Claims: Claims{Name: user.text(p.preset.fullName), Language: user.text(p.preset.language)},
	}
	var err error
	if a.Claims.Email, err = p.email(ctx, token, user); err != nil {
		return nil, err
	}
	if len(p.external.localGroups()) > 0 {
		if a.Claims.Groups, err = p.groups(ctx, token); err != nil {
			return nil, err
		}
	}
	a.fill(p.external.Config, nil, p.now())
	return a, nil
}

// email returns a verified e-mail address in one of the domains, or "".
func (p *oauth2Provider) email(ctx context.Context, token *oauth2.Token, user object) (string, error) {
	in := p.preset.email
	if len(p.external.Domains) == 0 {
		return "", nil // no address would be accepted
	}
	addresses := []object{user}
	if in.api != "" {
		if err := p.get(ctx, token, in.api, &addresses); err != nil {
			return "", err
		}
	}
	for _, address := range addresses {
		if text := address.text(in.address); address[in.verified] == true && p.external.vouchesFor(text) {
			return text, nil
		}
	}
	return "", nil
}

func (p *oauth2Provider) groups(ctx context.Context, token *oauth2.Token) (names []string, err error) {
	var groups []object
	if err := p.get(ctx, token, p.preset.groups, &groups); err != nil {
		return nil, err
	}
	for _, group := range groups {
		if name := group.text(p.preset.groupName); name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// get fetches a JSON document of the API.
func (p *oauth2Provider) get(ctx context.Context, token *oauth2.Token, address string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", p.preset.acceptType)
	request.Header.Set("Authorization", "Bearer "+token.AccessToken)
	response, err := p.http.Do(request)
	if err != nil {
		return failed(Down, errors.New("the API does not answer"))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return failed(Down, fmt.Errorf("the API answers with status %d", response.StatusCode))
	}
	decoder := json.NewDecoder(io.LimitReader(response.Body, maxAnswer))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return failed(Down, errors.New("the API does not answer with the JSON that it should"))
	}
	return nil
}
