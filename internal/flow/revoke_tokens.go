package flow

import (
	"context"
	"log/slog"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// revokeWithin bounds how long a provider may take over a token that no one waits
// for.
const revokeWithin = 15 * time.Second

// revoking bounds how many are under way at once, in this process. Beyond it
// tokens are left to end by themselves.
var revoking = make(chan struct{}, 32)

// revokeTokens tells the provider that a session's tokens are of no use any more,
// where it wants to know (RFC 7009): the refresh token first, with which many
// providers end all that came of it. The logout neither waits for that nor
// fails by it: the session has ended here, and tokens end by themselves.
func (in *Instance) revokeTokens(ctx context.Context, p *Provider, s *session.Session) {
	tokens := [...]struct{ token, kind string }{{s.Grant.RefreshToken, "refresh_token"}, {s.AccessToken, "access_token"}}
	if tokens[0].token == "" && tokens[1].token == "" {
		return // none was kept, as no application gets it
	}
	select {
	case revoking <- struct{}{}:
	default:
		in.warn("token_revocation_skipped", "tokens were not revoked: too many revocations are in progress", slog.String("provider", p.ID))
		return
	}
	go func() {
		defer func() { <-revoking }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeWithin)
		defer cancel()
		for _, t := range tokens {
			if t.token == "" {
				continue
			}
			if offered, err := p.Client.Revoke(ctx, t.token, t.kind); err != nil {
				in.warn("token_revocation_failed", "a token could not be revoked",
					append(providerWords(err), slog.String("provider", p.ID), slog.String("kind", t.kind), errAttr(err))...)
			} else if !offered {
				return
			}
		}
	}()
}
