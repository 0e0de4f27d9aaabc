package oidcrp

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
)

// This file checks the options of logouts. The logouts themselves, the user's and
// the provider's, are in internal/flow.

const defaultLogoutPath = "/Special:UserLogout"

// checkLogoutPath refuses a path at which a logout would take another address's
// place.
func checkLogoutPath(in *flow.Instance, logoutPath, home string) error {
	if _, _, under := in.CutEndpoint(logoutPath); under {
		return errors.New("logout_path: is under the endpoints")
	}
	if home, _, _ := strings.Cut(home, "?"); home == logoutPath {
		return errors.New("logout_path: is the home page, which would sign out whoever opens it")
	}
	return nil
}

// checkSignedOut checks the address where a browser ends after a logout.
func checkSignedOut(in *flow.Instance, target string) error {
	if err := address.CheckTarget(target); err != nil {
		return fmt.Errorf("signed_out: %w", err)
	}
	if path, _, _ := strings.Cut(target, "?"); strings.HasPrefix(path, "/") && in.IsOwnPath(path) {
		return errors.New("signed_out: is one of our own addresses, which would lead to itself")
	}
	return nil
}

// checkSiteData refuses unknown types of the header Clear-Site-Data (W3C Clear
// Site Data, section 3.1), duplicates, and a wildcard beside others.
func checkSiteData(types []string) error {
	for i, name := range types {
		if err := optioncheck.First(optioncheck.OneOf("clear_site_data", name, "cache", "cookies", "storage", "executionContexts", "*")); err != nil {
			return err
		}
		if slices.Contains(types[:i], name) {
			return fmt.Errorf("clear_site_data: %s is there twice", name)
		}
	}
	if len(types) > 1 && slices.Contains(types, "*") {
		return errors.New("clear_site_data: * is all of them and stands alone")
	}
	return nil
}
