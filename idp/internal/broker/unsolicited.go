package broker

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// KindInitiate is the kind of the requests that lead to an application which a
// user was sent to by an external provider. Register Broker.Initiator for it.
const KindInitiate = "initiate"

// Offer is a user whom an external provider sent without having been asked. The
// page posts Token as the field «token» to Action, with the field «choice»:
// «continue» if the user agrees. Anything else leads on without this user.
type Offer struct {
	External string // the id
	Title    string // what pages call the external provider
	Name     string // what the external provider calls the user
	// Replaces is the user who is signed in now and would be signed out; nil for
	// none.
	Replaces      *store.User
	Action, Token string
}

// Initiator answers requests of KindInitiate: it sends the browser to the
// application, which begins a login of its own (OpenID Connect Core 4).
func (b *Broker) Initiator() request.Finisher { return initiator{b} }

type initiator struct{ b *Broker }

// Finish implements request.Finisher.
func (i initiator) Finish(w http.ResponseWriter, r *http.Request, req *request.Request, _ *store.Session, _ *store.User) {
	i.b.initiate(w, r, req.ClientID)
}

// Refuse implements request.Finisher. The application
// knows nothing of it yet, so it hears of nothing.
func (i initiator) Refuse(w http.ResponseWriter, r *http.Request, _ *request.Request, code, _ string) {
	i.b.SignIn.Fail(w, r, "", &Failure{Kind: Denied, Err: errRefused(code)})
}

type errRefused string

func (e errRefused) Error() string { return "the sign-in was refused: " + string(e) }

// initiate leads a browser to an application.
func (b *Broker) initiate(w http.ResponseWriter, r *http.Request, clientID string) {
	address := b.InitiateURL(clientID)
	if address == "" {
		address = b.Issuer + "/account"
	} else {
		separator := "?"
		if strings.Contains(address, "?") {
			separator = "&"
		}
		address += separator + url.Values{"iss": {b.Issuer}}.Encode()
	}
	secure(w)
	b.SignIn.Redirect(w, r, address)
}
