package op

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

const (
	responseHeader = `{"alg":"ES256","kid":"p256"}`
	goodResponse   = `{"iss":"https://op.example","aud":"rp","exp":1800000300,"state":"s-1","code":"c-1"}`
)

// responseWith returns the claims of a good response with some replaced or added. null
// removes a member.
func responseWith(members string) string {
	return strings.TrimSuffix(goodResponse, "}") + "," + members + "}"
}

// replaced returns the claims of a good response with a part of the text replaced.
func replaced(old, by string) string {
	if !strings.Contains(goodResponse, old) {
		panic(old)
	}
	return strings.Replace(goodResponse, old, by, 1)
}

// responding returns a client whose provider signs with ES256.
func responding(t testing.TB) *Client {
	t.Helper()
	c := tokenClient(t)
	c.Algs = []string{"ES256"}
	return c
}

func TestVerifyResponse(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, header, claims, flaw string
	}{
		{"a good one", responseHeader, goodResponse, ""},
		{"the audience in a list", responseHeader, replaced(`"aud":"rp"`, `"aud":["rp"]`), ""},
		{"another audience beside", responseHeader, replaced(`"aud":"rp"`, `"aud":["x","rp"]`), ""},
		{"all times", responseHeader, responseWith(`"iat":1799999990,"nbf":1799999990`), ""},
		{"expired within the skew", responseHeader, replaced("1800000300", "1799999941"), ""},
		{"a type that is none of another token", `{"alg":"ES256","kid":"p256","typ":"JWT"}`, goodResponse, ""},
		{"no kid", `{"alg":"ES256"}`, goodResponse, ""},
		{"unknown members", responseHeader, responseWith(`"session_state":"x","x":[1]`), ""},

		{"no iss", responseHeader, replaced(`"iss":"https://op.example",`, ""), "iss is not the provider's issuer"},
		{"another iss", responseHeader, replaced("https://op.example", "https://op.example/"), "iss is not the provider's issuer"},
		{"iss is no text", responseHeader, replaced(`"https://op.example"`, `7`), "iss is not a string"},
		{"no aud", responseHeader, replaced(`"aud":"rp",`, ""), "aud does not name this client"},
		{"another aud", responseHeader, replaced(`"rp"`, `"rp2"`), "aud does not name this client"},
		{"aud is a number", responseHeader, replaced(`"rp"`, `7`), "aud is not a list of strings"},
		{"no exp", responseHeader, replaced(`"exp":1800000300,`, ""), "exp is missing"},
		{"exp is a text", responseHeader, replaced(`1800000300`, `"1800000300"`), "exp is missing or no number"},
		{"expired", responseHeader, replaced("1800000300", "1799999940"), "it expired 1m0s ago"},
		{"issued in the future", responseHeader, responseWith(`"iat":1800000061`), "in the future"},
		{"not valid yet", responseHeader, responseWith(`"nbf":1800000061`), "not valid yet"},
		{"nbf is a text", responseHeader, responseWith(`"nbf":"x"`), "nbf is not a date"},
		{"an access token", `{"alg":"ES256","kid":"p256","typ":"at+jwt"}`, goodResponse, "a token of another kind, typ at+jwt"},
		{"a logout token", responseHeader, responseWith(`"events":{}`), "a token of another kind, with events"},
		{"an ID token", responseHeader, responseWith(`"nonce":"n"`), "a token of another kind, with nonce"},
		{"a token about a user", responseHeader, responseWith(`"sub":"u"`), "a token of another kind, with sub"},
		{"state twice", responseHeader, responseWith(`"state":"s-2"`), `has the member "state" twice`},
		{"state is a number", responseHeader, replaced(`"s-1"`, "1"), "state is not a string"},
		{"code is a list", responseHeader, replaced(`"c-1"`, `["c-1"]`), "code is not a string"},
		{"no object", responseHeader, `[]`, "is not a JSON object"},
		{"none", `{"alg":"none"}`, goodResponse, `signed with the algorithm "none"`},
		{"another algorithm", `{"alg":"RS256"}`, goodResponse, `signed with the algorithm "RS256"`},
		{"an unknown kid", `{"alg":"ES256","kid":"p256-b"}`, goodResponse, "no key of the provider fits"},
		{"an unknown critical header", `{"alg":"ES256","kid":"p256","crit":["x"],"x":1}`, goodResponse, "crit"},
	} {
		parameters, err := responding(t).VerifyResponse(t.Context(), mint(t, "p256", tc.header, tc.claims))
		switch {
		case tc.flaw == "" && err != nil:
			t.Errorf("%s: expected no error, seen %v", tc.name, err)
		case tc.flaw == "" && (parameters.Get("state") != "s-1" || parameters.Get("code") != "c-1" || parameters.Get("iss") != tokenIssuer):
			t.Errorf("%s: expected the parameters in it, seen %v", tc.name, parameters)
		case tc.flaw != "" && tc.name != "an unknown critical header" && !failsWith(err, tc.flaw):
			t.Errorf("%s: expected the error %q, seen %v", tc.name, tc.flaw, err)
		case tc.flaw != "" && !errors.Is(err, ErrResponse):
			t.Errorf("%s: expected ErrResponse, seen %v", tc.name, err)
		case tc.flaw != "" && parameters != nil:
			t.Errorf("%s: expected nothing of it, seen %v", tc.name, parameters)
		case tc.flaw != "" && (strings.Contains(err.Error(), "s-1") || strings.Contains(err.Error(), "c-1")):
			t.Errorf("%s: expected an error without the state and the code, seen %v", tc.name, err)
		}
	}
}

func TestTheSignatureOfAResponse(t *testing.T) {
	t.Parallel()
	good := mint(t, "p256", responseHeader, goodResponse)
	input, signature, _ := cutLast(good)
	for name, token := range map[string]string{
		"by another key":        mint(t, "p256-b", responseHeader, goodResponse),
		"of another text":       b64url(responseHeader) + "." + b64url(responseWith(`"x":1`)) + "." + signature,
		"that is empty":         input + ".",
		"that is short":         input + "." + signature[:10],
		"that is missing":       input,
		"more than a signature": good + ".",
		"with the public key":   hmacToken(t, string(keySetOf(member(t, "p256", "")))),
		"nothing":               "",
		"dots":                  "..",
		"more than 64 KiB":      mint(t, "p256", responseHeader, responseWith(`"x":"`+strings.Repeat("x", 64<<10)+`"`)),
	} {
		if parameters, err := responding(t).VerifyResponse(t.Context(), token); !errors.Is(err, ErrResponse) || parameters != nil {
			t.Errorf("%s: expected ErrResponse and nothing of it, seen %v and %v", name, err, parameters)
		}
	}
}

func cutLast(token string) (before, after string, found bool) {
	i := strings.LastIndex(token, ".")
	return token[:i], token[i+1:], i >= 0
}

func hmacToken(t testing.TB, secret string) string {
	t.Helper()
	input := b64url(`{"alg":"HS256"}`) + "." + b64url(goodResponse)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(input))
	return input + "." + b64url(string(mac.Sum(nil)))
}

// A client secret verifies responses only if HS256 is configured.
func TestAResponseThatASecretSigns(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("s", 32)
	for _, configured := range []bool{false, true} {
		c := responding(t)
		c.Secret = func() (string, error) { return secret, nil }
		if configured {
			c.Algs = []string{"HS256"}
		}
		if _, err := c.VerifyResponse(t.Context(), hmacToken(t, secret)); (err == nil) != configured {
			t.Errorf("configured %t: the error is %v", configured, err)
		}
	}
}

func TestAlgorithmsOfResponses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                string
		configured          []string
		responses, idTokens []string
		want                []string
	}{
		{"nothing is said", nil, nil, nil, []string{"RS256"}},
		{"those of responses", nil, []string{"ES256", "none", "HS256"}, []string{"RS256"}, []string{"ES256"}},
		{"none and HS256 alone", nil, []string{"none", "HS256"}, []string{"PS256"}, []string{"PS256"}},
		{"those of ID tokens", nil, nil, []string{"PS256", "none"}, []string{"PS256"}},
		{"the configured ones", []string{"EdDSA"}, []string{"ES256"}, []string{"RS256"}, []string{"EdDSA"}},
	} {
		c := &Client{Algs: tc.configured}
		m := &Metadata{IDTokenAlgs: tc.idTokens, Responses: ResponseMetadata{Algs: tc.responses}}
		if seen := c.ResponseAlgs(m); !slices.Equal(seen, tc.want) {
			t.Errorf("%s: expected %q, seen %q", tc.name, tc.want, seen)
		}
	}
}

func TestAnEncryptedResponseIsOpened(t *testing.T) {
	t.Parallel()
	c := responding(t)
	c.Keys = decrypting(t, "p384").Keys
	token := mint(t, "p256", responseHeader, goodResponse)
	parameters, err := c.VerifyResponse(t.Context(), encrypted(t, "p384", "", jose.ECDH_ES_A256KW, jose.A256GCM, "", token))
	if err != nil || parameters.Get("code") != "c-1" {
		t.Errorf("expected the parameters in it, seen %v and %v", parameters, err)
	}
	for name, other := range map[string]string{
		"to another key":  encrypted(t, "p521", "", jose.ECDH_ES_A256KW, jose.A256GCM, "", token),
		"compressed":      encrypted(t, "p384", "", jose.ECDH_ES_A256KW, jose.A256GCM, jose.DEFLATE, token),
		"claims alone":    encrypted(t, "p384", "", jose.ECDH_ES_A256KW, jose.A256GCM, "", goodResponse),
		"a bad signature": encrypted(t, "p384", "", jose.ECDH_ES_A256KW, jose.A256GCM, "", mint(t, "p256-b", responseHeader, goodResponse)),
	} {
		if _, err := c.VerifyResponse(t.Context(), other); !errors.Is(err, ErrResponse) {
			t.Errorf("%s: expected ErrResponse, seen %v", name, err)
		}
	}
}

func TestResponseModesThatAreOffered(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		mode   string
		listed []string
		want   bool
	}{
		{"", []string{"query"}, true}, {"jwt", nil, true}, {"jwt", []string{"query", "jwt"}, true}, {"query.jwt", []string{"query", "jwt"}, false},
	} {
		c := &Client{ResponseMode: tc.mode}
		if seen := c.OffersResponseMode(&Metadata{Responses: ResponseMetadata{Modes: tc.listed}}); seen != tc.want {
			t.Errorf("%q of %q: expected %t, seen %t", tc.mode, tc.listed, tc.want, seen)
		}
	}
}

// FuzzVerifyResponse checks that a response is accepted only if the provider has signed it,
// and that another parser reads the same parameters. Errors are short and repeat nothing of
// the token.
func FuzzVerifyResponse(f *testing.F) {
	for _, claims := range []string{
		goodResponse, responseWith(`"error":"access_denied"`), responseWith(`"state":"x"`), replaced("1800000300", "1e9"), replaced(`"rp"`, `["rp",7]`),
		`{}`, `null`, responseWith(`"iat":1800000061`),
	} {
		f.Add(responseHeader, claims, "", true)
		f.Add(responseHeader, claims, "x", true)
	}
	f.Add(`{"alg":"none"}`, goodResponse, "", true)
	f.Add(`{"alg":"HS256"}`, goodResponse, "", true)
	f.Add(responseHeader, goodResponse, "", false)
	f.Add(responseHeader, goodResponse, "!", true)
	f.Add(responseHeader, goodResponse, ".", true)
	client := responding(f)
	f.Fuzz(func(t *testing.T, header, claims, behind string, signed bool) {
		token := b64url(header) + "." + b64url(claims) + "." + behind
		if signed {
			token = mint(t, "p256", header, claims) + behind
		}
		parameters, err := client.VerifyResponse(t.Context(), token)
		if err != nil {
			if len(err.Error()) > 700 {
				t.Errorf("expected a short error, seen one of %d bytes", len(err.Error()))
			}
			if part := repeated(err, token); part != "" {
				t.Errorf("expected an error that repeats nothing of the token, seen %q in %q", part, err)
			}
			if parameters != nil {
				t.Errorf("expected nothing of a response that is not valid, seen %v", parameters)
			}
			return
		}
		if !signed {
			t.Fatalf("expected an error for a response that is not signed, seen %v", parameters)
		}
		said := readSaid(t, claims)
		if said.Iss == nil || *said.Iss != tokenIssuer {
			t.Errorf("expected the issuer of the provider, seen %v", said.Iss)
		}
		if !said.isForUs() {
			t.Errorf("expected the client in aud, seen %v", said.Aud)
		}
		if said.Exp == nil {
			t.Error("expected an exp, seen none")
		}
		exact, err := parseObject([]byte(claims))
		if err != nil {
			t.Fatalf("%s was accepted, and it %v", claims, err)
		}
		for name, values := range parameters {
			if text, err := exact.text(name); err != nil || !slices.Equal(values, url.Values{name: {text}}[name]) {
				t.Errorf("%s: expected %q, seen %q, %v", name, text, values, err)
			}
		}
	})
}
