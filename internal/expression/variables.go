package expression

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// The variables of rules.
const (
	varClaims   = "claims"
	varGroups   = "groups"
	varUser     = "user"
	varProvider = "provider"
	varPath     = "request.path"
	varHost     = "request.host"
	varMethod   = "request.method"
	varClientIP = "request.client_ip"
	varHeader   = "request.header"
)

func variableDeclarations() []cel.EnvOption {
	texts := cel.ListType(cel.StringType)
	return []cel.EnvOption{
		cel.Variable(varClaims, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(varGroups, texts),
		cel.Variable(varUser, cel.StringType),
		cel.Variable(varProvider, cel.StringType),
		cel.Variable(varPath, cel.StringType),
		cel.Variable(varHost, cel.StringType),
		cel.Variable(varMethod, cel.StringType),
		cel.Variable(varClientIP, cel.StringType),
		cel.Variable(varHeader, cel.MapType(cel.StringType, texts)),
	}
}

// Source provides the variables.
type Source interface {
	// User returns the signed-in user.
	User() identity.User
	// HTTP returns the request.
	HTTP() *http.Request
	// ClientIP returns the client's IP address, or an error if it is not verified.
	ClientIP() (string, error)
	// Value returns the request in the form that Caddy's functions need.
	Value() (ref.Val, error)
}

// activation resolves variables on demand.
type activation struct {
	source    Source
	user      identity.User
	allClaims bool // claims are used without naming them
}

var _ interpreter.Activation = (*activation)(nil)

// Parent implements interpreter.Activation.
func (a *activation) Parent() interpreter.Activation { return nil }

// ResolveName implements interpreter.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case varClaims:
		if a.allClaims && a.user.WithholdsAny() {
			return types.WrapErr(errWithheld), true
		}
		return &lazyMap{claimsOf(a.user)}, true
	case varGroups:
		return a.groups(), true
	case varUser:
		return a.user.ID(), true
	case varProvider:
		return a.user.Mapping.Provider, true
	case varPath:
		return a.source.HTTP().URL.Path, true
	case varHost:
		return hostOf(a.source.HTTP().Host), true
	case varMethod:
		return methodOf(a.source.HTTP().Method), true
	case varClientIP:
		address, err := a.source.ClientIP()
		if err != nil {
			return types.WrapErr(err), true
		}
		return address, true
	case varHeader:
		return &lazyMap{headersOf(a.source.HTTP().Header)}, true
	case caddyRequest:
		value, err := a.source.Value()
		if err != nil {
			return types.WrapErr(err), true
		}
		return value, true
	}
	return nil, false
}

// groups returns the user's groups, or an error if they are unavailable.
func (a *activation) groups() any {
	groups := a.user.Groups()
	if groups == nil && a.user.Withholds("groups") {
		return types.WrapErr(errWithheld)
	}
	return []string(groups)
}

// hostOf returns a host name in lower case, without port and trailing dot.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimRight(host, "."))
}

// methodOf returns a method for rules: HEAD is treated as GET.
func methodOf(method string) string {
	if method == http.MethodHead {
		return http.MethodGet
	}
	return method
}

// claimsOf returns the claims of a user's session.
func claimsOf(u identity.User) source {
	return source{
		find: func(name string) (any, bool, error) {
			if u.WithholdsPartOf(name) {
				return nil, false, errWithheld
			}
			value, ok := u.SessionClaim(name)
			if !ok {
				return nil, false, nil
			}
			return value.Native(), true, nil
		},
		names: u.SessionClaims,
	}
}

// Limits of what an expression may read under one header name.
const (
	maxHeaderLines = 200
	maxHeaderBytes = 64 << 10
)

var errHeaderTooLarge = errors.New("a header is too large")

// headersOf returns the header of a request, with names in lower case.
func headersOf(header http.Header) source {
	return source{
		find: func(name string) (any, bool, error) {
			if strings.ToLower(name) != name {
				return nil, false, nil
			}
			values, ok := header[http.CanonicalHeaderKey(name)]
			if size := 0; len(values) > maxHeaderLines || slices.ContainsFunc(values, func(value string) bool {
				size += len(value)
				return size > maxHeaderBytes
			}) {
				return nil, false, errHeaderTooLarge
			}
			return values, ok, nil
		},
		names: func() (names []string) {
			for name := range header {
				names = append(names, strings.ToLower(name))
			}
			slices.Sort(names)
			return names
		},
	}
}
