package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// signing gives a client a key for its requests, and the provider the public key.
func signing(t *testing.T, p *oidctest.Provider) func(*op.Client) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := op.ParseClientKeys(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	p.SetClient(func(c *oidctest.Client) { c.RequestKey = key.Public() })
	return func(c *op.Client) { c.Keys = func() op.OwnKeys { return op.OwnKeys{Signing: keys} } }
}

func TestSignedRequestsAndResponses(t *testing.T) {
	t.Parallel()
	none := func(*op.Client) {}
	object := func(c *op.Client) { c.RequestObject = op.RequestSigned }
	mode := func(mode string) func(*op.Client) { return func(c *op.Client) { c.ResponseMode = mode } }
	both := func(c *op.Client) { object(c); mode("query.jwt")(c) }
	metadata := func(name string, value any) func(*oidctest.Faults) {
		return func(l *oidctest.Faults) { l.Discovery = func(m map[string]any) { m[name] = value } }
	}
	for name, row := range map[string]struct {
		options []oidctest.Option
		ours    func(*op.Client)
		lie     func(*oidctest.Faults)
		says    string
	}{
		"both": {[]oidctest.Option{oidctest.RequireRequestObjects(), oidctest.SignedResponses()}, both, nil,
			"✔ signed requests and responses: requests are signed, and responses must be signed with RS256\n✔ credentials"},
		"a form": {[]oidctest.Option{oidctest.SignedResponses()}, mode("form_post.jwt"), nil,
			"✔ redirect URI: the provider knows it"},
		"required and not configured": {[]oidctest.Option{oidctest.RequireRequestObjects()}, none, nil,
			"✘ signed requests and responses: the provider requires signed requests (require_signed_request_object); configure request_object signed → Set request_object signed"},
		"a key that is not taken": {[]oidctest.Option{oidctest.RequestObjects()}, object, metadata("request_object_signing_alg_values_supported", []string{"PS256"}),
			"✘ signed requests and responses: request_object signed: the provider takes request objects signed with PS256, and not with ES256; see client_keys → Use a kind of key"},
		"a mode that is not offered": {nil, mode("jwt"), nil,
			"✘ signed requests and responses: response_mode is jwt, and the provider offers query, form_post → Set response_mode to one of those"},
		"a response that is not signed": {[]oidctest.Option{oidctest.SignedResponses()}, mode("jwt"), func(l *oidctest.Faults) {
			l.Authorization.JWT = oidctest.JWTLies{Alg: "none"}
		}, `✘ signed requests and responses: the provider answers, and the signed authorization response is not valid: it is signed with the algorithm "none"`},
		"a posted response that is not signed": {[]oidctest.Option{oidctest.SignedResponses()}, mode("form_post.jwt"), func(l *oidctest.Faults) {
			l.Authorization.JWT = oidctest.JWTLies{Signature: oidctest.SignCorruptly}
		}, "✘ signed requests and responses: the provider answers, and the signed authorization response is not valid: the signature is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t, append(row.options, oidctest.TLS(), oidctest.Lenient())...)
			p.Register(redirectURI)
			p.SignOut()
			if row.lie != nil {
				p.Lie(row.lie)
			}
			key := signing(t, p)
			got := text(subject(p, func(_ *op.DiscoveryConfig, c *op.Client) { key(c); row.ours(c) }).Examine(t.Context()))
			if !strings.Contains(got, row.says) {
				t.Errorf("expected %q, seen\n%s", row.says, got)
			}
		})
	}
}
