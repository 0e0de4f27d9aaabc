package op

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAnIDTokenIsHeldToWhatWasAsked(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	hour := time.Hour
	var zero time.Duration
	for name, tc := range map[string]struct {
		demands Demands
		claims  string
		cause   string
	}{
		"nothing asked":             {Demands{}, `{}`, ""},
		"young enough":              {Demands{MaxAge: &hour}, `{"auth_time": 1699996401}`, ""},
		"within the skew":           {Demands{MaxAge: &hour}, `{"auth_time": 1699996341}`, ""},
		"too old":                   {Demands{MaxAge: &hour}, `{"auth_time": 1699996339}`, "more than max_age"},
		"no auth_time":              {Demands{MaxAge: &hour}, `{}`, "auth_time is missing"},
		"auth_time null":            {Demands{MaxAge: &hour}, `{"auth_time": null}`, "auth_time is missing"},
		"auth_time text":            {Demands{MaxAge: &hour}, `{"auth_time": "1699999999"}`, "not a date"},
		"in the future by the skew": {Demands{MaxAge: &hour}, `{"auth_time": 1700000060}`, ""},
		"in the future":             {Demands{MaxAge: &hour}, `{"auth_time": 1700000061}`, "in the future"},
		"far in the future":         {Demands{MaxAge: &hour}, `{"auth_time": 4000000000}`, "in the future"},
		"max_age 0, just now":       {Demands{MaxAge: &zero}, `{"auth_time": 1699999999}`, ""},
		"max_age 0, some time ago":  {Demands{MaxAge: &zero}, `{"auth_time": 1699999900}`, "more than max_age"},
		"an acr of the list":        {Demands{ACR: true, ACRs: []string{"a", "b"}}, `{"acr": "b"}`, ""},
		"another acr":               {Demands{ACR: true, ACRs: []string{"a", "b"}}, `{"acr": "c"}`, "acr is not one"},
		"an acr that is no text":    {Demands{ACR: true, ACRs: []string{"1"}}, `{"acr": 1}`, "acr is not a string"},
		"no acr":                    {Demands{ACR: true}, `{}`, "acr is not one"},
		"any acr":                   {Demands{ACR: true}, `{"acr": "x"}`, ""},
		"an acr that was not asked": {Demands{}, `{"acr": "0"}`, ""},
	} {
		claims, err := parseObject([]byte(tc.claims))
		if err != nil {
			t.Fatal(err)
		}
		err = (&idTokenCheck{now: now, skew: time.Minute, demands: tc.demands}).checkRequested(claims)
		if !failsWith(err, tc.cause) {
			t.Errorf("%s: expected the error %q, seen %v", name, tc.cause, err)
		}
		// Demands mean the same after a transaction has carried them.
		carried, err := DecodeDemands(tc.demands.Encode())
		if err != nil {
			t.Errorf("%s: what was encoded does not decode: %v", name, err)
			continue
		}
		err = (&idTokenCheck{now: now, skew: time.Minute, demands: carried}).checkRequested(claims)
		if !failsWith(err, tc.cause) {
			t.Errorf("%s, carried by a transaction: expected the error %q, seen %v", name, tc.cause, err)
		}
	}
}

// failsWith reports whether an error contains text. The empty text stands for no error.
func failsWith(err error, text string) bool {
	if err == nil || text == "" {
		return err == nil && text == ""
	}
	return strings.Contains(err.Error(), text)
}

func FuzzDecodeDemands(f *testing.F) {
	minute := time.Minute
	for _, d := range []Demands{{}, {MaxAge: &minute}, {ACR: true}, {MaxAge: &minute, ACR: true, ACRs: []string{"a", "b"}},
		{Proof: Proof{MaxAge: &minute, ACR: [][]string{{"a", "b"}, {"c"}}}}, {ACR: true, ACRs: []string{"a"}, LoginIsAuthTime: true, Proof: Proof{MaxAge: &minute}}} {
		f.Add(d.Encode())
		f.Add(d.Encode() + "x")
	}
	f.Add("")
	f.Add("\x04")
	f.Add("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := DecodeDemands(text)
		if err != nil {
			if d.Any() || !d.Proof.IsZero() {
				t.Errorf("%q is refused and demands %+v", text, d)
			}
			return
		}
		if any := d.Any() || !d.Proof.IsZero(); any != (text[0] != 0) {
			t.Errorf("%q demands %+v", text, d)
		}
		if d.Any() && d.Check(time.Time{}, "", time.Unix(1_700_000_000, 0), time.Minute) == nil {
			t.Errorf("%q is satisfied by nothing", text)
		}
		if !d.Proof.IsZero() && d.Proof.Check(time.Time{}, nil, time.Unix(1_700_000_000, 0), time.Minute) == nil {
			t.Errorf("%q is proved by nothing", text)
		}
	})
}

func TestClaimsRequests(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]*Demands{
		`{}`: {},
		`{"userinfo": null, "id_token": {"email": null, "groups": {"essential": true}}}`:      {},
		`{"id_token": {"acr": {"values": ["a"]}}}`:                                            {}, // voluntary
		`{"userinfo": {"acr": {"essential": true, "value": "a"}}}`:                            {},
		`{"id_token": {"acr": {"essential": true}}}`:                                          {ACR: true},
		`{"id_token": {"acr": {"essential": true, "value": "a"}}}`:                            {ACR: true, ACRs: []string{"a"}},
		`{"id_token": {"acr": {"essential": true, "values": ["a", 1, "b"]}}}`:                 {ACR: true, ACRs: []string{"a", "b"}},
		`{"id_token": {"acr": {"essential": false, "values": ["a"]}, "auth_time": {"x": 1}}}`: {},

		``: nil, `[]`: nil, `null`: nil, `{"id_token": []}`: nil, `{"id_token": {"acr": true}}`: nil, `{"acr": null}`: nil,
		`{"id_token": {"acr": {"essential": "yes"}}}`: nil, `{"id_token": {"acr": {"values": "a"}}}`: nil, `{"id_token": {}, "id_token": {}}`: nil,
	} {
		got, err := ParseClaimsRequest(text)
		if (err == nil) != (want != nil) {
			t.Errorf("%s: expected an error %v, seen %v", text, want == nil, err)
		}
		if err != nil || want == nil {
			continue
		}
		if got.ACR != want.ACR {
			t.Errorf("%s: expected that it demands an acr: %v, seen %v", text, want.ACR, got.ACR)
		}
		if !slices.Equal(got.ACRs, want.ACRs) {
			t.Errorf("%s: expected the values %q, seen %q", text, want.ACRs, got.ACRs)
		}
	}
}
