package main

import (
	"slices"
	"strings"
	"testing"
)

func TestTheTableIsTheSameInAnyOrder(t *testing.T) {
	records, err := read(strings.NewReader(`{"provider":"b","feature":"TestACopiedCookieIsDead","result":"works"}
{"provider":"a","feature":"TestACopiedCookieIsDead","result":"not offered"}
{"provider":"b","feature":"client authentication: none","result":"works"}
{"provider":"b","feature":"TestACopiedCookieIsDead","result":"fails"}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := `| | a | b |
|---|:-:|:-:|
| A copied cookie is dead | – | **fails** |
| client authentication: none |  | ✓ |
`
	if got := table(records); got != want {
		t.Errorf("the table is\n%s", got)
	}
	slices.Reverse(records)
	if got := table(records); got != want {
		t.Errorf("in another order the table is\n%s", got)
	}
}

func TestNamesOfTestsBecomeSentences(t *testing.T) {
	for name, want := range map[string]string{
		"TestTheNameComesFromUserinfoWhereTheIDTokenHasNone": "The name comes from userinfo where the ID token has none",
		"TestErrorsMayGoToCaddysOwnErrorPages":               "Errors may go to Caddy's own error pages",
		"TestAConfigurationURLIsEnough":                      "A configuration URL is enough",
		"userinfo: groups":                                   "userinfo: groups",
	} {
		if got := sentence(name); got != want {
			t.Errorf("%s became %q, wanted %q", name, got, want)
		}
	}
}
