package oidctest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func (r *reference) verify(m map[string]any, token string) (map[string]any, error) {
	return r.verifyTyp(m, token, "JWT")
}

// verifyTyp selects the key by hand, tries one at a time, and leaves the verification to
// go-jose.
func (r *reference) verifyTyp(m map[string]any, token, typ string) (map[string]any, error) {
	set, err := r.get(m["jwks_uri"].(string), "")
	if err != nil {
		return nil, err
	}
	list, ok := set["keys"].([]any)
	if !ok {
		return nil, errors.New("no key set")
	}
	head, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil {
		return nil, err
	}
	header, err := object(head)
	if err != nil {
		return nil, err
	}
	alg := r.p.conf.alg
	if header["alg"] != alg || header["crit"] != nil || header["typ"] != nil && header["typ"] != typ {
		return nil, fmt.Errorf("header %v", header)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		return nil, err
	}
	for _, item := range list {
		jwk, ok := item.(map[string]any)
		if !ok || header["kid"] != nil && jwk["kid"] != header["kid"] ||
			jwk["use"] != nil && jwk["use"] != "sig" || jwk["alg"] != nil && jwk["alg"] != alg {
			continue
		}
		if ops, ok := jwk["key_ops"].([]any); ok && !slices.Contains(ops, any("verify")) {
			continue
		}
		raw, _ := json.Marshal(jwk)
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil {
			continue
		}
		if payload, err := jws.Verify(key); err == nil {
			return object(payload)
		}
	}
	return nil, errors.New("no key fits")
}

// judge checks claims according to Core section 3.1.3.7 and the rows S09 to S15.
func (r *reference) judge(c map[string]any, nonce, access string) error {
	now := float64(time.Now().Unix())
	times := map[string]float64{}
	for _, name := range []string{"exp", "iat", "nbf", "auth_time"} {
		if _, there := c[name]; !there {
			continue
		}
		f, ok := number(c[name])
		if !ok || f < 0 || f > 1<<53 {
			return fmt.Errorf("%s is %v", name, c[name])
		}
		times[name] = f
	}
	sub, _ := c["sub"].(string)
	hash, _ := c["at_hash"].(string)
	client := r.p.Client().ID
	list, isList := c["aud"].([]any)
	switch {
	case c["iss"] != r.p.Issuer():
		return errors.New("iss")
	case sub == "" || len(sub) > 255 || strings.IndexFunc(sub, func(r rune) bool { return r > 127 }) >= 0:
		return errors.New("sub")
	case c["aud"] != any(client) && (!isList || len(list) != 1 || list[0] != any(client)):
		return errors.New("aud")
	case c["azp"] != nil && c["azp"] != client:
		return errors.New("azp")
	case times["exp"] == 0 || times["exp"]+testSkew < now:
		return errors.New("exp")
	case times["iat"] == 0 || times["iat"]-testSkew > now || times["nbf"]-testSkew > now:
		return errors.New("iat or nbf")
	case c["nonce"] != nonce:
		return errors.New("nonce")
	case c["events"] != nil:
		return errors.New("events")
	case c["at_hash"] != nil && hash != accessHash(r.p.conf.alg, access):
		return errors.New("at_hash")
	}
	return nil
}

func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	f, err := n.Float64()
	return f, ok && err == nil
}

// object strictly parses one JSON object: names are case-sensitive, and neither duplicate
// members nor trailing data are allowed.
func object(b []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("no JSON object")
	}
	m := map[string]any{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name := t.(string)
		if _, twice := m[name]; twice {
			return nil, fmt.Errorf("%s twice", name)
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		m[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one document")
	}
	return m, nil
}
