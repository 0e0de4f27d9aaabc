package flow

import (
	"context"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// checkParentKnown asks the directories of the login host about the user of a session
// that was handed over from there, where the login host is in the same configuration.
func (in *Instance) checkParentKnown(ctx context.Context, p *Provider, s *session.Session) *Failure {
	for _, host := range in.LoginHost.Instances {
		theirs := host.Providers[s.Parent.Provider]
		if theirs == nil || theirs.Registration != p.Registration {
			continue
		}
		parent := *s
		parent.ID, parent.Provider, parent.Username, parent.Parent = s.Parent.ID, s.Parent.Provider, s.Parent.Username, nil
		f := host.checkDirectories(ctx, theirs, &parent)
		if f != nil {
			f.Provider = p
		}
		return f
	}
	return nil
}
