package op

import (
	"net/url"
	"testing"
	"time"
)

// Fixed parameters and the demands of rules do not weaken each other.
func TestWhatALoginAsksFor(t *testing.T) {
	t.Parallel()
	claims := func(value string) string {
		return `{"id_token":{"acr":{"essential":true` + value + `},"email":null},"userinfo":{"name":null}}`
	}
	acr := func(lists ...[]string) Proof { return Proof{ACR: lists} }
	for _, row := range []struct {
		name         string
		fixed, extra url.Values
		proof        Proof
		isAuthTime   bool
		want         url.Values
	}{
		{name: "nothing", want: url.Values{}},
		{name: "fixed parameters as they are", fixed: url.Values{"acr_values": {"gold  silver"}, "max_age": {"0060"}, "claims": {claims("")}, "prompt": {"none"}},
			want: url.Values{"acr_values": {"gold  silver"}, "max_age": {"0060"}, "claims": {claims("")}, "prompt": {"none"}}},
		{name: "an extra parameter, and one that is fixed", fixed: url.Values{"prompt": {"consent"}}, extra: url.Values{"prompt": {"none"}, "ui_locales": {"de"}},
			want: url.Values{"prompt": {"consent"}, "ui_locales": {"de"}}},
		{name: "acr_values", proof: acr([]string{"mfa", "hwk"}), want: url.Values{"acr_values": {"mfa hwk"}}},
		{name: "acr_values without those that are not enough", fixed: url.Values{"acr_values": {"gold"}}, proof: acr([]string{"mfa"}), want: url.Values{"acr_values": {"mfa"}}},
		{name: "acr_values in the order of the fixed ones", fixed: url.Values{"acr_values": {"gold hwk hwk"}}, proof: acr([]string{"mfa", "hwk"}), want: url.Values{"acr_values": {"hwk mfa"}}},
		{name: "acr_values with fixed ones that say as much", fixed: url.Values{"acr_values": {"b a"}}, proof: acr([]string{"a", "b"}, []string{"c", "a", "b"}), want: url.Values{"acr_values": {"b a"}}},
		{name: "values with a space", proof: acr([]string{"a b"}), want: url.Values{}},
		{name: "max_age", proof: Proof{MaxAge: minutes(5)}, want: url.Values{"max_age": {"300"}}},
		{name: "max_age of less than a second", proof: Proof{MaxAge: new(time.Duration)}, want: url.Values{"max_age": {"0"}}},
		{name: "max_age, and a shorter fixed one", fixed: url.Values{"max_age": {"60"}}, proof: Proof{MaxAge: minutes(5)}, want: url.Values{"max_age": {"60"}}},
		{name: "max_age, and a longer fixed one", fixed: url.Values{"max_age": {"600"}}, proof: Proof{MaxAge: minutes(5)}, want: url.Values{"max_age": {"300"}}},
		{name: "no prompt by itself", fixed: url.Values{"prompt": {"consent"}}, proof: Proof{MaxAge: minutes(0), ACR: [][]string{{"mfa"}}},
			want: url.Values{"max_age": {"0"}, "acr_values": {"mfa"}, "prompt": {"consent"}}},
		{name: "max_age 0 with a fixed prompt none", fixed: url.Values{"prompt": {"none"}}, proof: Proof{MaxAge: minutes(0)}, want: url.Values{"max_age": {"1"}, "prompt": {"none"}}},
		{name: "a claims parameter without acr", fixed: url.Values{"claims": {`{"id_token":{"email":null}}`}}, proof: acr([]string{"mfa"}),
			want: url.Values{"acr_values": {"mfa"}, "claims": {`{"id_token":{"email":null}}`}}},
		{name: "acr that is not essential", fixed: url.Values{"claims": {`{"id_token": {"acr": {"values": ["a"]}}}`}}, proof: acr([]string{"mfa"}),
			want: url.Values{"acr_values": {"mfa"}, "claims": {`{"id_token":{"acr":{"values":["a"]}}}`}}},
		{name: "essential acr", fixed: url.Values{"claims": {claims("")}}, proof: acr([]string{"mfa", "hwk"}),
			want: url.Values{"acr_values": {"mfa hwk"}, "claims": {claims(`,"values":["mfa","hwk"]`)}}},
		{name: "essential acr, one value", fixed: url.Values{"claims": {claims("")}}, proof: acr([]string{"mfa"}),
			want: url.Values{"acr_values": {"mfa"}, "claims": {claims(`,"value":"mfa"`)}}},
		{name: "essential acr with values, narrowed", fixed: url.Values{"claims": {claims(`,"values":["gold","hwk","mfa"]`)}}, proof: acr([]string{"mfa", "hwk"}),
			want: url.Values{"acr_values": {"mfa hwk"}, "claims": {claims(`,"values":["hwk","mfa"]`)}}},
		{name: "essential acr with values that are not enough", fixed: url.Values{"claims": {claims(`,"value":"gold"`)}}, proof: acr([]string{"mfa"}),
			want: url.Values{"acr_values": {"mfa"}, "claims": {claims(`,"value":"gold"`)}}},
		{name: "essential acrs, as Entra ID has them", fixed: url.Values{"claims": {`{"id_token":{"acrs":{"essential":true}}}`}}, proof: acr([]string{"c1"}),
			want: url.Values{"acr_values": {"c1"}, "claims": {`{"id_token":{"acrs":{"essential":true,"value":"c1"}}}`}}},
		{name: "a claims parameter that is none", extra: url.Values{"claims": {"x"}}, proof: acr([]string{"c1"}), want: url.Values{"acr_values": {"c1"}, "claims": {"x"}}},
		{name: "the login is auth_time", proof: Proof{MaxAge: minutes(5)}, isAuthTime: true, want: url.Values{"max_age": {"300"}, "prompt": {"login"}}},
		{name: "the login is auth_time, and the time does not matter", proof: acr([]string{"mfa"}), isAuthTime: true, want: url.Values{"acr_values": {"mfa"}}},
		{name: "the login is auth_time for a fixed max_age", fixed: url.Values{"max_age": {"60"}}, isAuthTime: true, want: url.Values{"max_age": {"60"}, "prompt": {"login"}}},
		{name: "the login is auth_time, and another account", extra: url.Values{"prompt": {"select_account"}}, proof: Proof{MaxAge: minutes(5)}, isAuthTime: true,
			want: url.Values{"max_age": {"300"}, "prompt": {"login"}}},
		{name: "the login is auth_time, and a fixed prompt", fixed: url.Values{"prompt": {"consent"}}, proof: Proof{MaxAge: minutes(5)}, isAuthTime: true,
			want: url.Values{"max_age": {"300"}, "prompt": {"login consent"}}},
		{name: "the login is auth_time, and a fixed prompt login", fixed: url.Values{"prompt": {"consent login"}}, proof: Proof{MaxAge: minutes(5)}, isAuthTime: true,
			want: url.Values{"max_age": {"300"}, "prompt": {"consent login"}}},
		{name: "the login cannot be auth_time with a fixed prompt none", fixed: url.Values{"prompt": {"none"}}, proof: Proof{MaxAge: minutes(5)}, isAuthTime: true,
			want: url.Values{"max_age": {"300"}, "prompt": {"none"}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := &Client{Parameters: row.fixed}
			if text := row.fixed.Get("claims"); text != "" {
				var err error
				if c.Demands, err = ParseClaimsRequest(text); err != nil {
					t.Fatal(err)
				}
			}
			if text := row.fixed.Get("max_age"); text != "" {
				var err error
				if c.Demands.MaxAge, err = ParseMaxAge(text); err != nil {
					t.Fatal(err)
				}
			}
			demands := c.DemandsOf(row.proof, row.isAuthTime)
			if got := c.parameters(row.extra, &demands).Encode(); got != row.want.Encode() {
				t.Errorf("expected %s, seen %s", row.want.Encode(), got)
			}
			if counts := demands.LoginIsAuthTime; counts && !hasWord(row.want.Get("prompt"), "login") {
				t.Error("expected no login to count as auth_time that does not ask the user to sign in")
			}
		})
	}
}

// The time of the login counts as auth_time only if the login demanded that the user sign
// in, and only if the ID token has no auth_time.
func TestWhatCountsAsAuthTime(t *testing.T) {
	t.Parallel()
	began, said := time.Unix(1_700_000_000, 0), time.Unix(1_600_000_000, 0)
	counts, ordinary := Demands{LoginIsAuthTime: true, Began: began}, Demands{Began: began}
	for _, row := range []struct {
		name          string
		demands       Demands
		said, counted time.Time
	}{
		{"a login that asked", counts, time.Time{}, began},
		{"a login that asked, and auth_time", counts, said, said},
		{"any other login", ordinary, time.Time{}, time.Time{}},
		{"any other login, and auth_time", ordinary, said, said},
	} {
		if got := row.demands.AuthTime(row.said); !got.Equal(row.counted) {
			t.Errorf("%s: expected %s, seen %s", row.name, row.counted, got)
		}
	}
}

func TestMaxAgeIsANumberOfSeconds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"0": 0, "60": time.Minute, "0060": time.Minute, "2147483647": 2147483647 * time.Second} {
		if got, err := ParseMaxAge(text); err != nil || *got != want {
			t.Errorf("%q: expected %s, seen %v, %v", text, want, got, err)
		}
	}
	for _, text := range []string{"", "-1", "+1", "1.5", "1e3", "0x10", " 1", "1 ", "1m", "2147483648", "99999999999999999999", "١"} {
		if got, err := ParseMaxAge(text); err == nil {
			t.Errorf("%q: expected an error, seen %s", text, got)
		}
	}
}
