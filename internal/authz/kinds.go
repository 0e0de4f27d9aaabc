package authz

import (
	"errors"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file has a function for each kind of rule. They are called only for
// signed-in users.

func anyUser(*condition, *Subject) verdict { return yes }

func inGroup(c *condition, s *Subject) verdict {
	groups := s.User.Groups()
	for _, value := range c.Values {
		if slices.Contains(groups, value) {
			return yes
		}
	}
	if s.User.Withholds("groups") {
		return unknown
	}
	return no
}

func needsGroups(_ *Rule, n *identity.Needs) { n.Claims = append(n.Claims, "groups") }

func hasClaim(c *condition, s *Subject) verdict {
	value, ok := s.User.Claim(c.Path)
	switch {
	case !ok && s.User.Withholds(c.Path):
		return unknown
	case !ok:
		return no
	case len(c.operands) == 0:
		return holds(value.IsSet())
	}
	return holds(value.Matches(c.operands))
}

func isUser(c *condition, s *Subject) verdict { return holds(slices.Contains(c.Values, s.User.ID())) }

func inEmailDomain(c *condition, s *Subject) verdict {
	domain, ok := s.User.EmailDomain()
	switch {
	case ok:
		return holds(slices.Contains(c.Values, domain))
	case s.User.Withholds("email"):
		return unknown
	}
	return no
}

// checkDomain returns a domain in the form in which domains are compared.
func checkDomain(value string) (string, error) {
	domain := strings.ToLower(value)
	if strings.Trim(domain, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") || strings.Contains(domain, "..") {
		return "", errors.New("is not a domain in ASCII, such as example.com; write an international one as xn--…")
	}
	return domain, nil
}

func fromProvider(c *condition, s *Subject) verdict {
	return holds(slices.Contains(c.Values, s.User.Mapping.Provider))
}

func fromTenant(c *condition, s *Subject) verdict {
	if s.User.LostTenant() {
		return unknown
	}
	return holds(slices.Contains(c.Values, s.User.Tenant()))
}

func hasACR(c *condition, s *Subject) verdict { return holds(haveCommon(c.Values, s.User.ACR())) }

func hasAMR(c *condition, s *Subject) verdict { return holds(haveCommon(c.Values, s.User.AMR())) }

// isRecent reports whether the user has authenticated within the duration, by the
// provider's auth_time.
func isRecent(c *condition, s *Subject) verdict {
	signedIn := s.User.AuthTime()
	if signedIn.IsZero() {
		return no
	}
	isFuture := signedIn.Sub(s.Now) > s.Skew
	return holds(!isFuture && !op.IsTooOld(c.MaxAge, signedIn, s.Now, s.Skew))
}

func hasScope(c *condition, s *Subject) verdict { return holds(haveCommon(c.Values, s.User.Scopes())) }

// evaluates evaluates an expression. For deny, it is sufficient that it holds for
// one reading of the path.
func evaluates(c *condition, s *Subject) verdict {
	is, err := c.Program.Eval(s.Request, !c.deny)
	if err != nil {
		return unknown
	}
	return holds(is)
}

func haveCommon(values, has []string) bool {
	return slices.ContainsFunc(values, func(value string) bool { return slices.Contains(has, value) })
}

// test evaluates a condition.
func (c *condition) test(s *Subject) verdict {
	switch {
	case c.any != nil:
		return anyOf(c.any, s)
	case c.all != nil:
		return allOf(c.all, s)
	}
	return c.kind.test(c, s)
}

// anyOf reports whether one of the conditions holds. Unknown ones do not.
func anyOf(conditions []condition, s *Subject) verdict {
	for i := range conditions {
		if conditions[i].test(s) == yes {
			return yes
		}
	}
	return no
}

// allOf reports whether all conditions of a profile are satisfied.
func allOf(conditions []condition, s *Subject) verdict {
	for i := range conditions {
		if !conditions[i].satisfied(s) {
			return no
		}
	}
	return yes
}

// satisfied reports whether a condition admits the user: a required one holds, and
// a denied one does not. An unknown one is not satisfied.
func (c *condition) satisfied(s *Subject) bool {
	if c.deny {
		return c.test(s) == no
	}
	return c.test(s) == yes
}
