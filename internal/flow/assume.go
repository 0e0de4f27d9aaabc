package flow

import "github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"

// Assume makes the request come from a user, as if a cookie with the session had
// been opened. It is for dry runs, such as explain. It fails if no directory knows
// the user.
func (x *Exchange) Assume(p *Provider, s *session.Session) *Failure {
	st := x.State
	st.at, st.r, st.provider, st.session = x.Instance, x.R, p, s
	return x.checkKnown(x.R.Context(), p, s)
}
