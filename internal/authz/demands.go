package authz

import (
	"slices"
	"time"
)

// Demands are what rules demand of how and when a user signs in, and what a login
// asks the provider for: those of the kinds acr, amr and max_age that stand alone, and
// not among the alternatives of any.
type Demands struct {
	// MaxAge is how long ago the user may have signed in; zero for any time.
	MaxAge time.Duration
	// ACR are lists of values of acr. One value of each list must be there.
	ACR [][]string
	// AMR are lists of values of amr, of which one must be there. A login can ask for
	// those that the provider has an acr for.
	AMR [][]string
	// Scopes are those that programs may ask for: of each rule about scopes the first.
	// No login asks for them.
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

// withList adds a list of values that is not there yet.
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

// DemandsOf returns what sets of rules demand together.
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
