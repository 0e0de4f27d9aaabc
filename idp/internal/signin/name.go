package signin

import (
	"strings"
	"unicode/utf8"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// maxName is the maximum length in bytes of a name or an e-mail address.
const maxName = 254

// showName asks for the name. It is available at every step.
func (v *visit) showName() {
	page := &pages.UserName{Common: v.common(pages.FieldUserName), Action: v.path("name"), Value: v.state.Name}
	if page.Value == "" {
		page.Value = cleanName(v.request.LoginHint)
	}
	if link := v.state.Link; page.Value == "" && link != nil {
		page.Value = link.Email
	}
	page.Externals = v.shown()
	var err error
	if page.Passkey, err = v.askPasskey(nil, true); err != nil {
		v.Fail(v.w, v.r, err)
		return
	}
	err = v.Store.View(v.r.Context(), func(tx store.Tx) error {
		had, err := tx.Setting(store.SettingHadAccount)
		page.NoAccounts = had == ""
		return err
	})
	if err != nil {
		v.Fail(v.w, v.r, err)
		return
	}
	v.render(page)
}

// takeName processes the name or the chosen external provider. Nothing that follows
// depends on whether the name exists.
func (v *visit) takeName() {
	if id := v.field(pages.FieldExternal); id != "" {
		v.leaveFor(id, "")
		return
	}
	name := cleanName(v.field(pages.FieldUserName))
	external, leaves := v.Externals.ForDomain(name)
	leaves = leaves && v.state.Link == nil
	v.changed(func(_ store.Tx, state *State) error {
		*state = State{Name: name, Other: true, Link: state.Link, MayEnrol: state.MayEnrol}
		if name == "" {
			state.problem(pages.FieldUserName, "username.missing")
		}
		return nil
	}, func() {
		switch {
		case name == "":
			v.goTo("name")
		case leaves:
			v.leaveFor(external, name)
		default:
			v.proceed()
		}
	})
}

// cleanName returns a name without surrounding spaces; "" if it is not valid.
func cleanName(typed string) string {
	typed = strings.TrimSpace(typed)
	if len(typed) > maxName || !utf8.ValidString(typed) || strings.ContainsFunc(typed, isControl) {
		return ""
	}
	return typed
}

func isControl(c rune) bool { return c < ' ' || c == 0x7f }
