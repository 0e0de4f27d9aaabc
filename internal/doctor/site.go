package doctor

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/bounded"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/knownusers"
)

// Place is what an instance needs in addition to its providers.
type Place struct {
	// Sessions is where sessions are kept: "cookie", or the name of a store. Ready
	// returns an error if the store cannot be used.
	Sessions string
	Ready    func(context.Context) error
	// Directories are the directories of known_users. Provider is the id of a
	// provider whose users they are asked about.
	Directories knownusers.Directories
	Provider    string
	// Guarded reports whether the instance guards pages, Public whether pages that no
	// route matches are public, and Partial whether its matcher limits it to some pages.
	Guarded, Public, Partial bool
	// Routes are the instance's routes as text, such as "public /a".
	Routes []string
	// Forecast returns the size of a session in bytes, and the number of cookies that
	// it takes. It is nil if the claims of a user are not known.
	Forecast func() (bytes, cookies int, err error)
	// Missing are the claims that the configuration uses but that user does not
	// have.
	Missing []identity.Finding
}

// Examine examines the place. It returns after a limited time.
func (p *Place) Examine(ctx context.Context) []Check {
	e := new(Examination)
	e.checkSessions(ctx, p)
	e.checkCookie(p)
	e.checkClaims(p.Missing)
	e.checkDirectories(ctx, p)
	e.reportPublic(p)
	return e.Checks
}

// checkSessions reports where sessions are kept, and whether the store answers.
func (e *Examination) checkSessions(ctx context.Context, p *Place) {
	const name = "sessions"
	switch p.Sessions {
	case "cookie":
		e.ok(name, "in cookies")
		return
	case "memory":
		e.info(name, "in Caddy's memory: they end when it exits, and are not shared with other nodes")
		return
	}
	_, err := bounded.Within(ctx, within, func(ctx context.Context) (struct{}, error) { return struct{}{}, p.Ready(ctx) })
	if err != nil {
		e.fail(name, fmt.Sprintf("the store %s does not answer: %v", p.Sessions, err), "Check that it is running, its address and credentials in session { store }, and the network.")
		return
	}
	e.ok(name, "in the store "+p.Sessions+", which answers")
}

// checkCookie reports the expected size of a session in cookies.
func (e *Examination) checkCookie(p *Place) {
	const name = "cookie"
	if p.Sessions != "cookie" {
		return
	}
	if p.Forecast == nil {
		e.info(name, "--claims <file> with the claims of a user forecasts its size")
		return
	}
	bytes, cookies, err := p.Forecast()
	if err != nil {
		e.fail(name, err.Error(), "Keep fewer claims, allow more cookies with max_chunks, or keep sessions in a store.")
		return
	}
	e.ok(name, fmt.Sprintf("a session with these claims takes %d bytes in %s; tokens that are kept come on top", bytes, count(cookies, "cookie")))
}

// checkClaims reports claims that the configuration uses and the user does not
// have.
func (e *Examination) checkClaims(missing []identity.Finding) {
	const name = "claims"
	for _, f := range missing {
		switch f.Kind {
		case identity.ClaimAbsent:
			e.warn(name, "the configuration names "+f.Name+", and these claims do not have it",
				"Check the spelling of the claim. If it is right, check whether it needs another scope, or must be released for this client at the provider.")
		case identity.EmailUnverified:
			e.warn(name, "the address in email does not count as verified: "+f.Detail, "Have the provider verify addresses, or set email_trusted if it vouches for them.")
		}
	}
}

// someUser is the name that directories are asked about. It does not matter
// whether they know it.
const someUser = "oidc-rp-check"

// checkDirectories reports whether the directories answer. It asks them
// concurrently.
func (e *Examination) checkDirectories(ctx context.Context, p *Place) {
	const name = "directories"
	errs := make([]error, len(p.Directories))
	var work sync.WaitGroup
	for n, entry := range p.Directories {
		user := knownusers.User{ID: someUser, Name: someUser, Provider: p.Provider, Default: true}
		if len(entry.Providers) > 0 {
			user.Provider = entry.Providers[0]
		}
		work.Go(func() {
			_, errs[n] = bounded.Within(ctx, within, func(ctx context.Context) (bool, error) { return entry.Directory.Knows(ctx, user) })
		})
	}
	work.Wait()
	for n, entry := range p.Directories {
		if errs[n] != nil {
			e.fail(name, fmt.Sprintf("known_users %s does not answer: %v", entry.Name, errs[n]), "Until it answers, users get 503. Check its address, its credentials and the network.")
		} else {
			e.ok(name, "known_users "+entry.Name+" answers")
		}
	}
}

// reportPublic reports which pages need no session, and why.
func (e *Examination) reportPublic(p *Place) {
	const name = "public"
	var public, private []string
	for _, route := range p.Routes {
		if path, ok := strings.CutPrefix(route, "public "); ok {
			public = append(public, path)
		} else {
			private = append(private, strings.TrimPrefix(route, "private "))
		}
	}
	switch {
	case !p.Guarded:
		return
	case p.Public && len(private) == 0:
		e.info(name, "every page, because the site is public and has no private route")
	case p.Public:
		e.info(name, "every page but "+strings.Join(private, ", ")+", since the site is public")
	case len(public) > 0:
		e.info(name, strings.Join(public, ", ")+": routes of the configuration")
	default:
		e.info(name, "no page")
	}
	if p.Partial {
		e.info(name, "pages that the matcher of oidc_rp does not match are not guarded at all")
	}
}
