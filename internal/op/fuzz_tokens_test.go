package op

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// These are the claims that the provider of these tests signs.
const (
	goodIDToken     = `{"iss":"https://op.example","sub":"u-1","aud":"rp","exp":1800000300,"iat":1799999990,"nonce":"n","auth_time":1799999000,"acr":"gold"}`
	goodLogoutToken = `{"iss":"https://op.example","sub":"u-1","aud":"rp","exp":1800000300,"iat":1799999990,"jti":"j","sid":"s","events":{"http://schemas.openid.net/event/backchannel-logout":{}}}`
)

// tokenClient returns a client of the provider of these tests, which needs no discovery.
func tokenClient(t testing.TB) *Client {
	t.Helper()
	now := func() time.Time { return tokenTime }
	return &Client{
		ClientID: "rp", ClockSkew: time.Minute, Now: now,
		Discovery: NewDiscovery(DiscoveryConfig{
			Issuer: tokenIssuer, Endpoints: Endpoints{Authorization: tokenIssuer + "/a", Token: tokenIssuer + "/t"},
			JWKS: keySetOf(member(t, "p256", "")), Now: now, Timeout: time.Second,
		}),
	}
}

// headerOf returns a JWT header with the given type.
func headerOf(t testing.TB, typ string) string {
	t.Helper()
	text, err := json.Marshal(map[string]string{"alg": "ES256", "kid": "p256", "typ": typ})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// said has the claims that ID tokens and logout tokens share, as another parser reads them.
type said struct {
	Iss, Sub, Nonce, Sid, Jti *string
	Aud                       any
	Exp, Iat                  *float64
	Events                    map[string]any
}

func readSaid(t testing.TB, claims string) (s said) {
	t.Helper()
	if err := json.Unmarshal([]byte(claims), &s); err != nil {
		t.Fatalf("%s was accepted, and another reader cannot read it: %v", claims, err)
	}
	return s
}

func (s said) isForUs() bool {
	list, isList := s.Aud.([]any)
	return s.Aud == "rp" || isList && slices.Contains(list, any("rp"))
}

// A login accepts only what another parser also considers an ID token for this login, and
// nothing signed by another key.
func FuzzIDToken(f *testing.F) {
	for _, claims := range []string{
		goodIDToken, goodLogoutToken, goodToken, `{}`, `{"iss":"https://op.example","iss":"https://evil.example"}`,
		strings.Replace(goodIDToken, `"rp"`, `["rp","other"],"azp":"rp"`, 1), strings.Replace(goodIDToken, `"sub"`, `"SUB":"admin","sub"`, 1),
		strings.Replace(goodIDToken, "1800000300", "1.8000003e9", 1), strings.Replace(goodIDToken, `"n"`, "null", 1),
	} {
		f.Add(claims, "JWT")
	}
	f.Add(goodIDToken, "at+jwt")
	f.Add(goodIDToken, "application/logout+JWT")
	c := tokenClient(f)
	f.Fuzz(func(t *testing.T, claims, typ string) {
		header := headerOf(t, typ)
		if _, err := c.VerifyIDToken(t.Context(), mint(t, "p256-b", header, claims), "n", "at", Demands{}); err == nil {
			t.Errorf("%s: accepted, and another key has signed it", claims)
		}
		accepted, err := c.VerifyIDToken(t.Context(), mint(t, "p256", header, claims), "n", "at", Demands{})
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("%s: expected a short error, seen one of %d bytes", claims, len(err.Error()))
			}
			return
		}
		s := readExactly(t, accepted)
		switch {
		case s.Iss == nil || *s.Iss != tokenIssuer:
			t.Errorf("%s: accepted, and of another issuer", claims)
		case s.Sub == nil || *s.Sub == "" || len(*s.Sub) > maxSubject:
			t.Errorf("%s: accepted without a subject", claims)
		case !s.isForUs():
			t.Errorf("%s: accepted, and for another client", claims)
		case s.Nonce == nil || *s.Nonce != "n":
			t.Errorf("%s: accepted, and of another login", claims)
		case s.Exp == nil || *s.Exp+60 <= float64(tokenTime.Unix()):
			t.Errorf("%s: accepted, and expired", claims)
		case s.Iat == nil || *s.Iat > float64(tokenTime.Unix())+61:
			t.Errorf("%s: accepted, and of the future", claims)
		case accepted["events"] != nil && string(accepted["events"]) != "null":
			t.Errorf("%s: accepted, and about events", claims)
		case strings.HasSuffix(strings.ToLower(typ), "+jwt") && strings.ToLower(strings.TrimPrefix(strings.ToLower(typ), "application/")) != "id_token+jwt":
			t.Errorf("accepted with the type %q", typ)
		}
	})
}

// readExactly reads claims with case-sensitive names.
func readExactly(t testing.TB, all Claims) said {
	t.Helper()
	known := make(Claims)
	for _, name := range []string{"iss", "sub", "nonce", "sid", "jti", "aud", "exp", "iat", "events"} {
		if raw, ok := all[name]; ok {
			known[name] = raw
		}
	}
	text, err := json.Marshal(known)
	if err != nil {
		t.Fatal(err)
	}
	return readSaid(t, string(text))
}

// An accepted logout token says which sessions ended, is from the provider, is for this
// client, and is not an ID token.
func FuzzLogoutToken(f *testing.F) {
	for _, claims := range []string{
		goodLogoutToken, goodIDToken, `{}`, strings.Replace(goodLogoutToken, `"sid":"s",`, "", 1), strings.Replace(goodLogoutToken, `"exp":1800000300,`, "", 1),
		strings.Replace(goodLogoutToken, `"jti"`, `"nonce":null,"jti"`, 1), strings.Replace(goodLogoutToken, "{}", "[]", 1), strings.Replace(goodLogoutToken, `"rp"`, `["x","rp"]`, 1),
	} {
		f.Add(claims, "logout+jwt")
	}
	f.Add(goodLogoutToken, "JWT")
	f.Add(goodLogoutToken, "at+jwt")
	c := tokenClient(f)
	f.Fuzz(func(t *testing.T, claims, typ string) {
		header := headerOf(t, typ)
		if _, err := c.VerifyLogoutToken(t.Context(), mint(t, "p256-b", header, claims)); err == nil {
			t.Errorf("%s: accepted, and another key has signed it", claims)
		}
		token, err := c.VerifyLogoutToken(t.Context(), mint(t, "p256", header, claims))
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("%s: expected a short error, seen one of %d bytes", claims, len(err.Error()))
			}
			return
		}
		all, err := parseObject([]byte(claims))
		if err != nil {
			t.Fatalf("%s: accepted, and %v", claims, err)
		}
		s := readExactly(t, Claims(all))
		_, isLogout := s.Events[backchannelEvent].(map[string]any)
		switch {
		case s.Iss == nil || *s.Iss != tokenIssuer || token.Issuer != tokenIssuer:
			t.Errorf("%s: accepted, and of another issuer", claims)
		case !s.isForUs():
			t.Errorf("%s: accepted, and for another client", claims)
		case s.Nonce != nil || all["nonce"] != nil:
			t.Errorf("%s: accepted, and has a nonce", claims)
		case !isLogout:
			t.Errorf("%s: accepted, and about no logout", claims)
		case token.ID == "" || token.Subject == "" && token.SID == "":
			t.Errorf("%s: accepted, and names nothing that ended", claims)
		case !tokenTime.Before(token.Until) || token.At.After(tokenTime):
			t.Errorf("%s: accepted for %v to %v", claims, token.At, token.Until)
		}
	})
}

// Before the signature is verified, claims are read only from the second part of a token,
// and only if the algorithm is accepted.
func FuzzPeek(f *testing.F) {
	good := mint(f, "p256", headerOf(f, "JWT"), goodIDToken)
	parts := strings.Split(good, ".")
	for _, raw := range []string{
		good, "", "..", "a.b.c", good + ".x", strings.Join([]string{b64url(`{"alg":"none"}`), parts[1], ""}, "."),
		strings.Join([]string{b64url(`{"alg":"HS256"}`), parts[1], parts[2]}, "."), strings.Join([]string{b64url(`{"alg":"ES256","alg":"none"}`), parts[1], parts[2]}, "."),
		strings.Join([]string{b64url(`{"alg":"ES256","crit":["x"]}`), parts[1], parts[2]}, "."), `{"payload":"e30","signature":"","protected":""}`,
		strings.Join([]string{parts[0], b64url("[]"), parts[2]}, "."),
	} {
		f.Add(raw)
	}
	algs := []string{"ES256", "RS256"}
	c := tokenClient(f)
	f.Fuzz(func(t *testing.T, raw string) {
		claims, err := peek(raw, algs)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("%q: expected a short error, seen one of %d bytes", raw, len(err.Error()))
			}
			if c.peekIDToken(raw, algs) == nil {
				t.Errorf("%q: refused, and an ID token", raw)
			}
			return
		}
		parts := strings.Split(raw, ".")
		if len(parts) != 3 {
			t.Fatalf("%q: expected three parts, seen %d", raw, len(parts))
		}
		header, err := base64.RawURLEncoding.DecodeString(parts[0])
		if err != nil {
			t.Fatalf("%q: read, and its header is no base64", raw)
		}
		var said struct {
			Alg string `json:"alg"`
		}
		if err := json.Unmarshal(header, &said); err != nil || !slices.Contains(algs, said.Alg) {
			t.Errorf("%q: read, and its algorithm is %q", raw, said.Alg)
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatalf("%q: read, and its claims are no base64", raw)
		}
		same, err := parseObject(payload)
		if err != nil || len(same) != len(claims) {
			t.Errorf("%q: expected %d claims, seen %d", raw, len(same), len(claims))
		}
	})
}

// A userinfo response is JSON or a JWT signed by the provider, and neither is
// mistaken for the other.
func FuzzUserinfo(f *testing.F) {
	signed := mint(f, "p256", headerOf(f, "JWT"), goodIDToken)
	for _, body := range []string{`{"sub":"u-1"}`, " {}\n", signed, " " + signed + "\n", "eyJ", mint(f, "p256-b", headerOf(f, "JWT"), goodIDToken), `"` + signed + `"`, "\ufeff{}", "....", ""} {
		f.Add("application/json", body)
		f.Add("application/jwt; charset=utf-8", body)
		f.Add("text/html;;", body)
	}
	c := tokenClient(f)
	f.Fuzz(func(t *testing.T, contentType, body string) {
		metadata, err := c.Discovery.Metadata(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		answer := &httpResponse{status: 200, header: map[string][]string{"Content-Type": {contentType}}, body: []byte(body)}
		claims, err := c.readUserinfo(t.Context(), metadata, answer)
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("%q: expected a short error, seen one of %d bytes", body, len(err.Error()))
			}
			return
		}
		if json.Valid([]byte(body)) {
			if strings.HasPrefix(strings.ToLower(contentType), "application/jwt") {
				t.Errorf("%q: labelled as a JWT, and accepted as JSON", body)
			}
			return
		}
		if text, err := claims.text("iss"); err != nil || text != tokenIssuer || !strings.Contains(body, b64url(goodIDToken)) {
			t.Errorf("%q: accepted, and neither JSON nor signed by the provider", body)
		}
	})
}

// repeated returns a part of the texts that an error repeats, or "".
func repeated(err error, texts ...string) string {
	const least = 20 // characters; shorter words may be in both
	said := err.Error()
	for i := range max(0, len(said)-least+1) {
		for _, text := range texts {
			if part := said[i : i+least]; strings.Contains(text, part) {
				return part
			}
		}
	}
	return ""
}

// decodedParts returns the parts of a JWT, as far as they can be decoded.
func decodedParts(token string) (parts []string) {
	for part := range strings.SplitSeq(token, ".") {
		if decoded, err := base64.RawURLEncoding.DecodeString(part); err == nil {
			parts = append(parts, string(decoded))
		}
	}
	return parts
}

// The platform's assertion is sent only if it is a signed JWT that has not expired, and has
// an audience other than the cluster itself.
func FuzzAssertionFile(f *testing.F) {
	for _, token := range []string{
		platformToken(`{"aud":["https://op.test"],"exp":1800003600}`), platformToken(`{"aud":"https://kubernetes.default.svc","exp":1800003600}`), platformToken(`{"aud":"a","exp":1}`),
		platformToken(`{"aud":"a","exp":1,"exp":1800003600}`), "a.b.c", "", "e30.e30.", platformToken(`{"aud":" HTTPS://Kubernetes","exp":18000036000}`),
		platformToken(`{"aud":["https://op.test/and/a/long/path"],"sub":"system:serviceaccount:web:caddy","exp":1800003600}`),
		platformToken(`[]`), platformToken(`{}`) + "!", "hvs.CAESIJ-an-opaque-token-of-a-vault", platformToken(`{"aud":"a","exp":"a text instead of a number"}`), platformToken(`{"aud":["a",1],"exp":1800003600}`),
	} {
		f.Add(token, "")
		f.Add(token, "https://kubernetes.default.svc")
	}
	f.Fuzz(func(t *testing.T, token, audience string) {
		p := &proof{audience: audience, now: func() time.Time { return tokenTime }}
		if err := p.checkPlatform(token); err != nil {
			if part := repeated(err, append(decodedParts(token), token)...); part != "" {
				t.Errorf("expected an error that repeats nothing of the token, seen %q in %q", part, err)
			}
			return
		}
		parts := strings.Split(token, ".")
		if len(parts) != 3 || parts[2] == "" {
			t.Fatalf("%q: accepted, and not signed", token)
		}
		claims, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatalf("%q: accepted, and its claims are no base64", token)
		}
		all, err := parseObject(claims)
		if err != nil {
			t.Fatalf("%q: accepted, and %v", token, err)
		}
		s := readExactly(t, Claims(all))
		if s.Exp == nil || *s.Exp <= float64(tokenTime.Unix()) {
			t.Errorf("%q: accepted, and expired", token)
		}
		list, isList := s.Aud.([]any)
		if !isList {
			list = []any{s.Aud}
		}
		if audience != "" && !slices.Contains(list, any(audience)) {
			t.Errorf("%q: accepted, and for another audience than %q", token, audience)
		}
		for _, a := range list {
			if a != audience && strings.HasPrefix(strings.ToLower(a.(string)), "https://kubernetes") {
				t.Errorf("%q: accepted, and for the cluster", token)
			}
		}
	})
}
