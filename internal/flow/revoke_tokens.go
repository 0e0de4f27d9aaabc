package flow

import (
	"context"
	"log/slog"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// revokeTimeout bounds a token revocation, which no request waits for.
const revokeTimeout = 15 * time.Second

// revoking limits concurrent revocations in this process. Tokens beyond the limit
// are left to expire.
var revoking = make(chan struct{}, 32)

// revokeTokens revokes a session's tokens at the provider if it supports that (RFC
// 7009). The refresh token is first, because many providers then revoke the access
// tokens issued for it. The logout neither waits for this nor fails because of it:
// the session has ended here, and tokens expire.
func (in *Instance) revokeTokens(ctx context.Context, p *Provider, s *session.Session) {
	tokens := [...]struct{ token, kind string }{{s.Grant.RefreshToken, "refresh_token"}, {s.AccessToken, "access_token"}}
	if tokens[0].token == "" && tokens[1].token == "" {
		return // no tokens were kept, because no application gets them
	}
	select {
	case revoking <- struct{}{}:
	default:
		in.warn("token_revocation_skipped", "tokens were not revoked: too many are under way", slog.String("provider", p.ID))
		return
	}
	go func() {
		defer func() { <-revoking }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
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
