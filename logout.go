package oidcrp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
)

// This file checks the options of logouts. Package internal/flow implements
// logouts.

const defaultLogoutPath = "/Special:UserLogout"

// checkLogoutPath refuses a path that conflicts with the endpoints or the home
// page.
func checkLogoutPath(in *flow.Instance, logoutPath, home string) error {
	if _, _, under := in.CutEndpoint(logoutPath); under {
		return errors.New("logout_path: is under the endpoints")
	}
	if home, _, _ := strings.Cut(home, "?"); home == logoutPath {
		return errors.New("logout_path: is the home page, which would sign out whoever opens it")
	}
	return nil
}

// checkSignedOut checks the address of the page that is shown after a logout.
func checkSignedOut(in *flow.Instance, target string) error {
	if err := address.CheckTarget(target); err != nil {
		return fmt.Errorf("signed_out: %w", err)
	}
	if path, _, _ := strings.Cut(target, "?"); strings.HasPrefix(path, "/") && in.IsOwnPath(path) {
		return errors.New("signed_out: is one of our own addresses, which would lead to itself")
	}
	return nil
}
