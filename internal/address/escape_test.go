package address

import "testing"

// Bytes beyond ASCII are escaped, but not in host names.
func TestEscape(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ raw, escaped, target string }{
		{"", "", ""},
		{"/a?b#c", "/a?b#c", "/a?b#c"},
		{"/caf\u00e9/x?y=\u00fc#z", "/caf%C3%A9/x?y=%C3%BC#z", "/caf%C3%A9/x?y=%C3%BC#z"},
		{"/\xff", "/%FF", "/%FF"},
		{"/%C3%A9%zz", "/%C3%A9%zz", "/%C3%A9%zz"},
		{"/a b\\c\td\x7f", "/a b\\c\td\x7f", "/a%20b%5Cc%09d%7F"},
		{"https://own.example/\u00fc", "https://own.example/%C3%BC", "https://own.example/%C3%BC"},
		{"https://own.example?\u00fc", "https://own.example?%C3%BC", "https://own.example?%C3%BC"},
		{"https://b\u00fccher.example/x", "https://b\u00fccher.example/x", "https://b\u00fccher.example/x"},
		{"https://b\u00fccher.example", "https://b\u00fccher.example", "https://b\u00fccher.example"},
		{"/x?next=https://\u00fc", "/x?next=https://%C3%BC", "/x?next=https://%C3%BC"},
	} {
		if got := Escape(tc.raw); got != tc.escaped {
			t.Errorf("Escape(%q): expected %q, seen %q", tc.raw, tc.escaped, got)
		}
		if got := EscapeTarget(tc.raw); got != tc.target {
			t.Errorf("EscapeTarget(%q): expected %q, seen %q", tc.raw, tc.target, got)
		}
	}
}

// ReturnWhole accepts only addresses of the own origin whose path begins with two
// slashes.
func TestReturnWhole(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		"https://own.example//double//slash/": true,
		"https://own.example//evil.example":   true,
		"https://own.example///x":             true,
		"https://own.example/x":               false, // Return accepts it
		"https://own.example":                 false,
		"https://own.example.evil.example//x": false,
		"https://own.example@evil.example//x": false,
		"https://own.example:444//x":          false,
		"HTTPS://own.example//x":              false,
		"//own.example//x":                    false,
		"https://own.example//x\\y":           false,
		"https://own.example//\u00fc":         false,
		"https://own.example//x y":            false,
		"https://own.example/\\/x":            false,
		"":                                    false,
	} {
		got, ok := ReturnWhole(raw, own)
		if ok != want {
			t.Errorf("ReturnWhole(%q): expected that it is accepted: %v, seen %v", raw, want, ok)
		}
		if !ok {
			continue
		}
		if got != raw {
			t.Errorf("ReturnWhole(%q): expected the same, seen %q", raw, got)
		}
		origin, ok := browserOrigin(got, own)
		if !ok {
			t.Errorf("expected a browser to resolve %q, seen that it does not", got)
		}
		if origin != own {
			t.Errorf("expected a browser to resolve %q to %q, seen %q", got, own, origin)
		}
	}
	if _, ok := ReturnWhole("://"+"//x", Origin{}); ok {
		t.Error("no origin: expected no address, seen one")
	}
}
