package address

import (
	"net/url"
	"strings"
	"testing"
)

func TestParseOrigin(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, raw, want string }{
		{"as a browser writes it", "https://app.example.com", "https://app.example.com"},
		{"a slash at the end is forgiven", "https://app.example.com/", "https://app.example.com"},
		{"capitals become small", "HTTPS://App.Example.COM", "https://app.example.com"},
		{"the default port of https goes", "https://app.example.com:443", "https://app.example.com"},
		{"the default port of http goes", "http://app.example.com:80", "http://app.example.com"},
		{"the other's default port stays", "http://app.example.com:443", "http://app.example.com:443"},
		{"any other port stays", "https://App.example.com:8443/", "https://app.example.com:8443"},
		{"a name without dots", "http://localhost:3000", "http://localhost:3000"},
		{"an underscore", "https://my_app.example", "https://my_app.example"},
		{"an international name in its ASCII form", "https://xn--bcher-kva.example", "https://xn--bcher-kva.example"},
		{"an IPv4 address", "http://192.0.2.1:8080", "http://192.0.2.1:8080"},
		{"an IPv6 address is written the short way", "https://[2001:0DB8:0:0:0:0:0:1]:8443", "https://[2001:db8::1]:8443"},
		{"an IPv6 address at the default port", "https://[::1]:443", "https://[::1]"},
		{"an IPv4 address in an IPv6 one, as browsers write it", "http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]"},
		{"a label that only begins with digits", "https://1a.0xg", "https://1a.0xg"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseOrigin(tc.raw)
			if err != nil || got.String() != tc.want {
				t.Errorf("ParseOrigin(%q) = %q, %v; want %q", tc.raw, got, err, tc.want)
			}
		})
	}
}

func TestParseOriginSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, raw, says string }{
		{"nothing", "", "empty"},
		{"a host alone", "app.example.com", "https://"},
		{"a host and a port alone", "app.example.com:443", "https://"},
		{"a network path", "//app.example.com", "https://"},
		{"a scheme without slashes", "https:app.example.com", "https://"},
		{"another scheme", "ftp://app.example.com", "https://"},
		{"a path", "https://app.example.com/app", `path, this one has "/app"`},
		{"two slashes at the end", "https://app.example.com//", "path"},
		{"a query", "https://app.example.com?x", "query"},
		{"a fragment", "https://app.example.com/#x", "fragment"},
		{"no host", "https://", "missing"},
		{"no host but a port", "https://:443", "missing"},
		{"a port that is no number", "https://app.example.com:https", "port"},
		{"port zero", "https://app.example.com:0", "port"},
		{"a port too high", "https://app.example.com:65536", "port"},
		{"an empty port", "https://app.example.com:", "port"},
		{"letters beyond ASCII", "https://bücher.example", "xn--"},
		{"a wildcard", "https://*.example.com", "letters"},
		{"a space", "https://app.example.com ", "letters"},
		{"a backslash", `https://app.example.com\`, "letters"},
		{"a dot at the end", "https://app.example.com.", "empty part"},
		{"a number that is no address", "https://10.0.1", "IPv4"},
		{"a hexadecimal address", "https://0x7f000001", "IPv4"},
		{"an IPv6 address without brackets", "https://2001:db8::1", "brackets"},
		{"an IPv6 address with a zone", "https://[fe80::1%eth0]", "zone"},
		{"an IPv6 address that is none", "https://[::g]", "IPv6"},
		{"brackets that stay open", "https://[::1", "IPv6"},
		{"something behind the brackets", "https://[::1]x", "IPv6"},
		{"a host too long", "https://" + strings.Repeat("a", 256), "too long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseOrigin(tc.raw)
			if err == nil {
				t.Fatalf("ParseOrigin(%q): expected an error, seen %q", tc.raw, got)
			}
			if !strings.Contains(err.Error(), tc.says) {
				t.Errorf("ParseOrigin(%q): expected the error %q, seen %v", tc.raw, tc.says, err)
			}
			if got != (Origin{}) {
				t.Errorf("ParseOrigin(%q): expected no origin beside the error, seen %q", tc.raw, got)
			}
		})
	}
}

func TestParseOriginKeepsPasswordsToItself(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"https://user:hunter2@app.example.com", "user:hunter2@app.example.com"} {
		_, err := ParseOrigin(raw)
		if err == nil {
			t.Fatal("expected an error, seen none")
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("expected an error without the password, seen %v", err)
		}
	}
}

func TestFromRequest(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, scheme, hostport, want string }{
		{"a name", "https", "app.example.com", "https://app.example.com"},
		{"a name in capitals", "https", "App.Example.com:8443", "https://app.example.com:8443"},
		{"the default port", "https", "app.example.com:443", "https://app.example.com"},
		{"a fully qualified name", "https", "app.example.com.", "https://app.example.com"},
		{"a fully qualified name and a port", "http", "app.example.com.:8080", "http://app.example.com:8080"},
		{"a scheme in capitals", "HTTP", "localhost", "http://localhost"},
		{"the longest name", "http", strings.Repeat("a", 255), "http://" + strings.Repeat("a", 255)},
		{"an IPv6 address", "http", "[::1]:8080", "http://[::1]:8080"},

		{"no scheme", "", "app.example.com", ""},
		{"another scheme", "ws", "app.example.com", ""},
		{"no host", "https", "", ""},
		{"a port alone", "https", ":443", ""},
		{"a dot alone", "https", ".", ""},
		{"two dots at the end", "https", "app.example.com..", ""},
		{"a name too long", "http", strings.Repeat("a", 256), ""},
		{"two names", "https", "app.example.com, evil.example", ""},
		{"a path", "https", "app.example.com/x", ""},
		{"a user name", "https", "x@app.example.com", ""},
		{"a line end", "https", "app.example.com\r\nX: y", ""},
		{"a quotation mark", "https", `app.example.com"`, ""},
		{"a percent sign", "https", "app%2eexample.com", ""},
		{"an empty port", "https", "app.example.com:", ""},
		{"port zero", "https", "app.example.com:0", ""},
		{"port zero zero", "https", "app.example.com:00080", ""},
		{"a port too high", "https", "app.example.com:65536", ""},
		{"a negative port", "https", "app.example.com:-1", ""},
		{"an IPv6 address without brackets", "https", "::1", ""},
		{"an IPv6 address with a zone", "https", "[fe80::1%25eth0]", ""},
		{"a bracket alone", "https", "[", ""},
		{"a closing bracket first", "https", "]:1", ""},
		{"an address that is none", "https", "256.0.0.1", ""},
		{"an address in octal", "https", "0177.0.0.1", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, ok := FromRequest(tc.scheme, tc.hostport)
			if ok != (tc.want != "") {
				t.Errorf("FromRequest(%q, %q): expected an origin %t, seen %t", tc.scheme, tc.hostport, tc.want != "", ok)
			}
			if ok && got.String() != tc.want {
				t.Errorf("FromRequest(%q, %q): expected %q, seen %q", tc.scheme, tc.hostport, tc.want, got)
			}
			if !ok && got != (Origin{}) {
				t.Errorf("FromRequest(%q, %q): expected no origin, seen %q", tc.scheme, tc.hostport, got)
			}
		})
	}
}

func TestHostnameAndLoopback(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		hostport, hostname string
		loopback           bool
	}{
		{"app.example.com:8443", "app.example.com", false},
		{"localhost", "localhost", true},
		{"LOCALHOST:3000", "localhost", true},
		{"app.localhost:3000", "app.localhost", true},
		{"notlocalhost", "notlocalhost", false},
		{"localhost.example.com", "localhost.example.com", false},
		{"127.0.0.1:80", "127.0.0.1", true},
		{"127.255.0.3", "127.255.0.3", true},
		{"128.0.0.1", "128.0.0.1", false},
		{"127.0.0.1.example.com", "127.0.0.1.example.com", false},
		{"0.0.0.0", "0.0.0.0", false},
		{"[::1]:8080", "::1", true},
		{"[0:0:0:0:0:0:0:1]", "::1", true},
		{"[::ffff:127.0.0.1]", "::ffff:7f00:1", false},
		{"[2001:db8::1]", "2001:db8::1", false},
	} {
		o, ok := FromRequest("http", tc.hostport)
		if !ok {
			t.Errorf("%s: expected an origin, seen none", tc.hostport)
		}
		if got := o.Hostname(); got != tc.hostname {
			t.Errorf("%s: expected the host name %q, seen %q", tc.hostport, tc.hostname, got)
		}
		if got := o.Loopback(); got != tc.loopback {
			t.Errorf("%s: expected loopback %t, seen %t", tc.hostport, tc.loopback, got)
		}
	}
	if (Origin{}).Loopback() {
		t.Error("no origin: expected it not to be this machine, seen that it is")
	}
	if got := (Origin{}).Hostname(); got != "" {
		t.Errorf("no origin: expected no host name, seen %q", got)
	}
}

func TestSameOrigin(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, header string
		want         bool
	}{
		{"the Origin header of this site", "https://own.example", true},
		{"with its default port", "https://own.example:443", true},
		{"in capitals", "HTTPS://OWN.EXAMPLE", true},
		{"the Referer of a page here", "https://own.example/page?x", true},
		{"a Referer with a query at once", "https://own.example?x", true},
		{"no header", "", false},
		{"an opaque origin", "null", false},
		{"plain HTTP", "http://own.example", false},
		{"another port", "https://own.example:8443", false},
		{"a site below", "https://www.own.example", false},
		{"a site that begins alike", "https://own.example.evil.example", false},
		{"a user name alike", "https://own.example@evil.example", false},
		{"a backslash", `https://own.example\.evil.example`, false},
		{"two origins", "https://own.example https://evil.example", false},
		{"a path", "/page", false},
		{"a dot at the end, which is another host to cookies", "https://own.example.", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := own.SameOrigin(tc.header); got != tc.want {
				t.Errorf("SameOrigin(%q) = %v", tc.header, got)
			}
		})
	}
	for _, raw := range []string{"", "://"} {
		if (Origin{}).SameOrigin(raw) {
			t.Errorf("no origin: expected %q to be of another one, seen that it is the same", raw)
		}
	}
}

func TestAUsualHostCostsNothing(t *testing.T) {
	var ok bool
	for _, hostport := range []string{"app.example.com", "app.example.com:8443", "app.example.com:443", "bad host"} {
		if n := testing.AllocsPerRun(100, func() { _, ok = FromRequest("https", hostport) }); n != 0 {
			t.Errorf("%s: %v allocations (%v)", hostport, n, ok)
		}
	}
}

// FuzzFromRequest checks that an accepted host is in its final form, that net/url and a
// browser read it the same way, and that it cannot end a header, a quoted string or an
// attribute.
func FuzzFromRequest(f *testing.F) {
	for _, hostport := range []string{
		"app.example.com", "App.Example.com:8443", "a.:443", "[::1]:80", "[::FFFF:1.2.3.4]", "127.0.0.1", "127.1",
		"0x7f.1", "a..b", "a:0", "a:65536", "[", "[]", "[fe80::1%25x]", "x@y", "a/b", "a%2fb", "ａ", "_x-y.z", "1.0x",
	} {
		f.Add(hostport)
	}
	f.Fuzz(func(t *testing.T, hostport string) {
		o, ok := FromRequest("https", hostport)
		if !ok {
			return
		}
		if again, ok := FromRequest("https", o.Host); !ok || again != o {
			t.Fatalf("%q gives %q, and that gives %q, %v", hostport, o.Host, again.Host, ok)
		}
		if parsed, err := ParseOrigin(o.String()); err != nil || parsed != o {
			t.Fatalf("ParseOrigin(%q) = %v, %v", o, parsed, err)
		}
		for _, raw := range []string{o.String(), o.String() + "/x"} {
			if !o.SameOrigin(raw) {
				t.Fatalf("%q: expected %q to be of the same origin, seen that it is not", o, raw)
			}
		}
		u, err := url.Parse(o.String())
		if err != nil {
			t.Fatalf("net/url reads %q: %v", o, err)
		}
		if u.Host != o.Host {
			t.Fatalf("%q: expected net/url to read the host %q, seen %q", o, o.Host, u.Host)
		}
		if u.Hostname() != o.Hostname() {
			t.Fatalf("%q: expected net/url to read the host name %q, seen %q", o, o.Hostname(), u.Hostname())
		}
		if seen, ok := browserOrigin(o.String(), own); !ok || seen != o {
			t.Fatalf("a browser reads %q as %q, %v", o, seen, ok)
		}
		if strings.Trim(o.Host, "abcdefghijklmnopqrstuvwxyz0123456789-_.:[]") != "" {
			t.Fatalf("%q gives %q", hostport, o.Host)
		}
	})
}
