package loadcheck

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// provider returns the instance's provider with the given id.
func (i *Instance) provider(id string) (Provider, bool) {
	n := slices.IndexFunc(i.Providers, func(p Provider) bool { return p.ID == id })
	if n < 0 {
		return Provider{}, false
	}
	return i.Providers[n], true
}

// providerIDs returns the ids of the instance's providers, sorted.
func (i *Instance) providerIDs() (ids []string) {
	for _, p := range i.Providers {
		ids = append(ids, p.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// checkProviderIDs finds two instances for which one id means different
// providers, or which identify that provider's users differently. That cannot
// work, because the endpoints of one instance serve the logins of both.
func checkProviderIDs(r *report, i, other *Instance) {
	if !i.SharesRequests(other.Instance) {
		return
	}
	if i.Endpoints != other.Endpoints && i.Session.Cookie.Name != other.Session.Cookie.Name {
		return // they share neither endpoints nor cookies
	}
	for _, id := range i.providerIDs() {
		own, _ := i.provider(id)
		theirs, ok := other.provider(id)
		if !ok || !own.Own || !theirs.Own {
			continue
		}
		if option, value, otherValue := difference(own, theirs); option != "" {
			r.refuse("provider %s: two instances of this site have different values of %s (%q and %q): one of them would not know the other's sessions; give the providers different ids, or the same options",
				id, option, otherValue, value)
		}
	}
}

// difference returns the first option, in alphabetical order, by which two
// providers identify users differently, and its values. It returns "" if there
// is none.
func difference(p, other Provider) (option, value, otherValue string) {
	options, others := p.identity(), other.identity()
	all := maps.Clone(options)
	maps.Copy(all, others)
	for _, option := range slices.Sorted(maps.Keys(all)) {
		if options[option] != others[option] {
			return option, options[option], others[option]
		}
	}
	return "", "", ""
}

// identity returns the options that decide who a user is, by name, with defaults
// applied.
func (p Provider) identity() map[string]string {
	all := map[string]string{
		"issuer": p.Issuer, "client_id": p.ClientID,
		"username_claim": cmp.Or(strings.Join(p.UsernameClaims, " "), "preferred_username sub"),
		"groups_claim":   cmp.Or(p.GroupsClaim, "groups"),
		"email_trusted":  strconv.FormatBool(p.EmailTrusted),
	}
	sorted := func(list []string) string { return strings.Join(slices.Sorted(slices.Values(list)), " ") }
	all["groups"] = sorted(p.Groups)
	for name, list := range map[string][]string{"tenants": p.Tenants, "domains": p.Domains} { // case-insensitive
		all[name] = sorted(strings.Fields(strings.ToLower(strings.Join(list, " "))))
	}
	for name, local := range p.GroupNames {
		all["groups "+name] = local
	}
	for name, path := range p.Claims {
		if path != name { // otherwise it is the default
			all["claims "+name] = path
		}
	}
	return all
}

// checkCookieNames finds two instances that clear each other's session cookies.
// It compares only instances in the same top-level route of the server:
// instances in different routes are not linked as siblings.
func checkCookieNames(r *report, i, other *Instance) {
	if i.Route == other.Route && i.Session.Clashes(&other.Session) {
		r.warn("two instances on this site have cookies of the same name and clear each other's, because they keep sessions in different places or with different secrets: give one a different name with session { cookie <name> }",
			slog.String("cookie", i.Session.Cookie.Name), slog.Any("providers", other.providerIDs()), slog.Any("other_providers", i.providerIDs()))
	}
}
