package authz

import (
	"slices"
	"time"
)

// Demands are what rules demand of how and when users authenticate, and what a
// login requests from the provider: the kinds acr, amr and max_age outside of any.
type Demands struct {
	// MaxAge is how long ago the user may have authenticated; zero for no limit.
	MaxAge time.Duration
	// ACR are lists of acr values. One value of each list is required.
	ACR [][]string
	// AMR are lists of amr values. One value of each list is required. A login can
	// request those for which the provider has an acr.
	AMR [][]string
	// Scopes are the scopes to mention to programs: the first of each rule about
	// scopes. Logins do not request them.
	Scopes []string
}

// IsZero reports whether nothing is demanded.
func (d *Demands) IsZero() bool { return d.MaxAge == 0 && len(d.ACR) == 0 && len(d.AMR) == 0 }

func (d *Demands) add(c *condition) {
	switch c.Kind {
	case KindMaxAge:
		if d.MaxAge == 0 || c.MaxAge < d.MaxAge {
			d.MaxAge = c.MaxAge
		}
	case KindACR:
		d.ACR = withList(d.ACR, c.Values)
	case KindAMR:
		d.AMR = withList(d.AMR, c.Values)
	case KindScope:
		d.addScopes(c.Values[:1])
	}
}

// withList adds a list of values, unless it is already there.
func withList(lists [][]string, values []string) [][]string {
	if slices.ContainsFunc(lists, func(list []string) bool { return slices.Equal(list, values) }) {
		return lists
	}
	return append(lists, values)
}

func (d *Demands) addScopes(scopes []string) {
	for _, scope := range scopes {
		if !slices.Contains(d.Scopes, scope) {
			d.Scopes = append(d.Scopes, scope)
		}
	}
}

// DemandsOf returns the combined demands of sets of rules.
func DemandsOf(sets []*Set) (d Demands) {
	for _, set := range sets {
		if age := set.demands.MaxAge; age != 0 && (d.MaxAge == 0 || age < d.MaxAge) {
			d.MaxAge = age
		}
		for _, values := range set.demands.ACR {
			d.ACR = withList(d.ACR, values)
		}
		for _, values := range set.demands.AMR {
			d.AMR = withList(d.AMR, values)
		}
		d.addScopes(set.demands.Scopes)
	}
	return d
}
