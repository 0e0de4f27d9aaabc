package doctor

import "github.com/caddy-oidc-rp/caddy-oidc-rp/internal/loadcheck"

// AddressesOf returns the URIs of a site to register at the provider.
func AddressesOf(r loadcheck.Registration) []Address {
	endpoint := r.Origin + r.Prefix + "/" + r.Provider
	all := []Address{
		{"redirect URI", r.RedirectURI},
		{"post-logout redirect URI", endpoint + "/signedout"},
		{"back-channel logout URI", endpoint + "/backchannel-logout"},
		{"front-channel logout URI", endpoint + "/frontchannel-logout"},
		{"initiate login URI", endpoint + "/initiate"},
	}
	if r.PublishesKeys {
		all = append(all, Address{"JWKS URI", endpoint + "/jwks"})
	}
	return all
}
