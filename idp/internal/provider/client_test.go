package provider

import (
	"strings"
	"testing"
)

func TestClientsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	good := func() Client {
		return Client{ID: "wiki", Secret: "s", RedirectURIs: []string{"https://wiki.example.net/cb"}}
	}
	for name, change := range map[string]func(*Client){
		"no id":                              func(c *Client) { c.ID = "" },
		"an id with a space":                 func(c *Client) { c.ID = "a b" },
		"an id like the subject of programs": func(c *Client) { c.ID = "client/x" },
		"no secret":                          func(c *Client) { c.Secret = "" },
		"a public client with a secret":      func(c *Client) { c.Public = true },
		"a public client without PKCE":       func(c *Client) { c.Public, c.Secret, c.PKCEOptional = true, "", true },
		"a public client for itself":         func(c *Client) { c.Public, c.Secret, c.ClientCredentials = true, "", true },
		"an unknown algorithm":               func(c *Client) { c.IDTokenAlg = "HS256" },
		"no algorithm":                       func(c *Client) { c.IDTokenAlg = "none" },
		"no redirect_uri":                    func(c *Client) { c.RedirectURIs = nil },
		"plain http":                         func(c *Client) { c.RedirectURIs = []string{"http://wiki.example.net/cb"} },
		"a wildcard":                         func(c *Client) { c.RedirectURIs = []string{"https://*.example.net/cb"} },
		"a wildcard path":                    func(c *Client) { c.RedirectURIs = []string{"https://wiki.example.net/*"} },
		"a fragment":                         func(c *Client) { c.RedirectURIs = []string{"https://wiki.example.net/cb#x"} },
		"an empty fragment":                  func(c *Client) { c.RedirectURIs = []string{"https://wiki.example.net/cb#"} },
		"a user name":                        func(c *Client) { c.RedirectURIs = []string{"https://u@wiki.example.net/cb"} },
		"a path alone":                       func(c *Client) { c.RedirectURIs = []string{"/cb"} },
		"a scheme of programs":               func(c *Client) { c.RedirectURIs = []string{"com.example.app:/cb"} },
		"javascript":                         func(c *Client) { c.RedirectURIs = []string{"javascript:alert(1)"} },
		"a public client with javascript":    func(c *Client) { c.Public, c.Secret, c.RedirectURIs = true, "", []string{"javascript:alert(1)"} },
		"a public client with data":          func(c *Client) { c.Public, c.Secret, c.RedirectURIs = true, "", []string{"data:text/html,x"} },
		"a space":                            func(c *Client) { c.RedirectURIs = []string{"https://wiki.example.net/c b"} },
		"a broken escape":                    func(c *Client) { c.RedirectURIs = []string{"https://wiki.example.net/%zz"} },
		"plain http after a logout":          func(c *Client) { c.PostLogoutRedirectURIs = []string{"http://wiki.example.net/"} },
		"plain http for logout tokens":       func(c *Client) { c.BackchannelLogoutURI = "http://wiki.example.net/logout" },
	} {
		c := good()
		change(&c)
		if _, err := NewClients([]Client{c}); err == nil {
			t.Errorf("%s: expected an error, seen none", name)
		} else if strings.Contains(err.Error(), `"s"`) {
			t.Errorf("%s: expected no secret in the error, seen %v", name, err)
		}
	}
	for name, change := range map[string]func(*Client){
		"as it is":             func(*Client) {},
		"http on loopback":     func(c *Client) { c.RedirectURIs = []string{"http://127.0.0.1:8080/cb", "http://localhost/cb"} },
		"a query":              func(c *Client) { c.RedirectURIs = []string{"https://wiki.example.net/cb?a=%2F"} },
		"a public program":     func(c *Client) { c.Public, c.Secret, c.RedirectURIs = true, "", []string{"com.example.app:/cb"} },
		"a program for itself": func(c *Client) { c.ClientCredentials, c.RedirectURIs = true, nil },
	} {
		c := good()
		change(&c)
		if _, err := NewClients([]Client{c}); err != nil {
			t.Errorf("%s: expected no error, seen %v", name, err)
		}
	}
	if _, err := NewClients([]Client{good(), good()}); err == nil {
		t.Errorf("expected an id that appears twice to be refused, seen no error")
	}
}
