package pages

import (
	"os"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/locale"
)

// Texts reads the texts of pages and mails. Texts in the subfolder "locales" of folder
// replace the built-in ones. If languages is not empty, only these languages are
// available, and the first is used for browsers without a preference.
func Texts(folder string, languages []string) (*locale.Catalogue, error) {
	all, err := locale.Read(builtin, folder, os.ReadFile)
	if err != nil || len(languages) == 0 {
		return all, err
	}
	return all.Only(languages)
}
