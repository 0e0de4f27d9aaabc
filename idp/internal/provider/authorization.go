package provider

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
)

// authorization has the parameters of an authorization request that its response
// depends on. It is the Data of a request.Request.
type authorization struct {
	RedirectURI  string   `json:"redirect_uri"`
	State        string   `json:"state,omitempty"`
	ResponseMode string   `json:"response_mode,omitempty"`
	Scopes       []string `json:"scopes,omitempty"`
	Nonce        string   `json:"nonce,omitempty"`
	Challenge    string   `json:"code_challenge,omitempty"`
	// IDToken and UserInfo are the names in the parameter claims.
	IDToken  []string `json:"id_token,omitempty"`
	UserInfo []string `json:"userinfo,omitempty"`
}

// protocolError is an error of OAuth 2.0 or OpenID Connect.
type protocolError struct {
	code        string
	description string
}

func (e *protocolError) Error() string { return e.code + ": " + e.description }

func invalidRequest(description string) *protocolError {
	return &protocolError{"invalid_request", description}
}

// Limits of parameters, in bytes.
const (
	maxState  = 4 << 10
	maxClaims = 8 << 10
	maxHint   = 8 << 10
)

// refused are parameters of unsupported features.
var refused = []struct{ name, code string }{
	{"request", "request_not_supported"},
	{"request_uri", "request_uri_not_supported"},
	{"registration", "registration_not_supported"},
}

// checks validate an authorization request with a valid redirect URI, in order.
// Each reads its parameters into a and r.
var checks = []func(p parameters, client *party, a *authorization, r *request.Request) *protocolError{
	checkRefused, checkResponse, checkScope, checkChallenge, checkPrompt, checkMaxAge, checkHints, checkClaims,
}

// checkAuthorization validates an authorization request (OpenID Connect Core
// 3.1.2.1). If it fails, a has what the error response needs.
func checkAuthorization(p parameters, client *party) (a authorization, r *request.Request, err *protocolError) {
	a = authorization{RedirectURI: p["redirect_uri"]}
	r = &request.Request{Kind: Kind, ClientID: client.ID, ClientName: client.nameAt(a.RedirectURI)}
	a.State = p["state"]
	if p["response_mode"] == modeFormPost {
		a.ResponseMode = modeFormPost
	}
	for _, check := range checks {
		if err := check(p, client, &a, r); err != nil {
			return a, r, err
		}
	}
	return a, r, nil
}

func checkRefused(p parameters, _ *party, a *authorization, _ *request.Request) *protocolError {
	if len(a.State) > maxState {
		a.State = ""
		return invalidRequest("state is too long")
	}
	for _, row := range refused {
		if _, ok := p[row.name]; ok {
			return &protocolError{row.code, "the parameter " + row.name + " is not supported"}
		}
	}
	return nil
}

func checkResponse(p parameters, client *party, _ *authorization, _ *request.Request) *protocolError {
	switch p["response_mode"] {
	case "", modeQuery, modeFormPost:
	default:
		return invalidRequest("response_mode must be query or form_post")
	}
	switch p["response_type"] {
	case "code":
	case "":
		return invalidRequest("response_type is missing")
	default:
		return &protocolError{"unsupported_response_type", "response_type must be code"}
	}
	if len(client.RedirectURIs) == 0 && client.builtin == nil {
		return &protocolError{"unauthorized_client", "the client cannot sign users in"}
	}
	return nil
}

// checkScope drops scopes that do not exist or that the client must not have
// (OpenID Connect Core 3.1.2.1; RFC 6749, section 3.3). The token response lists
// the remaining ones.
func checkScope(p parameters, client *party, a *authorization, _ *request.Request) *protocolError {
	for _, scope := range words(p["scope"]) {
		if slices.Contains(scopes, scope) && client.hasScope(scope) && !slices.Contains(a.Scopes, scope) {
			a.Scopes = append(a.Scopes, scope)
		}
	}
	if !slices.Contains(a.Scopes, scopeOpenID) {
		return &protocolError{"invalid_scope", "scope must have openid"}
	}
	return nil
}

// checkChallenge accepts only S256, explicitly: the default would be plain (RFC
// 7636, section 4.3).
func checkChallenge(p parameters, client *party, a *authorization, _ *request.Request) *protocolError {
	challenge, method := p["code_challenge"], p["code_challenge_method"]
	switch {
	case challenge == "" && method == "" && client.PKCEOptional:
		return nil
	case challenge == "":
		return invalidRequest("code_challenge is missing")
	case method != "S256":
		return invalidRequest("code_challenge_method must be S256")
	case !isVerifier(challenge):
		return invalidRequest("code_challenge must have 43 to 128 characters of A-Z a-z 0-9 - . _ ~")
	}
	a.Challenge = challenge
	return nil
}

// isVerifier reports whether a text has the form of a verifier or challenge (RFC
// 7636, sections 4.1 and 4.2).
func isVerifier(text string) bool {
	if len(text) < 43 || len(text) > 128 {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0) {
			return false
		}
	}
	return true
}

func checkPrompt(p parameters, _ *party, _ *authorization, r *request.Request) *protocolError {
	for _, value := range words(p["prompt"]) {
		if !slices.Contains(prompts, value) {
			return invalidRequest("prompt must be of none, login, consent and select_account")
		}
		r.Prompt = append(r.Prompt, value)
	}
	if r.Asks("none") && len(r.Prompt) > 1 {
		return invalidRequest("prompt none stands alone")
	}
	return nil
}

func checkMaxAge(p parameters, _ *party, _ *authorization, r *request.Request) *protocolError {
	text, ok := p["max_age"]
	if !ok {
		return nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return invalidRequest("max_age must be a number of seconds")
	}
	age := time.Duration(min(seconds, math.MaxInt64/int64(time.Second))) * time.Second
	r.MaxAge = &age
	return nil
}

func checkHints(p parameters, _ *party, a *authorization, r *request.Request) *protocolError {
	if len(p["nonce"]) > maxState {
		return invalidRequest("nonce is too long")
	}
	a.Nonce = p["nonce"]
	if len(p["login_hint"]) <= 256 {
		r.LoginHint = p["login_hint"]
	}
	r.ACRValues = first(words(p["acr_values"]), 16)
	r.UILocales = first(words(p["ui_locales"]), 16)
	return nil
}

func first(list []string, most int) []string { return list[:min(len(list), most)] }

// requestedClaim is a request for a claim (OpenID Connect Core 5.5.1).
type requestedClaim struct {
	Essential bool              `json:"essential"`
	Value     json.RawMessage   `json:"value"`
	Values    []json.RawMessage `json:"values"`
}

// texts returns the requested values that are strings.
func (c *requestedClaim) texts() (all []string) {
	for _, raw := range append(c.Values, c.Value) {
		var text string
		if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
			all = append(all, text)
		}
	}
	return all
}

func checkClaims(p parameters, client *party, a *authorization, r *request.Request) *protocolError {
	text, ok := p["claims"]
	if !ok {
		return nil
	}
	var requested struct {
		IDToken  map[string]*requestedClaim `json:"id_token"`
		UserInfo map[string]*requestedClaim `json:"userinfo"`
	}
	if len(text) > maxClaims || json.Unmarshal([]byte(text), &requested) != nil {
		return invalidRequest("claims must be a JSON object as in OpenID Connect Core 5.5")
	}
	a.IDToken = requestable(requested.IDToken, client)
	a.UserInfo = requestable(requested.UserInfo, client)
	if acr := requested.IDToken["acr"]; acr != nil {
		if values := acr.texts(); len(values) > 0 {
			r.ACRValues = first(values, 16)
		}
		r.ACRRequired = acr.Essential
	}
	for _, sub := range []*requestedClaim{requested.IDToken["sub"], requested.UserInfo["sub"]} {
		if sub == nil {
			continue
		}
		if values := sub.texts(); len(values) > 0 {
			r.Subject = values[0]
		}
	}
	return nil
}

// requestable returns the names of requested claims that exist, if the client may
// have their scope.
func requestable(requested map[string]*requestedClaim, client *party) (names []string) {
	for _, claim := range userClaims {
		if _, ok := requested[claim.name]; ok && client.hasScope(claim.scope) {
			names = append(names, claim.name)
		}
	}
	return names
}

// Target returns the origin that the response to a request is sent to; "" for a
// program that is not a web site.
func Target(wanted *request.Request) string {
	var a authorization
	if json.Unmarshal(wanted.Data, &a) != nil {
		return ""
	}
	origin, ok := originOf(a.RedirectURI)
	if !ok {
		return ""
	}
	return origin.String()
}
