package subrequest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// whole returns the headers of a family that describe the same request.
func whole(family Family) http.Header {
	prefix := map[Family]string{Forwarded: "X-Forwarded-", Original: "X-Original-"}[family]
	return http.Header{prefix + "Method": {"GET"}, prefix + "Proto": {"https"}, prefix + "Host": {"app.example.com"}, prefix + "Uri": {"/a%2Fb?c=d"}}
}

// with replaces headers with those in more. nil removes a header.
func with(header http.Header, more http.Header) http.Header {
	for name, values := range more {
		delete(header, name)
		if values != nil {
			header[name] = values
		}
	}
	return header
}

func TestTheRequestIsReadAsItIsDescribed(t *testing.T) {
	t.Parallel()
	url := func(value string) http.Header {
		return http.Header{"X-Original-Method": {"GET"}, "X-Original-Url": {value}}
	}
	for _, tc := range []struct {
		name                string
		family              Family
		header              http.Header
		method, origin, uri string
	}{
		{"forwarded", Forwarded, whole(Forwarded), "GET", "https://app.example.com", "/a%2Fb?c=d"},
		{"original in parts", Original, whole(Original), "GET", "https://app.example.com", "/a%2Fb?c=d"},
		{"original as a whole", Original, url("https://app.example.com/a%2Fb?c=d"), "GET", "https://app.example.com", "/a%2Fb?c=d"},
		{"original as a whole and in parts that say the same", Original, with(whole(Original), http.Header{"X-Original-Url": {"https://app.example.com/a%2Fb?c=d"}}), "GET", "https://app.example.com", "/a%2Fb?c=d"},
		{"the other family beside it", Forwarded, with(whole(Forwarded), http.Header{"X-Original-Method": {"POST"}, "X-Original-Uri": {"/public"}, "X-Original-Url": {"https://evil.example/"}}), "GET", "https://app.example.com", "/a%2Fb?c=d"},
		{"the other family beside original", Original, with(whole(Original), http.Header{"X-Forwarded-Method": {"POST", "PUT"}, "X-Forwarded-Uri": {"/public"}, "X-Forwarded-Host": {"evil.example"}}), "GET", "https://app.example.com", "/a%2Fb?c=d"},
		{"other spellings beside it", Original, with(whole(Original), http.Header{"X_original_uri": {"/public"}, "X-Original_uri": {"/public"}, "X.original.uri": {"/public"}}), "GET", "https://app.example.com", "/a%2Fb?c=d"},
		{"a method that another header names", Forwarded, with(whole(Forwarded), http.Header{"X-Http-Method-Override": {"DELETE"}, "X-Http-Method": {"DELETE"}, "X-Method-Override": {"DELETE"}}), "GET", "https://app.example.com", "/a%2Fb?c=d"},
		{"a method of an extension", Forwarded, with(whole(Forwarded), http.Header{"X-Forwarded-Method": {"PROPFIND"}}), "PROPFIND", "https://app.example.com", "/a%2Fb?c=d"},
		{"a scheme in capitals", Forwarded, with(whole(Forwarded), http.Header{"X-Forwarded-Proto": {"HTTPS"}}), "GET", "https://app.example.com", "/a%2Fb?c=d"},
		{"plain HTTP", Forwarded, with(whole(Forwarded), http.Header{"X-Forwarded-Proto": {"http"}}), "GET", "http://app.example.com", "/a%2Fb?c=d"},
		{"a port", Forwarded, with(whole(Forwarded), http.Header{"X-Forwarded-Host": {"App.Example.com:8443"}}), "GET", "https://app.example.com:8443", "/a%2Fb?c=d"},
		{"the default port", Forwarded, with(whole(Forwarded), http.Header{"X-Forwarded-Host": {"app.example.com:443"}}), "GET", "https://app.example.com", "/a%2Fb?c=d"},
		{"two slashes", Forwarded, with(whole(Forwarded), http.Header{"X-Forwarded-Uri": {"//evil.example/x"}}), "GET", "https://app.example.com", "//evil.example/x"},
		{"a backslash", Forwarded, with(whole(Forwarded), http.Header{"X-Forwarded-Uri": {`/\evil`}}), "GET", "https://app.example.com", `/\evil`},
		{"an encoded NUL", Forwarded, with(whole(Forwarded), http.Header{"X-Forwarded-Uri": {"/a%00b"}}), "GET", "https://app.example.com", "/a%00b"},
		{"bytes that are no ASCII", Forwarded, with(whole(Forwarded), http.Header{"X-Forwarded-Uri": {"/caf\xc3\xa9"}}), "GET", "https://app.example.com", "/caf\xc3\xa9"},
		{"a comma", Forwarded, with(whole(Forwarded), http.Header{"X-Forwarded-Uri": {"/a,/b"}}), "GET", "https://app.example.com", "/a,/b"},
		{"a long URI", Forwarded, with(whole(Forwarded), http.Header{"X-Forwarded-Uri": {"/" + strings.Repeat("a", 9000)}}), "GET", "https://app.example.com", "/" + strings.Repeat("a", 9000)},
		{"a query alone after the slash", Original, url("http://app.example.com:8080/?x"), "GET", "http://app.example.com:8080", "/?x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r, err := tc.family.Read(tc.header)
			if err != nil {
				t.Fatalf("expected a request, seen the error %v", err)
			}
			if r.Method != tc.method {
				t.Errorf("method: expected %q, seen %q", tc.method, r.Method)
			}
			if r.Origin.String() != tc.origin {
				t.Errorf("origin: expected %s, seen %s", tc.origin, r.Origin)
			}
			if r.URI != tc.uri {
				t.Errorf("URI: expected %q, seen %q", tc.uri, r.URI)
			}
			if r.WebSocket {
				t.Error("WebSocket: expected none, seen one")
			}
		})
	}
}

// Headers that are missing, repeated or malformed describe no request.
func TestWhatDescribesNoRequest(t *testing.T) {
	t.Parallel()
	parts := map[string][][]string{
		"Method": {nil, {""}, {"GET", "GET"}, {"GET", "POST"}, {"GET,POST"}, {"GET POST"}, {" "}, {"G\x00T"}, {"CONNECT"}, {"GET\r\nX: y"}},
		"Proto":  {nil, {""}, {"https", "https"}, {"http, https"}, {"https,"}, {"ftp"}, {"file"}, {"httpss"}, {"https:"}, {"https://"}, {" https"}},
		"Host": {
			nil, {""}, {"app.example.com", "app.example.com"}, {"app.example.com", "evil.example"}, {"app.example.com, evil.example"}, {"evil.example@app.example.com"},
			{"app.example.com/"}, {"app.example.com/x"}, {"app.example.com?x"}, {"app.example.com#x"}, {`app.example.com\x`}, {"app.example.com:"}, {"app.example.com:0"}, {"app.example.com:70000"},
			{"https://app.example.com"}, {"//app.example.com"}, {".app.example.com"}, {"app..example.com"}, {"app.example.com\x00"}, {"app.example.com "}, {"127.1"}, {"0x7f.1"}, {"::1"}, {"[::1"}, {"*.example.com"}, {strings.Repeat("a", 300)},
		},
		"Uri": {
			nil, {""}, {"/a", "/a"}, {"/a", "/b"}, {"a"}, {"a/b"}, {"?a"}, {"#a"}, {"*"}, {"./a"}, {"../a"}, {"https://app.example.com/a"}, {"http:/a"}, {"foo:/a"}, {"app.example.com:443"},
			{"/a b"}, {"/a\tb"}, {"/a\x00b"}, {"/a\r\nb"}, {"/a\x7f"}, {" /a"}, {"/a "}, {"/%"}, {"/%zz"}, {"/%2"}, {`\a`}, {`\\evil`},
		},
	}
	for family, prefix := range map[Family]string{Forwarded: "X-Forwarded-", Original: "X-Original-"} {
		for part, all := range parts {
			for _, values := range all {
				if r, err := family.Read(with(whole(family), http.Header{prefix + part: values})); err == nil {
					t.Errorf("%s%s %q: expected an error, seen %s %s %s", prefix, part, values, r.Method, r.Origin, r.URI)
				}
			}
		}
	}
	for _, url := range [][]string{
		{""}, {"/a"}, {"//app.example.com/a"}, {"app.example.com/a"}, {"https:/app.example.com/a"}, {"https:///a"}, {"https://app.example.com"}, {"https://app.example.com?a"}, {"https://app.example.com?x/a"},
		{"https://app.example.com#x/a"}, {"https://evil.example@app.example.com/a"}, {`https://app.example.com\@evil.example/a`}, {"ftp://app.example.com/a"}, {"https://app.example.com/a b"}, {"https://app.example.com/a\x00"},
		{"https://app.example.com/a", "https://app.example.com/a"}, {"https://app.example.com/a, https://app.example.com/b"}, {"https://app.example.com:x/a"}, {"javascript://app.example.com/a"},
	} {
		header := http.Header{"X-Original-Method": {"GET"}, "X-Original-Url": url}
		if r, err := Original.Read(header); err == nil && r.URI != "/a, https://app.example.com/b" && r.URI != "/a" {
			t.Errorf("X-Original-URL %q: expected an error, seen %s %s %s", url, r.Method, r.Origin, r.URI)
		}
	}
	for name, more := range map[string]http.Header{
		"another URI":       {"X-Original-Uri": {"/public"}},
		"another host":      {"X-Original-Host": {"wiki.example.com"}},
		"another scheme":    {"X-Original-Proto": {"http"}},
		"two URIs":          {"X-Original-Uri": {"/a%2Fb?c=d", "/public"}},
		"no scheme":         {"X-Original-Proto": nil},
		"a URI in capitals": {"X-Original-Uri": {"/A%2Fb?c=d"}},
	} {
		header := with(whole(Original), http.Header{"X-Original-Url": {"https://app.example.com/a%2Fb?c=d"}})
		if r, err := Original.Read(with(header, more)); err == nil {
			t.Errorf("X-Original-URL and %s: expected an error, seen %s %s %s", name, r.Method, r.Origin, r.URI)
		}
	}
	for _, family := range []Family{Forwarded, Original} {
		other := map[Family]Family{Forwarded: Original, Original: Forwarded}[family]
		if _, err := family.Read(whole(other)); err == nil {
			t.Errorf("%s: expected an error about the headers of the other family alone, seen none", family)
		}
	}
}

func TestWebSocketsAreKnown(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]http.Header{
		"a key":               {"Sec-Websocket-Key": {"x"}},
		"an empty key":        {"Sec-Websocket-Key": {""}},
		"fetch metadata":      {"Sec-Fetch-Mode": {"websocket"}},
		"fetch metadata, too": {"Sec-Fetch-Mode": {"navigate", "websocket"}},
		"Upgrade":             {"Upgrade": {"WebSocket"}},
		"the scheme ws":       {"X-Forwarded-Proto": {"ws"}},
		"the scheme WSS":      {"X-Forwarded-Proto": {"WSS"}},
	} {
		r, err := Forwarded.Read(with(whole(Forwarded), more))
		if err != nil {
			t.Errorf("%s: expected a request, seen the error %v", name, err)
		} else if !r.WebSocket {
			t.Errorf("%s: expected a WebSocket, seen none", name)
		}
	}
}

func TestStripLeavesTheHeaderOfTheRequest(t *testing.T) {
	t.Parallel()
	header := with(whole(Forwarded), whole(Original))
	header["X-Original-Url"], header["X-Forwarded-Port"] = []string{"x"}, []string{"x"}
	for _, name := range []string{"Cookie", "X-Forwarded-For", "X-Forwarded-User", "Authorization"} {
		header[name] = []string{"x"}
	}
	Strip(header)
	if len(header) != 4 {
		t.Errorf("expected the headers of the request alone, seen %v", header)
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	hosts, err := ParseHosts([]string{"App.example.com", "wiki.example.com:8443", "plain.example.com:80", "tls.example.com:443", "*.apps.example.com", "[::1]:9000", "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]bool{
		"https://app.example.com": true, "http://app.example.com": true, "https://app.example.com:8443": true, "https://APP.example.com": true,
		"https://wiki.example.com:8443": true, "http://wiki.example.com:8443": true, "https://wiki.example.com": false, "https://wiki.example.com:8444": false,
		"http://plain.example.com": true, "https://plain.example.com": false, "https://plain.example.com:80": true,
		"https://tls.example.com": true, "http://tls.example.com": false,
		"https://a.apps.example.com": true, "https://a.apps.example.com:1": true, "https://apps.example.com": false, "https://a.b.apps.example.com": false, "https://evilapps.example.com": false,
		"http://[::1]:9000": true, "http://[::1]": false, "http://192.0.2.1:1": true, "https://example.com": false, "https://sub.app.example.com": false, "https://app.example.com.evil.example": false,
	} {
		o, err := address.ParseOrigin(origin)
		if err != nil {
			t.Fatal(err)
		}
		if got := hosts.Cover(o); got != want {
			t.Errorf("%s: expected %t, seen %t", origin, want, got)
		}
	}
	for _, text := range []string{"", "*", "*.", ".example.com", "https://app.example.com", "app.example.com/", "app.*.example.com", "a*.example.com", "app.example.com:", "app.example.com:0", "app.example.com:x", "a b", "**.example.com", "*.*.example.com", "127.1"} {
		if CheckHost(text) == nil {
			t.Errorf("%q: expected an error, seen none", text)
		}
	}
}

func TestHostsAreOneOrigin(t *testing.T) {
	t.Parallel()
	base := address.Origin{Scheme: "https", Host: "app.example.com"}
	for text, want := range map[string]bool{
		"app.example.com": true, "app.example.com:443": true, "app.example.com:8443": false, "wiki.example.com": false, "*.example.com": false,
		"app.example.com wiki.example.com": false,
	} {
		hosts, err := ParseHosts(strings.Fields(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := hosts.Are(base); got != want {
			t.Errorf("%s: expected %t, seen %t", text, want, got)
		}
	}
}

// FuzzRead checks that what is read is one request for one host, and that headers of the
// other family do not affect it.
func FuzzRead(f *testing.F) {
	f.Add("GET", "https", "app.example.com", "/a", "https://app.example.com/a")
	f.Add("POST", "http", "app.example.com:80", "//evil/%2e%2e;x", "")
	f.Add("HEAD", "wss", "[::1]:9", "/\\..%00?#", "https://a@b/c")
	f.Fuzz(func(t *testing.T, method, proto, host, uri, url string) {
		forwarded := http.Header{"X-Forwarded-Method": {method}, "X-Forwarded-Proto": {proto}, "X-Forwarded-Host": {host}, "X-Forwarded-Uri": {uri}}
		original := http.Header{"X-Original-Method": {method}, "X-Original-Proto": {proto}, "X-Original-Host": {host}, "X-Original-Uri": {uri}}
		one, failed := Forwarded.Read(forwarded)
		same, failedToo := Original.Read(original)
		if (failed == nil) != (failedToo == nil) {
			t.Fatalf("forwarded: %v, original: %v", failed, failedToo)
		}
		beside, err := Forwarded.Read(with(with(make(http.Header), forwarded), with(http.Header{"X-Original-Url": {url}}, original)))
		if (err == nil) != (failed == nil) {
			t.Fatalf("the other family changes whether there is a request: %v, %v", failed, err)
		}
		if failed == nil {
			checkRead(t, one, method, host, uri)
			checkRead(t, same, method, host, uri)
			checkRead(t, beside, method, host, uri)
		}
		if whole, err := Original.Read(http.Header{"X-Original-Method": {method}, "X-Original-Url": {url}}); err == nil {
			checkRead(t, whole, method, whole.Host, whole.URI)
			if !strings.HasSuffix(url, "://"+whole.Host+whole.URI) {
				t.Errorf("%q was read as the host %q and the URI %q", url, whole.Host, whole.URI)
			}
		}
	})
}

func checkRead(t *testing.T, r *Request, method, host, uri string) {
	t.Helper()
	if r.Method != method || r.Host != host || r.URI != uri {
		t.Errorf("%q %q %q was read as %q %q %q", method, host, uri, r.Method, r.Host, r.URI)
	}
	if !strings.HasPrefix(uri, "/") || strings.ContainsAny(uri, " \r\n\x00") {
		t.Errorf("the URI %q was read", uri)
	}
	if r.URL.Host != "" || r.URL.Opaque != "" || r.URL.Scheme != "" || r.URL.User != nil {
		t.Errorf("the URI %q was read with a host: %#v", uri, r.URL)
	}
	if !strings.HasPrefix(r.URL.Path, "/") {
		t.Errorf("the URI %q was read with the path %q", uri, r.URL.Path)
	}
	if strings.ContainsAny(r.Origin.Host, "/?#@\\, ") {
		t.Errorf("the host %q was read as %q", host, r.Origin.Host)
	}
}
