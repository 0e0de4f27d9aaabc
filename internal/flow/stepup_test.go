package flow

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// words returns n different values.
func words(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("v%d", i)
	}
	return strings.Join(all, " ")
}

func TestWhatALoginLinkDemands(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		query  string
		acr    []string
		maxAge string // empty for none
		cause  string // empty for no error
	}{
		{query: ""},
		{query: "acr_values=&max_age="},
		{query: "acr_values=++"},
		{query: "acr_values=mfa", acr: []string{"mfa"}},
		{query: "acr_values=+mfa++urn%3Aa%2Fb+", acr: []string{"mfa", "urn:a/b"}},
		{query: "acr_values=gr%C3%BCn", acr: []string{"grün"}},
		{query: "acr_values=" + url.QueryEscape(words(op.MaxACRs)), acr: strings.Fields(words(op.MaxACRs))},
		{query: "max_age=0", maxAge: "0s"},
		{query: "max_age=90&acr_values=mfa", acr: []string{"mfa"}, maxAge: "1m30s"},

		{query: "acr_values=" + url.QueryEscape(words(op.MaxACRs+1)), cause: "acr_values has more than"},
		{query: "acr_values=" + strings.Repeat("x", maxLinkACRs+1), cause: "acr_values has more than"},
		{query: "acr_values=a%00b", cause: "do not print"},
		{query: "acr_values=a%0d%0ab", cause: "do not print"},
		{query: "acr_values=a%E2%80%AEb", cause: "do not print"},
		{query: "acr_values=a%FFb", cause: "do not print"},
		{query: "acr_values=a&acr_values=a", cause: "acr_values appears more than once"},
		{query: "max_age=1&max_age=1", cause: "max_age appears more than once"},
		{query: "max_age=-1", cause: "max_age is not a number"},
		{query: "max_age=1.5", cause: "max_age is not a number"},
		{query: "max_age=1h", cause: "max_age is not a number"},
		{query: "max_age=+5", cause: "max_age is not a number"},
		{query: "max_age=99999999999999999999", cause: "max_age is not a number"},
	} {
		query, err := url.ParseQuery(row.query)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := proofOfLink(query)
		switch {
		case row.cause == "" && err != nil:
			t.Errorf("%s: expected no error, seen %v", row.query, err)
		case row.cause != "" && (err == nil || !strings.Contains(err.Error(), row.cause)):
			t.Errorf("%s: expected an error with %q, seen %v", row.query, row.cause, err)
		case row.cause != "":
			continue
		}
		if got := slices.Concat(proof.ACR...); !slices.Equal(got, row.acr) {
			t.Errorf("%s: expected the values %q, seen %q", row.query, row.acr, got)
		}
		maxAge := ""
		if proof.MaxAge != nil {
			maxAge = proof.MaxAge.String()
		}
		if maxAge != row.maxAge {
			t.Errorf("%s: expected max_age %q, seen %q", row.query, row.maxAge, maxAge)
		}
	}
}

// A login link that is made from rules demands the same as the rules.
func TestALoginLinkOfRulesDemandsWhatTheyDo(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		demands authz.Demands
		want    string
	}{
		{authz.Demands{}, ""},
		{authz.Demands{ACR: [][]string{{"urn:a", "b&c"}}}, "acr_values=urn%3Aa+b%26c"},
		{authz.Demands{MaxAge: 90 * time.Second}, "max_age=90"},
		{authz.Demands{MaxAge: 900 * time.Millisecond}, "max_age=0"},
		{authz.Demands{MaxAge: time.Minute, ACR: [][]string{{"a", "b"}, {"b", "c"}}}, "acr_values=b&max_age=60"},
		{authz.Demands{ACR: [][]string{{strings.Repeat("x", maxLinkACRs+1)}}}, ""},
	} {
		link := parametersOfProof(proofOfRules(row.demands, nil)).Encode()
		if link != row.want {
			t.Errorf("%+v: expected %q, seen %q", row.demands, row.want, link)
		}
		query, err := url.ParseQuery(link)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := proofOfLink(query); err != nil {
			t.Errorf("%s: expected a link that works, seen %v", link, err)
		}
	}
}

// A link is refused, or its demands can be encoded in a link again.
func FuzzWhatALoginLinkDemands(f *testing.F) {
	f.Add("mfa hwk", "300")
	f.Add(" urn:a  b&c=%00 ", "0")
	f.Add(words(op.MaxACRs), "-1")
	f.Add("a\u202eb", "9999999999")
	f.Fuzz(func(t *testing.T, acrValues, maxAge string) {
		proof, err := proofOfLink(url.Values{"acr_values": {acrValues}, "max_age": {maxAge}})
		if err != nil {
			return
		}
		again, err := url.ParseQuery(parametersOfProof(proof).Encode())
		if err != nil {
			t.Fatal(err)
		}
		second, err := proofOfLink(again)
		if err != nil {
			t.Fatalf("%q, %q: expected a link that works, seen %v of %v", acrValues, maxAge, err, again)
		}
		if got, want := second.Acceptable(), proof.Acceptable(); !slices.Equal(got, want) {
			t.Errorf("expected the values %q, seen %q", want, got)
		}
		if !reflect.DeepEqual(second.MaxAge, proof.MaxAge) {
			t.Errorf("expected the same max_age, seen another after %v", again)
		}
		demands := op.Demands{Proof: proof}
		if _, err := op.DecodeDemands(demands.Encode()); err != nil {
			t.Errorf("expected a transaction to carry %q, %q, seen %v", acrValues, maxAge, err)
		}
	})
}
