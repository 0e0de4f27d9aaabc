package signin

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// showChooser asks whether to continue with the account that is signed in.
func (v *visit) showChooser(f facts, _ decision) {
	v.render(&pages.Chooser{Common: v.common(), Action: v.path("choose"), User: f.user.Name, Name: f.user.DisplayName})
}

// takeChoice processes the choice of an account.
func (v *visit) takeChoice() {
	v.changed(func(_ store.Tx, state *State) error {
		if v.field(pages.FieldChoice) == "continue" && v.owner != nil {
			*state = State{Chosen: true, UserID: v.owner.ID, MayEnrol: state.MayEnrol}
		} else {
			*state = State{Other: true, MayEnrol: state.MayEnrol}
		}
		return nil
	}, v.proceed)
}
