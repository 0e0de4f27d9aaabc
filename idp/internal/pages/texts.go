package pages

import (
	"os"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/locale"
)

// Texts reads the texts of pages and mails: the built-in ones, with those of the
// folder «locales» in an operator's folder in their place. If languages are given,
// these are the only ones, and the first of them is for browsers that prefer none.
func Texts(folder string, languages []string) (*locale.Catalogue, error) {
	all, err := locale.Read(builtin, folder, os.ReadFile)
	if err != nil || len(languages) == 0 {
		return all, err
	}
	return all.Only(languages)
}
