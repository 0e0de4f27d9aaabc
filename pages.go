package oidcrp

import (
	"embed"
	"fmt"
	"io/fs"
	"os"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
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
