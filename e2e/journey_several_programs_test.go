package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// This file has the parts of TestSeveralProvidersAtOneSite that are about programs.

// call sends a program's request with a bearer token.
func (s *several) call(path, token string) *page {
	s.t.Helper()
	return s.newBrowser().fetch(http.MethodGet, path, "Authorization", "Bearer "+token)
}

// refusesOtherTokens checks that the site refuses other tokens of its own client: ID
// tokens, refresh tokens, and access tokens for the provider. They stay refused although
// the site's client ID is one of its audiences.
func (s *several) refusesOtherTokens() {
	for _, provider := range atOneSite {
		at := s.at[provider.id]
		s.signInAt(s.newBrowser(), provider.id, "alice", "/page")
		tried := map[string]int{}
		jwts := map[string]bool{}
		hits := s.app.hits()
		for _, token := range slices.Backward(at.op.handedOut(s.t)) { // newest first, so those of this sign-in
			if tried[token.Name]++; tried[token.Name] > 2 {
				continue
			}
			p := s.call("/page", token.Value)
			challenge := p.header.Get("WWW-Authenticate")
			// The site judges a token whose iss is one of the providers. An opaque token
			// counts as the application's own, and lets no one in.
			judged := saysIssuer(token.Value, at.op.issuer)
			jwts[token.Name] = jwts[token.Name] || judged
			if p.status != 401 || strings.Contains(challenge, `error="invalid_token"`) != judged {
				s.t.Errorf("%s of %s: expected status 401 with invalid_token %t, seen %d with %q", token.Name, provider.kind, judged, p.status, challenge)
			}
		}
		for name, isJWT := range map[string]bool{"id_token": true, "access_token": provider.kind != oidcProvider} {
			if tried[name] == 0 || jwts[name] != isJWT {
				s.t.Errorf("%s: expected an %s that is a JWT to be %t, seen %d, and %t", provider.kind, name, isJWT, tried[name], jwts[name])
			}
		}
		if got := s.app.hits(); got != hits {
			s.t.Errorf("%s: expected no request at the application, seen %d", provider.kind, got-hits)
		}
	}
}

// saysIssuer reports whether a token is a JWT with this iss.
func saysIssuer(token, issuer string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	text, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Issuer string `json:"iss"`
	}
	return json.Unmarshal(text, &claims) == nil && claims.Issuer == issuer
}

// tellsClientsApart has a client called batch at two providers, each with its own token
// for this site.
func (s *several) tellsClientsApart() {
	if _, err := theKeycloak.ask(http.MethodPost, "/realms/"+s.at["b"].op.realm()+"/clients", object{
		"clientId": "batch", "secret": rpSecret, "serviceAccountsEnabled": true, "standardFlowEnabled": false,
		"protocolMappers": []object{{
			"name": "site", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
			"config": object{"included.custom.audience": s.base, "access.token.claim": "true"},
		}},
	}); err != nil {
		s.t.Fatal(err)
	}
	for _, client := range []struct{ id, path, enters string }{
		{"a", "/token", "/clients/a"},
		{"b", "/protocol/openid-connect/token", "/clients/b"},
	} {
		token := s.tokenOfBatch(client.id, client.path)
		seen := s.call("/page", token).isFor(client.id+"/client%2Fbatch", "/page").Headers
		if got := seen.Get("X-Kind"); got != "client" {
			s.t.Errorf("%s: expected a client, seen %q", client.id, got)
		}
		if got := seen.Get("Authorization"); got != "" {
			s.t.Errorf("%s: expected no token at the application, seen one", client.id)
		}
		for _, path := range []string{"/clients/a", "/clients/b", "/user", "/user/b", "/admins/a"} {
			want := 403
			if path == client.enters {
				want = 200
			}
			if got := s.call(path, token).status; got != want {
				s.t.Errorf("%s of %s: expected status %d, seen %d", path, client.id, want, got)
			}
		}
		// Another letter in the signature makes the token invalid.
		i := strings.LastIndex(token, ".") + 1
		letter := "A"
		if token[i] == 'A' {
			letter = "B"
		}
		p := s.call("/page", token[:i]+letter+token[i+1:])
		if challenge := p.header.Get("WWW-Authenticate"); p.status != 401 || !strings.Contains(challenge, `error="invalid_token"`) {
			s.t.Errorf("%s: expected status 401 and invalid_token for a wrong signature, seen %d, %q", client.id, p.status, challenge)
		}
	}
}

// tokenOfBatch gets a token with the grant client_credentials.
func (s *several) tokenOfBatch(id, path string) string {
	s.t.Helper()
	op := s.at[id].op
	body := url.Values{"grant_type": {"client_credentials"}, "resource": {s.base}}.Encode()
	r, err := http.NewRequest(http.MethodPost, op.issuer+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("batch", rpSecret)
	answer, err := op.client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	var given struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error_description"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&given); err != nil || given.AccessToken == "" {
		s.t.Fatalf("expected a token of %s, seen status %d, %s, %v", op.kind, answer.StatusCode, given.Error, err)
	}
	s.secrets.add("access token", given.AccessToken)
	return given.AccessToken
}
