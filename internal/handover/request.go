package handover

import (
	"errors"
	"net/url"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// Request is what a site asks of its login host: to log a user in or out.
type Request struct {
	Origin string    // origin of the site
	Prefix string    // path prefix of the site's endpoints
	At     time.Time // when the request was made, to the second
	// Store names the site's session store, which must be the same as that of the login
	// host.
	Store string

	// Transaction is the login in progress at the site; zero if the session's
	// cookie reaches both hosts.
	Transaction TransactionHash
	// Providers are the providers that the site accepts. Wanted is the id of the
	// one that the login is for; empty for any.
	Providers []Accepted
	Wanted    string
	// MaxAge and ACR are what the login has to prove; see op.Proof.
	MaxAge *time.Duration
	ACR    [][]string
	// Requested are the claims that the site needs.
	Requested session.Names
	// Parameters are further parameters of the authorization request: the prompt,
	// and those that the site forwards.
	Parameters url.Values

	// Cookie names the session's cookie and its domain, if it reaches both hosts.
	// The login host then redirects to Return, without a ticket.
	Cookie, Return string

	// Ended is the session at the login host that a logout at the site has ended,
	// and User the user's name there.
	Ended session.ID
	User  string
}

// Accepted is a provider that a site accepts: its id there, and its issuer and
// client id.
type Accepted struct {
	ID      string
	Binding session.Binding
}

// ErrNone means that the bytes are not a request or a record of this version.
var ErrNone = errors.New("not a handover")

const (
	requestVersion = 1
	// maxRequest is the maximum size in bytes of an encoded request, which is part
	// of a URL.
	maxRequest = 2200
	// maxLists is the maximum number of elements in a list.
	maxLists = 64
)

// Tags of a request's fields. Never reuse a number for another field. Unknown tags
// are refused, since they could be demands.
const (
	tagEnd = iota
	tagOrigin
	tagPrefix
	tagStore
	tagTransaction
	tagProvider
	tagWanted
	tagMaxAge
	tagACR
	tagRequested
	tagParameters
	tagCookie
	tagReturn
	tagEnded
	tagUser
)

// IsSignOut reports whether the request is a logout.
func (r *Request) IsSignOut() bool { return r.Ended != session.ID{} }

// IsOver reports whether the request is too old, or dated in the future.
func (r *Request) IsOver(now time.Time) bool { return !isWithin(r.At, now, RequestLifetime) }

// Accepts returns the provider with the given binding, if the site accepts it.
func (r *Request) Accepts(binding session.Binding) (Accepted, bool) {
	for _, a := range r.Providers {
		if a.Binding == binding && (r.Wanted == "" || r.Wanted == a.ID) {
			return a, true
		}
	}
	return Accepted{}, false
}

// Encode returns the encoded request.
func (r *Request) Encode() []byte {
	var w wire.Writer
	w.Byte(requestVersion)
	w.Seconds(r.At)
	w.Tagged(tagOrigin, r.Origin)
	w.Tagged(tagPrefix, r.Prefix)
	w.Tagged(tagStore, r.Store)
	if r.Transaction != (TransactionHash{}) {
		w.Tagged(tagTransaction, string(r.Transaction[:]))
	}
	for _, a := range r.Providers {
		w.Tagged(tagProvider, string(a.Binding[:])+a.ID)
	}
	w.Tagged(tagWanted, r.Wanted)
	if r.MaxAge != nil {
		var seconds wire.Writer
		seconds.Varint(int64(*r.MaxAge / time.Second))
		w.Tagged(tagMaxAge, string(seconds.B))
	}
	for _, list := range r.ACR {
		var values wire.Writer
		for _, value := range list {
			values.Text(value)
		}
		w.Tagged(tagACR, string(values.B))
	}
	w.Tagged(tagRequested, string(r.Requested))
	w.Tagged(tagParameters, r.Parameters.Encode())
	w.Tagged(tagCookie, r.Cookie)
	w.Tagged(tagReturn, r.Return)
	if r.IsSignOut() {
		w.Tagged(tagEnded, string(r.Ended[:]))
	}
	w.Tagged(tagUser, r.User)
	w.Byte(tagEnd)
	return w.B
}

// Decode decodes what Encode returned. The only error is ErrNone.
func (r *Request) Decode(encoded []byte) error {
	*r = Request{}
	reader := wire.Reader{S: string(encoded)}
	if len(encoded) > maxRequest || reader.Byte() != requestVersion {
		return ErrNone
	}
	r.At = reader.Seconds()
	for tag := reader.Byte(); tag != tagEnd && !reader.Bad; tag = reader.Byte() {
		if !r.decodeTagged(tag, reader.Text()) {
			return ErrNone
		}
	}
	if reader.Bad || reader.S != "" || r.Origin == "" {
		return ErrNone
	}
	return nil
}

// decodeTagged decodes a field. It returns false if the tag or the value is not
// valid.
func (r *Request) decodeTagged(tag byte, value string) (ok bool) {
	texts := map[byte]*string{
		tagOrigin: &r.Origin, tagPrefix: &r.Prefix, tagStore: &r.Store, tagWanted: &r.Wanted,
		tagCookie: &r.Cookie, tagReturn: &r.Return, tagUser: &r.User,
	}
	if text := texts[tag]; text != nil {
		ok = *text == "" && value != ""
		*text = value
		return ok
	}
	field := wire.Reader{S: value}
	switch tag {
	case tagTransaction:
		copy(r.Transaction[:], field.Raw(len(r.Transaction)))
	case tagProvider:
		var a Accepted
		copy(a.Binding[:], field.Raw(len(a.Binding)))
		a.ID, field.S = field.S, ""
		r.Providers = append(r.Providers, a)
		field.Bad = field.Bad || a.ID == "" || len(r.Providers) > maxLists
	case tagMaxAge:
		maxAge := time.Duration(field.Varint()) * time.Second
		r.MaxAge = &maxAge
		field.Bad = field.Bad || maxAge < 0
	case tagACR:
		var list []string
		for field.S != "" && !field.Bad && len(list) < maxLists {
			list = append(list, field.Text())
		}
		r.ACR = append(r.ACR, list)
		field.Bad = field.Bad || len(r.ACR) > maxLists
	case tagRequested:
		r.Requested = session.Names(field.Raw(len(value)))
	case tagParameters:
		parameters, err := url.ParseQuery(field.Raw(len(value)))
		r.Parameters = parameters
		field.Bad = field.Bad || err != nil
	case tagEnded:
		copy(r.Ended[:], field.Raw(len(r.Ended)))
	default:
		return false
	}
	return !field.Bad && field.S == ""
}

// ErrSize means that the request does not fit in a URL.
var ErrSize = errors.New("the request to the login host is too large: fewer acr values, parameters or providers fit")

// Seal returns the sealed request, as text for a URL. It opens only at the login
// host.
func (r *Request) Seal(ring *seal.Ring, loginHost address.Origin) (string, error) {
	encoded := r.Encode()
	if len(encoded) > maxRequest {
		return "", ErrSize
	}
	return ring.Seal(seal.ForHandover, requestPlace(loginHost), encoded), nil
}

// OpenRequest opens what Seal returned for a login host. The errors are those of
// package seal, or ErrNone.
func OpenRequest(ring *seal.Ring, loginHost address.Origin, sealed string) (r Request, err error) {
	if len(sealed) > 2*maxRequest {
		return Request{}, ErrNone
	}
	plain, _, err := ring.Open(seal.ForHandover, requestPlace(loginHost), sealed)
	if err != nil {
		return Request{}, err
	}
	err = r.Decode(plain)
	return r, err
}

func requestPlace(loginHost address.Origin) string {
	return "handover request\x00" + loginHost.String()
}
