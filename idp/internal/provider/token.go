package provider

import (
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// grantTypes are the supported grant types.
var grantTypes = map[string]func(p *Provider, r *http.Request, client *party, params parameters) (any, *protocolError, error){
	"authorization_code": (*Provider).redeem,
	"refresh_token":      (*Provider).refresh,
	"client_credentials": (*Provider).credentials,
}

// token serves the token endpoint (RFC 6749, section 3.2).
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	params, wrong := p.readBackChannel(w, r)
	var document any
	var client *party
	var err error
	if wrong == nil {
		client, document, wrong, err = p.grantFor(r, params)
	}
	p.answerClient(w, r, "token", client, document, wrong, err)
}

func (p *Provider) grantFor(r *http.Request, params parameters) (client *party, document any, wrong *protocolError, err error) {
	grantType := params["grant_type"]
	grant := grantTypes[grantType]
	switch {
	case grantType == "":
		return nil, nil, invalidRequest("grant_type is missing"), nil
	case grant == nil:
		return nil, nil, &protocolError{"unsupported_grant_type", "grant_type is not supported"}, nil
	}
	shown, wrong := readCredentials(r, params)
	if wrong != nil {
		return nil, nil, wrong, nil
	}
	if grantType == "client_credentials" && p.Clients.find(shown.id) == nil && builtinOf(r) == nil {
		document, wrong, err = p.applicationCredentials(r, shown, params)
		return nil, document, wrong, err
	}
	client, wrong = p.authenticate(r, shown)
	if wrong != nil {
		return nil, nil, wrong, nil
	}
	document, wrong, err = grant(p, r, client, params)
	return client, document, wrong, err
}

// readBackChannel parses the parameters of a client's own request. Parameters in
// the URL are ignored, because URLs are logged.
func (p *Provider) readBackChannel(w http.ResponseWriter, r *http.Request) (parameters, *protocolError) {
	if r.URL.RawQuery != "" {
		return nil, invalidRequest("parameters belong in the body")
	}
	text, err := readForm(w, r)
	if err != nil {
		return nil, invalidRequest(err.Error())
	}
	params, err := parse(text)
	if err != nil {
		return nil, invalidRequest(err.Error())
	}
	return params, nil
}

// answerClient writes the response of an endpoint that clients call (RFC 6749,
// sections 5.1 and 5.2).
func (p *Provider) answerClient(w http.ResponseWriter, r *http.Request, endpoint string, client *party, document any, wrong *protocolError, err error) {
	id := ""
	if client != nil {
		id = client.ID
	}
	switch {
	case err != nil:
		p.fail(r.Context(), endpoint, err)
		status, code := http.StatusInternalServerError, "server_error"
		if unavailable(err) {
			w.Header().Set("Retry-After", "5")
			status, code = http.StatusServiceUnavailable, "temporarily_unavailable"
		}
		p.count(endpoint, code)
		writeJSON(w, status, map[string]string{"error": code})
	case wrong != nil:
		p.refused(r.Context(), endpoint, id, wrong)
		p.count(endpoint, wrong.code)
		status := http.StatusBadRequest
		if wrong.code == "invalid_client" {
			w.Header().Set("WWW-Authenticate", `Basic realm="token", charset="UTF-8"`)
			status = http.StatusUnauthorized
		}
		writeJSON(w, status, map[string]string{"error": wrong.code, "error_description": wrong.description})
	default:
		p.count(endpoint, "ok")
		writeJSON(w, http.StatusOK, document)
	}
}

// revoke serves the revocation endpoint (RFC 7009). Unknown tokens are not an
// error, and those of other clients are left alone. Tokens of programs cannot be
// revoked, which is an error (section 2.2.1).
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	params, wrong := p.readBackChannel(w, r)
	var client *party
	var err error
	if wrong == nil {
		var shown credentials
		if shown, wrong = readCredentials(r, params); wrong == nil {
			client, wrong = p.authenticate(r, shown)
		}
	}
	if wrong == nil && params["token"] == "" {
		wrong = invalidRequest("token is missing")
	}
	if wrong == nil {
		var lasts bool
		if lasts, err = p.isProgramToken(r.Context(), client.ID, params["token"]); lasts {
			wrong = &protocolError{"unsupported_token_type", "this access token cannot be revoked: it expires within ten minutes"}
		}
	}
	if wrong == nil && err == nil {
		err = p.Store.Update(r.Context(), func(tx store.Tx) error {
			return revokeToken(tx, client.ID, params["token"], p.Now())
		})
	}
	p.answerClient(w, r, "revoke", client, struct{}{}, wrong, err)
}
