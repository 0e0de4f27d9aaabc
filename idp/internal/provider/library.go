package provider

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/luikyv/go-oidc/pkg/goidc"
	oidc "github.com/luikyv/go-oidc/pkg/provider"
)

const (
	codeLifetime    = time.Minute
	accessLifetime  = time.Hour
	idTokenLifetime = time.Hour
	// refreshLifetime is the lifetime of a refresh token. Each use renews it.
	refreshLifetime = 30 * 24 * time.Hour
)

// newLibrary returns the library's handler. Its requests are created here and carry
// a unit; requests from outside do not reach it unchanged.
func newLibrary(issuer string, keys *Keys, logger *slog.Logger) (http.Handler, error) {
	library, err := oidc.New(issuer, new(grants), keys.librarySet,
		oidc.WithSigner(func(ctx context.Context, alg goidc.SignatureAlgorithm) (string, crypto.Signer, error) {
			kid, signer, err := keys.signer(ctx, string(alg))
			if key, ok := signer.(*ecdsa.PrivateKey); ok {
				signer = joseSigner{key}
			}
			return kid, signer, err
		}),
		oidc.WithIDTokenSignatureAlgs(goidc.RS256, goidc.ES256),
		oidc.WithIDTokenLifetime(int(idTokenLifetime/time.Second)),
		oidc.WithIDTokenClaims(func(ctx context.Context, _ *goidc.Grant) map[string]any {
			u, err := unitOf(ctx)
			if err != nil {
				return nil
			}
			return u.idTokenClaims()
		}),
		oidc.WithUserInfoClaims(func(ctx context.Context, _ *goidc.Grant) map[string]any {
			u, err := unitOf(ctx)
			if err != nil {
				return nil
			}
			return claimsOf(u.user, u.data.Scopes, u.data.UserInfo)
		}),
		oidc.WithAuthCodeGrant(new(grants)),
		oidc.WithAuthCodeLifetime(int(codeLifetime/time.Second)),
		oidc.WithAuthCodeFunc(func(context.Context) string { return rand.Text() }),
		oidc.WithGrantIDFunc(func(context.Context) string { return rand.Text() }),
		oidc.WithRefreshTokenGrant(new(grants)),
		oidc.WithRefreshTokenRotation(),
		// Refresh tokens are created when a code is redeemed. Before that the row
		// of the grant would have to hold them in plain text.
		oidc.WithRefreshTokenShouldIssue(func(context.Context, *goidc.Client, *goidc.Grant) bool { return false }),
		oidc.WithRefreshTokenFunc(nextRefreshToken),
		oidc.WithOpaqueTokens(new(tokens)),
		oidc.WithOpaqueTokenFunc(func(ctx context.Context, _ *goidc.Grant) string {
			access := rand.Text()
			if u, err := unitOf(ctx); err == nil {
				u.access = access
			}
			return access
		}),
		oidc.WithTokenOptions(func(context.Context, *goidc.Grant, *goidc.Client) goidc.TokenOptions {
			return goidc.NewOpaqueTokenOptions(int(accessLifetime / time.Second))
		}),
		oidc.WithScopes(libraryScopes()...),
		oidc.WithOpenIDScopeRequired(),
		oidc.WithPKCE(goidc.CodeChallengeMethodSHA256),
		oidc.WithNoneAuthn(),
		oidc.WithDCR(new(clients)), // only looks up clients; its endpoint is not routed
		oidc.WithJTIConsumer(func(context.Context, string) error { return goidc.ErrNotFound }),
		oidc.WithPolicies(goidc.NewPolicy("signed_in", isSignedIn, signedIn)),
		oidc.WithAuthorizeEndpoint("/authorize"), oidc.WithTokenEndpoint("/token"), oidc.WithUserInfoEndpoint("/userinfo"),
		oidc.WithErrorHandler(func(ctx context.Context, err error) {
			logger.LogAttrs(ctx, slog.LevelDebug, "the library refused a request", slog.String("event", "protocol_refused"), slog.Any("error", err))
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("set up the provider: %w", err)
	}
	return library.Handler(), nil
}

func libraryScopes() (all []goidc.Scope) {
	for _, scope := range scopes {
		all = append(all, goidc.NewScope(scope))
	}
	return all
}

// nextRefreshToken returns the refresh token after a refresh: the same one unless
// refresh tokens rotate.
func nextRefreshToken(ctx context.Context) string {
	if u, err := unitOf(ctx); err == nil && !u.client.rotates() {
		return u.presented
	}
	return rand.Text()
}

// clients looks up the client of a unit only.
type clients struct{}

func (*clients) SaveClient(context.Context, *goidc.Client) error { return goidc.ErrNotFound }
func (*clients) DeleteClient(context.Context, string) error      { return goidc.ErrNotFound }
func (*clients) Client(ctx context.Context, id string) (*goidc.Client, error) {
	u, err := unitOf(ctx)
	if err != nil {
		return nil, err
	}
	if u.client.ID != id {
		return nil, goidc.ErrNotFound
	}
	method := goidc.AuthnMethodNone
	if u.grant == nil && !u.client.Public {
		// The authorization endpoint uses this to decide about PKCE.
		method = goidc.AuthnMethodSecretBasic
	}
	return u.libraryClient(method), nil
}

// isSignedIn and signedIn are the library's policy: the caller with a unit has
// already signed the user in.
func isSignedIn(r *http.Request, _ *goidc.AuthnSession, _ *goidc.Client) bool {
	_, err := unitOf(r.Context())
	return err == nil
}

func signedIn(_ http.ResponseWriter, r *http.Request, session *goidc.AuthnSession, _ *goidc.Client) (goidc.Status, error) {
	u, err := unitOf(r.Context())
	if err != nil {
		return goidc.StatusFailure, err
	}
	session.Subject = u.user.ID
	session.GrantedScopes = strings.Join(u.data.Scopes, " ")
	return goidc.StatusSuccess, nil
}

// asParsed returns a redirect URI in the form in which the library compares it. We
// have compared it exactly.
func asParsed(uri string) string {
	parsed, err := url.Parse(uri)
	if err != nil {
		return uri
	}
	return parsed.String()
}

// halfHash returns the value of at_hash (OpenID Connect Core 3.1.3.6). All
// supported algorithms use SHA-256.
func halfHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// joseSigner signs with a P-256 key in the format of JWS (RFC 7518, section 3.4):
// two numbers of fixed size. The library does not convert Go's ASN.1 signatures.
type joseSigner struct{ *ecdsa.PrivateKey }

// Sign implements crypto.Signer.
func (s joseSigner) Sign(random io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	r, v, err := ecdsa.Sign(random, s.PrivateKey, digest)
	if err != nil {
		return nil, err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return signature, nil
}
