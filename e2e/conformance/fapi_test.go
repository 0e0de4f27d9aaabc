package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestThePlansOfFAPIPass runs the variants that differ most, like TestThePlansPass. The
// number of modules depends on the variant.
func TestThePlansOfFAPIPass(t *testing.T) {
	for plan, modules := range map[string]int{"fapi-tls": 20, "fapi-private-key-jwt-dpop": 22, "fapi-message-signing-dpop": 28} {
		t.Run(plan, func(t *testing.T) {
			t.Parallel()
			to := drivePassing(t, "-plan", plan)
			if row := fmt.Sprintf("| %d of %d |", modules, modules); !strings.Contains(to.page, row) {
				t.Errorf("expected %q on the page, seen %s", row, rowOf(to.page, plan))
			}
		})
	}
}

// TestALoginOfEachFAPIPlanPasses runs one login in each of the other variants.
func TestALoginOfEachFAPIPlanPasses(t *testing.T) {
	for _, plan := range []string{"fapi-private-key-jwt-tls", "fapi-tls-dpop", "fapi-message-signing", "fapi-message-signing-tls"} {
		t.Run(plan, func(t *testing.T) {
			t.Parallel()
			drivePassing(t, "-plan", plan, "-module", happy)
		})
	}
}

// TestTheFakeSuiteSeesWhatALoginOfFAPILacks lets the suite require more than the plan
// that the site follows. The checks of the fake suite must notice what is missing.
func TestTheFakeSuiteSeesWhatALoginOfFAPILacks(t *testing.T) {
	for _, tc := range []struct {
		name, plan, demand, value string
		says                      string
	}{
		{"proofs", "fapi-tls", "sender_constrain", "dpop", "DP: no proof at the pushed request endpoint"},
		{"a certificate", "fapi-private-key-jwt-dpop", "client_auth_type", "mtls", "par: the registered certificate is not presented"},
		{"a client assertion", "fapi-tls-dpop", "client_auth_type", "private_key_jwt", "C00j: none is used, private_key_jwt is registered"},
		{"a signed request", "fapi-private-key-jwt-dpop", "fapi_request_method", "signed_non_repudiation", "JAR: request object: there is none"},
		{"a signed response", "fapi-private-key-jwt-dpop", "fapi_response_mode", "jarm", "CheckResponseMode: signed: expected true, seen false"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeSuite(t)
			f.demands[tc.demand] = tc.value
			to := drive(t, f, "-plan", tc.plan, "-module", happy)
			if to.err != nil {
				t.Fatalf("%v\n%s", to.err, to.out)
			}
			if to.code != 1 {
				t.Errorf("exit code: expected 1, seen %d", to.code)
			}
			if !strings.Contains(to.out, tc.says) {
				t.Errorf("expected %q, seen\n%s", tc.says, to.out)
			}
		})
	}
}

// TestABadLoginOfFAPIThatWorksIsSeen runs modules that behave differently from what their
// names say.
func TestABadLoginOfFAPIThatWorksIsSeen(t *testing.T) {
	for module, behaves := range map[string]string{"invalid-aud": happy, happy: "invalid-aud"} {
		t.Run(module, func(t *testing.T) {
			t.Parallel()
			f := newFakeSuite(t)
			f.odd[module] = behaves
			to := drive(t, f, "-plan", "fapi-private-key-jwt-dpop", "-module", module)
			if to.err != nil {
				t.Fatalf("%v\n%s", to.err, to.out)
			}
			if to.code != 1 || !strings.Contains(to.out, "our side: expected") {
				t.Errorf("expected code 1 and what is wrong at our side, seen %d\n%s", to.code, to.out)
			}
		})
	}
}
