package op

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func TestMetadataAsAProfileSeesIt(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		profile Profile
		change  func(*Metadata)
		says    string
		algs    []string // of ID tokens
	}{
		{"no profile", "", func(m *Metadata) { m.Endpoints.Pushed = "" }, "", []string{"RS256", "PS256", "none"}},
		{"some that fit", FAPI2, func(*Metadata) {}, "", []string{"PS256"}},
		{"no list", FAPI2, func(m *Metadata) { m.IDTokenAlgs = nil }, "", ProfileAlgs},
		{"EdDSA by its new name", FAPI2, func(m *Metadata) { m.IDTokenAlgs = []string{"Ed25519", "ES384"} }, "", []string{"Ed25519"}},
		{"none that fits", FAPI2, func(m *Metadata) { m.IDTokenAlgs = []string{"RS256", "ES512"} },
			"profile fapi2: id_token_signing_alg_values_supported of the metadata has none of PS256, ES256, EdDSA, Ed25519: it has RS256, ES512 (FAPI 2.0 Security Profile 5.4.1)", nil},
		{"requests that are signed otherwise", FAPI2MessageSigning, func(m *Metadata) { m.Requests.Algs = []string{"RS256", "HS256"} },
			"profile fapi2_message_signing: request_object_signing_alg_values_supported of the metadata has none of PS256, ES256, EdDSA, Ed25519: it has RS256, HS256 (FAPI 2.0 Message Signing 5.3.2)", nil},
		{"responses that are signed otherwise", FAPI2MessageSigning, func(m *Metadata) { m.Responses.Algs = []string{"RS256"} },
			"profile fapi2_message_signing: authorization_signing_alg_values_supported of the metadata has none of PS256, ES256, EdDSA, Ed25519: it has RS256 (FAPI 2.0 Message Signing 5.4.2)", nil},
		{"responses that are not signed", FAPI2MessageSigning, func(m *Metadata) { m.Responses.Modes = []string{"query", "form_post"} },
			"profile fapi2_message_signing: response_modes_supported of the metadata has no jwt: it has query, form_post (FAPI 2.0 Message Signing 5.4.2)", nil},
		{"responses that are signed", FAPI2MessageSigning, func(m *Metadata) { m.Responses.Modes = []string{"query", "query.jwt"} }, "", []string{"PS256"}},
		{"no endpoint for pushed requests", FAPI2MessageSigning, func(m *Metadata) { m.Endpoints.Pushed = "" },
			"profile fapi2_message_signing: the metadata has no pushed_authorization_request_endpoint, and authorization requests must be pushed (FAPI 2.0 Security Profile 5.3.3.2)", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := &Metadata{IDTokenAlgs: []string{"RS256", "PS256", "none"}, UserinfoAlgs: []string{"RS256"}, AuthAlgs: []string{"RS256", "ES256"}}
			m.Requests.Algs, m.Responses.Algs = []string{"none", "RS256", "PS256"}, []string{"RS256", "PS256"}
			m.Endpoints.Pushed = "https://op.example/par"
			tc.change(m)
			err := tc.profile.apply(m)
			if got := errorText(err); got != tc.says {
				t.Fatalf("expected the error %q, seen %q", tc.says, got)
			}
			if err != nil {
				return
			}
			if !slices.Equal(m.IDTokenAlgs, tc.algs) {
				t.Errorf("algorithms of ID tokens: expected %q, seen %q", tc.algs, m.IDTokenAlgs)
			}
			if want := tc.profile != ""; m.Pushed != want {
				t.Errorf("requests are pushed: expected %t, seen %t", want, m.Pushed)
			}
			if want := tc.profile != ""; m.IssParameter != want {
				t.Errorf("responses must carry iss: expected %t, seen %t", want, m.IssParameter)
			}
			if got := userinfoAlgorithms(nil, m); tc.profile != "" && slices.Contains(got, "RS256") {
				t.Errorf("algorithms of userinfo: expected no RS256, seen %q", got)
			}
			if tc.profile != "" && !slices.Equal(m.AuthAlgs, []string{"ES256"}) {
				t.Errorf("algorithms of client assertions: expected ES256, seen %q", m.AuthAlgs)
			}
			for what, seen := range map[string][]string{"request objects": m.Requests.Algs, "signed responses": m.Responses.Algs} {
				if tc.profile != "" && !slices.Equal(seen, []string{"PS256"}) {
					t.Errorf("algorithms of %s: expected PS256, seen %q", what, seen)
				}
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// The advice never suggests what the profile would refuse.
func TestAdviceWhereApplicationsGetNoToken(t *testing.T) {
	t.Parallel()
	for profile, want := range map[Profile]bool{"": true, FAPI2: false, FAPI2MessageSigning: false} {
		c := &Client{Discovery: &Discovery{config: DiscoveryConfig{Profile: profile}}, DPoP: DPoP{Mode: DPoPOn}}
		err := c.CheckPassedOn()
		if !failsWith(err, "exclude each other") {
			t.Errorf("%s: expected an error, seen %v", profile, err)
		}
		if seen := failsWith(err, "dpop auto"); seen != want {
			t.Errorf("%s: expected the advice to use dpop auto %t, seen %v", profile, want, err)
		}
	}
}

// With a profile, an RSA key from a PEM file signs with PS256, whatever the metadata lists
// first.
func TestKeysAsAProfileUsesThem(t *testing.T) {
	t.Parallel()
	jwk := func(alg, kind string) []byte {
		text, err := json.Marshal(jose.JSONWebKey{Key: newKey(t, kind), Algorithm: alg, KeyID: "k"})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, tc := range []struct {
		name   string
		key    []byte
		taken  []string // by the provider, for client assertions
		alg    string   // empty if the key is refused
		unfits bool     // the provider accepts none of these
	}{
		{"an RSA key where RS256 is listed first", pemOf(t, newKey(t, "RSA")), []string{"RS256", "PS256"}, "PS256", false},
		{"an RSA key where nothing is listed", pemOf(t, newKey(t, "RSA")), nil, "PS256", false},
		{"an RSA key where RS256 alone is listed", pemOf(t, newKey(t, "RSA")), []string{"RS256"}, "PS256", true},
		{"an RSA key where ES256 alone is listed", pemOf(t, newKey(t, "RSA")), []string{"ES256"}, "PS256", true},
		{"an EC key", pemOf(t, newKey(t, "P-256")), []string{"ES256"}, "ES256", false},
		{"an Ed25519 key", pemOf(t, newKey(t, "Ed25519")), []string{"EdDSA"}, "EdDSA", false},
		{"an Ed25519 key that has the new name", jwk("Ed25519", "Ed25519"), []string{"Ed25519"}, "Ed25519", false},
		{"an RSA key that is for PS256", jwk("PS256", "RSA"), []string{"PS256"}, "PS256", false},
		{"an RSA key that is for RS256", jwk("RS256", "RSA"), nil, "", false},
		{"an RSA key that is for PS512", jwk("PS512", "RSA"), nil, "", false},
		{"a key on P-384", pemOf(t, newKey(t, "P-384")), nil, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			keys, err := ParseClientKeys(tc.key)
			if err != nil {
				t.Fatal(err)
			}
			err = keys[0].KeepTo(FAPI2)
			if (err == nil) != (tc.alg != "") {
				t.Fatalf("expected the algorithm %q, seen the error %v", tc.alg, err)
			}
			if err != nil {
				if !strings.Contains(err.Error(), "wants PS256, ES256 or EdDSA (FAPI 2.0 Security Profile 5.4.1)") {
					t.Errorf("expected an error with the clause, seen %v", err)
				}
				return
			}
			m := &Metadata{AuthAlgs: tc.taken}
			m.Endpoints.Pushed = "https://op.example/par"
			if err := FAPI2.apply(m); err != nil {
				t.Fatal(err)
			}
			if got := string(keys[0].signing(m.AuthAlgs).Algorithm); got != tc.alg {
				t.Errorf("expected %s, seen %s", tc.alg, got)
			}
			if got := keys[0].Public().Algorithm; got != tc.alg {
				t.Errorf("published: expected %s, seen %q", tc.alg, got)
			}
			client := &Client{Discovery: &Discovery{config: DiscoveryConfig{Profile: FAPI2}}, AuthMethod: "private_key_jwt", Keys: func() OwnKeys { return OwnKeys{Signing: keys} }}
			var unfit *ProfileError
			if err := client.CheckProfile(m); errors.As(err, &unfit) != tc.unfits {
				t.Errorf("the provider does not take it: expected %t, seen %v", tc.unfits, err)
			}
		})
	}
}

func TestAKeyWithoutAProfileStaysAsItIs(t *testing.T) {
	t.Parallel()
	keys, err := ParseClientKeys(pemOf(t, newKey(t, "RSA")))
	if err != nil {
		t.Fatal(err)
	}
	if err := keys[0].KeepTo(""); err != nil {
		t.Fatal(err)
	}
	if got := keys[0].signing(nil).Algorithm; got != jose.RS256 {
		t.Errorf("expected RS256, seen %s", got)
	}
}
