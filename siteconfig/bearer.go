package siteconfig

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/bearer"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
)

// Bearer configures which access tokens of issuers are accepted.
type Bearer struct {
	// Issuers whose access tokens are JWTs.
	JWT []*BearerJWT `json:"jwt,omitempty"`

	// A provider that is asked about all other bearer tokens (RFC 7662). Default:
	// they are left to the application.
	Introspect *BearerIntrospection `json:"introspect,omitempty"`
}

// BearerJWT configures an issuer whose access tokens are JWTs, or all providers of the
// site.
type BearerJWT struct {
	// The id of another issuer, which is put in front of the names in its
	// tokens: `<id>/<name>`. Default: none, for the providers of the site.
	ID string `json:"id,omitempty"`

	// The other issuer, as its tokens spell it. Its keys are found by discovery.
	Issuer string `json:"issuer,omitempty"`

	// The names of this site in `aud`; a token must have one of them. Required,
	// unless `resource_metadata` is set, because the resource is always one.
	Audience []string `json:"audience,omitempty"`

	// `any` also accepts tokens whose `typ` header is `JWT` or absent. Default: only
	// `at+jwt` (RFC 9068).
	Typ string `json:"typ,omitempty"`

	// Signature algorithms to accept. Default: all asymmetric ones.
	Algs []string `json:"algs,omitempty"`

	// The other issuer's keys as a JWK Set document, instead of discovery.
	// `{file./path/keys.json}` reads it from a file, and rereads it when it
	// changes.
	JWKS string `json:"jwks,omitempty"`
}

// BearerIntrospection configures a provider that is asked about bearer tokens.
type BearerIntrospection struct {
	// The id of the provider. Default: the default provider, or the only one.
	Provider string `json:"provider,omitempty"`

	// The names of this site in `aud`. A token that names any audience must name
	// one of these.
	Audience []string `json:"audience,omitempty"`

	// Clients whose tokens are accepted even if the provider names no audience.
	Clients []string `json:"clients,omitempty"`

	// How long the provider's response is used, at most `30s`. Default: `30s`.
	Cache *caddy.Duration `json:"cache,omitempty"`
}

// ResourceMetadata configures the document that tells programs where to get a token
// (RFC 9728).
type ResourceMetadata struct {
	// The name that users see when they authorize a program.
	Name string `json:"name,omitempty"`

	// The scopes that programs may request.
	Scopes []string `json:"scopes,omitempty"`

	// The URL of a page for developers.
	Documentation string `json:"documentation,omitempty"`
}

// audienceMissing is the error for an option that needs an audience.
const audienceMissing = "audience is missing: name this site as tokens do in aud, or set resource_metadata"

var issuerID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// checkBearer returns an error for invalid options.
func (a *Application) checkBearer() error {
	if a.Bearer == nil {
		return a.ResourceMetadata.check()
	}
	if len(a.Bearer.JWT) == 0 && a.Bearer.Introspect == nil {
		return errors.New("application: bearer: needs jwt or introspect")
	}
	for i, jwt := range a.Bearer.JWT {
		if jwt == nil {
			return errors.New("application: bearer jwt: is null")
		}
		if err := jwt.check(a.ResourceMetadata != nil); err != nil {
			return fmt.Errorf("application: %s: %w", jwt.name(), err)
		}
		if slices.ContainsFunc(a.Bearer.JWT[:i], func(other *BearerJWT) bool { return other.ID == jwt.ID }) {
			return fmt.Errorf("application: %s appears twice", jwt.name())
		}
	}
	if a.Bearer.Introspect != nil {
		if err := a.Bearer.Introspect.check(a.ResourceMetadata != nil); err != nil {
			return fmt.Errorf("application: bearer introspect: %w", err)
		}
	}
	return a.ResourceMetadata.check()
}

// name returns the name of the option in a Caddyfile.
func (j *BearerJWT) name() string { return strings.TrimSpace("bearer jwt " + j.ID) }

func (j *BearerJWT) check(hasResource bool) error {
	switch {
	case j.ID == "" && (j.Issuer != "" || j.JWKS != ""):
		return errors.New("issuer and jwks are of a further issuer, which needs an id: bearer jwt <id>")
	case j.ID != "" && !issuerID.MatchString(j.ID):
		return errors.New("an id is made of 1 to 64 letters, digits, - and _")
	case slices.Contains([]string{program.KeyProvider, program.ClientProvider, "default"}, j.ID):
		return errors.New("the id is reserved")
	case j.ID != "" && j.Issuer == "":
		return errors.New("issuer is missing; without an id, the tokens are those of the site's providers")
	case j.Typ != "" && j.Typ != "any" && j.Typ != "at+jwt":
		return fmt.Errorf("typ %q is neither any nor at+jwt", j.Typ)
	case len(j.Audience) == 0 && !hasResource:
		return errors.New(audienceMissing)
	case slices.Contains(j.Audience, ""):
		return errors.New("audience: is empty")
	}
	for _, alg := range j.Algs {
		switch {
		case op.Symmetric(alg):
			return fmt.Errorf("algs: %s signs with a secret that this site would have to share; name algorithms with public keys", alg)
		case !op.KnownAlgorithm(alg):
			return fmt.Errorf("algs: %q is not known", alg)
		}
	}
	return nil
}

func (i *BearerIntrospection) check(hasResource bool) error {
	switch {
	case len(i.Audience)+len(i.Clients) == 0 && !hasResource:
		return errors.New(audienceMissing + "; for a provider that names no audience, name the client")
	case slices.Contains(i.Audience, "") || slices.Contains(i.Clients, ""):
		return errors.New("audience and client: a name is empty")
	case i.Cache != nil && (*i.Cache < 0 || time.Duration(*i.Cache) > bearer.MaxIntrospectionAge):
		return fmt.Errorf("cache must be between 0s and %s", bearer.MaxIntrospectionAge)
	}
	return nil
}

var scopeToken = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`) // RFC 6749 3.3

func (m *ResourceMetadata) check() error {
	if m == nil {
		return nil
	}
	for _, scope := range m.Scopes {
		if !scopeToken.MatchString(scope) {
			return fmt.Errorf("application: resource_metadata: scopes: %q is not a scope", scope)
		}
	}
	if m.Documentation != "" {
		if u, err := url.Parse(m.Documentation); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return errors.New("application: resource_metadata: documentation: is not an address of the web")
		}
	}
	return nil
}

// Kinds of blocks about bearer tokens.
var (
	jwtBlock              = &caddyargs.Kind{Name: "of bearer jwt", Place: "of bearer jwt", Options: jwtOptions.Names()}
	introspectBlock       = &caddyargs.Kind{Name: "of bearer introspect", Place: "of bearer introspect", Options: introspectOptions.Names()}
	resourceMetadataBlock = &caddyargs.Kind{Name: "of resource_metadata", Place: "of resource_metadata", Options: resourceMetadataOptions.Names()}
)

var jwtOptions = caddyargs.Table[*BearerJWT]{
	"issuer":   func(d *caddyfile.Dispenser, j *BearerJWT) error { return caddyargs.StringArg(d, &j.Issuer) },
	"audience": func(d *caddyfile.Dispenser, j *BearerJWT) error { return caddyargs.ListArg(d, &j.Audience) },
	"typ":      func(d *caddyfile.Dispenser, j *BearerJWT) error { return caddyargs.EnumArg(d, &j.Typ, "any", "at+jwt") },
	"algs":     func(d *caddyfile.Dispenser, j *BearerJWT) error { return caddyargs.ListArg(d, &j.Algs) },
	"jwks":     func(d *caddyfile.Dispenser, j *BearerJWT) error { return caddyargs.StringArg(d, &j.JWKS) },
}

var introspectOptions = caddyargs.Table[*BearerIntrospection]{
	"audience": func(d *caddyfile.Dispenser, i *BearerIntrospection) error { return caddyargs.ListArg(d, &i.Audience) },
	"client":   func(d *caddyfile.Dispenser, i *BearerIntrospection) error { return caddyargs.ListArg(d, &i.Clients) },
	"cache":    func(d *caddyfile.Dispenser, i *BearerIntrospection) error { return caddyargs.DurationArg(d, &i.Cache) },
}

var resourceMetadataOptions = caddyargs.Table[*ResourceMetadata]{
	"name":   func(d *caddyfile.Dispenser, m *ResourceMetadata) error { return caddyargs.StringArg(d, &m.Name) },
	"scopes": func(d *caddyfile.Dispenser, m *ResourceMetadata) error { return caddyargs.ListArg(d, &m.Scopes) },
	"documentation": func(d *caddyfile.Dispenser, m *ResourceMetadata) error {
		return caddyargs.StringArg(d, &m.Documentation)
	},
}

// parseBearer parses bearer jwt and bearer introspect.
func parseBearer(d *caddyfile.Dispenser, a *Application) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 || args[0] != "jwt" && args[0] != "introspect" {
		return d.Err("bearer is followed by jwt or introspect")
	}
	if len(args) == 2 && args[1] == "" {
		return d.Err("the id is empty")
	}
	if a.Bearer == nil {
		a.Bearer = new(Bearer)
	}
	place := caddyargs.At(d.Token())
	id := ""
	if len(args) == 2 {
		id = args[1]
	}
	if args[0] == "introspect" {
		if a.Bearer.Introspect != nil {
			return d.Err("bearer introspect appears twice")
		}
		a.Bearer.Introspect = &BearerIntrospection{Provider: id}
		_, err := introspectOptions.ReadBlock(d, introspectBlock, a.Bearer.Introspect)
		return err
	}
	jwt := &BearerJWT{ID: id}
	a.Bearer.JWT = append(a.Bearer.JWT, jwt)
	if _, err := jwtOptions.ReadBlock(d, jwtBlock, jwt); err != nil {
		return err
	}
	if err := jwt.check(true); err != nil { // resource_metadata may come later
		return place.WrapErr(fmt.Errorf("%s: %w", jwt.name(), err))
	}
	return nil
}

// parseResourceMetadata parses resource_metadata, whose block is optional.
func parseResourceMetadata(d *caddyfile.Dispenser, a *Application) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	a.ResourceMetadata = new(ResourceMetadata)
	_, err := resourceMetadataOptions.ReadBlock(d, resourceMetadataBlock, a.ResourceMetadata)
	return err
}
