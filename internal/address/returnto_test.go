package address

import (
	"slices"
	"strings"
	"testing"
)

var (
	own    = Origin{Scheme: "https", Host: "own.example"}
	others = []Origin{
		{Scheme: "https", Host: "friend.example"},
		{Scheme: "http", Host: "127.0.0.1:8080"},
		{Scheme: "https", Host: "[2001:db8::1]:8443"},
	}
)

func TestReturnAccepts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, raw, want string }{
		{"the root", "/", "/"},
		{"a page", "/page", "/page"},
		{"a query and a fragment", "/a/b?x=1&y=/..//z#top", "/a/b?x=1&y=/..//z#top"},
		{"another URL in the query", "/a?next=https://evil.example/", "/a?next=https://evil.example/"},
		{"an escaped slash after the slash, which browsers do not decode there", "/%2f/evil.example", "/%2f/evil.example"},
		{"an escaped backslash after the slash", "/%5cevil.example", "/%5cevil.example"},
		{"an escaped tab after the slash", "/%09/evil.example", "/%09/evil.example"},
		{"doubled slashes behind a dot segment, still a path", "/.//evil.example", "/.//evil.example"},
		{"doubled slashes behind two dots", "/..//evil.example", "/..//evil.example"},
		{"dot segments", "/a/../../b", "/a/../../b"},
		{"a colon in the first segment", "/https://evil.example", "/https://evil.example"},
		{"an at sign", "/@evil.example", "/@evil.example"},
		{"a query at once", "/?//evil.example", "/?//evil.example"},
		{"a fragment at once", "/#//evil.example", "/#//evil.example"},
		{"a semicolon", "/;/evil.example", "/;/evil.example"},
		{"every byte that is allowed", "/" + allowedBytes(), "/" + allowedBytes()},

		{"our own URL", "https://own.example/page?x#y", "/page?x#y"},
		{"our own URL without a path", "https://own.example", "/"},
		{"our own URL with its root", "https://own.example/", "/"},
		{"our own URL with the default port", "https://own.example:443/page", "/page"},
		{"our own URL in capitals", "HTTPS://OWN.Example/Page", "/Page"},
		{"our own URL with an escaped slash", "https://own.example/%2fevil.example", "/%2fevil.example"},

		{"a friend", "https://friend.example", "https://friend.example"},
		{"a friend's page, byte for byte", "HTTPS://Friend.example:443/a//b?c#d", "HTTPS://Friend.example:443/a//b?c#d"},
		{"a friend's query", "https://friend.example?x", "https://friend.example?x"},
		{"a friend's fragment", "https://friend.example#x", "https://friend.example#x"},
		{"a friend's at sign in the path", "https://friend.example/@x", "https://friend.example/@x"},
		{"a friend by its IPv4 address and port", "http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"},
		{"a friend by its IPv6 address", "https://[2001:DB8:0::1]:8443/x", "https://[2001:DB8:0::1]:8443/x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, ok := Return(tc.raw, own, others)
			if !ok || got != tc.want {
				t.Errorf("Return(%q) = %q, %v; want %q", tc.raw, got, ok, tc.want)
			}
			checkReturn(t, tc.raw, own, others)
		})
	}
}

func allowedBytes() string {
	var b strings.Builder
	for c := byte(0x21); c <= 0x7e; c++ {
		if c != '\\' && c != '/' {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// hostileReturns are addresses that must never be in a Location header, whether or not
// current browsers would follow them. Never remove a row.
var hostileReturns = []struct{ name, raw string }{
	{"nothing", ""},
	{"a relative path", "page"},
	{"a relative path with a dot", "./page"},
	{"a relative path with two dots", "../page"},
	{"a query alone", "?x"},
	{"a fragment alone", "#x"},
	{"a host without a scheme", "evil.example"},

	{"a network path", "//evil.example"},
	{"a network path with a page", "//evil.example/page"},
	{"a network path to ourselves", "//own.example/page"},
	{"three slashes", "///evil.example"},
	{"four slashes", "////evil.example"},
	{"two slashes alone", "//"},
	{"a slash and a backslash", `/\evil.example`},
	{"a backslash and a slash", `\/evil.example`},
	{"two backslashes", `\\evil.example`},
	{"one backslash", `\evil.example`},
	{"a slash and two backslashes", `/\\evil.example`},
	{"a slash, a backslash, a slash", `/\/evil.example`},
	{"a backslash behind a dot segment, which cleaning would bring forward", `/./\evil.example`},
	{"a backslash behind two dots", `/..\evil.example`},
	{"a backslash behind a segment and two dots", `/a/../\evil.example`},
	{"a backslash far behind", `/a/b\c`},
	{"a backslash in the query", `/a?b=\c`},

	{"a tab between slashes", "/\t/evil.example"},
	{"a line feed between slashes", "/\n/evil.example"},
	{"a carriage return between slashes", "/\r/evil.example"},
	{"a carriage return and line feed that begin a header", "/x\r\nSet-Cookie: a=b"},
	{"a line feed at the end", "/x\n"},
	{"a tab before a network path", "\t//evil.example"},
	{"a space before a network path", " //evil.example"},
	{"a space before a path", " /x"},
	{"a space behind a path", "/x "},
	{"a space inside", "/x y"},
	{"NUL before a network path", "\x00//evil.example"},
	{"NUL inside", "/x\x00y"},
	{"an escape character at the start", "\x1b//evil.example"},
	{"DEL", "/x\x7f"},
	{"a tab inside the scheme", "ht\ttps://evil.example"},
	{"a line feed inside our own host", "https://own.\nexample/"},
	{"a vertical tab between slashes", "/\v/evil.example"},

	{"full-width slashes", "／／evil.example"},
	{"a slash and a full-width slash", "/／evil.example"},
	{"a full-width backslash", "/＼evil.example"},
	{"a division slash", "/∕evil.example"},
	{"a fraction slash", "/⁄evil.example"},
	{"an ideographic full stop in the host", "https://own。example/"},
	{"full-width letters in the host", "https://ｏｗｎ.example/"},
	{"a soft hyphen in the host", "https://own\u00ad.example/"},
	{"a zero-width space in the host", "https://own\u200b.example/"},
	{"a Cyrillic letter in the host", "https://оwn.example/"},
	{"the account-of sign, which maps to a/c", "https://evil.example℀.own.example/"},
	{"a byte order mark", "\ufeff//evil.example"},
	{"a no-break space", "\u00a0//evil.example"},
	{"bytes that are no UTF-8", "/\xff"},
	{"an overlong slash", "/\xc0\xafevil.example"},
	{"letters beyond ASCII, unescaped", "/café"},

	{"another site", "https://evil.example/"},
	{"another site in plain HTTP", "http://evil.example/"},
	{"ourselves in plain HTTP", "http://own.example/"},
	{"ourselves at another port", "https://own.example:8443/"},
	{"ourselves at the port of HTTP", "https://own.example:80/"},
	{"a name that begins with ours", "https://own.example.evil.example/"},
	{"a name that ends with ours", "https://evilown.example/"},
	{"a name below ours", "https://www.own.example/"},
	{"our name with a dot at its end", "https://own.example./"},
	{"our name with two dots inside", "https://own..example/"},
	{"our name as a user name", "https://own.example@evil.example/"},
	{"our name and port as user information", "https://own.example:443@evil.example/"},
	{"a user name at our host", "https://user@own.example/"},
	{"an empty user name at our host", "https://@own.example/"},
	{"two at signs", "https://own.example@evil.example@own.example/"},
	{"our name behind a slash", "https://evil.example/own.example"},
	{"our name behind a query", "https://evil.example?own.example"},
	{"our name behind a fragment", "https://evil.example#@own.example"},
	{"our name behind a backslash", `https://evil.example\own.example`},
	{"our name as a user name behind a backslash", `https://evil.example\@own.example/`},
	{"an at sign behind our name and a backslash", `https://own.example\@evil.example/`},
	{"an escaped letter in our name", "https://%6fwn.example/"},
	{"an escaped slash behind our name", "https://own.example%2f@evil.example/"},
	{"an escaped NUL behind our name", "https://own.example%00.evil.example/"},
	{"a semicolon behind our name", "https://own.example;.evil.example/"},
	{"a comma behind our name", "https://own.example,evil.example/"},
	{"an empty port", "https://own.example:/"},
	{"a port with a leading zero", "https://own.example:0443/"},
	{"a port that is no number", "https://own.example:x/"},
	{"a port with a sign", "https://own.example:+443/"},
	{"a port that overflows to ours", "https://own.example:65979/"},
	{"port zero", "https://own.example:0/"},
	{"two ports", "https://own.example:443:443/"},
	{"a network path behind our own origin", "https://own.example//evil.example"},
	{"a backslash behind our own origin", `https://own.example/\evil.example`},
	{"a query right behind our own origin", "https://own.example?x"},
	{"a fragment right behind our own origin", "https://own.example#x"},

	{"a scheme without slashes", "https:evil.example"},
	{"a scheme with one slash", "https:/evil.example"},
	{"a scheme with three slashes", "https:///evil.example"},
	{"a scheme with four slashes", "https:////evil.example"},
	{"a scheme with backslashes", `https:\\evil.example`},
	{"a scheme with mixed slashes", `https:/\evil.example`},
	{"our scheme without slashes, a path of ours to a browser", "https:page"},
	{"our scheme with one slash", "https:/page"},
	{"the other scheme without slashes", "http:evil.example"},
	{"a scheme alone", "https:"},
	{"a scheme and slashes alone", "https://"},
	{"no scheme", "://own.example/"},
	{"a space before the scheme's colon", "https ://own.example/"},
	{"a script", "javascript:alert(1)"},
	{"a script with our origin as a comment", "javascript://own.example/%0aalert(1)"},
	{"a script in capitals", "JaVaScRiPt:alert(1)"},
	{"a script behind a control character", "\x01javascript:alert(1)"},
	{"a script broken by a tab", "java\tscript:alert(1)"},
	{"a document in the address", "data:text/html,<script>alert(1)</script>"},
	{"another old script", "vbscript:msgbox(1)"},
	{"a file", "file:///etc/passwd"},
	{"a file at our host", "file://own.example/x"},
	{"a blob of ours", "blob:https://own.example/1"},
	{"the source view of ours", "view-source:https://own.example/"},
	{"FTP at our host", "ftp://own.example/"},
	{"a web socket at our host", "wss://own.example/"},

	{"a friend in plain HTTP", "http://friend.example/"},
	{"a name that begins with a friend's", "https://friend.example.evil.example/"},
	{"a friend as a user name", "https://friend.example@evil.example/"},
	{"a user name at a friend", "https://user:pass@friend.example/"},
	{"a friend with a dot at its end", "https://friend.example./"},
	{"a friend and a backslash", `https://friend.example\.evil.example`},
	{"a friend and a backslash in the path", `https://friend.example/\x`},
	{"a friend and a space", "https://friend.example /"},
	{"a friend at another port", "https://friend.example:444/"},
	{"a friend's IPv4 address as one number", "http://2130706433:8080/"},
	{"a friend's IPv4 address in hexadecimal", "http://0x7f.0.0.1:8080/"},
	{"a friend's IPv4 address in octal", "http://0177.0.0.1:8080/"},
	{"a friend's IPv4 address, shortened", "http://127.1:8080/"},
	{"a friend's IPv4 address with a dot at its end", "http://127.0.0.1.:8080/"},
	{"a friend's IPv6 address without brackets", "https://2001:db8::1:8443/"},
	{"a friend's IPv6 address with a zone", "https://[2001:db8::1%25eth0]:8443/"},
	{"a friend's IPv6 address, not closed", "https://[2001:db8::1:8443/"},
	{"a friend's IPv6 address and a name", "https://[2001:db8::1].evil.example:8443/"},
	{"a friend's IPv6 address without its port", "https://[2001:db8::1]/"},
	{"an IPv4 address in brackets", "https://[127.0.0.1]/"},
	{"brackets around nothing", "https://[]/"},
}

func TestReturnRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range hostileReturns {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := Return(tc.raw, own, others); ok || got != "" {
				t.Errorf("Return(%q) = %q, %v", tc.raw, got, ok)
			}
		})
	}
}

func TestReturnWithoutAnOriginIsAPathOnly(t *testing.T) {
	t.Parallel()
	if got, ok := Return("/x", Origin{}, nil); !ok || got != "/x" {
		t.Errorf("a path: %q, %v", got, ok)
	}
	for _, raw := range []string{"https://own.example/", "://", "", "https:///", "//"} {
		if got, ok := Return(raw, Origin{}, []Origin{{}}); ok {
			t.Errorf("Return(%q) = %q", raw, got)
		}
	}
}

// The oracle has its own test: a few addresses whose results were checked against
// another implementation of the standard.
func TestTheOracleReadsLikeABrowser(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"/x":                              "https://own.example",
		"":                                "https://own.example",
		"?x":                              "https://own.example",
		"//evil.example":                  "https://evil.example",
		`/\evil.example`:                  "https://evil.example",
		"/\t/evil.example":                "https://evil.example",
		" \x00//evil.example":             "https://evil.example",
		"https:evil.example":              "https://own.example",
		"https:/evil.example":             "https://own.example",
		"https:///evil.example":           "https://evil.example",
		"http:evil.example":               "http://evil.example",
		`http:\evil.example`:              "http://evil.example",
		"/.//evil.example":                "https://own.example",
		"https://own.example:443@evil.io": "https://evil.io",
		`https://evil.io\@own.example`:    "https://evil.io",
		"https://a@b@own.example:0443":    "https://own.example",
		"https://%6fwn.example":           "https://own.example",
		"https://ｏｗｎ。example":             "https://own.example",
		"https://0x7f.1":                  "https://127.0.0.1",
		"https://[::FFFF:127.0.0.1]:1":    "https://[::ffff:7f00:1]:1",
		"https://1.2.3.4.5":               "",
		"https://own.example:65536":       "",
		"https://a%2fb":                   "",
		"https://":                        "",
		"javascript:alert(1)":             "",
	} {
		got, ok := browserOrigin(raw, own)
		if !ok && want == "" {
			continue
		}
		if !ok || got.String() != want {
			t.Errorf("%q resolves to %q (%v), want %q", raw, got, ok, want)
		}
	}
}

// checkReturn checks what is true of any result.
func checkReturn(t *testing.T, raw string, own Origin, others []Origin) {
	t.Helper()
	got, ok := Return(raw, own, others)
	if !ok {
		if got != "" {
			t.Fatalf("Return(%q) is not ok and gives %q", raw, got)
		}
		return
	}
	want, _ := browserOrigin(raw, own)
	origin, ok := browserOrigin(got, own)
	if !ok {
		t.Fatalf("Return(%q) = %q: expected that a browser resolves it, seen that it does not", raw, got)
	}
	if origin != want {
		t.Fatalf("Return(%q) = %q: expected that a browser resolves it to %q as before, seen %q", raw, got, want, origin)
	}
	if origin != own && !slices.Contains(others, origin) {
		t.Fatalf("Return(%q) = %q: expected one of our origins, seen %q", raw, got, origin)
	}
	if want != own && got != raw {
		t.Fatalf("Return(%q): expected it byte for byte, seen %q", raw, got)
	}
	if want == own {
		if got[0] != '/' {
			t.Fatalf("Return(%q): expected a path, seen %q", raw, got)
		}
		if !strings.HasSuffix(raw, got) && got != "/" {
			t.Fatalf("Return(%q): expected its path byte for byte, seen %q", raw, got)
		}
	}
	if again, ok := Return(got, own, others); !ok || again != got {
		t.Fatalf("Return(%q) = %q, and of that %q, %v", raw, got, again, ok)
	}
	for _, max := range []int{0, 1, 8, len(got) - 1, len(got)} {
		short := Shorten(got, max)
		if len(short) > max {
			t.Fatalf("Shorten(%q, %d): expected %d bytes at most, seen %q", got, max, max, short)
		}
		if !strings.HasPrefix(got, short) {
			t.Fatalf("Shorten(%q, %d): expected a beginning of it, seen %q", got, max, short)
		}
		if short == "" {
			continue
		}
		again, ok := Return(short, own, others)
		if !ok {
			t.Fatalf("Shorten(%q, %d): expected an address that Return accepts, seen %q", got, max, short)
		}
		if again != short {
			t.Fatalf("Shorten(%q, %d): expected Return to keep %q, seen %q", got, max, short, again)
		}
	}
}

func FuzzReturn(f *testing.F) {
	for _, tc := range hostileReturns {
		f.Add(tc.raw)
	}
	for _, raw := range []string{
		"/", "/a?b#c", "/.//x", "/%2f/x", "https://own.example/x", "HTTPS://OWN.EXAMPLE:443",
		"https://friend.example?x", "http://127.0.0.1:8080#x", "https://[2001:db8:0::1]:8443/",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		checkReturn(t, raw, own, others)
		checkReturn(t, raw, others[1], []Origin{own})
		checkReturn(t, raw, others[2], nil)
	})
}

func TestShorten(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, location string
		max            int
		want           string
	}{
		{"what fits stays", "/a?b#c", 6, "/a?b#c"},
		{"what does not fit loses its query and fragment", "/a?b#c", 5, "/a"},
		{"a fragment alone goes as well", "/a#bcd", 5, "/a"},
		{"a question mark in the fragment belongs to it", "/a#b?c", 5, "/a"},
		{"a path that is too long is none", "/abcdef?x", 5, ""},
		{"another site keeps its origin", "https://friend.example?abc", 22, "https://friend.example"},
		{"another site's origin is never cut", "https://friend.example?abc", 21, ""},
		{"nothing stays nothing", "", 10, ""},
		{"no room at all", "/", 0, ""},
		{"less than no room", "/", -1, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := Shorten(tc.location, tc.max); got != tc.want {
				t.Errorf("Shorten(%q, %d): expected %q, seen %q", tc.location, tc.max, tc.want, got)
			}
		})
	}
}
