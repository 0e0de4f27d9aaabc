package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// Hydra leaves login, consent, and logout to an application. hydraApp is one, on the
// issuer's own origin. It accepts consent and logout at once.

var hydraUsers = map[string]object{
	"alice": {"name": "Alice Example", "preferred_username": "alice", "email": "alice@example.test", "email_verified": true, "groups": []string{"admins", "staff"}},
	"bob":   {"name": "Bob Exémple", "preferred_username": "bob", "email": "bob@example.test", "email_verified": false, "groups": []string{"staff"}},
}

var hydraScopes = map[string][]string{
	"profile": {"name", "preferred_username"}, "email": {"email", "email_verified"}, "groups": {"groups"},
}

type hydraApp struct {
	admin string // URL of the admin API
}

// startHydra starts the server and registers the clients once it is up.
func (p *provider) startHydra(t testing.TB, port int, pages *http.ServeMux) *process {
	t.Helper()
	app := hydraApp{admin: fmt.Sprintf("http://127.0.0.1:%d", freePort(t))}
	pages.HandleFunc("/app/login", app.login)
	pages.HandleFunc("/app/consent", app.consent)
	pages.HandleFunc("/app/logout", app.logout)
	file := writeJSON(t, "hydra.json", object{
		"dsn": "memory",
		"log": object{"level": "warn", "format": "json"},
		"sqa": object{"opt_out": true},
		"serve": object{
			"public": object{"host": "127.0.0.1", "port": port},
			"admin":  object{"host": "127.0.0.1", "port": portOf(app.admin)},
		},
		"urls": object{
			"self":  object{"issuer": p.issuer},
			"login": p.issuer + "/app/login", "consent": p.issuer + "/app/consent", "logout": p.issuer + "/app/logout",
			"error": p.issuer + "/app/error", "post_logout_redirect": p.issuer + "/app/logged-out",
		},
		"oauth2":  object{"expose_internal_errors": true, "pkce": object{"enforced_for_public_clients": true}},
		"secrets": object{"system": []string{"test-system-secret-0123456789abcdef"}},
	})
	child := spawn(t, p.kind, []string{"SQA_OPT_OUT=true"}, hydraProgram.path(t), "serve", "all", "--dev", "--sqa-opt-out", "-c", file)
	eventually(t, 60*time.Second, "Hydra's admin API answers", func() bool {
		if !child.running() {
			t.Fatalf("hydra has ended:\n%s", child.log.tail(20))
		}
		r, err := http.Get(app.admin + "/health/ready")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	for id, over := range map[string]object{
		"rp":        {"client_secret": rpSecret, "token_endpoint_auth_method": "client_secret_basic"},
		"rp-post":   {"client_secret": rpSecret, "token_endpoint_auth_method": "client_secret_post"},
		"rp-bcl":    {"client_secret": rpSecret, "backchannel_logout_uri": p.uris("backchannel-logout")[0], "backchannel_logout_session_required": true},
		"rp-fcl":    {"client_secret": rpSecret, "frontchannel_logout_uri": p.uris("frontchannel-logout")[0], "frontchannel_logout_session_required": true},
		"rp-public": {"token_endpoint_auth_method": "none"},
	} {
		client := object{
			"client_id": id, "grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
			"scope": "openid profile email groups offline_access", "redirect_uris": p.uris("code"), "post_logout_redirect_uris": p.uris("signedout"),
		}
		for k, v := range over {
			client[k] = v
		}
		if _, err := app.ask("POST", "/admin/clients", client); err != nil {
			t.Fatal(err)
		}
	}
	return child
}

func portOf(address string) int {
	var port int
	_, _ = fmt.Sscan(mustParse(address).Port(), &port)
	return port
}

// ask calls the admin API.
func (a hydraApp) ask(method, path string, body any) (answer object, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(method, a.admin+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	if err := json.NewDecoder(got.Body).Decode(&answer); err != nil || got.StatusCode >= 300 {
		return nil, fmt.Errorf("hydra's %s answers %d: %v %v", path, got.StatusCode, answer, err)
	}
	return answer, nil
}

// request returns the login, consent, or logout request of a challenge.
func (a hydraApp) request(kind, challenge string) (object, error) {
	return a.ask("GET", "/admin/oauth2/auth/requests/"+kind+"?"+kind+"_challenge="+url.QueryEscape(challenge), nil)
}

// accept accepts the request and redirects the browser.
func (a hydraApp) accept(w http.ResponseWriter, r *http.Request, kind, challenge string, body object) {
	answer, err := a.ask("PUT", "/admin/oauth2/auth/requests/"+kind+"/accept?"+kind+"_challenge="+url.QueryEscape(challenge), body)
	to, ok := answer["redirect_to"].(string)
	if err != nil || !ok {
		http.Error(w, fmt.Sprint(err), http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, to, http.StatusFound)
}

func (a hydraApp) login(w http.ResponseWriter, r *http.Request) {
	challenge := r.FormValue("login_challenge")
	name := r.PostFormValue("username")
	if r.Method == http.MethodPost && hydraUsers[name] != nil && r.PostFormValue("password") == name+habits[hydra].password {
		a.accept(w, r, "login", challenge, object{"subject": name, "remember": true, "remember_for": 3600, "amr": []string{"pwd"}})
		return
	}
	asked, err := a.request("login", challenge)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if asked["skip"] == true {
		a.accept(w, r, "login", challenge, object{"subject": asked["subject"]})
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, `<!doctype html><title>Log in</title><form method="post"><input type="hidden" name="login_challenge" value="%s">`+
		`<input name="username"><input name="password" type="password"><button>Log in</button></form>`, html.EscapeString(challenge))
}

func (a hydraApp) consent(w http.ResponseWriter, r *http.Request) {
	challenge := r.FormValue("consent_challenge")
	asked, err := a.request("consent", challenge)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	claims, user := object{}, hydraUsers[fmt.Sprint(asked["subject"])]
	scopes, _ := asked["requested_scope"].([]any)
	for _, scope := range scopes {
		for _, claim := range hydraScopes[fmt.Sprint(scope)] {
			claims[claim] = user[claim]
		}
	}
	a.accept(w, r, "consent", challenge, object{"grant_scope": scopes, "session": object{"id_token": claims}})
}

func (a hydraApp) logout(w http.ResponseWriter, r *http.Request) {
	a.accept(w, r, "logout", r.FormValue("logout_challenge"), object{})
}
