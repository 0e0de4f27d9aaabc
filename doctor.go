package oidcrp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/certmagic"
	"github.com/spf13/cobra"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/command"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/doctor"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/loadcheck"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// This file implements the command check: it loads a configuration and has package
// doctor examine it.

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [--config <file>] [--adapter <name>] [--site <host>] [--claims <file>] [--no-credentials] [--strict]",
		Short: "Find out whether a configuration works, with its providers",
		Long: `
Reads a configuration, and examines what it needs to work: asks each provider for its
metadata and keys, compares clocks, tries the credentials and the redirect URI, and
looks at the storage, the session store and the directories. Prints for each what it
has found, and what to do about it, and the addresses to register.

The credentials are tried with a code that the provider never issued. Its answer shows
whether it accepts the client, and holds no token. A second attempt, with a wrong secret
or an unknown client, shows whether the provider looks at them at all. --no-credentials
leaves both out.

Starts nothing. Writes one key to the storage, and removes it. Run it as the user who
runs Caddy.

Exits 0 if nothing is wrong, 1 on warnings with --strict, and 2 on failures.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().String("site", "", "Host name of the site (default: all)")
	cmd.Flags().String("claims", "", "JSON file with the claims of a user: is all there that the configuration names, and how large are cookies?")
	cmd.Flags().Bool("no-credentials", false, "Do not try the credentials of clients")
	cmd.Flags().Bool("strict", false, "Exit 1 on warnings")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		code := 0
		err := caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			context.AfterFunc(ctx, stop) // a second signal ends the process at once
			report, err := checkConfiguration(ctx, fl)
			if err != nil {
				return caddy.ExitCodeFailedStartup, err
			}
			cmd.SilenceUsage, cmd.SilenceErrors = true, true // the report has the error
			out := cmd.OutOrStdout()
			if fl.Bool("json") {
				err = report.WriteJSON(out)
			} else {
				err = report.WriteText(out, command.IsTerminal(out))
			}
			if err != nil {
				return caddy.ExitCodeFailedStartup, err
			}
			code = report.ExitCode(fl.Bool("strict"))
			return code, nil
		})(cmd, args)
		if err == nil && code != 0 {
			return errWarnings // Caddy itself uses the larger exit codes
		}
		return err
	}
	return cmd
}

var errWarnings = errors.New("there are warnings")

// checkConfiguration runs the command check with its flags.
func checkConfiguration(ctx context.Context, fl caddycmd.Flags) (*doctor.Report, error) {
	app, loaded, err := provisionToExplain(fl.String("config"), fl.String("adapter"))
	if err != nil {
		return doctor.CannotLoad(loaded.File, err), nil
	}
	defer func() { _ = loaded.Close() }()
	c := &checkup{app: app, subjects: make(map[*flow.Provider]int)}
	if err := c.collect(fl.String("site")); err != nil {
		return nil, err
	}
	c.tryCredentials = !fl.Bool("no-credentials")
	if file := fl.String("claims"); file != "" {
		if c.claims, err = readClaims(file); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	report := c.examine(ctx)
	report.Config = loaded.File
	storage := storageOf(loaded)
	report.Checks = append(report.Checks, storage.Examine(ctx))
	report.AddFindings(loadcheck.Inspect(app.sites))
	for _, w := range loaded.Warnings {
		report.AddWarning(w.Message, w.Fields)
	}
	report.Count()
	return report, nil
}

// checkup produces one report.
type checkup struct {
	app            *App
	tryCredentials bool
	claims         op.Claims // claims of a sample user; may be nil
	sites          []*checkedSite
	// subjects has the index in examined of each provider. Shared providers are
	// examined once.
	subjects map[*flow.Provider]int
	examined []doctor.Subject
}

// checkedSite is one site with its instances.
type checkedSite struct {
	name     string
	handlers []*Handler
}

// collect collects the sites, or only that of host if it is not empty.
func (c *checkup) collect(host string) error {
	var names []string
	for _, h := range c.app.handlers {
		name := c.siteName(h)
		names = append(names, name)
		if host != "" && !slices.ContainsFunc(h.hosts, func(own string) bool { return address.HostMatches(own, host) }) && name != host {
			continue
		}
		n := slices.IndexFunc(c.sites, func(s *checkedSite) bool { return s.name == name })
		if n < 0 {
			n = len(c.sites)
			c.sites = append(c.sites, &checkedSite{name: name})
		}
		c.sites[n].handlers = append(c.sites[n].handlers, h)
	}
	// Caddy provisions its servers in any order.
	slices.SortStableFunc(c.sites, func(a, b *checkedSite) int { return c.indexOfSite(a.handlers[0]) - c.indexOfSite(b.handlers[0]) })
	if len(c.sites) == 0 && host != "" {
		return suggest.Hint(fmt.Errorf("no oidc_rp is at a site %s; there are: %s", host, strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), "; ")), host, names...)
	}
	return nil
}

// siteName returns the name of the site of an instance.
func (c *checkup) siteName(h *Handler) string {
	if n := c.indexOfSite(h); n >= 0 {
		return loadcheck.NameOf(c.app.sites, n)
	}
	return httpconfig.SiteName(h.hosts, nil)
}

// indexOfSite returns the index of an instance's site in the configuration, or -1.
func (c *checkup) indexOfSite(h *Handler) int {
	return loadcheck.PlaceOf(c.app.sites, h.hosts, h.listen)
}

// examine examines everything concurrently, and returns the report in order.
func (c *checkup) examine(ctx context.Context) *doctor.Report {
	report := &doctor.Report{Sites: []doctor.Site{}, Checks: []doctor.Check{}}
	for _, s := range c.sites {
		report.Sites = append(report.Sites, c.prepare(s))
	}
	found := make([][]doctor.Check, len(c.examined))
	var work sync.WaitGroup
	for n := range c.examined {
		work.Go(func() { found[n] = c.examined[n].Examine(ctx) })
	}
	for n, s := range c.sites {
		work.Go(func() {
			for _, h := range s.handlers {
				report.Sites[n].Add(c.placeOf(h).Examine(ctx))
			}
		})
	}
	work.Wait()
	shown := make(map[int]string)
	for n, s := range c.sites {
		for m, p := range s.providers() {
			to, subject := &report.Sites[n].Providers[m], c.subjects[p]
			if to.As = shown[subject]; to.As == "" {
				shown[subject] = s.name
			}
			to.Checks = found[subject]
		}
	}
	return report
}

// providers returns the providers of a site, each once.
func (s *checkedSite) providers() (all []*flow.Provider) {
	for _, h := range s.handlers {
		for _, p := range h.instance.InOrder {
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}

// prepare returns the report on a site without the results of examinations, which
// it adds to the work.
func (c *checkup) prepare(s *checkedSite) doctor.Site {
	site := doctor.Site{Name: s.name, Providers: []doctor.Provider{}, Checks: []doctor.Check{}}
	for _, p := range s.providers() {
		reported := doctor.Provider{ID: p.ID, Issuer: p.Mapping.Issuer, Checks: []doctor.Check{}, Register: []doctor.Address{}}
		if _, ok := c.subjects[p]; !ok {
			c.subjects[p] = len(c.examined)
			c.examined = append(c.examined, doctor.Subject{
				Client: p.Client, SkipEndSession: p.SkipEndSession, Disabled: p.Disabled, TryCredentials: c.tryCredentials, Now: c.app.clock.Now,
				Inspect: c.app.inspectBuiltin,
			})
		}
		subject := &c.examined[c.subjects[p]]
		for _, r := range c.registrations(s, p) {
			reported.Register = append(reported.Register, doctor.AddressesOf(r)...)
			if !strings.Contains(r.Origin, "<") {
				subject.RedirectURIs = append(subject.RedirectURIs, r.RedirectURI)
			}
		}
		for _, h := range s.handlers {
			if h.instance.Providers[p.ID] == p {
				subject.Rules = append(subject.Rules, rulesAt(h)...)
			}
		}
		site.Providers = append(site.Providers, reported)
	}
	return site
}

// rulesAt returns all rules of an instance.
func rulesAt(h *Handler) (all []*authz.Rule) {
	for _, set := range h.allRules {
		set.Each(func(rule *authz.Rule, use authz.Use) bool {
			if use == authz.Required {
				all = append(all, rule)
			}
			return true
		})
	}
	return all
}

// placeOf describes an instance.
func (c *checkup) placeOf(h *Handler) *doctor.Place {
	kind, _ := storeKind(h.session.StoreRaw) // the instance has read it
	p := &doctor.Place{
		Sessions: kind, Ready: h.instance.Sessions.Ready, Directories: h.instance.KnownUsers,
		Guarded: h.Mode != modeEndpoints, Public: h.Mode == modePublic, Partial: len(h.guard) > 0,
	}
	e := &explanation{h: h, claims: c.claims}
	for _, route := range h.Routes {
		p.Routes = append(p.Routes, e.nameOf(route))
	}
	for _, provider := range h.instance.InOrder {
		if p.Provider == "" || provider == h.instance.Default {
			p.Provider, e.provider = provider.ID, provider
		}
	}
	if c.claims != nil && e.provider != nil {
		p.Forecast = func() (int, int, error) { return forecast(e) }
		p.Missing = e.provider.Mapping.Missing(identity.Union(h.instance.Needs), nil, op.Tokens{}, identity.Sources{IDToken: c.claims})
	}
	return p
}

// forecast returns the size in bytes of a user's session, and the number of
// cookies.
func forecast(e *explanation) (bytes, cookies int, err error) {
	s, err := e.newSession()
	if err != nil {
		return 0, 0, err
	}
	ring, err := seal.NewRing([]byte(rand.Text() + rand.Text()))
	if err != nil {
		return 0, 0, err
	}
	chunks, err := e.h.instance.Sessions.Update(context.Background(), ring, "", nil, s)
	for _, chunk := range chunks {
		bytes += len(chunk)
	}
	return bytes, len(chunks), err
}

// registrations returns what has to be registered at a provider for a site. If the
// configuration names no host, the registration has a placeholder for it.
func (c *checkup) registrations(s *checkedSite, p *flow.Provider) (all []loadcheck.Registration) {
	var served *Handler // the instance that serves the endpoints
	for _, h := range s.handlers {
		if p.Client.Discovery.InProcess() != nil || h.instance.LoginHost.At != nil || h.instance.Providers[p.ID] != p {
			continue
		}
		served = h
		for _, r := range loadcheck.Registrations(loadcheck.Alone(c.app.sites, c.indexOfSite(h))) {
			origin, err := address.ParseOrigin(r.Origin)
			if err != nil || r.Provider != p.ID || r.Issuer != p.Mapping.Issuer || slices.Contains(all, r) {
				continue
			}
			if h.base != nil && *h.base == origin || h.base == nil && slices.ContainsFunc(h.hosts, func(host string) bool { return address.HostMatches(host, origin.Host) }) {
				all = append(all, r)
			}
		}
	}
	if len(all) > 0 || served == nil || p.Disabled {
		return all
	}
	r := loadcheck.Registration{
		Origin: "https://<host>", Provider: p.ID, Prefix: served.Endpoints, PublishesKeys: len(p.PublicKeys().Keys) > 0,
		RedirectURI: "https://<host>" + served.Endpoints + "/" + p.ID + "/code",
	}
	if p.RedirectPath != "" {
		r.RedirectURI = r.Origin + p.RedirectPath
	}
	return append(all, r)
}

// storageOf returns the storage of a configuration.
func storageOf(loaded *command.Loaded) doctor.Storage {
	s := doctor.Storage{Storage: loaded.Context.Storage(), Kind: loaded.Storage}
	if s.Kind == "" {
		s.Kind = "file_system"
	}
	if files, ok := s.Storage.(*certmagic.FileStorage); ok {
		s.Folder = files.Path
		_, err := os.Stat(files.Path)
		s.Missing = errors.Is(err, os.ErrNotExist)
	}
	return s
}
