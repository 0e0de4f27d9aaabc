package oidcrp

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestHeaderSpellingsThatAnApplicationFolds(t *testing.T) {
	t.Parallel()
	h := &Handler{identityHeaders: []string{"X-Remote-User"}}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x"))
	for _, name := range []string{"X_Remote_User", "x.remote.user", "X!Remote~User", "X-Remote-User", "X-REMOTE-USER"} {
		r.Header[name] = []string{"root"}
	}
	r.Header["X-Other"], r.Header["Trailer"] = []string{"kept"}, []string{"X-Remote-User, X-Sum"}
	r.Trailer = http.Header{"X-Remote-User": nil, "X-Sum": nil}
	h.scrub(new(requestState), r)
	if len(r.Header) != 2 || r.Header.Get("Trailer") != " X-Sum" && r.Header.Get("Trailer") != "X-Sum" || len(r.Trailer) != 1 {
		t.Errorf("left are %v, trailers %v", r.Header, r.Trailer)
	}
}

func TestUpgradesAreChecked(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"SPDY/3.1", "tcp", "websocket", "rdp", "connect-udp"} {
		if err := checkUpgrades([]string{protocol}); err != nil {
			t.Errorf("%s: %v", protocol, err)
		}
	}
	for _, protocol := range []string{"h2c", "H2C", "h2c-14", "h2", "HTTP/2.0", "http/1.1", "HTTP", "TLS/1.0", "tls", "TLS/1.3", "h3", "*", "", "a,b", "a b", "a/b/c", "{env.X}", "/1"} {
		if err := checkUpgrades([]string{protocol}); err == nil {
			t.Errorf("%q is accepted", protocol)
		}
	}
}

// FuzzUpgrade: whatever the headers, what is left allows no tunnel, and what
// was kept names one protocol.
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
		if r.Header["Upgrade"] != nil || r.Header["Http2-Settings"] != nil || slices.ContainsFunc(r.Header["Connection"], namesUpgrade) {
			t.Errorf("left is %v", r.Header)
		}
		u.giveBack(r.Header, []string{"tcp"})
		if got := r.Header["Upgrade"]; got != nil && (len(got) != 1 || !strings.EqualFold(got[0], "websocket") && !strings.EqualFold(got[0], "tcp")) {
			t.Errorf("passed on is %q", got)
		}
	})
}
