package provider

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// builtinKey is the key of the client in a context of requests that were made in
// this process. Only RoundTrip sets it.
type builtinKey struct{}

func builtinOf(r *http.Request) *party {
	p, _ := r.Context().Value(builtinKey{}).(*party)
	return p
}

// credentials are what a request shows of its client.
type credentials struct {
	id      string
	secrets []string // the ways in which the secret can be read; none if it is not there
}

var errInvalidClient = &protocolError{"invalid_client", "the client is not known, or its credentials are wrong"}

// readCredentials reads client_secret_basic, client_secret_post, or the id alone
// (RFC 6749 section 2.3.1).
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

// readBasic reads the header. The id and the secret should be encoded like a form's
// fields, which many clients leave out: both readings of the secret count.
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

// authenticate returns the client of a request. A client in this Caddy is known by
// the context alone: from the network its id is as good as unknown.
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
