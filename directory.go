package oidcrp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/directory/file" // needs nothing but Caddy
	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/directory/list"
	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/directory/scim"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/knownusers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// This file loads the directories of the option known_users.

// resolveKnownUsers loads the directories of a site.
func resolveKnownUsers(h *Handler, ctx caddy.Context) error {
	if h.KnownUsersRaw == nil {
		return nil
	}
	var names []string // Caddy drops the JSON of a module once it is loaded
	for _, raw := range h.KnownUsersRaw {
		var named struct {
			Module string `json:"module"`
		}
		if err := json.Unmarshal(raw, &named); err != nil || named.Module == "" {
			return errors.New(`known_users: a directory is an object that names its module, as {"module": "list"}`)
		}
		names = append(names, named.Module)
	}
	if len(names) == 0 {
		return errors.New("known_users: the list is empty, so no user would be known")
	}
	loaded, err := ctx.LoadModule(h, "KnownUsersRaw")
	if err != nil {
		return fmt.Errorf("known_users: %w", err)
	}
	for i, module := range loaded.([]any) {
		known, ok := module.(directory.Directory)
		if !ok {
			return fmt.Errorf("known_users: %T is not a directory", module)
		}
		entry := knownusers.Entry{Name: names[i], Directory: known}
		if limited, ok := module.(directory.Limited); ok {
			entry.Providers = limited.Providers()
		}
		if err := checkDirectoryProviders(h, entry); err != nil {
			return err
		}
		h.instance.KnownUsers = append(h.instance.KnownUsers, entry)
	}
	return nil
}

// checkDirectoryProviders refuses a directory for the users of a provider that the
// site does not have.
func checkDirectoryProviders(h *Handler, entry knownusers.Entry) error {
	for _, id := range entry.Providers {
		if h.providers[id] == nil {
			err := fmt.Errorf("known_users %s: provider %s: this site has no such provider", entry.Name, id)
			return suggest.Hint(err, id, slices.Sorted(maps.Keys(h.providers))...)
		}
	}
	return nil
}

// parseKnownUsers parses the name of a directory; its module parses the rest.
func parseKnownUsers(d *caddyfile.Dispenser, h *Handler) error {
	if !d.NextArg() {
		return d.Err("known_users takes the name of a directory: list, file or scim")
	}
	place, kind := d.Token(), d.Val()
	id := directory.Namespace + "." + kind
	if _, err := caddy.GetModule(id); err != nil {
		return suggest.Hint(d.Errf("unrecognized directory '%s': there is no module %s in this Caddy", kind, id), kind, directoryModules()...)
	}
	unm, err := caddyfile.UnmarshalModule(d, id)
	if err != nil {
		return err
	}
	raw := caddyconfig.JSONModuleObject(unm, "module", kind, nil)
	if slices.ContainsFunc(h.KnownUsersRaw, func(other json.RawMessage) bool { return bytes.Equal(other, raw) }) {
		return caddyargs.At(place).Errf("known_users: this directory is there twice")
	}
	h.KnownUsersRaw = append(h.KnownUsersRaw, raw)
	return nil
}

// directoryModules returns the names of the directories in this Caddy.
func directoryModules() (kinds []string) {
	for _, module := range caddy.GetModules(directory.Namespace) {
		kinds = append(kinds, module.ID.Name())
	}
	return kinds
}
