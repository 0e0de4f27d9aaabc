package oidctest

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// refreshOf redeems a refresh token.
func (r *reference) refreshOf(token, scope string) (map[string]any, error) {
	honest := r.http.Transport
	defer func() { r.http.Transport = honest }()
	r.http.Transport = editForm{honest, func(f url.Values, _ *http.Request) {
		clear(f)
		f.Set("grant_type", "refresh_token")
		f.Set("refresh_token", token)
		if scope != "" {
			f.Set("scope", scope)
		}
	}}
	return r.trade(map[string]any{"token_endpoint": r.p.URL(Token)}, "", "")
}

// refreshed makes a refresh and checks the new ID token, as the rows S17 require.
func (r *reference) refreshed(before map[string]any) error {
	got, err := r.refreshOf(r.p.Issued().RefreshToken, "")
	if err != nil {
		return err
	}
	token, ok := got["id_token"].(string)
	if !ok {
		return nil
	}
	claims, err := r.verify(map[string]any{"jwks_uri": r.p.URL(JWKS)}, token)
	if err != nil {
		return err
	}
	nonce := before["nonce"].(string)
	if claims["nonce"] == nil {
		claims["nonce"] = nonce // the ID token of a refresh may omit it
	}
	signedIn := func(claims map[string]any) float64 {
		number, _ := claims["auth_time"].(json.Number)
		seconds, _ := number.Float64()
		return seconds
	}
	if claims["auth_time"] != nil && signedIn(claims) < signedIn(before) {
		return errors.New("auth_time is earlier")
	}
	if claims["sub"] != before["sub"] {
		return errors.New("sub")
	}
	return r.judge(claims, nonce, got["access_token"].(string))
}

func TestRefreshRows(t *testing.T) {
	t.Parallel()
	for _, row := range RefreshRows() {
		t.Run(row.String(), func(t *testing.T) {
			t.Parallel()
			p := New(t, row.Options...)
			rp := newReference(p)
			p.Tell(row)
			if _, err := rp.login(); err != nil {
				t.Fatal(err)
			}
			before, err := rp.verify(map[string]any{"jwks_uri": p.URL(JWKS)}, p.Issued().IDToken)
			if err != nil {
				t.Fatal(err)
			}
			if err := rp.refreshed(before); (err == nil) != (row.Want == Accept) {
				t.Errorf("%s: %v", row.Want, err)
			}
		})
	}
}

func TestLogoutRows(t *testing.T) {
	t.Parallel()
	for _, row := range LogoutRows() {
		t.Run(row.ID+" "+row.Name, func(t *testing.T) {
			t.Parallel()
			p := New(t)
			sub, sid := "u-1001", "s-1"
			if row.NoSub {
				sub = ""
			}
			if row.NoSID {
				sid = ""
			}
			err := newReference(p).logoutToken(p.LogoutToken(sub, sid, row.Lies))
			if row.Want != Either && (err == nil) != (row.Want == Accept) {
				t.Errorf("%s: %v", row.Want, err)
			}
		})
	}
}

// logoutToken checks a logout token according to Back-Channel Logout 1.0 section 2.6.
func (r *reference) logoutToken(token string) error {
	c, err := r.verifyTyp(map[string]any{"jwks_uri": r.p.URL(JWKS)}, token, "logout+jwt")
	if err != nil {
		return err
	}
	events, _ := c["events"].(map[string]any)
	_, isEvent := events[BackchannelEvent].(map[string]any)
	_, nonce := c["nonce"]
	switch {
	case c["iss"] != r.p.Issuer() || c["aud"] != r.p.Client().ID:
		return errors.New("iss or aud")
	case !isEvent || nonce || c["jti"] == nil || c["sub"] == nil && c["sid"] == nil:
		return errors.New("events, nonce, jti, sub or sid")
	}
	now := float64(time.Now().Unix())
	if iat, ok := number(c["iat"]); !ok || iat-testSkew > now {
		return errors.New("iat")
	}
	if exp, ok := number(c["exp"]); ok && exp+testSkew < now {
		return errors.New("exp")
	}
	return nil
}
