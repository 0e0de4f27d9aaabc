package opconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Choice is the configuration of the providers of one site, as ids.
type Choice struct {
	Shared        []string // of all sites, sorted
	SharedDefault string   // the default provider of all sites; may be empty

	Named   []string // the shared ones that the site names
	Own     []string // those of the site alone, sorted
	Default string   // the default provider of the site; may be empty
}

// UnknownDefaultError reports a default provider that the site does not have.
type UnknownDefaultError struct {
	ID  string
	IDs []string // of the providers that the site has
}

func (e *UnknownDefaultError) Error() string {
	return fmt.Sprintf("default_provider %s: is not a provider of this site; it has: %s", e.ID, strings.Join(e.IDs, ", "))
}

// IDs returns the ids of the providers that may sign users in at the site. A site
// that names none and has none of its own uses the only shared one.
func (c Choice) IDs() ([]string, error) {
	ids := slices.Concat(c.Named, c.Own)
	switch {
	case len(ids) > 0:
		return ids, nil
	case len(c.Shared) == 0:
		return nil, errors.New("no provider is configured: give issuer, client_id and client_secret")
	case len(c.Shared) > 1:
		return nil, fmt.Errorf("there are several shared providers (%s): name those of this site with the option provider", strings.Join(c.Shared, ", "))
	}
	return c.Shared, nil
}

// DefaultOf returns the default provider of the site, or the empty string if users
// choose among several.
func (c Choice) DefaultOf(ids []string) (string, error) {
	switch {
	case c.Default != "" && !slices.Contains(ids, c.Default):
		return "", &UnknownDefaultError{c.Default, ids}
	case c.Default != "":
		return c.Default, nil
	case slices.Contains(ids, c.SharedDefault):
		return c.SharedDefault, nil
	case len(ids) == 1:
		return ids[0], nil
	}
	return "", nil
}
