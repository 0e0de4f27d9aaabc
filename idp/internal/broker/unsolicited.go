package broker

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// KindInitiate is the kind of requests of users whom an external provider sent
// without a request of ours. Broker.Initiator handles them.
const KindInitiate = "initiate"

// Offer is a user whom an external provider sent without a request of ours. The
// page posts Token in the field «token» to Action, with «continue» in the field
// «choice» if the user accepts. Any other choice continues without this user.
type Offer struct {
	External string // the id
	Title    string // display name of the external provider
	Name     string // the user's name at the external provider
	// Replaces is the current user, who would be signed out; nil for none.
	Replaces      *store.User
	Action, Token string
}

// Initiator handles requests of KindInitiate: it redirects the browser to the
// application, which begins a login of its own (OpenID Connect Core 4).
func (b *Broker) Initiator() request.Finisher { return initiator{b} }

type initiator struct{ b *Broker }

// Finish implements request.Finisher.
func (i initiator) Finish(w http.ResponseWriter, r *http.Request, req *request.Request, _ *store.Session, _ *store.User) {
	i.b.initiate(w, r, req.ClientID)
}

// Refuse implements request.Finisher. The application does not know of the request
// yet, so it is not notified.
func (i initiator) Refuse(w http.ResponseWriter, r *http.Request, _ *request.Request, code, _ string) {
	i.b.SignIn.Fail(w, r, "", &Failure{Kind: Denied, Err: errRefused(code)})
}

type errRefused string

func (e errRefused) Error() string { return "the sign-in was refused: " + string(e) }

// initiate redirects a browser to an application.
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
