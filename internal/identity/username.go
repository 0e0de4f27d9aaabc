package identity

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// ErrNoUsername means that no claim names the user, although the provider's
// response is valid.
var ErrNoUsername = errors.New("no claim names the user")

// Username returns the user's name. It tries the claims in order, each in the ID
// token and then in userinfo. An e-mail address is used only if it is verified
// according to the same source. The error is ErrNoUsername, with what is wrong
// with each claim, or that of a claim that is not JSON.
func (m *Mapping) Username(from Sources) (string, error) {
	var why []string
	for _, path := range m.Usernames {
		reason := "is absent"
		for _, source := range []op.Claims{from.IDToken, from.Userinfo} {
			name, flaw, err := m.nameAt(source, path)
			if err != nil {
				return "", err
			}
			if name != "" {
				return name, nil
			}
			if flaw != "" {
				reason = flaw
			}
		}
		why = append(why, path+" "+reason)
	}
	return "", fmt.Errorf("%w: %s; set username_claim to a claim that the provider sends", ErrNoUsername, strings.Join(why, ", "))
}

// nameAt returns the name at a path of one source, or why the value there cannot be
// used.
func (m *Mapping) nameAt(source op.Claims, path string) (name, flaw string, err error) {
	set, err := claims.Encode(membersFor(source, path))
	if err != nil {
		return "", "", err
	}
	value, ok := set.Path(path)
	if !ok {
		return "", "", nil
	}
	if path == "email" {
		if flaw := m.emailFlaw(source); flaw != "" {
			return "", "is there, but " + flaw, nil
		}
	}
	if name = value.Plain(); name == "" {
		flaw = "is there, but is empty or neither a text nor a number"
	}
	return name, flaw, nil
}

// IsNamedBy reports whether the ID token alone determines the user's name. It does
// not if it lacks the first username claim, which may be in userinfo.
func (m *Mapping) IsNamedBy(idToken op.Claims) bool {
	name, _, err := m.nameAt(idToken, m.Usernames[0])
	return err == nil && name != ""
}
