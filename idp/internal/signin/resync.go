package signin

import (
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
)

// showResync asks for two successive codes of a token whose counter has run away.
// Where the password is not proven yet, both go into the field for the code.
func (v *visit) showResync() {
	f, d, ok := v.load()
	if !ok {
		return
	}
	if d.step != stepFactor || !f.hasCode() {
		v.proceed()
		return
	}
	v.render(&pages.Resync{Common: v.common(pages.FieldCode), Action: v.path("resync"), User: f.user.Name, Cancel: v.path("")})
}

// takeResync judges two codes like one: they are one attempt.
func (v *visit) takeResync() {
	in := v.typed()
	in.code = in.code + " " + strings.TrimSpace(v.field(pages.FieldCode2))
	v.takeSecond(in, "resync")
}
