package flow

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file lets users choose the provider to sign in with. The page has a link for
// each provider, and a form for users who only know their e-mail address. The page
// sets no cookie and redirects only if its own form was sent.

// originsTimeout bounds how long the page waits for the metadata of providers, for
// form-action in its Content-Security-Policy.
const originsTimeout = time.Second

// choice is a login whose provider has not been chosen yet.
type choice struct {
	*Exchange
	returnTo string
	proof    op.Proof
	// asked are those parameters of the login link that some provider accepts.
	asked url.Values
}

// offersLogin reports whether a login with p is possible, or, if p is nil, with any
// provider of the site.
func (in *Instance) offersLogin(p *Provider) bool {
	if p != nil {
		return !p.Disabled
	}
	return len(in.choices()) > 0
}

// choices returns the enabled providers of all instances that share the endpoints
// of this one.
func (in *Instance) choices() (all []*Provider) {
	seen := make(map[string]bool)
	for _, n := range append([]*Instance{in}, in.Siblings...) {
		for _, p := range n.InOrder {
			if n.Endpoints == in.Endpoints && !p.Disabled && !seen[p.ID] {
				seen[p.ID] = true
				all = append(all, p)
			}
		}
	}
	return all
}

// choose redirects a user who opened a private page to the chooser. The login
// returns to that page and demands proof.
func (x *Exchange) choose(proof op.Proof) error {
	if !x.offersLogin(nil) {
		return x.respondAllDisabled()
	}
	l := login{Exchange: *x, keeps: true}
	l.returnTo = address.Shorten(l.returnToPage(l.Scope()), session.MaxReturn)
	if f := l.rejectsCookies(); f != nil {
		return l.respondForbidden(f)
	}
	location := x.loginURL(nil, l.returnTo, proof)
	if key := l.fragmentKey(l.Scope(), rand.Text()); key != "" {
		return l.fragmentPage(http.StatusUnauthorized, pages.Data{Next: withQuery(location, keptFragment+"="+key), Keep: key})
	}
	return pages.Redirect(x.W, http.StatusFound, location)
}

func (x *Exchange) respondAllDisabled() error {
	return x.respondForbidden(&Failure{Code: errorcode.Forbidden, Cause: errorcode.ErrAllDisabled})
}

// serveChooser shows the chooser, or begins the login that its form asks for.
func serveChooser(x *Exchange, _ *Provider) error {
	if !x.offersLogin(nil) {
		return x.respondAllDisabled()
	}
	c, err := x.choice()
	if err != nil {
		return x.respondError(&Failure{Code: errorcode.BadRequest, Cause: err, ReturnTo: c.returnTo})
	}
	name := x.query(identifierField).Get(identifierField)
	if p := providerOf(name, x.choices()); p != nil && !navigation.IsSubresource(x.R) && !isCrossSite(x.R, x.Scope()) {
		return c.begin(p, url.Values{"login_hint": {strings.TrimSpace(name)}})
	}
	return c.show(name != "")
}

// choice reads the parameters of the login.
func (x *Exchange) choice() (c choice, err error) {
	names := []string{"returnto", "prompt", "display", "acr_values", "max_age", keptFragment}
	for _, p := range x.choices() {
		names = append(names, p.Forward...)
	}
	query := x.query(names...)
	x.preferLanguages(query.Get(uiLocales))
	c.Exchange = x
	if returnTo, ok := x.checkReturn(x.Scope(), query.Get("returnto")); ok {
		c.returnTo = returnTo
	}
	c.proof, err = proofOfLink(query)
	for _, name := range []string{"returnto", "acr_values", "max_age"} {
		query.Del(name)
	}
	c.asked = query
	return c, err
}

// begin begins a login with a provider of the page, at the instance that has it.
func (c *choice) begin(p *Provider, extra url.Values) error {
	at := c.Instance
	if at.Providers[p.ID] != p {
		i := slices.IndexFunc(at.Siblings, func(n *Instance) bool { return n.Providers[p.ID] == p })
		at = at.Siblings[i]
	}
	l := login{Exchange: at.At(c.W, c.R, c.State), provider: p, returnTo: c.returnTo, proof: c.proof, extra: extra, popup: c.asked.Get("display") == "popup"}
	l.fragment = l.keptBefore(c.asked.Get(keptFragment), l.returnTo)
	return l.beginRequested()
}

// loginURL returns the address that begins the login with p.
func (c *choice) loginURL(p *Provider) string {
	location := c.Instance.loginURL(p, c.returnTo, c.proof)
	if parameters := c.parametersFor(p.Forward).Encode(); parameters != "" {
		return withQuery(location, parameters)
	}
	return location
}

// parametersFor returns the parameters that our login endpoint reads itself, and
// those that it forwards to the provider.
func (c *choice) parametersFor(forward []string) url.Values {
	kept := make(url.Values)
	for name := range c.asked {
		value := c.asked.Get(name)
		ours := name == "prompt" && value == selectAccount || name == "display" && value == "popup" || name == keptFragment && isFragmentKey(value)
		if ours || value != "" && len(value) <= 500 && slices.Contains(forward, name) {
			kept.Set(name, value)
		}
	}
	return kept
}

// show renders the page. sought reports whether the form was sent but matched no
// provider.
func (c *choice) show(sought bool) error {
	all := c.choices()
	shown := pages.Data{
		TitleKey: "chooser.title", Sought: sought, Action: c.Endpoints + "/", MaxLength: maxIdentifier,
		Fields: make(map[string]string),
	}
	if len(all) > 1 {
		shown.Field = identifierField
	}
	remembered, viewer := "", c.viewer()
	if viewer != nil {
		user := viewer.User()
		shown.TitleKey, shown.User = "chooser.title_signed_in", user.ID()
		if user.Several {
			shown.Provider = viewer.provider.Name
		}
	} else if len(all) > 1 {
		remembered = c.rememberedChoice(c.Scope())
	}
	for _, p := range all {
		choice := pages.Choice{ID: p.ID, Name: p.Name, URL: c.loginURL(p), Remembered: p.ID == remembered}
		if viewer != nil && viewer.provider.ID == p.ID && !c.asked.Has("prompt") {
			choice.URL = withAnotherAccount(choice.URL)
		}
		if choice.Remembered {
			shown.Choices = slices.Insert(shown.Choices, 0, choice)
		} else {
			shown.Choices = append(shown.Choices, choice)
		}
		for name, values := range c.parametersFor(p.Forward) {
			shown.Fields[name] = values[0]
		}
	}
	if c.returnTo != "" {
		shown.Fields["returnto"] = c.returnTo
	}
	for name, values := range parametersOfProof(c.proof) {
		shown.Fields[name] = values[0]
	}
	page, err := c.page(pages.Chooser, shown)
	if err != nil {
		return err
	}
	origins := originsOf(c.R.Context(), all)
	if c.LoginHost.At != nil {
		origins = append(origins, c.LoginHost.At.String())
	}
	return page.WriteForm(c.W, c.R, http.StatusOK, origins)
}

// originsOf returns the origins of the authorization endpoints of the providers,
// sorted.
func originsOf(ctx context.Context, all []*Provider) []string {
	ctx, cancel := context.WithTimeout(ctx, originsTimeout)
	defer cancel()
	found := make([]string, len(all))
	var wait sync.WaitGroup
	for i, p := range all {
		wait.Go(func() {
			location := p.Mapping.Issuer
			if metadata, err := p.Client.Discovery.Metadata(ctx); err == nil {
				location = metadata.Endpoints.Authorization
			}
			if u, err := url.Parse(location); err == nil {
				if origin, ok := address.FromRequest(u.Scheme, u.Host); ok {
					found[i] = origin.String()
				}
			}
		})
	}
	wait.Wait()
	slices.Sort(found)
	return slices.DeleteFunc(slices.Compact(found), func(origin string) bool { return origin == "" })
}
