package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// In this file, the identity provider brokers LemonLDAP::NG by SAML 2.0, for a site of
// the same Caddy.

// atLemonLDAP signs alice in at LemonLDAP::NG.
func (b *wanderer) atLemonLDAP() *wanderer {
	b.t.Helper()
	return b.submit("user", "alice", "password", "alice")
}

// expectRefusal expects the page that every refused response leads to, and the cause in
// the log.
func (b *wanderer) expectRefusal(cause string) {
	b.t.Helper()
	if b.status != http.StatusBadRequest || !strings.HasPrefix(b.at.String(), b.w.login) {
		b.t.Errorf("expected to be refused with 400, seen %d at %s\n%s", b.status, b.at, strings.Join(b.trail, "\n"))
	}
	b.w.caddy.awaitLine("external_failed with "+cause, func(line string) bool {
		return strings.Contains(line, `"event":"external_failed"`) && strings.Contains(line, cause)
	})
}

// A user signs in at LemonLDAP::NG from a page of a site, with each way in which
// LemonLDAP::NG can sign and encrypt. It always signs assertions, signs responses unless
// configured not to, and encrypts with AES-CBC.
func TestSAMLSignInAtLemonLDAP(t *testing.T) {
	eachOf(t, asked(lemonldap), func(t *testing.T, _ string) {
		const message, format, encryption = "samlSPMetaDataOptionsSignSSOMessage", "samlSPMetaDataOptionsNameIDFormat", "samlSPMetaDataOptionsEncryptionMode"
		variants := map[string]struct {
			sign    string
			portal  object
			refused string // the cause in the log
		}{
			"untouched":  {sign: "both"},
			"response":   {sign: "response", portal: object{message: 1, format: "persistent"}},
			"assertion":  {sign: "assertion", portal: object{message: 0}},
			"transient":  {sign: "either", portal: object{format: "transient"}},
			"encrypted":  {sign: "response", portal: object{message: 1, encryption: "assertion"}},
			"unsigned":   {sign: "response", portal: object{message: 0}, refused: "is not signed"},
			"changeable": {sign: "either", portal: object{message: 0, encryption: "assertion"}, refused: "RequireSignedResponseForCBC"},
			"sha1":       {sign: "either", portal: object{"samlSPMetaDataOptionsSignatureMethod": "RSA_SHA1"}, refused: "SHA-1"},
		}
		portals := make(map[string]*samlPortal)
		for name := range variants {
			portals[name] = newSAMLPortal(t)
		}
		w := startBroker(t, func(*brokerWorld) string {
			var options strings.Builder
			for name, v := range variants {
				fmt.Fprintf(&options, `
		external %s {
			saml metadata %s {
				sign %s
				username uid
			}
			create on
			groups staff
		}
`, name, portals[name].metadata(), v.sign)
			}
			return options.String()
		})
		for name, v := range variants {
			t.Run(name, func(t *testing.T) {
				portals[name].start(t, w, name, v.portal)
				b := w.browser(t)
				b.open(w.site+"/page").submit("external", name).atLemonLDAP()
				if v.refused != "" {
					b.expectRefusal(v.refused)
					return
				}
				b.expectUser(name + "%2Falice")
				again := w.browser(t)
				again.open(w.site+"/page").submit("external", name).atLemonLDAP().expectUser(name + "%2Falice")
				if account := w.caddy.operate("", "user", "show", name+"/alice", "--json"); !strings.Contains(account, `"staff"`) || strings.Contains(account, `"admins"`) {
					t.Errorf("expected an account in the group staff alone, seen %s", account)
				}
			})
		}
	})
}

// LemonLDAP::NG begins a sign-in for one site. The user confirms it and gets to that
// site.
func TestSAMLSignInThatLemonLDAPBegins(t *testing.T) {
	eachOf(t, asked(lemonldap), func(t *testing.T, _ string) {
		begins, closed := newSAMLPortal(t), newSAMLPortal(t)
		w := startBroker(t, func(w *brokerWorld) string {
			return fmt.Sprintf(`
		external partners {
			saml metadata %s {
				idp_initiated %s
				username uid
			}
			create on
		}
		external closed {
			saml metadata %s
		}
`, begins.metadata(), strings.TrimPrefix(w.site, "https://"), closed.metadata())
		})
		allowed := object{"samlSPMetaDataOptionsEnableIDPInitiatedURL": 1, "samlSPMetaDataOptionsNameIDFormat": "persistent"}
		begins.start(t, w, "partners", allowed)
		b := w.browser(t)
		b.open(begins.begins()).atLemonLDAP()
		if !strings.HasPrefix(b.at.String(), w.login+"/saml/partners/continue") || !strings.Contains(b.body, "Continue as") {
			t.Fatalf("expected a question, seen %d at %s: %.1000s\n%s", b.status, b.at, b.body, strings.Join(b.trail, "\n"))
		}
		b.submit("choice", "continue").expectUser("partners%2Falice")

		b.open(begins.begins()).expectUser("partners%2Falice") // no question: the same user is signed in

		ours := w.browser(t) // a sign-in that the site begins leads to the same account
		ours.open(w.site+"/page").submit("external", "partners").atLemonLDAP().expectUser("partners%2Falice")

		closed.start(t, w, "closed", allowed)
		stranger := w.browser(t)
		stranger.open(closed.begins()).atLemonLDAP()
		if stranger.status != http.StatusBadRequest {
			t.Errorf("without idp_initiated: expected 400, seen %d at %s", stranger.status, stranger.at)
		}
	})
}

// Users of LemonLDAP::NG have local accounts, linked by their email address or by an
// operator. A user without an account is let in nowhere.
func TestLemonLDAPUsersAndTheirAccounts(t *testing.T) {
	eachOf(t, asked(lemonldap), func(t *testing.T, _ string) {
		partners, hand := newSAMLPortal(t), newSAMLPortal(t)
		w := startBroker(t, func(*brokerWorld) string {
			return fmt.Sprintf(`
		external partners {
			saml metadata %s
			domains example.test
			link verified_email
		}
		external hand {
			saml metadata %s
		}
`, partners.metadata(), hand.metadata())
		})
		partners.start(t, w, "partners", object{})
		noAccount := w.browser(t)
		noAccount.open(w.site+"/page").submit("username", "alice@example.test").atLemonLDAP()
		if noAccount.status != http.StatusForbidden || !strings.HasPrefix(noAccount.at.String(), w.login) {
			t.Errorf("without an account: expected 403 of the identity provider, seen %d at %s\n%s", noAccount.status, noAccount.at, strings.Join(noAccount.trail, "\n"))
		}
		w.caddy.operate(issuerPassword, "user", "add", "ada", "--password-stdin", "--email", "alice@example.test", "--email-verified")
		b := w.browser(t)
		b.open(w.site+"/page").submit("username", "alice@example.test").atLemonLDAP()
		b.submit("choice", "continue").submit("username", "alice@example.test").submit("password", issuerPassword).expectUser("ada")
		again := w.browser(t) // the link is permanent: it needs the password only once
		again.open(w.site+"/page").submit("username", "alice@example.test").atLemonLDAP().expectUser("ada")

		hand.start(t, w, "hand", object{})
		w.caddy.operate(issuerPassword, "user", "add", "dora", "--password-stdin")
		w.caddy.operate("", "external", "link", "hand", "dora", "--subject", "alice@example.test", "--format", "email", "--yes")
		byHand := w.browser(t)
		byHand.open(w.site+"/page").submit("external", "hand").atLemonLDAP().expectUser("dora")
	})
}
