package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// A fakeRun is one run of a module: the provider that the module imitates, and what it
// has received.
type fakeRun struct {
	suite  *fakeSuite
	id     string
	base   string // the issuer without its trailing slash
	module string
	flaw   string // the module's name here
	mode   string // the required response_mode
	auth   string // the required client authentication method
	client map[string]any
	fapi   *fakeFAPI // the provider of a FAPI 2.0 module

	mu      sync.Mutex
	status  string
	result  string
	log     []map[string]any
	urls    []string
	visited []string

	keys      []*rsa.PrivateKey
	other     *ecdsa.PrivateKey
	logins    map[string]url.Values // the authorization request, by code
	nonce     string
	rounds    int // completed logins
	keysRead  int
	refreshed bool
}

const fakeSubject, fakeSid = "user-subject-1234531", `s;i%d[1]\`

func newFakeRun(f *fakeSuite, p *fakePlan, module string) (r *fakeRun, err error) {
	r = &fakeRun{
		suite: f, id: rand.Text(), base: f.server.URL + "/test/a/" + p.alias, module: module, flaw: nameOf(module),
		client: p.client, status: statusWaiting, logins: map[string]url.Values{},
	}
	if strings.Contains(p.name, "formpost") || p.variant["response_mode"] == "form_post" {
		r.mode = "form_post"
	}
	if r.auth = p.variant["client_auth_type"]; r.auth == "" {
		r.auth = "client_secret_basic"
	}
	if odd := f.odd[r.flaw]; odd != "" {
		r.flaw = odd
	}
	if len(fapiFlawsOf(p)) > 0 {
		r.fapi, err = newFakeFAPI(f, p, r.flaw)
		return r, err
	}
	r.newKeys()
	if r.flaw == "3rd-party-init-login" {
		if len(f.runs)%3 != 2 { // the suite's race, which the driver retries
			r.status, r.result = statusInterrupted, failed
			return r, nil
		}
		r.urls = []string{r.text("initiate_login_uri") + "?iss=" + url.QueryEscape(r.base+"/")}
	}
	return r, nil
}

func (r *fakeRun) text(member string) string {
	text, _ := r.client[member].(string)
	return text
}

func (r *fakeRun) newKeys() {
	count := 1
	if r.flaw == "kid-absent-multiple-jwks" {
		count = 3
	}
	r.keys = nil
	for range count {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		r.keys = append(r.keys, key)
	}
	r.other, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// finish ends the module unless it has already ended.
func (r *fakeRun) finish(result string) {
	if r.status == statusWaiting {
		r.status, r.result = statusFinished, result
	}
}

// fault sends an error and fails the module, like a condition of the suite.
func (r *fakeRun) fault(w http.ResponseWriter, condition, format string, args ...any) {
	r.fail(condition, format, args...)
	reply(w, http.StatusInternalServerError, map[string]any{"error": condition})
}

// fail fails the module without sending a response.
func (r *fakeRun) fail(condition, format string, args ...any) {
	r.log = append(r.log, map[string]any{"src": condition, "msg": fmt.Sprintf(format, args...), "result": "FAILURE"})
	r.status, r.result = statusInterrupted, failed
}

// expectNothing ends the module with this result if no request arrives for a while.
func (r *fakeRun) expectNothing(result string) {
	time.AfterFunc(wait, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.finish(result)
	})
}

// fatal has the flaws after which no request may arrive, with the result of the module.
var fatal = map[string]string{
	"invalid-iss": passed, "missing-sub": passed, "invalid-aud": passed, "missing-iat": passed, "nonce-invalid": passed,
	"invalid-sig-rs256": passed, "idtoken-sig-none": skipped,
}

func (r *fakeRun) serve(w http.ResponseWriter, q *http.Request, path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status != statusWaiting && path != "jwks" {
		r.fault(w, "AbstractTestModule", "Illegal test state change: %s -> RUNNING, by %s", r.status, path)
		return
	}
	if r.fapi != nil {
		r.serveFAPI(w, q, path)
		return
	}
	if err := q.ParseForm(); err != nil {
		r.fault(w, "ParseForm", "%v", err)
		return
	}
	serve, known := map[string]func(http.ResponseWriter, *http.Request){
		".well-known/openid-configuration": r.discovery, "authorize": r.authorize, "token": r.token, "jwks": r.jwks, "userinfo": r.userinfo,
		"end_session_endpoint": r.endSession, "frontchannel_logout_handler": r.frontchannelPage, "frontchannel_logout_callback": r.frontchannelLoaded,
	}[path]
	if !known {
		r.fault(w, "TestModule", "Got unexpected HTTP call to %s", path)
		return
	}
	serve(w, q)
}

func (r *fakeRun) discovery(w http.ResponseWriter, _ *http.Request) {
	issuer := r.base + "/"
	switch r.flaw {
	case "discovery-issuer-mismatch":
		issuer += "INVALID"
		r.expectNothing(passed)
	case "discovery-openid-config":
		r.finish(passed)
	}
	metadata := map[string]any{
		"issuer": issuer, "authorization_endpoint": r.base + "/authorize", "token_endpoint": r.base + "/token", "jwks_uri": r.base + "/jwks",
		"userinfo_endpoint": r.base + "/userinfo", "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256"}, "token_endpoint_auth_methods_supported": []string{r.auth},
	}
	if strings.Contains(r.flaw, "logout") {
		metadata["end_session_endpoint"] = r.base + "/end_session_endpoint"
	}
	reply(w, http.StatusOK, metadata)
}

func (r *fakeRun) authorize(w http.ResponseWriter, q *http.Request) {
	form := maps.Clone(q.Form)
	if r.flaw == "3rd-party-init-login" && len(r.visited) == 0 {
		r.fault(w, "AuthorizationEndpoint", "called before user has been sent to initiate_login_uri")
		return
	}
	for name, expected := range map[string]string{
		"client_id": clientID, "redirect_uri": r.text("redirect_uri"), "response_type": "code", "code_challenge_method": "S256",
	} {
		if seen := form.Get(name); seen != expected {
			r.fault(w, "AuthorizationRequest", "%s: expected %q, seen %q", name, expected, seen)
			return
		}
	}
	if !slices.Contains(strings.Fields(form.Get("scope")), "openid") || form.Get("nonce") == "" || form.Get("state") == "" {
		r.fault(w, "AuthorizationRequest", "scope, nonce or state is missing")
		return
	}
	if r.flaw == "signing-key-rotation" && r.rounds == 1 {
		r.newKeys()
	}
	response := url.Values{"state": {form.Get("state")}}
	if r.flaw == "form-post-error" {
		if form.Get("max_age") != "0" || form.Get("prompt") != "none" {
			r.fault(w, "EnsureMaxAgeEqualsZeroAndPromptNone", "max_age=%q, prompt=%q", form.Get("max_age"), form.Get("prompt"))
			return
		}
		response.Set("error", "login_required")
		r.finish(passed)
	} else {
		code := rand.Text()
		r.logins[code] = form
		response.Set("code", code)
	}
	if strings.Contains(r.flaw, "logout") {
		response.Set("session_state", "a;b")
	}
	r.respond(w, q, form.Get("redirect_uri"), form.Get("response_mode"), response)
}

// respond sends an authorization response, as a redirect or as a form to POST.
func (r *fakeRun) respond(w http.ResponseWriter, q *http.Request, to, mode string, response url.Values) {
	if mode != r.mode {
		r.fault(w, "AuthorizationRequest", "response_mode: expected %q, seen %q", r.mode, mode)
		return
	}
	if mode != "form_post" {
		http.Redirect(w, q, to+"?"+response.Encode(), http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!DOCTYPE html><html><body onload="submitform()"><form action="%s" method="post" enctype="application/x-www-form-urlencoded">`, html.EscapeString(to))
	for name := range response {
		fmt.Fprintf(w, `<input type="hidden" name="%s" value="%s">`, name, html.EscapeString(response.Get(name)))
	}
	fmt.Fprint(w, `<input type="submit" value="Click"></form><script>function submitform(){ document.forms[0].submit(); }</script></body></html>`)
}

func (r *fakeRun) token(w http.ResponseWriter, q *http.Request) {
	if err := r.authenticate(q); err != nil {
		r.fault(w, "ValidateClientAuthentication", "%s: %v", r.auth, err)
		return
	}
	claims := map[string]any{
		"iss": r.base + "/", "sub": fakeSubject, "aud": clientID, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(), "sid": fakeSid,
	}
	answer := map[string]any{"access_token": rand.Text(), "token_type": "Bearer"}
	if strings.HasPrefix(r.flaw, "refresh-token") {
		answer["refresh_token"] = rand.Text()
	}
	switch q.PostForm.Get("grant_type") {
	case "authorization_code":
		login := r.logins[q.PostForm.Get("code")]
		delete(r.logins, q.PostForm.Get("code"))
		hash := sha256.Sum256([]byte(q.PostForm.Get("code_verifier")))
		if login == nil || encode(hash[:]) != login.Get("code_challenge") || q.PostForm.Get("redirect_uri") != login.Get("redirect_uri") {
			r.fault(w, "ValidateAuthorizationCode", "code, verifier or redirect_uri is wrong")
			return
		}
		r.nonce = login.Get("nonce")
		r.rounds++
	case "refresh_token":
		r.refreshed = true
		if r.flaw != "refresh-token" {
			r.expectNothing(passed)
		}
		switch r.flaw {
		case "refresh-token-invalid-issuer":
			claims["iss"] = r.base + "/1"
		case "refresh-token-invalid-sub":
			claims["sub"] = "another"
		}
	}
	claims["nonce"] = r.nonce
	if r.flaw == "signing-key-rotation-just-before-signing" {
		r.newKeys()
	}
	if result, nothing := fatal[r.flaw]; nothing {
		r.spoil(claims)
		r.expectNothing(result)
	}
	flaw := r.flaw
	if strings.HasPrefix(flaw, "rp-backchannel") {
		flaw = "" // it is a flaw of the logout token
	}
	answer["id_token"] = r.sign(claims, flaw)
	if r.flaw == "rp-frontchannel-opinitlogout" {
		r.urls = []string{r.base + "/frontchannel_logout_handler"}
	}
	reply(w, http.StatusOK, answer)
}

func (r *fakeRun) spoil(claims map[string]any) {
	switch r.flaw {
	case "invalid-iss":
		claims["iss"] = r.base + "/1"
	case "missing-sub":
		delete(claims, "sub")
	case "invalid-aud":
		claims["aud"] = clientID + "1"
	case "missing-iat":
		delete(claims, "iat")
	case "nonce-invalid":
		claims["nonce"] = r.nonce + "1"
	}
}

// sign creates a JWT with the flaw in its header or signature.
func (r *fakeRun) sign(claims map[string]any, flaw string) string {
	key := r.keys[len(r.keys)-1]
	header := map[string]any{"alg": "RS256", "kid": keyID(key), "typ": "JWT"}
	switch {
	case strings.HasPrefix(flaw, "kid-absent"):
		delete(header, "kid")
	case strings.HasSuffix(flaw, "-none"):
		return part(map[string]any{"alg": "none"}) + "." + part(claims) + "."
	case flaw == "rp-backchannel-rpinitlogout-wrong-alg":
		input := part(map[string]any{"alg": "ES256", "kid": "other", "typ": "logout+jwt"}) + "." + part(claims)
		hash := sha256.Sum256([]byte(input))
		a, b, err := ecdsa.Sign(rand.Reader, r.other, hash[:])
		if err != nil {
			panic(err)
		}
		return input + "." + encode(append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...))
	}
	input := part(header) + "." + part(claims)
	hash := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, hash[:])
	if err != nil {
		panic(err)
	}
	if flaw == "invalid-sig-rs256" {
		signature[7] ^= 0x5a
	}
	return input + "." + encode(signature)
}

func part(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return encode(text)
}

func keyID(key *rsa.PrivateKey) string { return number(key.N)[:12] }

func (r *fakeRun) jwks(w http.ResponseWriter, _ *http.Request) {
	var keys []jwk
	for _, key := range r.keys {
		k := rsaJWK(keyID(key), "sig", &key.PublicKey)
		if strings.HasPrefix(r.flaw, "kid-absent") {
			delete(k, "kid")
		}
		keys = append(keys, k)
	}
	other, _, err := ecJWK("other", "sig", r.other)
	if err != nil {
		panic(err)
	}
	if strings.HasPrefix(r.flaw, "kid-absent") {
		delete(other, "kid")
	}
	// The suite's own key sets contain a key on a curve that few libraries support.
	keys = append(keys, other, jwk{"kty": "EC", "crv": "secp256k1", "kid": "odd", "use": "sig", "x": encode(make([]byte, 32)), "y": encode(make([]byte, 32))})
	r.keysRead++
	reply(w, http.StatusOK, jwks{keys})
	if r.flaw == "discovery-jwks-uri-keys" {
		r.finish(passed)
	}
}

func (r *fakeRun) userinfo(w http.ResponseWriter, q *http.Request) {
	_, nothing := fatal[r.flaw]
	if nothing || r.refreshed && r.flaw != "refresh-token" {
		r.fault(w, "UserinfoEndpoint", "The client is not expected to send a userinfo request for this test")
		return
	}
	byForm := q.Method == http.MethodPost && q.PostForm.Get("access_token") != ""
	if byHeader := strings.HasPrefix(q.Header.Get("Authorization"), "Bearer "); byForm == byHeader || byForm != (r.flaw == "userinfo-bearer-body") {
		r.fault(w, "ExtractBearerAccessToken", "the access token is not where it should be")
		return
	}
	subject := fakeSubject
	if r.flaw == "userinfo-invalid-sub" {
		subject += "invalid"
	}
	reply(w, http.StatusOK, map[string]any{"sub": subject, "preferred_username": "d.tu", "name": "Demo T. User"})
	switch {
	case strings.HasPrefix(r.flaw, "refresh-token") && !r.refreshed, strings.Contains(r.flaw, "logout"), r.flaw == "silent":
	case r.flaw == "signing-key-rotation" && (r.rounds < 2 || r.keysRead < 2):
	default:
		r.finish(passed)
	}
}

func (r *fakeRun) endSession(w http.ResponseWriter, q *http.Request) {
	hint := strings.Split(q.Form.Get("id_token_hint"), ".")
	if len(hint) != 3 {
		r.fault(w, "ValidateIdTokenHintInRPInitiatedLogoutRequest", "id_token_hint is missing")
		return
	}
	back := q.Form.Get("post_logout_redirect_uri")
	if back != r.text("post_logout_redirect_uri") {
		r.fault(w, "ValidatePostLogoutRedirectUri", "expected %q, seen %q", r.text("post_logout_redirect_uri"), back)
		return
	}
	state := url.Values{"state": {q.Form.Get("state")}}
	switch r.flaw {
	case "rp-init-logout-other-state":
		state.Set("state", q.Form.Get("state")+"_INVALID")
	case "rp-init-logout-no-state":
		state.Del("state")
	}
	back += "?" + state.Encode()
	if strings.Contains(r.flaw, "frontchannel") {
		r.page(w, back)
		return
	}
	if strings.HasPrefix(r.flaw, "rp-backchannel") && !r.sendLogoutToken(w) {
		return
	}
	http.Redirect(w, q, back, http.StatusFound)
	r.finish(passed)
}

func (r *fakeRun) sendLogoutToken(w http.ResponseWriter) bool {
	const event = "http://schemas.openid.net/event/backchannel-logout"
	claims := map[string]any{
		"iss": r.base + "/", "aud": clientID, "sub": fakeSubject, "sid": fakeSid, "iat": time.Now().Unix(), "exp": time.Now().Add(2 * time.Minute).Unix(),
		"jti": rand.Text(), "events": map[string]any{event: map[string]any{}},
	}
	expected := http.StatusBadRequest
	switch strings.TrimPrefix(r.flaw, "rp-backchannel-rpinitlogout") {
	case "":
		expected = http.StatusOK
	case "-no-event":
		delete(claims, "events")
	case "-with-nonce":
		claims["nonce"] = "n"
	case "-wrong-aud":
		claims["aud"] = clientID + "INVALID"
	case "-wrong-event":
		claims["events"] = map[string]any{event + "INVALID": map[string]any{}}
	case "-wrong-iss":
		claims["iss"] = r.base + "/INVALID"
	}
	token := r.sign(claims, r.flaw)
	r.mu.Unlock() // the site may request the keys
	status, header, err := r.suite.call(r.text("backchannel_logout_uri"), url.Values{"logout_token": {token}, "unknown": {"field"}})
	r.mu.Lock()
	if err != nil || status != expected || !strings.Contains(header.Get("Cache-Control"), "no-store") {
		r.fault(w, "EnsureBackChannelLogoutUriResponseStatusCode", "expected %d with no-store, seen %d (%v)", expected, status, err)
		return false
	}
	return true
}

func (r *fakeRun) frontchannelPage(w http.ResponseWriter, _ *http.Request) { r.page(w, "OPINIT") }

// page is the suite's page. It does not escape the sid in the frame's URL, and escapes
// the URL itself once too often for scripts.
func (r *fakeRun) page(w http.ResponseWriter, next string) {
	frame := r.text("frontchannel_logout_uri") + "?iss=" + url.QueryEscape(r.base+"/") + "&sid=" + fakeSid
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!DOCTYPE html><html><body><div id="msgdiv"></div><script>
	var iframe = document.createElement('iframe');
	iframe.onload = function(){
		let url = '%s';
		var xhr = new XMLHttpRequest();
`, r.base+"/frontchannel_logout_callback")
	if next != "OPINIT" {
		fmt.Fprintf(w, "\t\txhr.onload = function () { setTimeout(function(){window.location.href='%s';}, 5000); };\n", html.EscapeString(next))
	}
	fmt.Fprintf(w, `	}
	iframe.src = '%s';
	document.body.appendChild(iframe);
	</script></body></html>`, html.EscapeString(strings.NewReplacer("/", `\/`, `\`, `\\`).Replace(frame)))
}

func (r *fakeRun) frontchannelLoaded(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{"ok": true})
	r.finish(review)
}
