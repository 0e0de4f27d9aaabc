package identity

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// ErrNoUsername is returned if no claim names the user, although the provider's
// response is good.
var ErrNoUsername = errors.New("no claim names the user")

// Username returns the user's name: it tries claim by claim, each in the ID token,
// then in userinfo. An e-mail address counts only if the same source says that it
// is verified. The error is ErrNoUsername, with what is wrong with each claim, or
// that of a claim that is not JSON.
func (m *Mapping) Username(from Sources) (string, error) {
	var why []string
	for _, path := range m.Usernames {
		reason := "is absent"
		for _, source := range []op.Claims{from.IDToken, from.Userinfo} {
			name, flaw, err := nameAt(source, path)
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

// nameAt returns the name that one source has at a path, or why what is there
// does not count.
func nameAt(source op.Claims, path string) (name, flaw string, err error) {
	set, err := claims.Encode(membersFor(source, path))
	if err != nil {
		return "", "", err
	}
	value, ok := set.Path(path)
	switch {
	case !ok:
		return "", "", nil
	case path == "email" && !isEmailVerified(source):
		return "", "is there, but email_verified is " + emailVerifiedAs(source), nil
	}
	if name = value.Plain(); name == "" {
		flaw = "is there, but is empty or neither a text nor a number"
	}
	return name, flaw, nil
}

func isEmailVerified(source op.Claims) bool {
	value, err := claims.FromJSON(source["email_verified"])
	return err == nil && value.True()
}

// emailVerifiedAs returns what email_verified is where it is not true, as a word
// for messages.
func emailVerifiedAs(source op.Claims) string {
	if _, ok := source["email_verified"]; !ok {
		return "absent"
	}
	return "not true"
}

// IsNamedBy reports whether the ID token alone names the user. It does not if the
// first username claim is absent there, since that may be in userinfo.
func (m *Mapping) IsNamedBy(idToken op.Claims) bool {
	name, _, err := nameAt(idToken, m.Usernames[0])
	return err == nil && name != ""
}
