// Package app is the application behind the demo's Caddy. It knows nothing
// about OpenID Connect: it reads the user from request headers, and shows what
// it received.
package app

import (
	"bytes"
	_ "embed"
	"html/template"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
)

//go:embed private.html
var privatePage string

var privateTemplate = template.Must(template.New("private").Parse(privatePage))

// claims are the headers that the demo's Caddyfile sets in the block upstream.
var claims = []struct{ Name, Header string }{
	{"user name", "X-User"},
	{"name", "X-Name"},
	{"email", "X-Email"},
	{"groups", "X-Groups"},
	{"subject", "X-Subject"},
	{"issuer", "X-Issuer"},
	{"provider", "X-Provider"},
}

// view is the data of the template private.html.
type view struct {
	URI     string
	User    string
	Claims  []row
	Headers []row
}

// row is one line of a table.
type row struct {
	Name, Header, Value string
}

// Handler responds to every request with a page that shows its claims and
// headers.
func Handler() http.Handler { return http.HandlerFunc(show) }

func show(w http.ResponseWriter, r *http.Request) {
	v := view{URI: r.URL.RequestURI(), User: r.Header.Get("X-Name")}
	if v.User == "" {
		v.User = r.Header.Get("X-User")
	}
	identity := make(map[string]bool)
	for _, claim := range claims {
		v.Claims = append(v.Claims, row{claim.Name, claim.Header, value(r, claim.Header)})
		identity[claim.Header] = true
	}
	v.Headers = append(v.Headers, row{Header: "Host", Value: r.Host})
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if !identity[name] {
			v.Headers = append(v.Headers, row{Header: name, Value: value(r, name)})
		}
	}

	var page bytes.Buffer
	if err := privateTemplate.Execute(&page, v); err != nil {
		slog.Error("rendering the private page", "error", err)
		http.Error(w, "This page is broken.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page.Bytes())
}

// value returns all values of a header, separated by dots.
func value(r *http.Request, name string) string {
	return strings.Join(r.Header.Values(name), " · ")
}
