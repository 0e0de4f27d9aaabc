package oidcrp

import (
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// Fault A8. Every private path in the documents has its folder beside it.
func TestDocumentsNameTheFolderBesideWhatIsInIt(t *testing.T) {
	t.Parallel()
	for name, text := range documents(t) {
		for _, line := range regexp.MustCompile(`(?m)^\s*private (/.*)$`).FindAllStringSubmatch(text, -1) {
			patterns := strings.Fields(strings.TrimSuffix(line[1], "{"))
			for _, pattern := range patterns {
				if folder, ok := httpconfig.Folder(pattern); ok && httpconfig.MatchPath(patterns, folder) == httpconfig.No {
					t.Errorf("%s: %q leaves out %s", name, line[0], folder)
				}
			}
		}
	}
}

// Fault A7: a rule about users that is made of Caddy's matchers stands in a
// route block, where handle blocks cannot pass it by.
func TestDocumentsPutRulesIntoRouteBlocks(t *testing.T) {
	t.Parallel()
	for name, text := range documents(t) {
		for _, line := range regexp.MustCompile(`(?m)^(\t*)error @\w+ `).FindAllStringSubmatch(text, -1) {
			if len(line[1]) < 2 {
				t.Errorf("%s: %q is outside of a route block", name, line[0])
			}
		}
	}
}
