package oidcrp

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// This file checks the options of logouts. The logouts themselves, the user's and
// the provider's, are in internal/flow.

const defaultLogoutPath = "/Special:UserLogout"

// checkLogoutPath refuses a path at which a logout would take another address's
// place.
func (h *Handler) checkLogoutPath() error {
	if _, _, under := h.instance.CutEndpoint(h.LogoutPath); under {
		return errors.New("logout_path: is under the endpoints")
	}
	if home, _, _ := strings.Cut(h.Home, "?"); home == h.LogoutPath {
		return errors.New("logout_path: is the home page, which would sign out whoever opens it")
	}
	return nil
}

// resolveSignedOut expands and checks the address where a browser ends after a
// logout.
func (h *Handler) resolveSignedOut() (err error) {
	if h.SignedOut == "" {
		return nil
	}
	if h.SignedOut, err = expand(h.SignedOut); err == nil {
		err = address.CheckTarget(h.SignedOut)
	}
	if err != nil {
		return fmt.Errorf("signed_out: %w", err)
	}
	if path, _, _ := strings.Cut(h.SignedOut, "?"); strings.HasPrefix(path, "/") && h.instance.IsOwnPath(path) {
		return errors.New("signed_out: is one of our own addresses, which would lead to itself")
	}
	return nil
}

// checkSiteData refuses unknown types of the header Clear-Site-Data (W3C Clear
// Site Data, section 3.1), duplicates, and a wildcard beside others.
func checkSiteData(types []string) error {
	for i, name := range types {
		if err := checkOneOf("clear_site_data", name, []string{"cache", "cookies", "storage", "executionContexts", "*"}); err != nil {
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
