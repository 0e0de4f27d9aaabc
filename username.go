package oidcrp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// errNoUsername: the answer is good, and no claim of it names the user.
var errNoUsername = errors.New("no claim names the user")

// username finds the user's name: claim by claim, in the ID token, then in
// userinfo, and only then the next. An e-mail address counts only if the same
// source says that it is the user's.
func username(names []string, idToken, info op.Claims) (string, error) {
	var why []string
	for _, path := range names {
		reason := "is absent"
		for _, source := range []op.Claims{idToken, info} {
			name, flaw, err := nameIn(source, path)
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
	return "", fmt.Errorf("%w: %s; set username_claim to a claim that the provider sends", errNoUsername, strings.Join(why, ", "))
}

// nameIn returns the name that one source has at a path, or why what is there
// does not count.
func nameIn(source op.Claims, path string) (name, flaw string, err error) {
	set, err := claims.Encode(claimsForPath(source, path))
	if err != nil {
		return "", "", err
	}
	value, ok := set.Path(path)
	switch {
	case !ok:
		return "", "", nil
	case path == "email" && !verified(source):
		return "", "is there, but email_verified is " + verifiedAs(source), nil
	}
	if name = value.Plain(); name == "" {
		flaw = "is there, but is empty or neither a text nor a number"
	}
	return name, flaw, nil
}

func verified(source op.Claims) bool {
	value, err := claims.FromJSON(source["email_verified"])
	return err == nil && value.True()
}

// verifiedAs says what email_verified is where it is not true.
func verifiedAs(source op.Claims) string {
	if _, ok := source["email_verified"]; !ok {
		return "absent"
	}
	return "not true"
}

// isNamedBy reports whether the ID token alone says what the user's name is: a
// claim that comes first and is not in it may be in userinfo.
func isNamedBy(names []string, idToken op.Claims) bool {
	name, _, err := nameIn(idToken, names[0])
	return err == nil && name != ""
}
