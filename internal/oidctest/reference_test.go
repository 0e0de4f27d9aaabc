package oidctest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// reference is a hand-written relying party for the tests of this package. It is as strict
// as the rows require. It shows that each lie can be detected, and that an honest login
// needs nothing beyond the specifications.
type reference struct {
	p        *Provider
	http     *http.Client
	params   url.Values // added to the authorization request
	verifier string     // replaces the random one
}

const (
	testRedirect = "https://rp.test/callback?own=1"
	testSkew     = 60
	testLimit    = 1 << 20
)

func newReference(p *Provider) *reference {
	p.Register(testRedirect)
	return &reference{p: p, http: p.HTTPClient()}
}

// login makes a login with a relying party that has nothing cached, in a new browser.
func (r *reference) login() (subject string, err error) {
	m, err := r.discover()
	if err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	state, nonce, verifier := rand.Text(), rand.Text(), rand.Text()+rand.Text()
	if r.verifier != "" {
		verifier = r.verifier
	}
	answer, err := r.authorize(m, state, nonce, verifier)
	if err != nil {
		return "", fmt.Errorf("authorization: %w", err)
	}
	code, err := r.callback(m, answer, state)
	if err != nil {
		return "", fmt.Errorf("callback: %w", err)
	}
	tokens, err := r.trade(m, code, verifier)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	access, ok1 := tokens["access_token"].(string)
	idToken, ok2 := tokens["id_token"].(string)
	kind, ok3 := tokens["token_type"].(string)
	if !ok1 || !ok2 || !ok3 || access == "" || idToken == "" || !strings.EqualFold(kind, "bearer") || tokens["error"] != nil {
		return "", errors.New("token: members are missing or wrong")
	}
	claims, err := r.verify(m, idToken)
	if err != nil {
		return "", fmt.Errorf("id token: %w", err)
	}
	if err := r.judge(claims, nonce, access); err != nil {
		return "", fmt.Errorf("id token: %w", err)
	}
	subject = claims["sub"].(string)
	if m["userinfo_endpoint"] != nil {
		if err := r.userinfo(m, access, subject); err != nil {
			return "", fmt.Errorf("userinfo: %w", err)
		}
	}
	return subject, nil
}

func (r *reference) discover() (map[string]any, error) {
	m, err := r.get(r.p.URL(Discovery), "")
	if err != nil {
		return nil, err
	}
	if m["issuer"] != r.p.Issuer() {
		return nil, errors.New("another issuer")
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} {
		if m[name] == nil && name == "userinfo_endpoint" {
			continue
		}
		s, _ := m[name].(string)
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Fragment != "" ||
			u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "127.0.0.1") {
			return nil, fmt.Errorf("%s is %v", name, m[name])
		}
	}
	has := func(name, value string) bool {
		list, ok := m[name].([]any)
		return !ok || slices.Contains(list, any(value))
	}
	if !has("response_types_supported", "code") {
		return nil, errors.New("no code flow")
	}
	if !has("token_endpoint_auth_methods_supported", r.p.Client().Auth) {
		return nil, errors.New("no client authentication")
	}
	return m, nil
}

func (r *reference) authorize(m map[string]any, state, nonce, verifier string) (string, error) {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {r.p.Client().ID}, "redirect_uri": {testRedirect},
		"scope": {"openid profile email"}, "state": {state}, "nonce": {nonce},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for name, values := range r.params {
		q[name] = values
		if values == nil {
			q.Del(name)
		}
	}
	endpoint := m["authorization_endpoint"].(string)
	sep := "?"
	if strings.Contains(endpoint, "?") {
		sep = "&"
	}
	resp, err := r.http.Get(endpoint + sep + q.Encode())
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	return resp.Header.Get("Location"), nil
}

func (r *reference) callback(m map[string]any, location, state string) (string, error) {
	query, ok := strings.CutPrefix(location, testRedirect+"&")
	if !ok {
		return "", fmt.Errorf("redirected to %q", location)
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return "", err
	}
	for _, name := range []string{"code", "state", "iss", "error"} {
		if len(q[name]) > 1 {
			return "", fmt.Errorf("%s twice", name)
		}
	}
	promised := m["authorization_response_iss_parameter_supported"] == true
	switch {
	case q.Get("state") != state:
		return "", errors.New("another state")
	case (promised || q.Has("iss")) && q.Get("iss") != r.p.Issuer():
		return "", errors.New("another iss")
	case q.Has("error"):
		return "", errors.New(q.Get("error"))
	case q.Get("code") == "":
		return "", errors.New("no code")
	}
	return q.Get("code"), nil
}

func (r *reference) trade(m map[string]any, code, verifier string) (map[string]any, error) {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {testRedirect}, "code_verifier": {verifier},
	}
	c := r.p.Client()
	if c.Auth != "client_secret_basic" {
		form.Set("client_id", c.ID)
	}
	if c.Auth == "client_secret_post" {
		form.Set("client_secret", c.Secret)
	}
	req, err := http.NewRequest("POST", m["token_endpoint"].(string), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.Auth == "client_secret_basic" {
		req.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
	}
	body, _, err := r.do(req)
	if err != nil {
		return nil, err
	}
	return object(body)
}

func (r *reference) userinfo(m map[string]any, access, subject string) error {
	req, err := http.NewRequest("GET", m["userinfo_endpoint"].(string), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+access)
	body, kind, err := r.do(req)
	if err != nil {
		return err
	}
	var claims map[string]any
	if kind == "application/jwt" {
		if claims, err = r.verify(m, string(body)); err == nil &&
			(claims["iss"] != r.p.Issuer() || claims["aud"] != r.p.Client().ID) {
			err = errors.New("iss or aud")
		}
	} else {
		claims, err = object(body)
	}
	if err == nil && claims["sub"] != subject {
		err = errors.New("another sub")
	}
	return err
}

func (r *reference) get(target, bearer string) (map[string]any, error) {
	req, err := http.NewRequest("GET", target, nil)
	if err != nil {
		return nil, err
	}
	body, _, err := r.do(req)
	if err != nil {
		return nil, err
	}
	return object(body)
}

func (r *reference) do(req *http.Request) (body []byte, contentType string, err error) {
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, "", fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, testLimit+1))
	if err == nil && len(body) > testLimit {
		err = errors.New("too long")
	}
	return body, resp.Header.Get("Content-Type"), err
}
