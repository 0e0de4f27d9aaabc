package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestPagesSpeakTheLanguageOfTheBrowser(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = "access_denied" })
	r := newHarness(t, protectedBy(op))
	for _, row := range []struct{ accept, language, title, message, button string }{
		{"", "en", "Sign-in was cancelled", "The sign-in was cancelled, or the identity provider did not allow it.", "Sign in"},
		{"en-US,en;q=0.9,de;q=0.8", "en", "Sign-in was cancelled", "The sign-in was cancelled, or the identity provider did not allow it.", "Sign in"},
		{"de-CH,de;q=0.9,en;q=0.8", "de", "Anmeldung abgebrochen", "Die Anmeldung wurde abgebrochen oder vom Anmeldedienst nicht zugelassen.", "Anmelden"},
		{"ja,fr;q=0.5", "fr", "Connexion annulée", "La connexion a été annulée, ou le service d’authentification ne l’a pas autorisée.", "Se connecter"},
		{"es-MX", "es", "Inicio de sesión cancelado", "El inicio de sesión se ha cancelado o el servicio de autenticación no lo ha permitido.", "Iniciar sesión"},
		{strings.Repeat("x-", 16<<10), "en", "Sign-in was cancelled", "The sign-in was cancelled, or the identity provider did not allow it.", "Sign in"},
	} {
		p := r.reader(row.accept).open("/page")
		check(t, p, row.accept).status(http.StatusForbidden).header("Content-Language", row.language).header("Vary", "Accept-Language").
			shows(`<html lang="`+row.language+`" dir="ltr">`, "<title>"+row.title+" · rp.test</title>", "<h1>"+row.title+"</h1>", "<p>"+row.message+"</p>", ">"+row.button+"</a>", "access_denied")
	}
}

// A login link can name languages for the provider's pages. Error pages of this site use
// them, too, until the login is over, whatever the browser prefers.
func TestALoginIsInTheLanguageOfItsLink(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	const french = "/@app/auth/default/login?returnto=/page&ui_locales=ja+fr-CA+de"
	b := r.reader("de")
	check(t, b.get(french)).status(http.StatusFound).leadsWith("ui_locales=ja+fr-CA+de")
	op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = "access_denied" })
	check(t, b.open(french), "an error of the provider").status(http.StatusForbidden).header("Content-Language", "fr").
		shows("Connexion annulée", `href="/@app/auth/default/login?returnto=%2Fpage&amp;ui_locales=fr"`)
	op.Honest()
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Token).Status = 500 })
	check(t, b.open(french), "an error of ours").status(http.StatusForbidden).header("Content-Language", "fr").shows("n’a pas confirmé cette connexion")
	check(t, b.open(french+"&max_age=never"), "a link that is wrong").status(http.StatusForbidden).header("Content-Language", "fr")
	check(t, b.open(french+"&display=popup"), "a window of its own").status(http.StatusForbidden).header("Content-Language", "fr").shows("Vous pouvez fermer cette fenêtre.")
	check(t, b.open("/page"), "a login of a page").status(http.StatusForbidden).header("Content-Language", "de").
		shows("hat diese Anmeldung nicht bestätigt", `href="/@app/auth/default/login?returnto=%2Fpage"`)
	check(t, b.open("/@app/auth/default/login?ui_locales=ja"), "a language that there is not").status(http.StatusForbidden).header("Content-Language", "de")
	check(t, b.open("/@app/auth/default/code?code=x&state=y&ui_locales=fr"), "no login").status(http.StatusForbidden).header("Content-Language", "de")
}

// Languages that are not forwarded to the provider are not used for error pages either.
func TestLanguagesThatAreNotForwardedDoNotCount(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = "access_denied" })
	r := newHarness(t, protectedBy(op, "forward_params login_hint"))
	check(t, r.reader("es").open("/@app/auth/default/login?ui_locales=fr")).status(http.StatusForbidden).header("Content-Language", "es")
}

func TestTheChooserIsInALanguage(t *testing.T) {
	t.Parallel()
	r, _ := newChooser(t, map[string]string{"corp": `name "Corporate <account>"`})
	b := r.reader("es")
	check(t, b.open("/page")).status(http.StatusOK).header("Content-Language", "es").
		shows("<h1>Elija cómo iniciar sesión</h1>", "Corporate &lt;account&gt;", `aria-label="Cuentas"`, "Nombre de usuario o correo electrónico", ">Continuar</button>")
	p := b.open("/@app/auth/?returnto=/page&ui_locales=fr")
	check(t, p, "a link").status(http.StatusOK).header("Content-Language", "fr").
		shows("<h1>Choisissez comment vous connecter</h1>", "ui_locales=fr", `<input type="hidden" name="ui_locales" value="fr">`)
	check(t, b.open("/@app/auth/corp/login?returnto=/page")).status(http.StatusOK)
	check(t, b.open("/@app/auth/"), "signed in").header("Content-Language", "es").
		shows("<h1>Usar otra cuenta</h1>", "Ha iniciado sesión en <strong>Corporate &lt;account&gt;</strong> como <strong>corp/alice</strong>. Si inicia sesión con otra cuenta, esta sesión se cerrará.", ">Cerrar sesión</a>")
}

func TestSignedInAndSignedOutInALanguage(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.SetClient(func(c *oidctest.Client) { c.PostLogoutURIs = []string{rpURL + "/@app/auth/default/signedout"} })
	r := newHarness(t, protectedBy(op, "explain on", "deny user alice", "public /open"))
	b := r.reader("de")
	check(t, b.open("/page"), "a rule").status(http.StatusForbidden).header("Content-Language", "de").
		shows("<h1>Sie dürfen diese Seite nicht sehen</h1>", "Sie sind als <strong>alice</strong> angemeldet.", "Sie erfüllen diese Regel nicht: <code>deny user alice</code>", ">Anderes Konto verwenden</a>", ">Abmelden</a>", ">Startseite</a>")
	check(t, b.send(http.MethodGet, "/Special:UserLogout", map[string]string{"Sec-Fetch-Site": "cross-site"}), "a link elsewhere").status(http.StatusOK).
		shows("<h1>Abmelden?</h1>", "Sie sind als <strong>alice</strong> angemeldet. Ein Link auf einer anderen Website möchte Sie von rp.test abmelden.", ">Angemeldet bleiben</a>")
	check(t, b.get("/@app/auth/default/signedout"), "still signed in").shows("<h1>Hier sind Sie noch angemeldet</h1>")
	b.open("/Special:UserLogout")
	check(t, b.open("/Special:UserLogout"), "signed out").shows("<h1>Abgemeldet</h1>", "Sie sind von rp.test abgemeldet.")
	check(t, b.post("/page", "a=b", nil), "a form").status(http.StatusUnauthorized).header("Content-Language", "de").
		shows("<h1>Bitte melden Sie sich an</h1>", "Was Sie gesendet haben, ist nicht angekommen.", ">In neuem Tab anmelden</a>")
}

// Programs get English texts, whatever language their users prefer.
func TestProblemsAreInEnglish(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t), "deny user alice"))
	b := r.reader("de")
	b.open("/page")
	check(t, b.send(http.MethodGet, "/page", map[string]string{"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"})).
		status(http.StatusForbidden).header("Content-Language", "en").shows(`"detail":"Your account may not see this page."`)
	lacks(t, "the log", r.logs(), "dürfen diese Seite")
}

func TestHandoversAreInALanguage(t *testing.T) {
	t.Parallel()
	f := newFederation(t).start(1)
	b := f.nodes[0].reader("de")
	p := b.open(appURL + "/@app/auth/default/login?returnto=/x&ui_locales=fr")
	check(required{t}, p).status(http.StatusOK).header("Content-Language", "fr").
		shows("<h1>Se connecter à app.two.test\u202f?</h1>", "Le site <strong>app.two.test</strong> demande pour la première fois", ">Continuer vers <strong>app.two.test</strong></button>")
	check(t, b.open(wikiURL+"/"), "another site").status(http.StatusOK).header("Content-Language", "de").shows("<h1>Bei wiki.three.test anmelden?</h1>")
	check(t, b.open(appURL+"/@app/auth/default/handover?ticket=x"), "a ticket that is none").status(http.StatusForbidden).header("Content-Language", "de")
}

// Names come from providers and configurations, and each language puts them elsewhere in a
// sentence. They are escaped in all of them.
func TestNamesAreTextInEachLanguage(t *testing.T) {
	t.Parallel()
	const hostile = `"><script>alert(1)</script><b a='`
	op := newOP(t)
	op.Register(rpURL + "/@app/auth/corp/code")
	alice := op.User("alice")
	alice.Claims["preferred_username"] = hostile
	op.SetUser("alice", alice)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		provider corp other
		default_provider corp
		explain on
		require user root
	}
	respond "secret"
}
`, fmt.Sprintf(`oidc_rp {
	provider corp {
		%s
		name "<script>alert(2)</script>"
		username_claim preferred_username
	}
	provider other {
		issuer https://other.example
		client_id x
		client_secret y
		name "\"><img src=x>"
	}
}`, options(op)))
	for _, language := range []string{"en", "de", "fr", "es"} {
		b := r.reader(language)
		chooser := b.open("/@app/auth/?returnto=/page")
		check(t, chooser, language).status(http.StatusOK).header("Content-Language", language).hides("<script", "<img")
		refused := b.open("/page")
		check(t, refused, language).status(http.StatusForbidden).header("Content-Language", language).hides("<script", "<img", "<b ").shows("&lt;script&gt;alert(1)")
		for _, address := range []string{"/@app/auth/", "/@app/auth/corp/signedout"} {
			check(t, b.get(address), language, address).status(http.StatusOK).header("Content-Language", language).hides("<script", "<img", "<b ").shows("&lt;script&gt;alert(1)")
		}
	}
}

// Files in an operator's folder add languages and change texts, without a reload.
func TestAnOperatorsTexts(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	locales := filepath.Join(folder, "locales")
	if err := os.Mkdir(locales, 0o700); err != nil {
		t.Fatal(err)
	}
	dutch, german := filepath.Join(locales, "nl.json"), filepath.Join(locales, "de.json")
	rewrite(t, dutch, `{"signed_out.title": "Afgemeld"}`)
	clock := stop(t)
	r := atClock(t, clock, `
oidc_rp {
	`+options(newOP(t))+`
	pages `+folder+`
}
`)
	shows := func(when, language string, parts ...string) {
		t.Helper()
		clock.advance(livefile.Every)
		check(t, r.reader(language).get("/Special:UserLogout"), when).shows(parts...)
	}
	shows("an own language", "nl-BE, de;q=0.9", `<html lang="nl" dir="ltr">`, "<h1>Afgemeld</h1>", "You are signed out of rp.test.")
	shows("a built-in language", "de", "<h1>Abgemeldet</h1>")
	rewrite(t, german, `{"signed_out.title": "Tschüs"}`)
	shows("an own text", "de", "<h1>Tschüs</h1>", "Sie sind von rp.test abgemeldet.")
	rewrite(t, german, "{\n\"signed_out.titel\": \"x\"}")
	shows("a mistake", "de", "<h1>Tschüs</h1>")
	contains(t, "the log", r.logs(), `locales/de.json:2: unknown text \"signed_out.titel\": did you mean 'signed_out.title'?`)
}
