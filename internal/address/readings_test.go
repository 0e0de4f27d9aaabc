package address

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// sent returns the path of a request as Go's server parses it.
func sent(t testing.TB, raw string) Path {
	t.Helper()
	u, err := url.ParseRequestURI(raw)
	if err != nil {
		t.Fatal(err)
	}
	return Path{Path: u.Path, RawPath: u.EscapedPath()}
}

func paths(readings []Reading) []string {
	var list []string
	for _, r := range readings {
		list = append(list, r.Path)
	}
	return list
}

// Each row is a request and the path that some application reads in it, although a path
// matcher on the decoded and cleaned path might see another. Never remove a row.
func TestReadingsFindWhatTheApplicationSees(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, raw, seen string }{
		{"everybody sees a plain path", "/private/x", "/private/x"},
		{"Tomcat drops path parameters", "/private;a/x", "/private/x"},
		{"Tomcat drops them in the middle of a traversal", "/public/..;/private/x", "/private/x"},
		{"Tomcat drops them with their value", "/public/..;a=b/private/x", "/private/x"},
		{"Tomcat drops them behind a single dot", "/.;/private/x", "/private/x"},
		{"an empty name before parameters is merged away", "/;/private/x", "/private/x"},
		{"an escaped semicolon is one after decoding", "/public/..%3b/private/x", "/private/x"},
		{"a server knows parameters at the end only", "/private/x;/../../public", "/private/x"},
		{"Windows takes a backslash for a slash", "/private%5cx", "/private/x"},
		{"an unescaped backslash as well", `/private\x`, "/private/x"},
		{"a traversal with backslashes", "/public/..%5cprivate/x", "/private/x"},
		{"a traversal with backslashes alone", `/public\..\private\x`, "/private/x"},
		{"an application decodes once more", "/%2570rivate/x", "/private/x"},
		{"two proxies decode once more each", "/%252570rivate/x", "/private/x"},
		{"a doubly escaped traversal", "/public/%252e%252e/private/x", "/private/x"},
		{"a doubly escaped slash", "/public%252f..%252fprivate/x", "/private/x"},
		{"a doubly escaped backslash", "/private%255cx", "/private/x"},
		{"a doubly escaped semicolon", "/private%253ba/x", "/private/x"},
		{"a C string ends at NUL", "/private%00/x", "/private"},
		{"a C string ends at NUL, before an extension", "/private/x%00.png", "/private/x"},
		{"a filter drops NUL", "/private%00/x", "/private/x"},
		{"a filter drops a line feed", "/private%0a/x", "/private/x"},
		{"a browser-like parser drops a tab", "/pri%09vate/x", "/private/x"},
		{"a doubly escaped NUL", "/private%2500/x", "/private"},
		{"Windows drops dots at the end of a name", "/private./x", "/private/x"},
		{"Windows drops several dots", "/private.../x", "/private/x"},
		{"Windows drops spaces at the end of a name", "/private%20/x", "/private/x"},
		{"Windows drops both", "/private%20.%20/x", "/private/x"},
		{"Windows drops them at the end of the path", "/private/x.%20", "/private/x"},
		{"a traversal hidden by a space", "/public/..%20/private/x", "/private/x"},
		{"an escaped traversal", "/public/%2e%2e/private", "/private"},
		{"a half-escaped traversal", "/public/.%2E/private", "/private"},
		{"a traversal with escaped slashes", "/public%2f..%2fprivate", "/private"},
		{"a traversal out of capitals", "/PUBLIC/../private", "/private"},
		{"slashes are merged", "//private/x", "/private/x"},
		{"slashes are merged inside", "/public/..//private/x", "/private/x"},
		{"a dot segment goes", "/./private", "/private"},
		{"dot segments above the root go", "/../../private/x", "/private/x"},
		{"an overlong slash", "/public/..%c0%afprivate/x", "/private/x"},
		{"an overlong backslash", "/public/..%c1%9cprivate/x", "/private/x"},
		{"overlong dots", "/public/%c0%ae%c0%ae/private/x", "/private/x"},
		{"an overlong slash in three bytes", "/public/..%e0%80%afprivate/x", "/private/x"},
		{"an overlong slash in four bytes", "/private%f0%80%80%afx", "/private/x"},
		{"an overlong letter", "/%c1%b0rivate/x", "/private/x"},
		{"an overlong NUL", "/private/x%c0%80.png", "/private/x"},
		{"a doubly escaped overlong slash", "/private%25c0%25afx", "/private/x"},
		{"an escaped question mark ends the path after decoding", "/private/x%3f/../../public", "/private/x"},
		{"an escaped number sign does", "/private/x%23.png", "/private/x"},
		{"a name that follows two slashes is a host", "//public/private/x", "/private/x"},
		{"a name that follows a slash and a backslash is one", `/\public/private/x`, "/private/x"},
		{"a name that follows three slashes is one", "///public/private/x", "/private/x"},
		{"dot segments take away empty names", "/private//../public/x", "/private/public/x"},
		{"dots are decoded and slashes are not", "/public%2fx/%2e%2e/private/x", "/private/x"},
		{"an application does not decode", "/private/%2e%2e/public/x", "/private/%2e%2e/public/x"},
		{"an application does not clean, and sees the name before the dots", "/private/../public/x", "/private/%2E%2E/public/x"},
		{"an application drops parameters and does not clean", "/private;/../public/x", "/private/%2E%2E/public/x"},
		{"parameters, a backslash and double escaping at once", "/public/..;x%255c%2570rivate/x", "/public/.."},
		{"a backslash, a space and double escaping at once", "/public%255c..%2520%5cprivate./x", "/private/x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := sent(t, tc.raw)
			readings, ok := Readings(nil, p, p)
			if !ok || !slices.Contains(paths(readings), tc.seen) {
				t.Errorf("%s: %q (%v) lack %q", tc.raw, readings, ok, tc.seen)
			}
		})
	}
}

func TestARewriteHidesNothing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, original, current, seen string }{
		{"what was asked for", "/private/x", "/index.html", "/private/x"},
		{"the way there", "/private/x", "/index.html", "/index.html"},
		{"what is asked for now", "/x", "/private/x", "/private/x"},
		{"the escaped form of what was asked for", "/%2570rivate/x", "/index.html", "/private/x"},
		{"the odd form of what is asked for now", "/x", "/public/..;/private", "/private"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			readings, ok := Readings(nil, sent(t, tc.original), sent(t, tc.current))
			if !ok || !slices.Contains(paths(readings), tc.seen) {
				t.Errorf("%q (%v) lack %q", readings, ok, tc.seen)
			}
		})
	}
}

// Paths that honest clients send have few readings, all of which are listed here.
func TestHonestPathsHaveFewReadings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, raw string
		want      []Reading
	}{
		{"the root", "/", []Reading{{Path: "/"}}},
		{"a file", "/assets/app.min.js", []Reading{{Path: "/assets/app.min.js"}}},
		{"a folder", "/docs/", []Reading{{Path: "/docs/"}}},
		{"a well-known file", "/.well-known/acme", []Reading{{Path: "/.well-known/acme"}}},
		{"our own endpoints", "/@app/auth/default/code", []Reading{{Path: "/@app/auth/default/code"}}},
		{"the logout", "/Special:UserLogout", []Reading{{Path: "/Special:UserLogout"}}},
		{"a colon that needed no escape", "/Special%3AUserLogout", []Reading{{Path: "/Special:UserLogout", RawPath: "/Special%3AUserLogout"}}},
		{"letters beyond ASCII", "/caf%C3%A9", []Reading{{Path: "/café"}}},
		{"letters beyond ASCII, escaped in small letters", "/caf%c3%a9", []Reading{{Path: "/café", RawPath: "/caf%c3%a9"}}},
		{"letters beyond the basic plane", "/%F0%9F%98%80/%E6%97%A5", []Reading{{Path: "/😀/日"}}},
		{"letters of an older encoding", "/caf%E9", []Reading{{Path: "/caf\xe9"}, {Path: "/caf%E9"}}},
		{"an inner space", "/my%20file.txt", []Reading{{Path: "/my file.txt"}}},
		{"a percent sign", "/100%25", []Reading{{Path: "/100%"}, {Path: "/100%25"}}},
		{"an escaped slash", "/a%2Fb", []Reading{{Path: "/a/b", RawPath: "/a%2Fb"}, {Path: "/a%2Fb"}}},
		{"an escaped letter", "/%61b", []Reading{{Path: "/ab", RawPath: "/%61b"}, {Path: "/%61b"}}},
		{"a title that is a question", "/wiki/Who%3F", []Reading{{Path: "/wiki/Who?"}, {Path: "/wiki/Who%3F"}, {Path: "/wiki/Who"}}},
		{"a title that ends with a dot", "/wiki/Inc.", []Reading{{Path: "/wiki/Inc."}, {Path: "/wiki/Inc"}}},
		{"a session id of old", "/a;jsessionid=1", []Reading{{Path: "/a;jsessionid=1"}, {Path: "/a"}}},
		{"a URL in the path", "/p/https://x.example/", []Reading{{Path: "/p/https://x.example/"}, {Path: "/p/https:/x.example/"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := sent(t, tc.raw)
			readings, ok := Readings(nil, p, p)
			if !ok || !slices.Equal(readings, tc.want) {
				t.Errorf("%s: %q, %v; want %q", tc.raw, readings, ok, tc.want)
			}
			checkReadings(t, p, p)
		})
	}
}

func TestOddPathsAreReadToo(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		path Path
		want []Reading
	}{
		{"no path is the root", Path{}, []Reading{{Path: "/"}}},
		{"the asterisk of OPTIONS", Path{Path: "*"}, []Reading{{Path: "*"}, {Path: "/*"}}},
		{"a rewrite without a slash", Path{Path: "private/x"}, []Reading{{Path: "private/x"}, {Path: "/private/x"}}},
		{"an escaped form of something else", Path{Path: "/a", RawPath: "/b"}, []Reading{{Path: "/a"}, {Path: "/b"}}},
		{"an escaped form that is not well-formed", Path{Path: "/a", RawPath: "/b%"}, []Reading{{Path: "/a"}, {Path: "/b%"}}},
		{"a percent sign that a rewrite left", Path{Path: "/a%zz"}, []Reading{{Path: "/a%zz"}, {Path: "/a%25zz"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := Readings(nil, tc.path, tc.path); !ok || !slices.Equal(got, tc.want) {
				t.Errorf("%q, %v; want %q", got, ok, tc.want)
			}
			checkReadings(t, tc.path, tc.path)
		})
	}
}

func TestWhatHasTooManyReadingsIsNotOK(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, raw string }{
		{"escapes of escapes of escapes", "/%" + strings.Repeat("25", 100)},
		{"a bit of everything", "/a%5c..%5cb;c%00%3f%23/./x. /%252e%252e%255cy"},
		{"a path that is too long for so many readings", "/%25252525" + strings.Repeat("/a;b%5c", MaxPath/8)},
		{"a path beyond the limit", "/" + strings.Repeat("a/./", MaxPath/4)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := sent(t, strings.ReplaceAll(tc.raw, " ", "%20"))
			if readings, ok := Readings(nil, p, p); ok {
				t.Errorf("%d readings, ok", len(readings))
			}
			checkReadings(t, p, p)
		})
	}
	long := sent(t, "/"+strings.Repeat("a", MaxPath))
	if readings, ok := Readings(nil, long, long); !ok || len(readings) != 1 {
		t.Errorf("a long plain path: %d readings, %v", len(readings), ok)
	}
}

func TestReadingsAreAppended(t *testing.T) {
	t.Parallel()
	first := Reading{Path: "/a"}
	for _, raw := range []string{"/a", "/a;b"} {
		got, ok := Readings([]Reading{first}, sent(t, raw), sent(t, raw))
		alone, _ := Readings(nil, sent(t, raw), sent(t, raw))
		if !ok {
			t.Errorf("%s: expected that all readings are known, seen that they are not", raw)
		}
		if want := append([]Reading{first}, alone...); !slices.Equal(got, want) {
			t.Errorf("%s: expected %q, seen %q", raw, want, got)
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"/", "/a", "/a/", "/a.b/c..d", "/.well-known/x", "/~user/A-Z_0", "/@app/Special:X", "/a+b=c,d!e$f&g'(h)*"} {
		if !Plain(p) {
			t.Errorf("%q is not plain", p)
		}
		checkReadings(t, Path{Path: p}, Path{Path: p})
	}
	for _, p := range []string{
		"", "a", "*", "//", "/a//b", "/.", "/..", "/./a", "/../a", "/a/.", "/a/..", "/a./b", "/a.", "/a..", "/a /b", "/a b", "/a%62",
		`/a\b`, "/a;b", "/a\x00", "/a?b", "/a#b", "/café", "/a\xff", "/a\t", "/a\x7f", `/a"b`, "/a<b", "/a|b", "/{a}", "/a^b", "/a`b",
	} {
		if Plain(p) {
			t.Errorf("%q is plain", p)
		}
	}
}

func TestAPlainPathCostsNothing(t *testing.T) {
	p := Path{Path: "/assets/js/app.min.js", RawPath: "/assets/js/app.min.js"}
	dst := make([]Reading, 0, 2)
	var plain, ok bool
	rewritten := Path{Path: "/index.html"}
	if n := testing.AllocsPerRun(100, func() { _, ok = Readings(dst, p, rewritten) }); n != 0 {
		t.Errorf("a plain rewrite: expected no allocations, seen %v", n)
	}
	if !ok {
		t.Error("a plain rewrite: expected that all readings are known, seen that they are not")
	}
	if n := testing.AllocsPerRun(100, func() { plain = Plain(p.Path); _, ok = Readings(dst, p, p) }); n != 0 {
		t.Errorf("a plain path: expected no allocations, seen %v", n)
	}
	if !plain {
		t.Errorf("expected %q to be plain, seen that it is not", p.Path)
	}
	if !ok {
		t.Error("a plain path: expected that all readings are known, seen that they are not")
	}
}

// checkReadings checks what is true of the readings of any two paths.
func checkReadings(t *testing.T, original, current Path) {
	t.Helper()
	readings, ok := Readings(nil, original, current)
	if len(readings) == 0 || len(readings) > MaxReadings {
		t.Fatalf("%q, %q: %d readings", original, current, len(readings))
	}
	again, okAgain := Readings(nil, original, current)
	if ok != okAgain {
		t.Fatalf("%q, %q: expected %t again, seen %t", original, current, ok, okAgain)
	}
	if !slices.Equal(readings, again) {
		t.Fatalf("%q, %q: expected %q again, seen %q", original, current, readings, again)
	}
	list := paths(readings)
	if want := cleaned(rooted(current.Path)); !slices.Contains(list, want) {
		t.Fatalf("%q, %q: %q lack the cleaned path %q", original, current, list, want)
	}
	for i, r := range readings {
		if slices.Contains(readings[:i], r) {
			t.Fatalf("%q, %q: %q appears twice", original, current, r)
		}
		u := url.URL{Path: r.Path, RawPath: r.RawPath}
		if r.RawPath != "" && u.EscapedPath() != r.RawPath {
			t.Fatalf("%q, %q: %q does not hold together", original, current, r)
		}
		if !strings.HasPrefix(r.Path, "/") && r.Path != original.Path && r.Path != current.Path {
			t.Fatalf("%q, %q: %q has no slash", original, current, r)
		}
	}
	if !ok {
		return
	}
	for _, p := range []Path{original, current} {
		u := url.URL{Path: p.Path, RawPath: p.RawPath}
		for what, want := range map[string]string{
			"the path":           rooted(p.Path),
			"what was sent":      asSent(rooted(u.EscapedPath())),
			"its decoded form":   decodedEscapes(rooted(p.Path)),
			"its cleaned form":   cleaned(decodedEscapes(rooted(p.Path))),
			"its slashed form":   backslashesAsSlashes(rooted(p.Path)),
			"without parameters": cleaned(withoutParameters(backslashesAsSlashes(rooted(p.Path)))),
		} {
			if !slices.Contains(list, want) {
				t.Fatalf("%q, %q: %q lack %s, %q", original, current, list, what, want)
			}
		}
	}
	for _, text := range list { // the readings of readings are already there
		for _, view := range views {
			if want := rooted(view(text)); !slices.Contains(list, want) {
				t.Fatalf("%q, %q: %q lack %q, from %q", original, current, list, want, text)
			}
		}
	}
	if original == current && current.plain() {
		slow := readingSet{}
		slow.addPath(current)
		for _, view := range views {
			slow.addText(view(current.Path))
		}
		if !slices.Equal(slow.list, readings) {
			t.Fatalf("%q is plain: expected the readings %q, seen %q", current.Path, slow.list, readings)
		}
		if len(readings) != 1 {
			t.Fatalf("%q is plain: expected one reading, seen %q", current.Path, readings)
		}
	}
}

func FuzzReadings(f *testing.F) {
	for _, raw := range []string{
		"/private/x", "/private;a/x", "/private%5cx", "/%2570rivate/x", "/private%00/x", "/private./x", "/public/..;/private/x",
		"/public/%2e%2e/private", "//private/x", "/./private", "/private%20/x", "/PUBLIC/../private", "/public%2f..%2fprivate",
		"/caf%C3%A9", "/a%c0%afb", "/a%e0%80%afb", "/a%f0%80%80%afb", "///a", "/a%3fb%23c", "/%", "/%zz", "*", "", "a", "..", "/a%09",
		"/%25%25%32%35", "/. /.. /...", `\\a\..\b`,
	} {
		path, _ := url.PathUnescape(raw)
		f.Add(path, raw, "/index.html", "")
		f.Add(path, raw, path, raw)
		f.Add(raw, "", raw, "")
	}
	f.Fuzz(func(t *testing.T, original, rawOriginal, current, rawCurrent string) {
		checkReadings(t, Path{original, rawOriginal}, Path{current, rawCurrent})
		checkReadings(t, Path{current, rawCurrent}, Path{current, rawCurrent})
	})
}

func BenchmarkPlain(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !Plain("/assets/js/vendor/app.min.js") {
			b.Fatal("not plain")
		}
	}
}

func BenchmarkReadings(b *testing.B) {
	for _, bc := range []struct{ name, raw string }{
		{"plain", "/assets/js/vendor/app.min.js"},
		{"escaped letters", "/wiki/Caf%C3%A9_au_lait"},
		{"hostile", "/public/..;/%2e%2e/private%5cx"},
		{"hostile and long", "/%" + strings.Repeat("25", 100) + strings.Repeat("/./a;b%5c", 800)},
	} {
		b.Run(bc.name, func(b *testing.B) {
			p := sent(b, bc.raw)
			dst := make([]Reading, 0, MaxReadings)
			b.ReportAllocs()
			for b.Loop() {
				Readings(dst, p, p)
			}
		})
	}
}
