package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// In Chromium, Keycloak's site posts a response without the identity provider's cookies,
// and the provider's forms lead to other sites. Neither may depend on leniency that only
// other clients have.
func TestChromiumSAMLSignInAtKeycloak(t *testing.T) {
	t.Parallel()
	realm := newRealms(t, "chromium")["chromium"]
	w := startBroker(t, func(w *brokerWorld) string {
		return fmt.Sprintf(`
		external partners {
			saml metadata %s {
				idp_initiated %s
				username uid
			}
			create on
		}
`, realm.metadata(), strings.TrimPrefix(w.site, "https://"))
	})
	w.connect(realm, "partners", object{
		"saml_name_id_format": "persistent", "saml.force.post.binding": "true", "saml.client.signature": "true",
		"saml.server.signature": "true", "saml.encrypt": "true", "saml.encryption.algorithm": gcm,
		"saml_idp_initiated_sso_url_name": "app",
	})
	saw := inChromium(t, "idp_saml", map[string]any{"site": w.login, "app": w.site, "portal": realm.issuer() + "/protocol/saml/clients/app"})
	steps := make(map[string]chromiumStep)
	for _, s := range saw.Steps {
		steps[s.Name] = s
	}
	for _, name := range []string{"at the site", "led on", "led on again"} {
		if seen := steps[name].user(); seen != "partners%2Falice" {
			t.Errorf("%s: expected the user's page, seen %q at %s: %s", name, seen, steps[name].URL, steps[name].Text)
		}
	}
	if s := steps["asked"]; !strings.HasPrefix(s.URL, w.login+"/saml/partners/continue") || !strings.Contains(s.Text, "Continue as") {
		t.Errorf("expected a question, seen %s: %s", s.URL, s.Text)
	}
}
