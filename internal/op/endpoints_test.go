package op

import (
	"encoding/json"
	"testing"
)

// The JSON of Endpoints is part of the hash that names the stored documents of a provider.
// If it changed, they would be lost.
func TestJSONOfEndpointsStays(t *testing.T) {
	t.Parallel()
	var e Endpoints
	for name, address := range e.All() {
		*address = name
	}
	got, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Authorization":"authorization_endpoint","Token":"token_endpoint","Userinfo":"userinfo_endpoint","JWKS":"jwks_uri",` +
		`"EndSession":"end_session_endpoint","Revocation":"revocation_endpoint","Introspection":"introspection_endpoint",` +
		`"Pushed":"pushed_authorization_request_endpoint"}`
	if string(got) != want {
		t.Errorf("got %s, expected %s", got, want)
	}
}
