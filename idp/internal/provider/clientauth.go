package provider

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// builtinKey is the context key of the client for requests made in this process.
// Only RoundTrip sets it.
type builtinKey struct{}

func builtinOf(r *http.Request) *party {
	p, _ := r.Context().Value(builtinKey{}).(*party)
	return p
}

// credentials are the client credentials in a request.
type credentials struct {
	id      string
	secrets []string // possible interpretations of the secret; empty if there is none
}

var errInvalidClient = &protocolError{"invalid_client", "the client is not known, or its credentials are wrong"}

// readCredentials parses client_secret_basic, client_secret_post, or the client id
// alone (RFC 6749, section 2.3.1).
func readCredentials(r *http.Request, params parameters) (c credentials, err *protocolError) {
	if params["client_assertion"] != "" || params["client_assertion_type"] != "" {
		return c, errInvalidClient
	}
	lines := r.Header.Values("Authorization")
	if len(lines) > 1 {
		return c, invalidRequest("there are several Authorization headers")
	}
	if len(lines) == 0 {
		c.id = params["client_id"]
		if secret, ok := params["client_secret"]; ok {
			c.secrets = []string{secret}
		}
		return c, nil
	}
	if params["client_secret"] != "" {
		return c, invalidRequest("the client has authenticated in two ways")
	}
	if c, err = readBasic(lines[0]); err != nil {
		return c, err
	}
	if id := params["client_id"]; id != "" && id != c.id {
		return c, invalidRequest("there are two client ids")
	}
	return c, nil
}

// readBasic parses Authorization. The id and the secret should be form-encoded,
// which many clients omit, so both interpretations of the secret are accepted.
func readBasic(line string) (c credentials, err *protocolError) {
	scheme, encoded, _ := strings.Cut(line, " ")
	decoded, failed := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if !strings.EqualFold(scheme, "Basic") || failed != nil {
		return c, errInvalidClient
	}
	id, secret, ok := strings.Cut(string(decoded), ":")
	if !ok {
		return c, errInvalidClient
	}
	c = credentials{id: id, secrets: []string{secret}}
	if plain, failed := url.QueryUnescape(id); failed == nil {
		c.id = plain
	}
	if plain, failed := url.QueryUnescape(secret); failed == nil && plain != secret {
		c.secrets = append(c.secrets, plain)
	}
	return c, nil
}

// authenticate returns the client of a request. A client in this Caddy is
// identified only by the context; over the network its id is unknown.
func (p *Provider) authenticate(r *http.Request, c credentials) (*party, *protocolError) {
	if own := builtinOf(r); own != nil {
		if c.id != "" && c.id != own.ID || len(c.secrets) > 0 {
			return nil, errInvalidClient
		}
		return own, nil
	}
	client := p.Clients.configured[c.id]
	if client == nil {
		return nil, errInvalidClient
	}
	if client.Public {
		if len(c.secrets) > 0 {
			return nil, errInvalidClient
		}
		return client, nil
	}
	authenticated := false
	for _, secret := range c.secrets {
		authenticated = client.hasSecret(secret) || authenticated
	}
	if !authenticated {
		return nil, errInvalidClient
	}
	return client, nil
}
