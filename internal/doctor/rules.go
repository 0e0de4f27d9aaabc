package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// checkRules reports rules that users of the provider probably cannot satisfy,
// judging by the requested scopes and the provider's metadata.
func (e *Examination) checkRules(i *op.Inspection, s *Subject) {
	const name = "rules"
	requested := append([]string{"openid"}, s.Client.Scopes...)
	var seen []string
	for _, rule := range s.Rules {
		text := rule.String()
		if slices.Contains(seen, text) {
			continue
		}
		seen = append(seen, text)
		none := func(of []string) bool {
			return !slices.ContainsFunc(rule.Values, func(value string) bool { return slices.Contains(of, value) })
		}
		switch {
		case rule.Kind == authz.KindScope && none(requested):
			e.warn(name, fmt.Sprintf("%s: the scope is not requested, so the provider does not grant it", text), "Add "+strings.Join(rule.Values, " or ")+" to scopes.")
		case rule.Kind == authz.KindACR && i.Said.ACRs != nil && none(i.Said.ACRs):
			e.warn(name, fmt.Sprintf("%s: the provider offers %s", text, strings.Join(i.Said.ACRs, ", ")), "Use one of those, or have the provider offer it.")
		case rule.Kind == authz.KindGroup && slices.Contains(i.Said.Scopes, "groups") && !slices.Contains(requested, "groups"):
			e.warn(name, text+": the provider offers the scope groups, which is not requested", "Add groups to scopes, if the provider does not send groups without it.")
		}
	}
}
