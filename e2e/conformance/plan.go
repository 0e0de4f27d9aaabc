package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A plan is one row of the tables of plans: a plan of the suite in one of its variants,
// and the plugin's options for it.
type plan struct {
	name    string            // here, and of its column on the page
	atSuite string            // the name of the plan at the suite
	variant map[string]string // what the plan lets the caller choose
	options string            // lines of the oidc_rp block, as in a Caddyfile
	client  map[string]any    // more members of the registered client
	keys    bool              // the provider's keys come from the configuration
	least   int               // how many modules the suite must have at least
	only    []string          // run only these
	modules []module          // the table of modules
	except  map[string]module // overrides of rows of the table; unset fields keep the table's value
}

// A group of plans is one table of the page.
type group struct {
	title string
	plans []plan
}

var groups = []group{
	{"Sign-in", corePlans},
	{"Logout, refresh, and logins that another site begins", logoutPlans},
	{"FAPI 2.0", fapiPlans},
}

// planNamed returns the plan with this name.
func planNamed(name string) (plan, error) {
	var names []string
	for _, g := range groups {
		for _, p := range g.plans {
			if p.name == name {
				return p, nil
			}
			names = append(names, p.name)
		}
	}
	return plan{}, fmt.Errorf("no plan is named %q; there are %s", name, strings.Join(names, ", "))
}

// chosen returns the plans to run: the named ones, or all.
func chosen(names []string) (all []plan, err error) {
	for _, name := range names {
		p, err := planNamed(name)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if len(names) > 0 {
		return all, nil
	}
	for _, g := range groups {
		all = append(all, g.plans...)
	}
	return all, nil
}

// module returns the row for a module in this plan.
func (p plan) module(name string) (module, bool) {
	i := slices.IndexFunc(p.modules, func(m module) bool { return m.name == name })
	if i < 0 {
		return module{}, false
	}
	m := p.modules[i]
	if e, found := p.except[name]; found {
		if e.do != nil {
			m.do = e.do
		}
		if e.own != nil {
			m.own = e.own
		}
		if e.absent != "" {
			m.absent = e.absent
		}
	}
	return m, true
}

// runs reports whether the driver runs this module of the suite's plan.
func (p plan) runs(name string) bool { return len(p.only) == 0 || slices.Contains(p.only, name) }

// optionsFor returns the Caddyfile lines for a module. Its own lines replace lines of the
// plan that begin with the same word.
func (p plan) optionsFor(m module) string {
	if m.options == "" {
		return p.options
	}
	own := map[string]bool{}
	for line := range strings.Lines(m.options) {
		own[firstWord(line)] = true
	}
	var b strings.Builder
	depth := 0
	for line := range strings.Lines(p.options) {
		if depth > 0 || !own[firstWord(line)] {
			b.WriteString(line)
		}
		depth += strings.Count(line, "{") - strings.Count(line, "}")
	}
	return strings.TrimRight(b.String(), "\n") + "\n" + m.options
}

func firstWord(line string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return word
}

// config returns the plan's configuration for the suite.
func (p plan) config(origin, commit string, c *credentials) map[string]any {
	client := map[string]any{
		"client_id":                            clientID,
		"client_secret":                        c.secret,
		"redirect_uri":                         origin + endpoints + "code",
		"post_logout_redirect_uri":             origin + endpoints + "signedout",
		"backchannel_logout_uri":               origin + endpoints + "backchannel-logout",
		"backchannel_logout_session_required":  true,
		"frontchannel_logout_uri":              origin + endpoints + "frontchannel-logout",
		"frontchannel_logout_session_required": true,
		"initiate_login_uri":                   origin + endpoints + "initiate",
		"jwks":                                 c.jwks,
		"certificate":                          c.certificate,
		"tls_client_auth_subject_dn":           "CN=" + clientID,
		"scope":                                "openid",
	}
	maps.Copy(client, p.client)
	config := map[string]any{
		"alias":       "caddy-oidc-rp",
		"description": "caddy-oidc-rp " + commit + ": " + p.name,
		"client":      client,
	}
	if p.keys {
		config["server"] = map[string]any{"jwks": c.server}
	}
	return config
}
