package flow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// This file authenticates programs by the credential in a request, and responds to
// requests whose credential is not valid.

// Programs configures how programs authenticate.
type Programs struct {
	program.Accepted
	// Providers are the providers that only vouch for programs, by id: access keys
	// and the additional token issuers.
	Providers map[string]*Provider
	// Issuers reports whether there are additional token issuers. User names then
	// carry a provider prefix, so that they cannot collide.
	Issuers bool
}

// NewKeyProvider returns the provider that vouches for access keys. groups is the
// claim that has their groups.
func NewKeyProvider(groups string) *Provider {
	p := &Provider{ID: program.KeyProvider, ForPrograms: true, Client: new(op.Client)}
	p.Mapping.Provider, p.Mapping.Groups = p.ID, groups
	return p
}

// credentialError is why the credential of a request was refused.
type credentialError struct {
	error
	status int
	// challenge is the error in WWW-Authenticate (RFC 6750, section 3.1); may be empty.
	challenge string
}

func (e *credentialError) Unwrap() error { return e.error }

// credentialFailure returns the failure of a refused credential.
func credentialFailure(status int, code errorcode.Code, cause error) *Failure {
	return &Failure{Code: code, Cause: &credentialError{cause, status, ""}}
}

// authenticateProgram verifies the credential of the request. isProgram reports
// whether it has one.
func (x *sessions) authenticateProgram() (isProgram bool, failed *Failure) {
	if x.Programs == nil {
		return false, nil
	}
	st := x.State
	c, err := x.Programs.Find(st.Credentials)
	if c.Scheme == program.None {
		return false, nil
	}
	st.savePrevious()
	st.DropIdentity(x.R.Header) // discard what an earlier instance found
	st.at, st.r, st.scheme = x.Instance, x.R, c.Scheme
	if c.Scheme != program.Header || err != nil {
		delete(x.R.Header, "Authorization")
	}
	if err != nil {
		f := credentialFailure(http.StatusBadRequest, errorcode.BadRequest, err)
		f.Cause.(*credentialError).challenge = "invalid_request"
		return true, f
	}
	if c.Scheme == program.Basic && x.isFromBrowser() {
		return true, credentialFailure(http.StatusForbidden, errorcode.Forbidden, errorcode.ErrBasicInBrowser)
	}
	failed = x.adoptProgram(&c)
	countProgram(&c, failed)
	return true, failed
}

// WithholdCredential removes a credential meant for this instance from the header
// of a request that was authenticated in another way.
func (x *Exchange) WithholdCredential() {
	if x.Programs == nil {
		return
	}
	if c, _ := x.Programs.Find(x.State.Credentials); c.Scheme == program.Bearer || c.Scheme == program.Basic {
		delete(x.R.Header, "Authorization")
	}
}

// adoptProgram verifies a credential and makes its session the request's.
func (x *sessions) adoptProgram(c *program.Credential) *Failure {
	loaded, p, err := x.verifyProgram(x.R.Context(), c)
	if err != nil {
		return x.verifyFailure(err)
	}
	if len(loaded.Resources) > 0 && !x.isForResource(loaded.Resources) {
		return x.verifyFailure(&program.Refusal{Reason: "audience: the token is for another part of the site", Session: &loaded.Session})
	}
	if f := x.checkKnown(x.R.Context(), p, &loaded.Session); f != nil {
		if f.Code == errorcode.UserUnknown {
			f.Cause = &credentialError{f.Cause, http.StatusForbidden, ""}
		}
		return f
	}
	x.State.adopt(x.Instance, x.R, p, loaded, false)
	x.State.scheme = c.Scheme
	return nil
}

// verifyProgram returns the session that a credential stands for, and the provider
// that vouches for it.
func (in *Instance) verifyProgram(ctx context.Context, c *program.Credential) (*sessionstore.Loaded, *Provider, error) {
	loaded, err := c.Verify(ctx)
	if err != nil {
		return nil, nil, err
	}
	s := &loaded.Session
	p := in.programProvider(s)
	if p == nil || p.Disabled {
		return nil, nil, &program.Refusal{Reason: "its provider is not in use here", Session: s}
	}
	return loaded, p, nil
}

// programProvider returns the provider that vouches for a program's session; nil if
// there is none here.
func (in *Instance) programProvider(s *session.Session) *Provider {
	if p := in.Programs.Providers[s.Provider]; p != nil {
		return p
	}
	return in.Providers[s.Provider]
}

// credentialRetryAfter is the default Retry-After while a credential cannot be
// verified.
const credentialRetryAfter = 5 * time.Second

// verifyFailure returns the failure for an error of a verifier.
func (in *Instance) verifyFailure(err error) *Failure {
	var unavailable *program.UnavailableError
	if errors.As(err, &unavailable) {
		f := &Failure{Code: errorcode.ProviderUnavailable, Cause: fmt.Errorf("%w: %w", errorcode.ErrCredentialUnchecked, err), RetryAfter: unavailable.RetryAfter}
		if f.RetryAfter <= 0 {
			f.RetryAfter = credentialRetryAfter
		}
		return f
	}
	f := &Failure{Code: errorcode.InvalidToken, Cause: &credentialError{err, http.StatusUnauthorized, string(errorcode.InvalidToken)}}
	var refused *program.Refusal
	if errors.As(err, &refused) && refused.Session != nil {
		f.Cause, f.Provider = &refusedUser{f.Cause, refused.Session}, in.programProvider(refused.Session)
	}
	return f
}

// isFromBrowser reports whether a browser may have added HTTP Basic credentials by
// itself. Once a user has entered them, browsers also send them with requests that
// other sites cause.
func (x *request) isFromBrowser() bool {
	if navigation.HasFetchMetadata(x.R) {
		return true
	}
	from, sent := x.R.Header["Origin"]
	if !sent {
		return false
	}
	s := x.Scope()
	return s == nil || len(from) != 1 || !s.Origin.SameOrigin(from[0])
}

// RespondFailed responds to a request for which Authenticate failed.
func (x *Exchange) RespondFailed(f *Failure) error {
	var refused *credentialError
	if !errors.As(f.Cause, &refused) {
		return x.RespondUnavailable(f)
	}
	if refused.status != http.StatusForbidden {
		x.challenge(challenge{err: refused.challenge})
	}
	return x.errorPage(refused.status, f, x.log(f))
}

// programProblem responds to a program: always with a problem document, whatever it
// accepts, and without links for users.
func (x *Exchange) programProblem(status int, f *Failure, text errorcode.Explanation, errorID string) error {
	problem := pages.Problem{Detail: text.Message.English, Reason: string(f.Code), Rule: shownRule(f), ErrorID: errorID}
	if x.State.SignedIn() {
		user := x.State.User()
		problem.User, problem.Provider = user.ID(), user.Mapping.Provider
	}
	problem.ACRValues, problem.MaxAge = acceptableOf(f.Proof), secondsOf(f.Proof.MaxAge)
	return problem.Write(x.W, status)
}
