package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"testing"
)

// A samlRealm is a Keycloak realm that is a SAML identity provider. A realm has one
// entity ID, so each external provider in a test needs its own realm.
type samlRealm struct {
	t    testing.TB
	name string
}

// newSAMLRealm creates a realm with the users of realm.json.
func newSAMLRealm(t testing.TB, name string) *samlRealm {
	t.Helper()
	k := &theKeycloak
	k.start(t)
	text, err := os.ReadFile("idps/keycloak/realm.json")
	if err != nil {
		t.Fatal(err)
	}
	var realm object
	if err := json.Unmarshal(text, &realm); err != nil {
		t.Fatal(err)
	}
	r := &samlRealm{t, name}
	realm["realm"] = r.name
	realm["components"] = object{"org.keycloak.keys.KeyProvider": keycloakKeys(t)}
	r.ask(http.MethodPost, "/realms", realm)
	return r
}

func (r *samlRealm) ask(method, path string, body any) []byte {
	r.t.Helper()
	answer, err := theKeycloak.ask(method, path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer
}

// issuer returns the realm's entity ID, which is also its issuer.
func (r *samlRealm) issuer() string {
	return fmt.Sprintf("http://localhost:%d/realms/%s", theKeycloak.port, r.name)
}

// metadata returns the URL of the realm's SAML metadata.
func (r *samlRealm) metadata() string { return r.issuer() + "/protocol/saml/descriptor" }

// register creates a client from a service provider's metadata, like an administrator who
// uploads it, and changes some of its attributes.
func (r *samlRealm) register(metadata []byte, attributes object) {
	r.t.Helper()
	token, err := theKeycloak.bearer()
	if err != nil {
		r.t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, fmt.Sprintf("http://localhost:%d/admin/realms/%s/client-description-converter", theKeycloak.port, r.name), bytes.NewReader(metadata))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/xml")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		r.t.Fatalf("Keycloak does not understand our metadata: %s %s %v", answer.Status, text, err)
	}
	var client object
	if err := json.Unmarshal(text, &client); err != nil {
		r.t.Fatal(err)
	}
	own, _ := client["attributes"].(map[string]any)
	maps.Copy(own, attributes)
	client["protocolMappers"] = []object{
		samlMapper("mail", "saml-user-property-mapper", object{"user.attribute": "email", "attribute.name": "mail"}),
		samlMapper("uid", "saml-user-property-mapper", object{"user.attribute": "username", "attribute.name": "uid"}),
		samlMapper("groups", "saml-group-membership-mapper", object{"attribute.name": "groups", "single": "true", "full.path": "false"}),
	}
	client["defaultClientScopes"], client["enabled"] = []string{}, true
	r.ask(http.MethodPost, "/realms/"+r.name+"/clients", client)
}

func samlMapper(name, kind string, config object) object {
	config["attribute.nameformat"] = "Basic"
	return object{"name": name, "protocol": "saml", "protocolMapper": kind, "config": config}
}
