package cookiescope

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

func origin(t *testing.T, text string) address.Origin {
	t.Helper()
	o, err := address.ParseOrigin(text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Browsers keep cookies with these names and this additional data. Changing them signs
// everyone out.
func TestNamesAndAdditionalData(t *testing.T) {
	t.Parallel()
	base := origin(t, "https://www.example.com")
	for _, tc := range []struct {
		name   string
		config Config
		origin string
		want   Scope
	}{
		{"HTTPS", Config{Name: "c"}, "https://a.test:8443", Scope{
			Session: "__Host-c", TransactionPrefix: "__Host-c_tx_", Mark: "__Host-c_mark", Repeats: "__Host-c_again", Tried: "__Host-c_tried", Choice: "__Host-c_choice", Last: "__Host-c_last", IDTokenHint: "__Secure-c_hint",
			SessionAAD: "__Host-c\x00host a.test", TransactionAAD: "__Host-c_tx_\x00host a.test", MarkAAD: "__Host-c_mark\x00host a.test",
			TriedAAD: "__Host-c_tried\x00host a.test", ChoiceAAD: "__Host-c_choice\x00host a.test", LastAAD: "__Host-c_last\x00host a.test",
			RepeatsAAD: "__Host-c_again\x00__Host-c_tx_\x00host a.test", IDTokenHintAAD: "__Secure-c_hint\x00host a.test",
		}},
		{"a domain", Config{Name: "c", Domain: "example.com"}, "https://a.example.com", Scope{
			Session: "__Secure-c", TransactionPrefix: "__Host-c_tx_", Mark: "__Host-c_mark", Repeats: "__Host-c_again", Tried: "__Host-c_tried", Choice: "__Host-c_choice", Last: "__Host-c_last", IDTokenHint: "__Secure-c_hint",
			SessionAAD: "__Secure-c\x00domain example.com", TransactionAAD: "__Host-c_tx_\x00host a.example.com", MarkAAD: "__Host-c_mark\x00host a.example.com",
			TriedAAD: "__Host-c_tried\x00host a.example.com", ChoiceAAD: "__Host-c_choice\x00host a.example.com", LastAAD: "__Host-c_last\x00host a.example.com",
			RepeatsAAD: "__Host-c_again\x00__Host-c_tx_\x00host a.example.com", IDTokenHintAAD: "__Secure-c_hint\x00domain example.com",
			FormerTransactionPrefix: "__Secure-c_tx_", FormerTransactionAAD: "__Secure-c_tx_\x00domain example.com",
		}},
		{"a configured origin", Config{Name: "c", Base: &base}, "https://www.example.com", Scope{
			Session: "__Host-c", TransactionPrefix: "__Host-c_tx_", Mark: "__Host-c_mark", Repeats: "__Host-c_again", Tried: "__Host-c_tried", Choice: "__Host-c_choice", Last: "__Host-c_last", IDTokenHint: "__Secure-c_hint",
			SessionAAD: "__Host-c\x00url https://www.example.com", TransactionAAD: "__Host-c_tx_\x00url https://www.example.com", MarkAAD: "__Host-c_mark\x00url https://www.example.com",
			TriedAAD: "__Host-c_tried\x00url https://www.example.com", ChoiceAAD: "__Host-c_choice\x00url https://www.example.com", LastAAD: "__Host-c_last\x00url https://www.example.com",
			RepeatsAAD: "__Host-c_again\x00__Host-c_tx_\x00url https://www.example.com", IDTokenHintAAD: "__Secure-c_hint\x00url https://www.example.com",
		}},
		{"plain HTTP on loopback", Config{Name: "c"}, "http://localhost:8080", Scope{
			Session: "c", TransactionPrefix: "c_tx_", Mark: "c_mark", Repeats: "c_again", Tried: "c_tried", Choice: "c_choice", Last: "c_last", IDTokenHint: "c_hint",
			SessionAAD: "c\x00host localhost", TransactionAAD: "c_tx_\x00host localhost", MarkAAD: "c_mark\x00host localhost",
			TriedAAD: "c_tried\x00host localhost", ChoiceAAD: "c_choice\x00host localhost", LastAAD: "c_last\x00host localhost",
			RepeatsAAD: "c_again\x00c_tx_\x00host localhost", IDTokenHintAAD: "c_hint\x00host localhost",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := *New(tc.config).At(origin(t, tc.origin))
			if !got.Ready {
				t.Error("no login may begin")
			}
			got.Origin, got.Ready, got.of, got.secure = address.Origin{}, false, nil, false
			if got != tc.want {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

func TestTheOriginOfARequest(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		tls     bool
		proxied bool
		header  http.Header
		want    string
	}{
		{"plain HTTP", false, false, nil, "http://a.test"},
		{"TLS", true, false, nil, "https://a.test"},
		{"a stranger's word", false, false, http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"b.test"}}, "http://a.test"},
		{"a proxy's word", false, true, http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"b.test"}}, "https://b.test"},
		{"a proxy's last word", false, true, http.Header{"X-Forwarded-Proto": {"http, HTTPS, "}, "X-Forwarded-Host": {"c.test", "d.test, b.test"}}, "https://b.test"},
		{"a proxy's WebSocket", false, true, http.Header{"X-Forwarded-Proto": {"wss"}}, "https://a.test"},
		{"a proxy that would take TLS away", true, true, http.Header{"X-Forwarded-Proto": {"http"}}, "https://a.test"},
		{"a proxy that names no host", false, true, http.Header{"X-Forwarded-Host": {"b test"}}, "http://a.test"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host, r.Header = "a.test", tc.header
			if tc.tls {
				r.TLS = new(tls.ConnectionState)
			}
			scopes := New(Config{Name: "c", Trusted: func(*http.Request) bool { return tc.proxied }})
			for range 2 { // the second time it is cached
				if got := scopes.Of(r).Origin.String(); got != tc.want {
					t.Errorf("expected %s, seen %s", tc.want, got)
				}
			}
		})
	}
}

func TestARequestWithoutAHostHasNoScope(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = ""
	if got := New(Config{Name: "c"}).Of(r); got != nil {
		t.Errorf("got %+v", got)
	}
}

func TestAnotherInstancesCookieIsNoChunk(t *testing.T) {
	t.Parallel()
	scopes := New(Config{Name: "c", Insecure: true})
	scopes.Exclude(1)
	s := scopes.At(origin(t, "http://a.test"))
	if found := s.FindSession([]string{"c=0x; c_1=1y"}); found.Chunks != 1 {
		t.Errorf("the chunks are %b, want 1", found.Chunks)
	}
	for name, want := range map[string]bool{"c": true, "c_1": false, "c_2": true} {
		if got := s.IsSession(name); got != want {
			t.Errorf("%s: expected a session cookie %t, seen %t", name, want, got)
		}
	}
	header := make(http.Header)
	s.ClearSession(header, s.AllChunks())
	if got := len(header["Set-Cookie"]); got != 3 {
		t.Errorf("%d cookies are expired, want 3: %q", got, header["Set-Cookie"])
	}
}

func TestTransientCookies(t *testing.T) {
	t.Parallel()
	s := New(Config{Name: "c", Transient: true}).At(origin(t, "https://a.example.com"))
	for _, row := range []struct {
		name   string
		maxAge int
		want   string
	}{
		{s.Session, 60, "__Host-c=v; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{s.Session + "_3", 60, "__Host-c_3=v; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{s.IDTokenHint, 60, "__Secure-c_hint=v; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{s.Session, -1, "__Host-c=v; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{s.IDTokenHint, -1, "__Secure-c_hint=v; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{s.TransactionPrefix + "x", 60, "__Host-c_tx_x=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax"},
		{s.Mark, 60, "__Host-c_mark=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax"},
		{s.Tried, 0, "__Host-c_tried=v; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{s.Repeats, 60, "__Host-c_again=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax"},
	} {
		if got := s.Cookie(row.name, "v", "/", row.maxAge).String(); got != row.want {
			t.Errorf("expected %s, seen %s", row.want, got)
		}
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	s := New(Config{Name: "c", Domain: "example.com", SameSiteNone: true, Partitioned: true}).At(origin(t, "https://a.example.com"))
	for name, want := range map[string]string{
		s.Session:                 "__Secure-c=v; Path=/; Domain=example.com; Max-Age=60; HttpOnly; Secure; SameSite=None; Partitioned",
		s.TransactionPrefix + "x": "__Host-c_tx_x=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=None; Partitioned",
		s.Mark:                    "__Host-c_mark=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=None; Partitioned",
		s.Tried:                   "__Host-c_tried=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=None; Partitioned",
		s.Repeats:                 "__Host-c_again=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=None; Partitioned",
	} {
		if got := s.Cookie(name, "v", "/", 60).String(); got != want {
			t.Errorf("expected %s, seen %s", want, got)
		}
	}
}
