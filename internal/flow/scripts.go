package flow

import (
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// This file has the pages that need a script.

// scriptEndpoint returns the endpoint of one of our scripts. All instances have it,
// since a login may end under another configuration than it began.
func scriptEndpoint(name string) siteEndpoint {
	return siteEndpoint{
		endpoint: endpoint{
			serve:   func(x *Exchange, _ *Provider) error { return x.Templates().WriteScript(x.W, name) },
			methods: []string{http.MethodGet},
		},
		offered: func(*Instance) bool { return true },
	}
}

// script returns one of our scripts, for a page of this origin.
func (x *Exchange) script(name string) pages.Script {
	return x.Templates().Script(name, x.Scope().Origin.String(), x.Endpoints+"/"+name)
}

// popupPage ends a login in a window of its own. If f is nil, the user is signed
// in.
func (x *Exchange) popupPage(status int, f *Failure, errorID string) error {
	shown := pages.Data{TitleKey: "popup.title", Script: x.script(pages.PopupScript)}
	if f != nil {
		x.State.failed = f
		text := errorcode.Explain(f.Code, f.Cause, false)
		shown.TitleKey, shown.MessageKey, shown.HintKey = text.Title.Key, text.Message.Key, text.Hint.Key
		shown.Code, shown.ErrorID = string(f.Code), errorID
	}
	return x.render(pages.Popup, status, shown)
}
