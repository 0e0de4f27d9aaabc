package locale

import (
	"slices"
	"strings"
	"testing"
)

func TestWhichLanguageAPageIsIn(t *testing.T) {
	t.Parallel()
	ours, more := mustRead(t, nil), mustRead(t, map[string]string{"pt-BR.json": "{}", "zh-Hant.json": "{}", "de-CH.json": "{}"})
	long := strings.Repeat("x", 64<<10)
	for name, row := range map[string]struct {
		c         *Catalogue
		uiLocales string
		accept    []string
		want      string
	}{
		"no wish":                              {ours, "", nil, "en"},
		"an empty header":                      {ours, "", []string{""}, "en"},
		"one language":                         {ours, "", []string{"de"}, "de"},
		"a region":                             {ours, "", []string{"de-CH"}, "de"},
		"a region of Spanish":                  {ours, "", []string{"es-419"}, "es"},
		"a region of French":                   {ours, "", []string{"fr-CA"}, "fr"},
		"an underscore":                        {ours, "", []string{"fr_CA"}, "fr"},
		"capitals":                             {ours, "", []string{"FR"}, "fr"},
		"a language that there is not":         {ours, "", []string{"pt-BR"}, "en"},
		"Chromium in English":                  {ours, "", []string{"en-US,en;q=0.9"}, "en"},
		"Firefox in German":                    {ours, "", []string{"de,en-US;q=0.7,en;q=0.3"}, "de"},
		"English before German":                {ours, "", []string{"en-GB,en;q=0.9,de;q=0.8"}, "en"},
		"the second wish":                      {ours, "", []string{"ja,fr;q=0.5"}, "fr"},
		"weights, not the order":               {ours, "", []string{"fr;q=0.2, de;q=0.8"}, "de"},
		"the order of equal weights":           {ours, "", []string{"es, de"}, "es"},
		"a weight of zero":                     {ours, "", []string{"de;q=0, fr;q=0.1"}, "fr"},
		"a weight with spaces":                 {ours, "", []string{"fr ; q=0.3 , es ; Q=0.4"}, "es"},
		"a weight above one":                   {ours, "", []string{"de;q=7, fr;q=0.1"}, "fr"},
		"a weight that is none":                {ours, "", []string{"de;q=NaN, es;q=x, en;q=, fr;q=0.1"}, "fr"},
		"another parameter":                    {ours, "", []string{"de;level=1, fr"}, "fr"},
		"an asterisk":                          {ours, "", []string{"*"}, "en"},
		"an asterisk behind":                   {ours, "", []string{"fr, *;q=0.1"}, "fr"},
		"an asterisk before":                   {ours, "", []string{"*, fr;q=0.1"}, "en"},
		"an asterisk that is no wish":          {ours, "", []string{"*;q=0, fr;q=0.1"}, "fr"},
		"several lines":                        {ours, "", []string{"ja", "pt", "es;q=0.4"}, "es"},
		"a relative":                           {ours, "", []string{"lb"}, "de"},
		"a relative that also reads English":   {ours, "", []string{"br, en;q=0.1"}, "en"},
		"a relative that names no other":       {ours, "", []string{"br, ja"}, "fr"},
		"junk between":                         {ours, "", []string{",;,!!,-,fr,\x00"}, "fr"},
		"junk":                                 {ours, "", []string{"<script>", "${jndi:x}", "\xff\xfe"}, "en"},
		"no language":                          {ours, "", []string{"und, mul, zxx, i-klingon, x-pirate"}, "en"},
		"64 kB of a tag":                       {ours, "", []string{long}, "en"},
		"64 kB of hyphens":                     {ours, "", []string{strings.Repeat("de-", 22000)}, "en"},
		"64 kB of commas":                      {ours, "", []string{strings.Repeat(",", 64<<10) + "de"}, "en"},
		"64 kB of languages":                   {ours, "", []string{"de," + strings.Repeat("fr,", 22000)}, "de"},
		"64 kB of lines":                       {ours, "", slices.Repeat([]string{"ja"}, 32000), "en"},
		"what is within the bounds":            {ours, "", []string{"fr," + long}, "fr"},
		"what is beyond them":                  {ours, "", []string{"ja," + long + ",fr", "fr"}, "en"},
		"no half of a tag":                     {ours, "", []string{strings.Repeat(" ", maxBytes-3) + ",de-x"}, "en"},
		"more tags than count":                 {ours, "", []string{strings.Repeat("ja,", maxTags) + "fr"}, "en"},
		"ui_locales":                           {ours, "fr", []string{"de"}, "fr"},
		"ui_locales of several":                {ours, "fr-CA fr en", []string{"de"}, "fr"},
		"ui_locales in order":                  {ours, "ja es de", []string{"fr"}, "es"},
		"ui_locales that there are none of":    {ours, "ja pt", []string{"fr"}, "fr"},
		"ui_locales that are junk":             {ours, "<b> de;q=1 --", []string{"fr"}, "fr"},
		"ui_locales with other spaces":         {ours, "  ja \t es", nil, "es"},
		"64 kB of ui_locales":                  {ours, long + " de", []string{"fr"}, "fr"},
		"more ui_locales than count":           {ours, strings.Repeat("ja ", maxTags) + "de", []string{"fr"}, "fr"},
		"an own language":                      {more, "", []string{"pt-BR"}, "pt-BR"},
		"a relative of an own one":             {more, "", []string{"pt-PT"}, "pt-BR"},
		"a region of one's own":                {more, "", []string{"de-CH"}, "de-CH"},
		"another region":                       {more, "", []string{"de-AT"}, "de"},
		"a script":                             {more, "", []string{"zh-TW"}, "zh-Hant"},
		"an own language, Accept and its name": {more, "pt-br", nil, "pt-BR"},
	} {
		if got := row.c.Choose(row.uiLocales, row.accept).Tag(); got != row.want {
			t.Errorf("%s: expected %s, seen %s", name, row.want, got)
		}
	}
}

func TestWhichLanguageALoginIsIn(t *testing.T) {
	t.Parallel()
	c := mustRead(t, nil)
	for uiLocales, want := range map[string]string{"": "", "fr": "fr", "ja": "", "ja fr-CA": "fr", "*": "", "en-GB": "en"} {
		if got := c.Preferred(uiLocales); got != want {
			t.Errorf("%q: expected %q, seen %q", uiLocales, want, got)
		}
	}
}

func FuzzChoose(f *testing.F) {
	c := mustRead(f, nil)
	tags := c.Tags()
	for _, seed := range []struct{ uiLocales, accept string }{
		{"", "de-CH, fr;q=0.8, *;q=0.1"}, {"fr-CA fr en", ""}, {"x-y", "i-klingon;q=1.000"}, {"de-u-co-phonebk-t-x", "*;q=0"}, {" ", ";q=,,"}, {"art-lojban", "de-de-de-de"},
	} {
		f.Add(seed.uiLocales, seed.accept)
	}
	f.Fuzz(func(t *testing.T, uiLocales, accept string) {
		chosen := c.Choose(uiLocales, []string{accept, accept})
		if !slices.Contains(tags, chosen.Tag()) {
			t.Fatalf("expected one of %q, seen %q", tags, chosen.Tag())
		}
		if preferred := c.Preferred(uiLocales); preferred != "" && preferred != chosen.Tag() {
			t.Fatalf("%q: a login is in %q, and a page of it in %q", uiLocales, preferred, chosen.Tag())
		}
		if n := len(listed(uiLocales)); n > maxTags {
			t.Fatalf("expected at most %d tags, seen %d", maxTags, n)
		}
		if n := len(accepted([]string{accept})); n > maxTags {
			t.Fatalf("expected at most %d tags, seen %d", maxTags, n)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"a": "b"}`, "{\n\"a\": \"{host}\",\n\"a\": 1}", `{"a": {"b": ["c"]}}`, "\ufeff{}", `{"\u0000": "\ud800"}`, `[`, `{"a"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		parsed, err := parse("locales/x.json", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "locales/x.json:") {
				t.Fatalf("expected the file and the line, seen %v", err)
			}
			return
		}
		last := 0
		for _, e := range parsed.entries {
			if e.line < last || e.line > 1+strings.Count(string(text), "\n") {
				t.Fatalf("%q: line %d after %d", text, e.line, last)
			}
			last = e.line
		}
	})
}
