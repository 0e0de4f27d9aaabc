package op

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Providers count in whole seconds, so a fraction of a second does not make a sign-in too
// old.
func TestAFractionOfASecondIsNotTooOld(t *testing.T) {
	t.Parallel()
	authTime := time.Unix(1_700_000_000, 0)
	for _, row := range []struct {
		ago    time.Duration
		recent bool
	}{
		{20 * time.Second, true},
		{20*time.Second + 999*time.Millisecond, true},
		{21 * time.Second, false},
		{21*time.Second + time.Millisecond, false},
	} {
		maxAge := 20 * time.Second
		proof := Proof{MaxAge: &maxAge}
		if err := proof.Check(authTime, nil, authTime.Add(row.ago), 0); (err == nil) != row.recent {
			t.Errorf("after %v: expected recent %v, seen %v", row.ago, row.recent, err)
		}
	}
	after := time.Unix(1_700_000_000, 500_000_000)
	maxAge := 20 * time.Second
	proof := Proof{MaxAge: &maxAge}
	if err := proof.Check(after, nil, after, 0); err != nil {
		t.Errorf("an auth_time with a fraction, at once: expected it to be recent, seen %v", err)
	}
}

// minutes returns n minutes as a max_age.
func minutes(n int) *time.Duration {
	d := time.Duration(n) * time.Minute
	return &d
}

func TestAProofIsChecked(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	many := make([]string, 2*MaxACRs)
	for i := range many {
		many[i] = strings.Repeat("x", i+1)
	}
	for _, row := range []struct {
		name     string
		proof    Proof
		authTime time.Time
		acr      []string
		cause    string // empty if the proof is sufficient
	}{
		{name: "nothing demanded, nothing there"},
		{name: "one value of the list", proof: Proof{ACR: [][]string{{"a", "b"}}}, acr: []string{"b"}},
		{name: "another value", proof: Proof{ACR: [][]string{{"a", "b"}}}, acr: []string{"c"}, cause: `it is "c"`},
		{name: "the value in other letters", proof: Proof{ACR: [][]string{{"mfa"}}}, acr: []string{"MFA"}, cause: "acr is not one"},
		{name: "a part of the value", proof: Proof{ACR: [][]string{{"mfa"}}}, acr: []string{"mf"}, cause: "acr is not one"},
		{name: "two values in one text", proof: Proof{ACR: [][]string{{"a"}}}, acr: []string{"a b"}, cause: "acr is not one"},
		{name: "no value", proof: Proof{ACR: [][]string{{"a", "b"}}}, cause: "has no acr"},
		{name: "an empty value", proof: Proof{ACR: [][]string{{"a"}}}, acr: []string{""}, cause: "acr is not one"},
		{name: "one value of both lists", proof: Proof{ACR: [][]string{{"a", "b"}, {"b", "c"}}}, acr: []string{"b"}},
		{name: "a value of the first list alone", proof: Proof{ACR: [][]string{{"a", "b"}, {"b", "c"}}}, acr: []string{"a"}, cause: "acr is not one"},
		{name: "a value of the second list alone", proof: Proof{ACR: [][]string{{"a", "b"}, {"b", "c"}}}, acr: []string{"c"}, cause: "acr is not one"},
		{name: "a value of each list, as acrs has them", proof: Proof{ACR: [][]string{{"a"}, {"c"}}}, acr: []string{"1", "c", "a"}},
		{name: "all values that are allowed", proof: Proof{ACR: [][]string{many[:MaxACRs], many[MaxACRs:]}}, acr: []string{many[3], many[2*MaxACRs-1]}},
		{name: "all values that are allowed, and one list is not satisfied", proof: Proof{ACR: [][]string{many[:MaxACRs], many[MaxACRs:]}}, acr: many[:MaxACRs], cause: "acr is not one"},
		{name: "recent", proof: Proof{MaxAge: minutes(5)}, authTime: now.Add(-5 * time.Minute)},
		{name: "recent within the skew", proof: Proof{MaxAge: minutes(5)}, authTime: now.Add(-6 * time.Minute)},
		{name: "too long ago", proof: Proof{MaxAge: minutes(5)}, authTime: now.Add(-6*time.Minute - time.Second), cause: "more than max_age"},
		{name: "in the future within the skew", proof: Proof{MaxAge: minutes(5)}, authTime: now.Add(time.Minute)},
		{name: "in the future", proof: Proof{MaxAge: minutes(5)}, authTime: now.Add(61 * time.Second), cause: "in the future"},
		{name: "unknown when", proof: Proof{MaxAge: minutes(5)}, cause: "auth_time is missing"},
		{name: "max_age 0, just now", proof: Proof{MaxAge: minutes(0)}, authTime: now.Add(-time.Minute)},
		{name: "max_age 0, before", proof: Proof{MaxAge: minutes(0)}, authTime: now.Add(-2 * time.Minute), cause: "more than max_age"},
		{name: "both, and acr fails", proof: Proof{MaxAge: minutes(5), ACR: [][]string{{"a"}}}, authTime: now, acr: []string{"b"}, cause: "acr is not one"},
		{name: "both, and max_age fails", proof: Proof{MaxAge: minutes(5), ACR: [][]string{{"a"}}}, authTime: now.Add(-time.Hour), acr: []string{"a"}, cause: "more than max_age"},
		{name: "a max_age of more than a transaction can say", proof: Proof{MaxAge: minutes(1 << 40)}, authTime: now.Add(-time.Hour)},
	} {
		demands := Demands{Proof: row.proof}
		carried, err := DecodeDemands(demands.Encode())
		if err != nil {
			t.Errorf("%s: expected a transaction to carry it, seen %v", row.name, err)
		}
		for place, proof := range map[string]Proof{"here": row.proof, "carried by a transaction": carried.Proof} {
			err := proof.Check(row.authTime, row.acr, now, time.Minute)
			switch {
			case row.cause == "" && err != nil:
				t.Errorf("%s, %s: expected it to be enough, seen %v", row.name, place, err)
			case row.cause != "" && (err == nil || !strings.Contains(err.Error(), row.cause)):
				t.Errorf("%s, %s: expected an error with %q, seen %v", row.name, place, row.cause, err)
			}
		}
	}
}

// A transaction carries the demands of the fixed parameters and those of rules separately,
// and both keep their meaning.
func TestTransactionsCarryBothKindsOfDemands(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	for name, d := range map[string]Demands{
		"acr of both":                   {ACR: true, ACRs: []string{"a", "b"}, Proof: Proof{ACR: [][]string{{"b"}}}},
		"any acr, and a certain one":    {ACR: true, Proof: Proof{ACR: [][]string{{"b"}}}},
		"max_age of both":               {MaxAge: minutes(60), Proof: Proof{MaxAge: minutes(5)}},
		"all":                           {MaxAge: minutes(60), ACR: true, ACRs: []string{"a", "b"}, Proof: Proof{MaxAge: minutes(5), ACR: [][]string{{"b", "c"}, {"b"}}}},
		"a login that counts":           {MaxAge: minutes(60), LoginIsAuthTime: true},
		"a login that counts for rules": {LoginIsAuthTime: true, ACR: true, ACRs: []string{"b"}, Proof: Proof{MaxAge: minutes(5)}},
	} {
		carried, err := DecodeDemands(d.Encode())
		if err != nil {
			t.Errorf("%s: expected no error, seen %v", name, err)
			continue
		}
		if carried.LoginIsAuthTime != d.LoginIsAuthTime {
			t.Errorf("%s: expected LoginIsAuthTime %t, seen %t", name, d.LoginIsAuthTime, carried.LoginIsAuthTime)
		}
		for _, acr := range []string{"", "a", "b", "c"} {
			for _, ago := range []int{0, 10, 100} {
				signedIn := now.Add(-*minutes(ago))
				if want, got := d.Check(signedIn, acr, now, 0) == nil, carried.Check(signedIn, acr, now, 0) == nil; got != want {
					t.Errorf("%s, acr %q, %d minutes ago: expected the ID token to be valid: %t, seen %t", name, acr, ago, want, got)
				}
				if want, got := d.Proof.Check(signedIn, []string{acr}, now, 0) == nil, carried.Proof.Check(signedIn, []string{acr}, now, 0) == nil; got != want {
					t.Errorf("%s, acr %q, %d minutes ago: expected the proof to be enough: %t, seen %t", name, acr, ago, want, got)
				}
			}
		}
	}
}

// Transactions from the previous release can be decoded: the encoding stays the same.
func TestDemandsOfEarlierReleases(t *testing.T) {
	t.Parallel()
	hash := func(values ...string) (all string) {
		for _, value := range values {
			sum := hashTexts(value)
			all += string(sum[:])
		}
		return all
	}
	for text, want := range map[string]Demands{
		"\x00":                              {},
		"\x01\x3c":                          {MaxAge: minutes(1)},
		"\x02":                              {ACR: true},
		"\x02" + hash("a", "b"):             {ACR: true, ACRs: []string{"a", "b"}},
		"\x03\x3c" + hash("a"):              {MaxAge: minutes(1), ACR: true, ACRs: []string{"a"}},
		"\x03\xb8\x17" + hash("a", "b"):     {MaxAge: minutes(50), ACR: true, ACRs: []string{"a", "b"}},
		"\x04\x00\x01" + hash("a"):          {Proof: Proof{ACR: [][]string{{"a"}}}},
		"\x04\x3d":                          {Proof: Proof{MaxAge: minutes(1)}},
		"\x04\x01":                          {Proof: Proof{MaxAge: minutes(0)}},
		"\x0d\x3c\x3d\x02" + hash("a", "b"): {MaxAge: minutes(1), LoginIsAuthTime: true, Proof: Proof{MaxAge: minutes(1), ACR: [][]string{{"a", "b"}}}},
		"\x06\x01" + hash("a") + "\x00\x01" + hash("b"): {ACR: true, ACRs: []string{"a"}, Proof: Proof{ACR: [][]string{{"b"}}}},
	} {
		if got := want.Encode(); got != text {
			t.Errorf("%+v: expected %x, seen %x", want, text, got)
		}
		if _, err := DecodeDemands(text); err != nil {
			t.Errorf("%x: expected no error, seen %v", text, err)
		}
	}
	for _, text := range []string{"", "\x10", "\x04", "\x04\x00", "\x04\x00\x00", "\x04\x00\x02" + hash("a"), "\x08", "\x0a" + hash("a"), "\x0c\x00\x01" + hash("a"), "\x02\x00", "\x01\x3c\x00",
		"\x06\xff\xff\xff\xff\xff\xff\xff\xff\x7f"} {
		if d, err := DecodeDemands(text); err == nil {
			t.Errorf("%x: expected an error, seen %+v", text, d)
		}
	}
}

func TestProofsAddUp(t *testing.T) {
	t.Parallel()
	p := Proof{MaxAge: minutes(5), ACR: [][]string{{"a", "b"}}}
	before := p
	p.Add(Proof{MaxAge: minutes(9), ACR: [][]string{{"a", "b"}, {"b"}}})
	p.Add(Proof{})
	if *p.MaxAge != *minutes(5) {
		t.Errorf("expected the shorter max_age of 5 minutes, seen %s", p.MaxAge)
	}
	if len(p.ACR) != 2 {
		t.Errorf("expected two lists, seen %q", p.ACR)
	}
	if len(before.ACR) != 1 {
		t.Errorf("expected the first proof to stay as it is, seen %q", before.ACR)
	}
	p.Add(Proof{MaxAge: minutes(0)})
	if *p.MaxAge != 0 {
		t.Errorf("expected max_age 0, seen %s", p.MaxAge)
	}
}

func TestWhichACRsAProviderIsAskedFor(t *testing.T) {
	t.Parallel()
	many := make([]string, MaxACRs)
	for i := range many {
		many[i] = strings.Repeat("x", i+1)
	}
	for _, row := range []struct {
		name  string
		lists [][]string
		want  []string
	}{
		{"none", nil, nil},
		{"one list in its order", [][]string{{"b", "a"}}, []string{"b", "a"}},
		{"two lists with a value in common", [][]string{{"a", "b"}, {"c", "b"}}, []string{"b"}},
		{"two lists with two values in common", [][]string{{"a", "b", "c"}, {"c", "b"}}, []string{"b", "c"}},
		{"two lists without a value in common", [][]string{{"a", "b"}, {"c"}}, []string{"a", "b", "c"}},
		{"three lists of which two have a value in common", [][]string{{"a"}, {"a", "b"}, {"c"}}, []string{"a", "b", "c"}},
		{"a value with a space", [][]string{{"a b", "c"}}, []string{"c"}},
		{"nothing but a value with a space", [][]string{{"a\tb"}}, nil},
		{"too many", [][]string{many, {"more"}}, many},
	} {
		proof := Proof{ACR: row.lists}
		if got := proof.Acceptable(); !slices.Equal(got, row.want) {
			t.Errorf("%s: expected %q, seen %q", row.name, row.want, got)
		}
	}
}
