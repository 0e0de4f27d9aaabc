package opconfig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// withProfile returns the minimal options for a profile.
func withProfile(profile op.Profile) Options {
	o := least
	o.Profile, o.ClientAuth, o.ClientKeys = string(profile), "private_key_jwt", []string{"key.pem"}
	return o
}

func TestOptionsThatContradictAProfile(t *testing.T) {
	t.Parallel()
	on, off := true, false
	for _, tc := range []struct {
		name    string
		profile op.Profile
		change  func(*Options)
		want    string // the error
	}{
		{"nothing", op.FAPI2, func(*Options) {}, ""},
		{"nothing, with signed messages", op.FAPI2MessageSigning, func(*Options) {}, ""},
		{"a certificate", op.FAPI2, func(o *Options) {
			o.ClientAuth, o.ClientKeys, o.ClientCertificate, o.ClientCertificateKey = op.MTLS, nil, "c", "k"
		}, ""},
		{"what it wants, written", op.FAPI2, func(o *Options) {
			o.PKCE, o.UserinfoMethod, o.IDTokenAlgs, o.ClientAssertionAudience = &on, "get", []string{"PS256", "ES256", "EdDSA"}, "issuer"
		}, ""},
		{"responses in the query", op.FAPI2, func(o *Options) { o.ResponseMode = "query" }, ""},
		{"responses by POST", op.FAPI2, func(o *Options) { o.ResponseMode = "form_post" }, ""},
		{"keys that are configured", op.FAPI2, func(o *Options) {
			o.JWKS = `{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
		}, ""},
		{"another profile", "fapi1", func(*Options) {}, `profile: "fapi1" is none of fapi2, fapi2_message_signing`},
		{"a secret", op.FAPI2, func(o *Options) { o.ClientSecret = "s" },
			"profile fapi2 does not allow client_secret: clients authenticate with private_key_jwt or tls_client_auth, and have no secret (FAPI 2.0 Security Profile 5.3.3.1)"},
		{"no client authentication", op.FAPI2, func(o *Options) { o.ClientAuth, o.ClientKeys = "", nil },
			"profile fapi2 does not allow a client without client_auth: clients authenticate with private_key_jwt or tls_client_auth (FAPI 2.0 Security Profile 5.3.3.1; RFC 7523, RFC 8705)"},
		{"a public client", op.FAPI2, func(o *Options) { o.ClientAuth, o.ClientKeys = "none", nil },
			"profile fapi2 does not allow client_auth none: clients authenticate with private_key_jwt or tls_client_auth (FAPI 2.0 Security Profile 5.3.3.1; RFC 7523, RFC 8705)"},
		{"an assertion of the platform", op.FAPI2, func(o *Options) { o.ClientAuth, o.ClientKeys, o.ClientAssertionFile = op.AssertionFile, nil, "f" },
			"profile fapi2 does not allow client_auth assertion_file: clients authenticate with private_key_jwt or tls_client_auth (FAPI 2.0 Security Profile 5.3.3.1; RFC 7523, RFC 8705)"},
		{"assertions for the token endpoint", op.FAPI2, func(o *Options) { o.ClientAssertionAudience = "token_endpoint" },
			"profile fapi2 does not allow client_assertion_audience token_endpoint: client assertions are addressed to the issuer (FAPI 2.0 Security Profile 5.3.3.1)"},
		{"no DPoP", op.FAPI2, func(o *Options) { o.DPoP = DPoPOff },
			"profile fapi2 does not allow dpop off: access tokens are bound to a key, or to a client certificate of client_auth tls_client_auth or tls { client_certificate } (FAPI 2.0 Security Profile 5.3.3.1; RFC 9449, RFC 8705)"},
		{"DPoP where it is offered", op.FAPI2, func(o *Options) { o.DPoP = DPoPAuto },
			"profile fapi2 does not allow dpop auto: access tokens are bound to a key, or to a client certificate of client_auth tls_client_auth or tls { client_certificate } (FAPI 2.0 Security Profile 5.3.3.1; RFC 9449, RFC 8705)"},
		{"no DPoP, and a certificate", op.FAPI2, func(o *Options) {
			o.DPoP, o.TLS = DPoPOff, &TLSFiles{ClientCertificate: "cert.pem", ClientKey: "key.pem"}
		}, ""},
		{"DPoP and a certificate", op.FAPI2, func(o *Options) {
			o.DPoP, o.TLS = DPoPOn, &TLSFiles{ClientCertificate: "cert.pem", ClientKey: "key.pem"}
		}, ""},
		{"signed messages, beyond the profile", op.FAPI2, func(o *Options) { o.RequestObject, o.ResponseMode = "signed", "query.jwt" }, ""},
		{"encrypted requests", op.FAPI2MessageSigning, func(o *Options) { o.RequestObject = "encrypted" }, ""},
		{"requests that are signed with a key beside a certificate", op.FAPI2MessageSigning, func(o *Options) {
			o.ClientAuth, o.ClientCertificate, o.ClientCertificateKey = op.MTLS, "c", "k"
		}, ""},
		{"requests without a key to sign them", op.FAPI2MessageSigning, func(o *Options) {
			o.ClientAuth, o.ClientKeys, o.ClientCertificate, o.ClientCertificateKey = op.MTLS, nil, "c", "k"
		}, "request_object signed needs client_keys, or a client_secret of at least 32 bytes, to sign with"},
		{"no PKCE", op.FAPI2, func(o *Options) { o.PKCE = &off },
			"profile fapi2 does not allow pkce off: authorization requests have an S256 code challenge (FAPI 2.0 Security Profile 5.3.3.2; RFC 7636)"},
		{"an access token in a form", op.FAPI2, func(o *Options) { o.UserinfoMethod = "post" },
			"profile fapi2 does not allow userinfo_method post: access tokens are sent in the header, never in a form (FAPI 2.0 Security Profile 5.3.3.1)"},
		{"RS256", op.FAPI2, func(o *Options) { o.IDTokenAlgs = []string{"PS256", "RS256"} },
			"profile fapi2 does not allow id_token_algs RS256: JSON Web Tokens are signed with PS256, ES256 or EdDSA (FAPI 2.0 Security Profile 5.4.1)"},
		{"ES384", op.FAPI2MessageSigning, func(o *Options) { o.IDTokenAlgs = []string{"ES384"} },
			"profile fapi2_message_signing does not allow id_token_algs ES384: JSON Web Tokens are signed with PS256, ES256 or EdDSA (FAPI 2.0 Security Profile 5.4.1)"},
		{"plain http", op.FAPI2, func(o *Options) { o.Insecure = true },
			"profile fapi2 does not allow insecure: all connections have TLS (FAPI 2.0 Security Profile 5.2.1)"},
		{"an issuer on plain http", op.FAPI2, func(o *Options) { o.Issuer = "http://login.example.com" },
			`issuer: "http://login.example.com" is plain http, which is only for loopback (insecure would allow it)`},
		{"many tenants", op.FAPI2, func(o *Options) {
			o.Issuer, o.ConfigurationURL = "https://login.example.com/{tenantid}", "https://login.example.com/common/.well-known/openid-configuration"
		}, "profile fapi2 does not allow {tenantid} in issuer: the metadata is of one issuer, which client assertions are addressed to (FAPI 2.0 Security Profile 5.3.3.1)"},
		{"an endpoint by hand", op.FAPI2, func(o *Options) { o.Endpoints.Token = "https://login.example.com/token" },
			"profile fapi2 does not allow token_endpoint: endpoints are those of the provider's metadata (FAPI 2.0 Security Profile 5.3.3.1)"},
		{"keys by hand", op.FAPI2, func(o *Options) { o.Endpoints.JWKS = "https://login.example.com/keys" },
			"profile fapi2 does not allow jwks_uri: endpoints are those of the provider's metadata (FAPI 2.0 Security Profile 5.3.3.1)"},
		{"metadata of another host", op.FAPI2, func(o *Options) {
			o.Issuer, o.ConfigurationURL = "https://login.example.com", "https://cdn.example.com/.well-known/openid-configuration"
		}, "profile fapi2 does not allow configuration_url at another host than issuer: metadata is what the provider publishes (FAPI 2.0 Security Profile 5.3.3.1)"},
		{"metadata at another path", op.FAPI2, func(o *Options) {
			o.Issuer, o.ConfigurationURL = "https://login.example.com/a", "https://login.example.com/.well-known/oauth-authorization-server/a"
		}, ""},
		{"metadata alone", op.FAPI2, func(o *Options) {
			o.Issuer, o.ConfigurationURL = "", "https://login.example.com/.well-known/openid-configuration"
		}, ""},
		{"unsigned responses", op.FAPI2MessageSigning, func(o *Options) { o.ResponseMode = "form_post" },
			"profile fapi2_message_signing does not allow response_mode form_post: signed responses are requested with response_mode jwt (FAPI 2.0 Message Signing 5.4.2)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := withProfile(tc.profile)
			tc.change(&o)
			got := ""
			if _, err := o.Resolve(variables); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("expected the error\n%s\nseen\n%s", tc.want, got)
			}
			written := ""
			if err := o.CheckWritten(); err != nil {
				written = err.Error()
			}
			if written != tc.want {
				t.Errorf("of a Caddyfile: expected the error\n%s\nseen\n%s", tc.want, written)
			}
		})
	}
}

func TestOptionsThatAProfileSets(t *testing.T) {
	t.Parallel()
	certificate := &TLSFiles{ClientCertificate: "cert.pem", ClientKey: "key.pem"}
	for _, tc := range []struct {
		name                              string
		profile                           op.Profile
		change                            func(*Options)
		dpop, requestObject, responseMode string
	}{
		{"none", "", func(*Options) {}, "", "", ""},
		{"the security profile", op.FAPI2, func(*Options) {}, DPoPOn, "", ""},
		{"the security profile with a certificate", op.FAPI2, func(o *Options) { o.TLS = certificate }, "", "", ""},
		{"message signing", op.FAPI2MessageSigning, func(*Options) {}, DPoPOn, "signed", "jwt"},
		{"message signing with a certificate", op.FAPI2MessageSigning, func(o *Options) { o.TLS = certificate }, "", "signed", "jwt"},
		{"message signing with encrypted requests", op.FAPI2MessageSigning, func(o *Options) { o.RequestObject = "encrypted" }, DPoPOn, "encrypted", "jwt"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := withProfile(tc.profile)
			tc.change(&o)
			r := resolved(t, o)
			if r.DPoP != tc.dpop {
				t.Errorf("dpop: expected %q, seen %q", tc.dpop, r.DPoP)
			}
			if r.RequestObject != tc.requestObject {
				t.Errorf("request_object: expected %q, seen %q", tc.requestObject, r.RequestObject)
			}
			if r.ResponseMode != tc.responseMode {
				t.Errorf("response_mode: expected %q, seen %q", tc.responseMode, r.ResponseMode)
			}
		})
	}
}

// With a profile, there is no connection to a server that supports only ciphers without
// AES-GCM.
func TestCiphersThatAProfileDoesNotSpeak(t *testing.T) {
	t.Parallel()
	key, certificate := keyPair(t)
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	for profile, want := range map[op.Profile]bool{"": true, op.FAPI2: false} {
		config, err := resolved(t, withProfile(profile)).TLSConfig(livefile.ReadFile)
		if err != nil {
			t.Fatal(err)
		}
		config = config.Clone()
		config.InsecureSkipVerify = true // this test is not about the certificate
		ours, theirs := net.Pipe()
		go func() {
			_ = tls.Server(theirs, &tls.Config{
				Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
			}).Handshake()
			_ = theirs.Close()
		}()
		if err := tls.Client(ours, config).Handshake(); (err == nil) != want {
			t.Errorf("profile %q: expected a connection %t, seen the error %v", profile, want, err)
		}
		_ = ours.Close()
	}
}

// A profile allows only the TLS 1.2 ciphers that BCP 195 recommends, which all use AES-GCM.
func TestCiphersOfAProfile(t *testing.T) {
	t.Parallel()
	config, err := resolved(t, withProfile(op.FAPI2)).TLSConfig(livefile.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	if config.MinVersion != tls.VersionTLS12 {
		t.Errorf("expected TLS 1.2 at least, seen %x", config.MinVersion)
	}
	var names []string
	for _, id := range config.CipherSuites {
		names = append(names, tls.CipherSuiteName(id))
	}
	slices.Sort(names)
	const want = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("expected\n%s\nseen\n%s", want, got)
	}
	if config, err = resolved(t, least).TLSConfig(livefile.ReadFile); err != nil || config.CipherSuites != nil {
		t.Errorf("without a profile: expected Go's ciphers, seen %v and %v", config, err)
	}
}

// A provider with a profile does not share connections with one without: their ciphers
// differ.
func TestAProfileHasADiscoveryOfItsOwn(t *testing.T) {
	t.Parallel()
	o := withProfile(op.FAPI2)
	config, with, err := resolved(t, o).DiscoveryConfig(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if config.Profile != op.FAPI2 {
		t.Errorf("expected the profile fapi2, seen %q", config.Profile)
	}
	o.Profile = ""
	if _, without, err := resolved(t, o).DiscoveryConfig(time.Now); err != nil || with == without {
		t.Errorf("expected another hash, seen %s and %v", without, err)
	}
}

func TestKeysThatAProfileDoesNotAllow(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	long, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pemOf := func(key any) string {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	o := withProfile(op.FAPI2)
	o.ClientKeys = []string{pemOf(long)}
	const want = "client_auth: key 1: signs with ES384, and profile fapi2 wants PS256, ES256 or EdDSA (FAPI 2.0 Security Profile 5.4.1); make a key of RSA, P-256 or Ed25519"
	if _, err := resolved(t, o).OwnKeys(livefile.ReadFile); err == nil || err.Error() != want {
		t.Errorf("a key on P-384: expected the error\n%s\nseen\n%v", want, err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, short.Public(), short)
	if err != nil {
		t.Fatal(err)
	}
	o = withProfile(op.FAPI2)
	o.ClientAuth, o.ClientKeys = op.MTLS, nil
	o.ClientCertificate, o.ClientCertificateKey = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})), pemOf(short)
	const small = "profile fapi2: the client certificate: its RSA key has less than 2048 bits (FAPI 2.0 Security Profile 5.4.1)"
	if _, err := resolved(t, o).TLSConfig(livefile.ReadFile); err == nil || err.Error() != small {
		t.Errorf("a short RSA key: expected the error\n%s\nseen\n%v", small, err)
	}
	if err := checkProfileKey(&ecdsa.PublicKey{Curve: elliptic.P224()}); err != nil {
		t.Errorf("a key on P-224: expected no error, seen %v", err)
	}
}
