// Package authresponse reads authorization responses (OpenID Connect Core
// 3.1.2.5, RFC 9207), which browsers bring and anyone can make up. It knows
// their form alone: whether a login in flight belongs to one, and what the
// provider says to its code, is for others to find out.
package authresponse

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/query"
)

// Response is an authorization response.
type Response struct {
	State string
	// Exactly one of the code and the error code is there.
	Code, ErrorCode string
	// What the provider says about ErrorCode, for the log alone.
	errorDescription, errorURI string

	issuer    string
	hasIssuer bool
}

// maxErrorDescription bounds what is kept of a description or its URI, in bytes.
const maxErrorDescription = 600

// stateAlphabet is what states are made of, see session.NewTransaction.
const stateAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// Parameters are the parameters of a response that mean something to us.
var Parameters = []string{"state", "code", "error", "iss", "error_description", "error_uri"}

// Parameter is the parameter that a signed response is in (JARM 2.3).
const Parameter = "response"

// Parse reads the parameters of a query that mean something to us. Each is there
// at most once; others are ignored (Core 3.1.2.7).
func Parse(text string) (Response, error) { return From(query.Only(text, Parameters...)) }

// From is Parse for parameters that were read before.
func From(values url.Values) (a Response, err error) {
	for name, field := range map[string]*string{"state": &a.State, "code": &a.Code, "error": &a.ErrorCode, "iss": &a.issuer} {
		if len(values[name]) > 1 {
			return a, fmt.Errorf("the parameter %s appears more than once", name)
		}
		*field = values.Get(name)
	}
	a.errorDescription = short(values.Get("error_description"))
	a.errorURI = short(values.Get("error_uri"))
	a.hasIssuer = values.Has("iss")
	switch {
	case a.State == "":
		return a, a.Describe(errors.New("the parameter state is missing"))
	case strings.Trim(a.State, stateAlphabet) != "":
		return a, a.Describe(errors.New("the parameter state has characters that no state of ours has"))
	case a.Code == "" && a.ErrorCode == "":
		return a, a.Describe(errors.New("the parameter code is missing"))
	case a.Code != "" && a.ErrorCode != "":
		return a, a.Describe(errors.New("the parameters code and error exclude each other"))
	}
	return a, nil
}

func short(text string) string { return text[:min(len(text), maxErrorDescription)] }

// Signed returns the signed response among the parameters of a request, where nothing
// else counts (JARM 2.3). What the provider says outside of it is for the log alone:
// anyone can have written it.
func Signed(values url.Values) (raw string, err error) {
	plain, _ := From(values)
	for _, name := range []string{"code", "error", "state"} {
		if values.Has(name) && !values.Has(Parameter) {
			return "", plain.Describe(errors.New("the response is not signed, which response_mode demands"))
		}
		if values.Has(name) {
			return "", plain.Describe(fmt.Errorf("the parameter %s is there beside the signed response", name))
		}
	}
	switch {
	case len(values[Parameter]) > 1:
		return "", errors.New("the parameter response appears more than once")
	case values.Get(Parameter) == "":
		return "", errors.New("the parameter response is missing")
	}
	return values.Get(Parameter), nil
}

// StateAlone returns the state of a query that has one state and nothing else of
// a response.
func StateAlone(text string) (state string, alone bool) {
	values := query.Only(text, append([]string{Parameter}, Parameters...)...)
	state = values.Get("state")
	return state, state != "" && len(values) == 1 && len(values["state"]) == 1
}

// Encode returns the response as a form, without what we do not know.
func (a *Response) Encode() string {
	values := url.Values{"state": {a.State}}
	for name, value := range map[string]string{
		"code": a.Code, "error": a.ErrorCode, "error_description": a.errorDescription, "error_uri": a.errorURI,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if a.hasIssuer {
		values.Set("iss", a.issuer)
	}
	return values.Encode()
}

// Describe returns an error with the provider's words, if there are some.
func (a *Response) Describe(err error) error {
	if a.ErrorCode == "" && a.errorDescription == "" {
		return err
	}
	refused := op.NewRefusal(a.ErrorCode, a.errorDescription, a.errorURI, a.State, a.Code)
	refused.Err = err
	return refused
}

// Refused returns the error of a response with an error code, without the given
// secrets in it.
func (a *Response) Refused(secrets ...string) error {
	return op.RefusedLogin(a.ErrorCode, a.errorDescription, a.errorURI, append([]string{a.State}, secrets...)...)
}

// NamesOther reports whether the response names another issuer than the
// provider's.
func (a *Response) NamesOther(isIssuer func(string) bool) bool {
	return a.hasIssuer && !isIssuer(a.issuer)
}

// CheckIssuer holds a response to RFC 9207: iss is who was asked, and is there
// where the provider promises it, in errors, too.
func (a *Response) CheckIssuer(metadata *op.Metadata) error {
	switch {
	case a.NamesOther(metadata.IsIssuer):
		return errors.New("the parameter iss is not the provider's issuer")
	case !a.hasIssuer && metadata.IssParameter:
		return errors.New("the parameter iss is missing, which the provider promises")
	}
	return nil
}
