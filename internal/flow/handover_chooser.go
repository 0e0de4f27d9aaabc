package flow

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// This file lets users choose the provider at a login host that has no default one.
// The page's links and form carry the sealed request of the site.

// takeChoice reads the provider that the user chose, and limits the request to it.
func (h *handoverFlow) takeChoice() *Failure {
	values := h.query("provider", identifierField)
	p := h.Providers[values.Get("provider")]
	if name := values.Get(identifierField); p == nil && name != "" && !isCrossSite(h.R, h.Scope()) {
		if p = providerOf(name, h.common()); p != nil {
			h.request.Parameters = withParameter(h.request.Parameters, identifierField, strings.TrimSpace(name))
		}
	}
	switch {
	case p == nil && values.Get("provider") == "":
		return nil
	case p == nil || !slices.Contains(h.common(), p):
		return h.refuse(errorcode.BadRequest, fmt.Errorf("%s does not accept the provider that was chosen", h.site))
	}
	accepted, _ := h.request.Accepts(p.Registration)
	h.request.Wanted = accepted.ID
	return nil
}

// chooser renders the providers that the site accepts.
func (h *handoverFlow) chooser() error {
	sealed, err := h.request.Seal(h.ring, h.Scope().Origin)
	if err != nil {
		return h.respondError(h.refuse(errorcode.BadRequest, err))
	}
	all := h.common()
	shown := pages.Data{
		TitleKey: "chooser.title", Sought: h.query(identifierField).Get(identifierField) != "", Action: h.Endpoints + "/" + handoverRest, MaxLength: maxIdentifier,
		Field: identifierField, Fields: map[string]string{"request": sealed},
	}
	remembered := h.rememberedChoice(h.Scope())
	for _, p := range all {
		choice := pages.Choice{ID: p.ID, Name: p.Name, URL: h.handoverURL(sealed) + "&provider=" + url.QueryEscape(p.ID), Remembered: p.ID == remembered}
		if choice.Remembered {
			shown.Choices = slices.Insert(shown.Choices, 0, choice)
		} else {
			shown.Choices = append(shown.Choices, choice)
		}
	}
	page, err := h.page(pages.Chooser, shown)
	if err != nil {
		return err
	}
	return page.WriteForm(h.W, h.R, http.StatusOK, originsOf(h.R.Context(), all))
}
