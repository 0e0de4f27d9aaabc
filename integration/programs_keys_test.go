package integration_test

import (
	"net/http"
	"testing"
)

func TestAnAccessKeyLetsAProgramIn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	ci := newKey(t, "ci", "deploy,ops")
	r := newHarness(t, protectedBy(op, `
application {
	access_keys `+newAccessKeyFile(t, ci).path+`
}
upstream {
	header X-Kind {http.oidc_rp.kind}
	header X-Groups groups
}
`))
	check(t, r.rawGet("/", ci.bearer())).status(http.StatusOK).body("application sees key/ci")
	got, _ := r.upstream.got()
	equal(t, "the kind", got.Get("X-Kind"), "key")
	equal(t, "the groups", got.Get("X-Groups"), "deploy,ops")
	equal(t, "the credential at the application", got.Get("Authorization"), "")
	check(t, r.rawGet("/", newKey(t, "ci").bearer())).status(http.StatusUnauthorized).headerHas("Www-Authenticate", `Bearer realm="rp.test"`, `error="invalid_token"`)
	check(t, r.rawGet("/")).status(http.StatusUnauthorized).header("Www-Authenticate", `Bearer realm="rp.test"`)
}
