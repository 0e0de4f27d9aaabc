package dpop

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestReadNonce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		values []string
		want   string
	}{
		{"none", nil, ""},
		{"one", []string{"eyJ7S_zG.eyJH0-Z.HX4w-7v"}, "eyJ7S_zG.eyJH0-Z.HX4w-7v"},
		{"all characters at the edges", []string{"!#[]~"}, "!#[]~"},
		{"several", []string{"a", "b"}, ""},
		{"the longest", []string{strings.Repeat("n", maxNonce)}, strings.Repeat("n", maxNonce)},
		{"too long", []string{strings.Repeat("n", maxNonce+1)}, ""},
		{"a space", []string{"a b"}, ""},
		{"a quote", []string{`a"b`}, ""},
		{"a backslash", []string{`a\b`}, ""},
		{"a control character", []string{"a\x00b"}, ""},
		{"a line end", []string{"a\r\nb"}, ""},
		{"the character DEL", []string{"a\x7f"}, ""},
		{"a letter that is not ASCII", []string{"é"}, ""},
		{"bytes that are no text", []string{"\xff\xfe"}, ""},
		{"empty", []string{""}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := ReadNonce(http.Header{http.CanonicalHeaderKey(NonceHeader): tc.values}); got != tc.want {
				t.Errorf("expected %q, seen %q", tc.want, got)
			}
		})
	}
}

func nonceHeader(nonce string) http.Header {
	header := make(http.Header)
	header.Set(NonceHeader, nonce)
	return header
}

func TestTheNewestNonceOfAnEndpointCounts(t *testing.T) {
	t.Parallel()
	var n Nonces
	expect := func(endpoint, want string) {
		t.Helper()
		if got := n.For(endpoint); got != want {
			t.Errorf("%s: expected the nonce %q, seen %q", endpoint, want, got)
		}
	}
	expect("token", "")
	if n.Learn("token", nonceHeader("1")) != "1" {
		t.Error("expected that a nonce is learned, seen that it is not")
	}
	n.Learn("userinfo", nonceHeader("u"))
	expect("token", "1")
	n.Learn("token", nonceHeader("2"))
	expect("token", "2")
	expect("userinfo", "u")
	if n.Learn("token", make(http.Header)) != "" {
		t.Error("expected nothing to learn from a response without a nonce")
	}
	n.Learn("token", nonceHeader("bad\x01"))
	expect("token", "2")
}

func TestNoncesAreBounded(t *testing.T) {
	t.Parallel()
	var n Nonces
	for i := range 10 * maxEndpoints {
		endpoint := fmt.Sprint("https://op.example/", i)
		n.Learn(endpoint, nonceHeader("n"))
		if got := n.For(endpoint); got != "n" {
			t.Fatalf("expected the newest endpoint's nonce, seen %q", got)
		}
	}
	if len(n.newest) > maxEndpoints {
		t.Errorf("expected at most %d endpoints, seen %d", maxEndpoints, len(n.newest))
	}
}

func TestNoncesAreLearnedAtTheSameTime(t *testing.T) {
	t.Parallel()
	var n Nonces
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 100 {
				n.Learn(fmt.Sprint(j%3), nonceHeader(fmt.Sprint(i)))
				n.For(fmt.Sprint(j % 5))
			}
		})
	}
	group.Wait()
	if n.For("0") == "" {
		t.Error("expected a nonce, seen none")
	}
}
