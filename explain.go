package oidcrp

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/spf13/cobra"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/command"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/explain"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
)

// exitRefused is the exit code of the command explain if the user is refused.
const exitRefused = 3

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain --claims <file> [--config <file>] [--site <host>] [--path <path>] [--provider <id>]",
		Short: "Show whether rules let a user in at a path",
		Long: `
Reads a configuration, and shows what its rules make of a user who signs in with
the claims of a file: the readings of the path with the routes that apply to them,
each rule, and the verdict. The file is a JSON object with the claims of an ID
token and of userinfo.

Nothing is started, and no provider is asked. The directories of known_users are.

Exits 0 if the user is let in, 3 if not, and 1 on error.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().String("claims", "", "JSON file with the user's claims")
	cmd.Flags().String("site", "", "Host name of the site (default: the only one)")
	cmd.Flags().String("path", "/", "Path and query of the request")
	cmd.Flags().String("provider", "", "Id of the provider that signs the user in (default: the default provider)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
			report, err := explainAccess(fl)
			if err != nil {
				return caddy.ExitCodeFailedStartup, err
			}
			cmd.SilenceUsage = true
			write := report.WriteText
			if fl.Bool("json") {
				write = report.WriteJSON
			}
			if err := write(cmd.OutOrStdout()); err != nil {
				return caddy.ExitCodeFailedStartup, err
			}
			if report.Verdict != explain.Allowed {
				cmd.SilenceErrors = true // the report has the result
				return exitRefused, nil
			}
			return caddy.ExitCodeSuccess, nil
		})(cmd, args)
	}
	return cmd
}

// explainAccess runs the command explain with its flags.
func explainAccess(fl caddycmd.Flags) (*explain.Report, error) {
	if fl.String("claims") == "" {
		return nil, errors.New("--claims is missing: a JSON file with the claims of the user")
	}
	claims, err := readClaims(fl.String("claims"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fl.String("claims"), err)
	}
	target, err := url.ParseRequestURI(fl.String("path"))
	if err != nil || !strings.HasPrefix(fl.String("path"), "/") {
		return nil, fmt.Errorf("--path %q is not the path of a request", fl.String("path"))
	}
	app, loaded, err := provisionToExplain(fl.String("config"), fl.String("adapter"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = loaded.Close() }()
	h, site, err := app.instanceAt(fl.String("site"))
	if err != nil {
		return nil, err
	}
	id := fl.String("provider")
	if id == "" && h.instance.Default != nil {
		id = h.instance.Default.ID
	}
	if id == "" {
		return nil, fmt.Errorf("the site has several providers and no default provider; name one with --provider: %s", strings.Join(slices.Sorted(maps.Keys(h.instance.Providers)), ", "))
	}
	if h.instance.Providers[id] == nil {
		return nil, suggest.Hint(fmt.Errorf("the site has no provider %q", id), id, slices.Collect(maps.Keys(h.instance.Providers))...)
	}
	e := &explanation{h: h, provider: h.instance.Providers[id], claims: claims}
	e.report = explain.Report{Site: site, Path: fl.String("path"), Provider: id, Rules: []explain.Rule{}}
	return &e.report, e.explain(target, site)
}

// readClaims reads the claims of a user. sub may be missing.
func readClaims(file string) (claims op.Claims, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &claims); err != nil || claims == nil {
		return nil, errors.New("is not a JSON object of claims")
	}
	if claims["sub"] == nil {
		claims["sub"] = json.RawMessage(`"explained"`)
	}
	return claims, nil
}

// provisionToExplain loads a configuration as caddy validate does, and logs only
// errors.
func provisionToExplain(file, adapter string) (*App, *command.Loaded, error) {
	loaded, err := command.Load(file, adapter)
	if err != nil {
		return nil, loaded, err
	}
	module, err := loaded.Context.AppIfConfigured("oidc_rp")
	if err != nil {
		return nil, loaded, errors.New("the configuration has no oidc_rp")
	}
	app := module.(*App)
	loaded.Close = app.Cleanup
	app.linkInstances()
	return app, loaded, nil
}

// instanceAt returns the instance that guards the site of a host, and the name of
// the site. If host is empty, there must be only one instance.
func (a *App) instanceAt(host string) (h *Handler, site string, err error) {
	var found []*Handler
	var sites []string
	for _, h := range a.handlers {
		if h.Mode == modeEndpoints {
			continue
		}
		name := strings.Join(h.hosts, ", ")
		if host == "" || slices.ContainsFunc(h.hosts, func(own string) bool { return strings.EqualFold(own, host) }) {
			found = append(found, h)
			site = name
		}
		if !slices.Contains(sites, name) {
			sites = append(sites, name)
		}
	}
	slices.Sort(sites)
	switch {
	case len(found) == 1 && host != "":
		return found[0], host, nil
	case len(found) == 1:
		return found[0], site, nil
	case len(found) == 0:
		return nil, "", suggest.Hint(fmt.Errorf("no oidc_rp guards a site %q; there are: %s", host, strings.Join(sites, "; ")), host, sites...)
	case host == "":
		return nil, "", fmt.Errorf("several sites have oidc_rp; name one with --site: %s", strings.Join(sites, "; "))
	}
	return nil, "", fmt.Errorf("the site %s has several oidc_rp; which one a request reaches depends on its routes", host)
}

// explanation produces one report.
type explanation struct {
	h        *Handler
	provider *flow.Provider
	claims   op.Claims
	report   explain.Report
}

// explain fills the report for a request of the user.
func (e *explanation) explain(target *url.URL, site string) error {
	r := httptest.NewRequest(http.MethodGet, "https://"+hostOfSite(site)+"/", nil)
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = target.Path, target.RawPath, target.RawQuery
	r.RequestURI = target.RequestURI()
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server))
	x, st := exchangeOf(e.h, w, r)
	original := e.h.instance.Server.OriginalURL(r)
	user, unknown, err := e.signIn(&x)
	if err != nil {
		return err
	}
	policy, err := e.h.policy(r, original)
	if err != nil {
		return err
	}
	if err := e.readings(r); err != nil {
		return err
	}
	if unknown != "" {
		e.report.Verdict, e.report.Reason = explain.Refused, unknown
		return nil
	}
	e.report.User = user.ID()
	subject := st.Subject(st)
	e.rules(policy, &subject)
	e.verdict(policy, e.h.decide(&x, st, policy))
	return nil
}

// hostOfSite returns a host name for a request to a site.
func hostOfSite(site string) string {
	host, _, _ := strings.Cut(site, ",")
	if host == "" || strings.HasPrefix(host, ":") {
		return "localhost"
	}
	return strings.Replace(host, "*", "any", 1)
}

// signIn makes the request come from the user with the claims. unknown is why such
// a user could not sign in.
func (e *explanation) signIn(x *flow.Exchange) (user identity.User, unknown string, err error) {
	p := e.provider
	if p.Disabled {
		return user, "the provider is disabled", nil
	}
	s, err := e.newSession()
	if errors.Is(err, identity.ErrNoUsername) {
		return user, err.Error(), nil
	}
	if err != nil {
		return user, "", err
	}
	if failure := x.Assume(p, s); failure != nil {
		return user, failure.Error(), nil
	}
	return x.State.User(), "", nil
}

// newSession returns the session that a login with the claims would create.
func (e *explanation) newSession() (*session.Session, error) {
	p := e.provider
	s, _, err := p.Mapping.NewSession(identity.Union(e.h.instance.Needs), identity.SignIn{
		Transaction: new(session.Transaction), Sources: identity.Sources{IDToken: e.claims}, Scopes: append([]string{"openid"}, p.Client.Scopes...),
		Binding: p.Binding, Now: e.h.now(), Lifetime: e.h.instance.Lifetime,
	})
	return s, err
}

// readings lists the readings of the path with their routes.
func (e *explanation) readings(r *http.Request) (err error) {
	original := e.h.instance.Server.OriginalURL(r)
	visit := func() bool {
		covered, route, failed := routeAsRead(e.h, r)
		reading := explain.Reading{Path: r.URL.Path, Route: e.h.Mode}
		switch {
		case !covered:
			reading.Route = "not guarded"
		case route != nil:
			reading.Route = e.nameOf(route)
		}
		e.report.Readings = append(e.report.Readings, reading)
		err = failed
		return err == nil
	}
	if address.HasOneReading(original, r.URL) {
		visit()
	} else if !address.EachReading(original, r.URL, visit) && err == nil {
		e.report.Readings = []explain.Reading{{Path: r.URL.Path, Route: "too many readings: the rules of all routes apply"}}
	}
	slices.Reverse(e.report.Readings) // the current path is looked at last
	return err
}

// nameOf returns the name of a route.
func (e *explanation) nameOf(route *Route) string {
	return route.Mode + " " + siteconfig.RouteName(route.matchers, slices.Index(e.h.Routes, route))
}

// rules adds the applicable rules and their results to the report.
func (e *explanation) rules(policy authz.Policy, subject *authz.Subject) {
	own := make(map[string]bool)
	for _, set := range e.h.rules {
		for _, result := range set.Results(subject) {
			own[result.Line] = true
		}
	}
	listed := make(map[explain.Rule]bool)
	for _, set := range policy.Rules {
		for _, result := range set.Results(subject) {
			rule := explain.Rule{Rule: result.Line, Place: "site", Result: explain.Satisfied}
			if !own[result.Line] {
				rule.Place = e.placeOf(set)
			}
			switch {
			case result.Satisfied:
			case result.Asks:
				rule.Result = explain.Asks
			default:
				rule.Result = explain.Refuses
			}
			if !listed[rule] {
				listed[rule] = true
				e.report.Rules = append(e.report.Rules, rule)
			}
		}
	}
}

// placeOf returns the name of the route that a set of rules belongs to.
func (e *explanation) placeOf(set *authz.Set) string {
	for _, route := range e.h.Routes {
		if slices.Contains(route.rules, set) {
			return e.nameOf(route)
		}
	}
	return "site"
}

// verdict says what happens to the request.
func (e *explanation) verdict(policy authz.Policy, decision authz.Decision) {
	verdict, reason := explain.Allowed, "all rules are satisfied"
	switch {
	case !policy.Guarded:
		reason = "the guard does not cover this path"
	case decision.Action == authz.PassAnonymous && decision.Rule != nil:
		reason = "the page is public, and the user is anonymous there: " + decision.Rule.String()
	case policy.Public:
		reason = "the page is public"
	case decision.Action == authz.Forbidden:
		verdict, reason = explain.Refused, decision.Rule.String()
	case decision.Action == authz.Serve && len(policy.Rules) == 0:
		reason = "there are no rules"
	case decision.Action != authz.Serve && decision.Rule != nil:
		verdict, reason = explain.SignIn, decision.Rule.String()
	case decision.Action != authz.Serve:
		verdict, reason = explain.SignIn, "the sign-in is not what authorization_params demand"
	}
	e.report.Verdict, e.report.Reason = verdict, reason
}
