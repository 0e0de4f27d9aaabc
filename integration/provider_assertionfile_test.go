package integration_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// workload is a platform that issues JWTs for Caddy and keeps them in a file.
type workload struct {
	file   string
	signer jose.Signer
}

const workloadSubject = "system:serviceaccount:web:caddy"

// newWorkload returns a platform, and the client that is registered for it at a provider.
func newWorkload(t *testing.T) (*workload, oidctest.Client) {
	key := ecKey()
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil))
	return &workload{filepath.Join(t.TempDir(), "token"), signer},
		oidctest.Client{ID: "rp", Auth: "private_key_jwt", Key: key.Public(), Workload: workloadSubject}
}

// write stores a JWT with a lifetime and audiences in the file.
func (w *workload) write(t *testing.T, life time.Duration, audience ...string) (token string) {
	t.Helper()
	token = must(jwt.Signed(w.signer).Claims(jwt.Claims{
		Issuer: "https://kubernetes.default.svc.cluster.local", Subject: workloadSubject, Audience: audience,
		Expiry: jwt.NewNumericDate(time.Now().Add(life)),
	}).Serialize())
	succeeds(required{t}, "writing the file", os.WriteFile(w.file, []byte(token+"\n"), 0o600))
	return token
}

// The platform may replace the file at any time. Each login sends its current content.
func TestThePlatformsAssertionIsReadAtEachUse(t *testing.T) {
	t.Parallel()
	w, client := newWorkload(t)
	op := newOP(t, oidctest.WithClient(client), oidctest.RefreshTokens())
	r := provesAs(t, op, "client_auth assertion_file "+w.file)
	for range 2 {
		token := w.write(t, time.Hour, "https://other.example", op.Issuer())
		check(required{t}, r.browser().open("/page")).body("application sees alice")
		form := op.Last(oidctest.Token).Form
		equal(t, "client_assertion", form.Get("client_assertion"), token)
		equal(t, "client_assertion_type", form.Get("client_assertion_type"), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		equal(t, "client_id", form.Get("client_id"), "rp")
		equal(t, "the presence of a secret", form.Has("client_secret") || op.Last(oidctest.Token).Header.Get("Authorization") != "", false)
		lacks(t, "the log", r.logs(), token)
	}
}

// An assertion that is not for the provider is never sent, and no token request is made.
func TestAPlatformsAssertionThatIsNotForTheProvider(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, w *workload, issuer string) (token string)
		block   string
		want    string // in the log
	}{
		"the token of the cluster itself": {func(t *testing.T, w *workload, issuer string) string {
			return w.write(t, time.Hour, "https://kubernetes.default.svc.cluster.local")
		}, "", "Kubernetes API server"},
		"the cluster beside the provider": {func(t *testing.T, w *workload, issuer string) string {
			return w.write(t, time.Hour, issuer, "kubernetes.default.svc")
		}, "", "Kubernetes API server"},
		"one that has expired": {func(t *testing.T, w *workload, issuer string) string {
			return w.write(t, -time.Second, issuer)
		}, "", "has expired"},
		"one for another audience": {func(t *testing.T, w *workload, issuer string) string {
			return w.write(t, time.Hour, issuer)
		}, " {\n\taudience api://exchange\n}", "another audience"},
		"a large file": {func(t *testing.T, w *workload, issuer string) string {
			succeeds(required{t}, "writing the file", os.WriteFile(w.file, []byte(strings.Repeat("a", 16<<10+1)), 0o600))
			return strings.Repeat("a", 100)
		}, "", "holds more than 16384 bytes"},
		"a directory": {func(t *testing.T, w *workload, issuer string) string {
			succeeds(required{t}, "making the directory", os.Mkdir(w.file, 0o700))
			return "-"
		}, "", "is not a regular file"},
		"no file": {func(*testing.T, *workload, string) string { return "-" }, "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, client := newWorkload(t)
			op := newOP(t, oidctest.WithClient(client))
			token := tc.prepare(t, w, op.Issuer())
			r := provesAs(t, op, "client_auth assertion_file "+w.file+tc.block)
			check(t, r.browser().open("/page")).status(http.StatusForbidden)
			contains(t, "the log", r.logs(), tc.want)
			equal(t, "token requests", op.Hits(oidctest.Token), 0)
			if len(token) > 1 {
				lacks(t, "the log", r.logs(), token)
			}
		})
	}
}

func TestAProviderThatWantsPushedRequestsDoesNotGetThePlatformsAssertion(t *testing.T) {
	t.Parallel()
	w, client := newWorkload(t)
	op := newOP(t, oidctest.WithClient(client), oidctest.PushedRequests())
	w.write(t, time.Hour, op.Issuer())
	r := provesAs(t, op, "client_auth assertion_file "+w.file)
	check(t, r.browser().open("/page")).status(http.StatusServiceUnavailable)
	contains(t, "the log", r.logs(), "to the token endpoint alone")
	equal(t, "pushed requests", op.Hits(oidctest.PushedRequest), 0)
}

func TestFurtherParametersOfTokenRequests(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarnessAt(t, storageDir(t), refreshSite(op, `
token_params {
	audience https://api.example.com
	resource urn:a urn:b
}
`))
	b := signedIn(t, r)
	for _, grant := range []string{"authorization_code", "refresh_token"} {
		form := op.Last(oidctest.Token).Form
		equal(t, "grant_type", form.Get("grant_type"), grant)
		list(t, grant+": audience", form["audience"], "https://api.example.com")
		list(t, grant+": resource", form["resource"], "urn:a", "urn:b")
		op.at(due, r)
		check(required{t}, b.get("/")).status(http.StatusOK)
	}
	equal(t, "audience of the authorization request", op.Last(oidctest.Authorize).Query.Get("audience"), "")
}
