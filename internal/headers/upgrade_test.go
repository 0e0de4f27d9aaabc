package headers

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestUpgradesAreChecked(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"SPDY/3.1", "tcp", "websocket", "rdp", "connect-udp"} {
		if err := CheckUpgrades([]string{protocol}); err != nil {
			t.Errorf("%s: %v", protocol, err)
		}
	}
	for _, protocol := range []string{"h2c", "H2C", "h2c-14", "h2", "HTTP/2.0", "http/1.1", "HTTP", "TLS/1.0", "tls", "TLS/1.3", "h3", "*", "", "a,b", "a b", "a/b/c", "{env.X}", "/1"} {
		if err := CheckUpgrades([]string{protocol}); err == nil {
			t.Errorf("%q is accepted", protocol)
		}
	}
}

// FuzzUpgrade checks that the remaining headers allow no tunnel, and that at most one
// allowed protocol is restored.
func FuzzUpgrade(f *testing.F) {
	f.Add("Upgrade", "h2c", "x")
	f.Add("keep-alive, Upgrade", "websocket", "")
	f.Add("upgrade,HTTP2-Settings\nclose", "websocket\nh2c", "AA")
	f.Add(" ,\tupgrade ,", "websocket, h2c", "")
	f.Fuzz(func(t *testing.T, connection, protocols, settings string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Connection"] = strings.Split(connection, "\n")
		r.Header["Upgrade"] = strings.Split(protocols, "\n")
		if settings != "" {
			r.Header["Http2-Settings"] = []string{settings}
		}
		u := takeUpgrade(r)
		for _, name := range []string{"Upgrade", "Http2-Settings"} {
			if got := r.Header[name]; got != nil {
				t.Errorf("expected %s to be removed, seen %q", name, got)
			}
		}
		if got := r.Header["Connection"]; slices.ContainsFunc(got, namesUpgrade) {
			t.Errorf("expected Connection without Upgrade, seen %q", got)
		}
		u.Restore(r.Header, []string{"tcp"})
		if got := r.Header["Upgrade"]; got != nil {
			if len(got) != 1 {
				t.Fatalf("expected one protocol to be passed on at most, seen %q", got)
			}
			if !strings.EqualFold(got[0], "websocket") && !strings.EqualFold(got[0], "tcp") {
				t.Errorf("expected websocket or tcp to be passed on, seen %q", got)
			}
		}
	})
}
