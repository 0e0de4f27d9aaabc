package handover_test

import (
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
)

// A pattern matches only hosts with the same number of labels. All labels are equal,
// except where the pattern has an asterisk.
func FuzzPattern(f *testing.F) {
	for _, pattern := range []string{"*.example.com", "app.example.com", "app.example.com:8443", "*", "*.*.example.com", "[::1]", "a*.example.com", "EXAMPLE.com.", "*:443", "x/y", "*.example.com:80", "..", "1.2.3.4"} {
		f.Add(pattern, "https://app.example.com")
		f.Add(pattern, "https://a.b.example.com:8443")
	}
	f.Add("*.example.com", "https://evil.test")
	f.Add("[::1]:443", "http://[::1]:443")
	f.Fuzz(func(t *testing.T, text, url string) {
		pattern, err := handover.ParsePattern(text)
		if err != nil {
			return
		}
		if err := handover.CheckPattern(text); err != nil {
			t.Errorf("%q: expected no error, seen %v", text, err)
		}
		if strings.ContainsAny(text, "/@?# ") {
			t.Errorf("%q: expected an error, seen none", text)
		}
		origin, err := address.ParseOrigin(url)
		if err != nil || !pattern.Matches(origin) {
			return
		}
		labels, parts := strings.Split(pattern.Host(), "."), strings.Split(strings.TrimSuffix(origin.Hostname(), "."), ".")
		if len(labels) != len(parts) {
			t.Fatalf("%q: expected hosts with %d labels, seen %q", text, len(labels), url)
		}
		for i, label := range labels {
			if label != "*" && strings.Trim(label, "[]") != strings.Trim(parts[i], "[]") {
				t.Errorf("%q: expected the label %q, seen %q of %q", text, label, parts[i], url)
			}
		}
	})
}

// A ticket has exactly one text.
func FuzzParseTicket(f *testing.F) {
	f.Add(handover.Ticket{1, 2, 3}.String())
	f.Add("AAAAAAAAAAAAAAAAAAAAAB")
	f.Add("AAAAAAAAAAAAAAAAAAAAA=")
	f.Add("AAAAAAAAAAA\nAAAAAAAAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		ticket, ok := handover.ParseTicket(text)
		if ok && ticket.String() != text {
			t.Errorf("%q is read as the ticket %q", text, ticket)
		}
		if again, ok := handover.ParseTicket(ticket.String()); !ok || again != ticket {
			t.Errorf("%q comes back as %q, %v", ticket, again, ok)
		}
	})
}
