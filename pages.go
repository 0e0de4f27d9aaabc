package oidcrp

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

//go:embed pages/*.html
var builtinPages embed.FS

// resolvePages reads the templates: the operator's own in the place of the
// built-in ones.
func (h *Handler) resolvePages(caddy.Context) error {
	folder := ""
	if h.Pages != "" {
		var err error
		if folder, err = expand(h.Pages); err != nil {
			return fmt.Errorf("pages: %w", err)
		}
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return fmt.Errorf("pages: %q is not a folder", folder)
		}
	}
	builtin, err := fs.Sub(builtinPages, "pages")
	if err != nil {
		return err
	}
	h.pages, err = livefile.New(h.now, logFiles(func() *zap.Logger { return h.logger }, "pages"), func(read livefile.Read) (*pages.Templates, error) {
		return pages.Read(builtin, folder, read)
	})
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	return nil
}

// render writes a page of this site.
func (h *Handler) render(w http.ResponseWriter, r *http.Request, name string, status int, data pages.Data) error {
	page, err := h.page(r, name, data)
	if err != nil {
		return err
	}
	return page.Write(w, r, status)
}

// page makes a page of this site.
func (h *Handler) page(r *http.Request, name string, data pages.Data) (*pages.Page, error) {
	data.Host = r.Host
	if s := h.cookieScope(r); s != nil {
		data.Host = s.Origin.Host
	}
	data.HomeURL, data.LogoutURL = h.Home, h.LogoutPath
	page, err := h.pages.Get().Render(name, data)
	if err != nil {
		return nil, caddyhttp.Error(http.StatusInternalServerError, err)
	}
	return page, nil
}

func (h *Handler) signedOutPage(w http.ResponseWriter, r *http.Request) error {
	shown := pages.Data{Title: "Signed out"}
	if !h.defaultProvider.disabled {
		shown.LoginURL = h.loginURL(h.defaultProvider, "")
	}
	return h.render(w, r, pages.SignedOut, http.StatusOK, shown)
}

// stillSignedInPage is in the place of that for a user whose session lives: the
// provider has led here, but nothing was ended.
func stillSignedInPage(w http.ResponseWriter, r *http.Request, viewer *requestState) error {
	return viewer.h.render(w, r, pages.StillSignedIn, http.StatusOK,
		pages.Data{Title: "You are still signed in here", User: viewer.userID(), Confirmation: viewer.h.confirmation(r, viewer)})
}

func (h *Handler) confirmPage(w http.ResponseWriter, r *http.Request, st *requestState) error {
	status := http.StatusOK
	if r.Method == http.MethodPost {
		status = http.StatusForbidden
	}
	return h.render(w, r, pages.Confirm, status, pages.Data{Title: "Sign out?", User: st.userID(), Confirmation: h.confirmation(r, st)})
}

// continuePage goes on to the provider by POST, since the address of a GET
// would be too long to be sure of its way. Only a script could send the form,
// and our pages hold none, so it takes a click. Leaving the ID token out would
// save that, but no metadata says whether a provider goes by client_id and
// logout_hint alone: some then refuse to come back, others ask a question of
// their own. A POST every provider must take (RP-Initiated Logout 1.0, 2).
func (h *Handler) continuePage(w http.ResponseWriter, r *http.Request, request op.EndSession) error {
	fields := make(map[string]string, len(request.Parameters))
	for name := range request.Parameters {
		fields[name] = request.Parameters.Get(name)
	}
	return h.render(w, r, pages.Continue, http.StatusOK, pages.Data{Title: "Signed out here", Action: request.Endpoint, Fields: fields})
}
