// Package authresponse parses authorization responses (OpenID Connect Core 3.1.2.5,
// RFC 9207), which browsers send and anyone can make up. It only checks their form:
// it does not know logins in progress, and does not redeem codes.
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
	// Exactly one of the code and the error code is set.
	Code, ErrorCode string
	// The provider's words about ErrorCode, for the log only.
	errorDescription, errorURI string

	issuer    string
	hasIssuer bool
}

// maxErrorDescription is the maximum length in bytes of a description or its URI.
const maxErrorDescription = 600

// stateAlphabet are the characters of states; see session.NewTransaction.
const stateAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// Parameters are the known parameters of a response.
var Parameters = []string{"state", "code", "error", "iss", "error_description", "error_uri"}

// Parameter is the parameter with a signed response (JARM, section 2.3).
const Parameter = "response"

// Parse parses the known parameters of a query. Each may occur once; others are
// ignored (OpenID Connect Core 3.1.2.7).
func Parse(text string) (Response, error) { return From(query.Only(text, Parameters...)) }

// From is Parse for parsed parameters.
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

// Signed returns the signed response in parameters, of which it must be the only
// one that counts (JARM, section 2.3). Unsigned error parameters are for the log
// only, since anyone may have written them.
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

// StateAlone returns the state of a query that has a state and no other parameter
// of a response.
func StateAlone(text string) (state string, alone bool) {
	values := query.Only(text, append([]string{Parameter}, Parameters...)...)
	state = values.Get("state")
	return state, state != "" && len(values) == 1 && len(values["state"]) == 1
}

// Encode returns the form-encoded response, without unknown parameters.
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

// Describe returns err with the provider's words, if there are any.
func (a *Response) Describe(err error) error {
	if a.ErrorCode == "" && a.errorDescription == "" {
		return err
	}
	refused := op.NewRefusal(a.ErrorCode, a.errorDescription, a.errorURI, a.State, a.Code)
	refused.Err = err
	return refused
}

// Refused returns the error of a response with an error code. It removes the given
// secrets.
func (a *Response) Refused(secrets ...string) error {
	return op.RefusedLogin(a.ErrorCode, a.errorDescription, a.errorURI, append([]string{a.State}, secrets...)...)
}

// NamesOther reports whether the response names another issuer than the
// provider's.
func (a *Response) NamesOther(isIssuer func(string) bool) bool {
	return a.hasIssuer && !isIssuer(a.issuer)
}

// CheckIssuer checks iss (RFC 9207): it must be the provider's issuer, and must be
// present if the metadata promises it, also in errors.
func (a *Response) CheckIssuer(metadata *op.Metadata) error {
	switch {
	case a.NamesOther(metadata.IsIssuer):
		return errors.New("the parameter iss is not the provider's issuer")
	case !a.hasIssuer && metadata.IssParameter:
		return errors.New("the parameter iss is missing, which the provider promises")
	}
	return nil
}
