package dpop

import (
	"net/http"
	"strings"
	"testing"
)

func TestWantsNonce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		values []string
		want   bool
	}{
		{"no challenge", nil, false},
		{"the example of the specification", []string{`DPoP error="use_dpop_nonce", error_description="Resource server requires nonce in DPoP proof"`}, true},
		{"another case of the scheme", []string{`dPoP error="use_dpop_nonce"`}, true},
		{"another case of the parameter", []string{`DPOP ERROR="use_dpop_nonce"`}, true},
		{"a word without quotes", []string{`DPoP error=use_dpop_nonce`}, true},
		{"after other parameters", []string{`DPoP realm="a, b", algs="ES256 EdDSA" , error = "use_dpop_nonce"`}, true},
		{"after another challenge in the header", []string{`Bearer realm="x", error="invalid_token", DPoP algs="ES256", error="use_dpop_nonce"`}, true},
		{"in a header of its own", []string{`Bearer realm="x"`, `DPoP error="use_dpop_nonce"`}, true},
		{"after credentials in base64", []string{`Negotiate YWJj==, DPoP error="use_dpop_nonce"`}, true},
		{"after a scheme alone", []string{`Negotiate, DPoP error="use_dpop_nonce"`}, true},
		{"an escaped character", []string{`DPoP error="use\_dpop_nonce"`}, true},
		{"of another scheme", []string{`Bearer error="use_dpop_nonce"`}, false},
		{"before the scheme", []string{`DPoP algs="ES256", Bearer error="use_dpop_nonce"`}, false},
		{"in the text of another parameter", []string{`DPoP error_description="error=use_dpop_nonce"`}, false},
		{"quoted in the text of another parameter", []string{`DPoP error_description="\", error=\"use_dpop_nonce"`}, false},
		{"another error", []string{`DPoP error="invalid_token"`}, false},
		{"the error in another case", []string{`DPoP error="USE_DPOP_NONCE"`}, false},
		{"without a scheme", []string{`error="use_dpop_nonce"`}, false},
		{"a string without an end", []string{`DPoP realm="x, error="use_dpop_nonce`}, false},
		{"beyond what is read", []string{`DPoP realm="` + strings.Repeat("x", maxChallenge) + `", error="use_dpop_nonce"`}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := WantsNonce(http.Header{"Www-Authenticate": tc.values}); got != tc.want {
				t.Errorf("expected %v, seen %v", tc.want, got)
			}
		})
	}
}
