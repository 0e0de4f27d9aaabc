package opconfig

import (
	"slices"
	"testing"
)

func TestProvidersOfASite(t *testing.T) {
	t.Parallel()
	two := []string{"a", "b"}
	for _, tc := range []struct {
		name      string
		choice    Choice
		ids       []string
		defaultID string
		err       string
	}{
		{"the only shared one", Choice{Shared: two[:1]}, two[:1], "a", ""},
		{"one of two shared", Choice{Shared: two, Named: []string{"b"}}, []string{"b"}, "b", ""},
		{"the default of all sites", Choice{Shared: two, SharedDefault: "b", Named: two}, two, "b", ""},
		{"a default of its own", Choice{Shared: two, SharedDefault: "b", Named: two, Default: "a"}, two, "a", ""},
		{"a shared one and its own", Choice{Shared: two, Named: []string{"a"}, Own: []string{"c"}, Default: "c"}, []string{"a", "c"}, "c", ""},
		{"its own, where the default of all sites is none of it", Choice{Shared: two, SharedDefault: "b", Own: []string{"c"}}, []string{"c"}, "c", ""},
		{"none", Choice{}, nil, "", "no provider is configured: give issuer, client_id and client_secret"},
		{"several shared", Choice{Shared: two, SharedDefault: "a"}, nil, "",
			"there are several shared providers (a, b): name those of this site with the option provider"},
		{"several without a default", Choice{Own: two}, two, "", ""},
		{"several, and the default of all sites is none of them", Choice{Shared: []string{"a", "b", "c"}, SharedDefault: "c", Named: two}, two, "", ""},
		{"a default of another site", Choice{Shared: two, Named: []string{"a"}, Default: "b"}, two[:1], "", "default_provider b: is not a provider of this site; it has: a"},
	} {
		defaultID := ""
		ids, err := tc.choice.IDs()
		if err == nil {
			defaultID, err = tc.choice.DefaultOf(ids)
		}
		if !slices.Equal(ids, tc.ids) {
			t.Errorf("%s: the site has %q, expected %q", tc.name, ids, tc.ids)
		}
		if defaultID != tc.defaultID {
			t.Errorf("%s: the default is %q, expected %q", tc.name, defaultID, tc.defaultID)
		}
		message := ""
		if err != nil {
			message = err.Error()
		}
		if message != tc.err {
			t.Errorf("%s: got the error %q, expected %q", tc.name, message, tc.err)
		}
	}
}
