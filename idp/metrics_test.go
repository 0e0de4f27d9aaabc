package oidcidp

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestCountersAreInEachRegistry(t *testing.T) {
	t.Parallel()
	counted.SignIn("signed_in", "pwd")
	counted.Endpoint("token", "ok")
	counted.External("partners", "ok")
	counted.Mail("reset", "sent")
	for range 2 { // as after a reload
		registry := prometheus.NewRegistry()
		for range 2 {
			if err := counted.register(registry); err != nil {
				t.Fatal(err)
			}
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		names := make(map[string]bool)
		for _, f := range families {
			names[f.GetName()] = true
		}
		for _, name := range []string{"sign_ins_total", "requests_total", "external_logins_total", "mails_total"} {
			if !names["caddy_oidc_idp_"+name] {
				t.Errorf("expected caddy_oidc_idp_%s, seen %v", name, names)
			}
		}
	}
}
