package authz

import (
	"slices"
	"time"
)

// Demands are what rules demand of how and when a user signs in, and what a login
// asks the provider for: those of the kinds acr and max_age that stand alone, and
// not among the alternatives of any.
type Demands struct {
	// MaxAge is how long ago the user may have signed in; zero for any time.
	MaxAge time.Duration
	// ACR are lists of values of acr. One value of each list must be there.
	ACR [][]string
	// Scopes are those that programs may ask for: of each rule about scopes the first.
	// No login asks for them.
	Scopes []string
}

// IsZero reports whether nothing is demanded.
func (d *Demands) IsZero() bool { return d.MaxAge == 0 && len(d.ACR) == 0 }

func (d *Demands) add(c *condition) {
	switch c.Kind {
	case KindMaxAge:
		if d.MaxAge == 0 || c.MaxAge < d.MaxAge {
			d.MaxAge = c.MaxAge
		}
	case KindACR:
		d.addACR(c.Values)
	case KindScope:
		d.addScopes(c.Values[:1])
	}
}

func (d *Demands) addACR(values []string) {
	if !slices.ContainsFunc(d.ACR, func(list []string) bool { return slices.Equal(list, values) }) {
		d.ACR = append(d.ACR, values)
	}
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
			d.addACR(values)
		}
		d.addScopes(set.demands.Scopes)
	}
	return d
}
