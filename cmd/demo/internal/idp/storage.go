package idp

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
	"golang.org/x/text/language"
)

const (
	// loginLifetime is how long a login may lie open.
	loginLifetime = 15 * time.Minute
	// maxLogins is how many one browser may have open.
	maxLogins = 5
	// tokenLifetime is how long an access token and an ID token are good.
	tokenLifetime = time.Hour
)

var (
	errUnknownRequest = errors.New("this sign-in is over or never began")
	errUnsupported    = errors.New("the demo's provider does not do this")
)

// storage is what the library asks for: users, the client, and everything that
// lives between two requests.
type storage struct {
	users  []User
	client *client
	key    signingKey

	mu       sync.Mutex
	requests map[string]*request // by id
	codes    map[string]string   // code to id of the request
	tokens   map[string]token    // by id
	sessions map[string]session  // by the value of the session cookie
}

// session is one browser in which a user has signed in here.
type session struct {
	subject string
	since   time.Time
}

// token is an access token.
type token struct {
	subject string
	scopes  []string
	expires time.Time
}

func newStorage(config Config) (*storage, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making the provider's signing key: %w", err)
	}
	return &storage{
		users:    config.Users,
		client:   &client{config},
		key:      signingKey{id: rand.Text(), private: key},
		requests: make(map[string]*request),
		codes:    make(map[string]string),
		tokens:   make(map[string]token),
		sessions: make(map[string]session),
	}, nil
}

// userBySubject returns a user, nil if there is none.
func (s *storage) userBySubject(subject string) *User {
	i := slices.IndexFunc(s.users, func(u User) bool { return u.Subject == subject })
	if i < 0 {
		return nil
	}
	return &s.users[i]
}

// authenticate returns the user with these credentials, nil if there is none.
func (s *storage) authenticate(username, password string) *User {
	for i, u := range s.users {
		if u.Username == username && subtle.ConstantTimeCompare([]byte(u.Password), []byte(password)) == 1 {
			return &s.users[i]
		}
	}
	return nil
}

// signIn opens a session for a user, answers an open login with it and returns
// the session's id. The browser's session before is over.
func (s *storage) signIn(ctx context.Context, requestID string, user *User) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	req, ok := s.requests[requestID]
	if !ok {
		return "", errUnknownRequest
	}
	delete(s.sessions, visitorOf(ctx).session)
	id, opened := rand.Text(), session{subject: user.Subject, since: time.Now()}
	s.sessions[id] = opened
	s.requests[requestID] = req.answeredBy(opened)
	return id, nil
}

// currentUser returns who is signed in here in the browser of a request.
func (s *storage) currentUser(ctx context.Context) *User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.userBySubject(s.sessions[visitorOf(ctx).session].subject)
}

// TerminateSessionFromRequest ends the session of the browser that a logout
// request came from, if it is the session of the user whom the request names.
func (s *storage) TerminateSessionFromRequest(ctx context.Context, req *op.EndSessionRequest) (string, error) {
	user := s.currentUser(ctx)
	if user == nil {
		return req.RedirectURI, nil
	}
	if req.UserID == user.Subject || req.LogoutHint == user.Subject || req.LogoutHint == user.Username {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.sessions, visitorOf(ctx).session)
	}
	return req.RedirectURI, nil
}

// TerminateSession is TerminateSessionFromRequest for libraries that know less.
func (s *storage) TerminateSession(ctx context.Context, userID, _ string) error {
	_, err := s.TerminateSessionFromRequest(ctx, &op.EndSessionRequest{UserID: userID})
	return err
}

// CreateAuthRequest begins a login. Somebody with a session here need not show
// a password again, unless the client asks for it.
func (s *storage) CreateAuthRequest(ctx context.Context, asked *oidc.AuthRequest, hint string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, old := range s.requests {
		if time.Since(old.created) > loginLifetime {
			s.forget(id)
		}
	}
	begun := visitorOf(ctx).begun
	if begun == nil {
		return nil, oidc.ErrServerError()
	}
	req := &request{id: begun.id, secret: begun.secret, created: time.Now(), asked: *asked}
	if open, ok := s.sessions[visitorOf(ctx).session]; ok && req.accepts(open, hint) {
		req = req.answeredBy(open)
	}
	if !req.Done() && slices.Contains(asked.Prompt, oidc.PromptNone) {
		return nil, oidc.ErrLoginRequired()
	}
	s.requests[req.id] = req
	return req, nil
}

// AuthRequestByID returns an open login to the browser that it began in. The
// pages and the library's callback all ask here, so that the id alone, which is
// in addresses, is worth nothing: else whoever begins a login and has another user
// else sign in at its address would get the code.
func (s *storage) AuthRequestByID(ctx context.Context, id string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	req, ok := s.requests[id]
	if !ok || subtle.ConstantTimeCompare([]byte(req.secret), []byte(visitorOf(ctx).logins[id])) != 1 {
		return nil, errUnknownRequest
	}
	return req, nil
}

// superfluous returns which login cookies of a browser may go: those whose login
// is over, and the oldest of many.
func (s *storage) superfluous(logins map[string]string) (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []*request
	for id := range logins {
		if req, ok := s.requests[id]; ok && time.Since(req.created) < loginLifetime {
			open = append(open, req)
		} else {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(open, func(a, b *request) int { return a.created.Compare(b.created) })
	for len(open) >= maxLogins {
		ids, open = append(ids, open[0].id), open[1:]
	}
	return ids
}

// AuthRequestByCode returns the login that a code stands for, once.
func (s *storage) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	req, ok := s.requests[s.codes[code]]
	if !ok {
		return nil, errUnknownRequest
	}
	delete(s.codes, code)
	return req, nil
}

// SaveAuthCode keeps the code that the client will trade for tokens.
func (s *storage) SaveAuthCode(_ context.Context, id, code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[code] = id
	return nil
}

// DeleteAuthRequest forgets a login.
func (s *storage) DeleteAuthRequest(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(id)
	return nil
}

// forget removes a login and its code; the caller holds the lock.
func (s *storage) forget(id string) {
	delete(s.requests, id)
	for code, of := range s.codes {
		if of == id {
			delete(s.codes, code)
		}
	}
}

// CreateAccessToken makes the token that opens userinfo.
func (s *storage) CreateAccessToken(_ context.Context, req op.TokenRequest) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, old := range s.tokens {
		if time.Now().After(old.expires) {
			delete(s.tokens, id)
		}
	}
	id := rand.Text()
	made := token{subject: req.GetSubject(), scopes: req.GetScopes(), expires: time.Now().Add(tokenLifetime)}
	s.tokens[id] = made
	return id, made.expires, nil
}

// SetUserinfoFromToken fills the answer of the userinfo endpoint.
func (s *storage) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, _, _ string) error {
	s.mu.Lock()
	t, ok := s.tokens[tokenID]
	s.mu.Unlock()
	if !ok || time.Now().After(t.expires) {
		return oidc.ErrAccessDenied().WithDescription("this access token is over")
	}
	return s.SetUserinfoFromScopes(ctx, info, t.subject, s.client.GetID(), t.scopes)
}

// SetUserinfoFromScopes fills in the claims that the scopes ask for.
func (s *storage) SetUserinfoFromScopes(_ context.Context, info *oidc.UserInfo, subject, _ string, scopes []string) error {
	user := s.userBySubject(subject)
	if user == nil {
		return fmt.Errorf("no user has the subject %q", subject)
	}
	for _, scope := range scopes {
		switch scope {
		case oidc.ScopeOpenID:
			info.Subject = user.Subject
		case oidc.ScopeProfile:
			info.PreferredUsername = user.Username
			info.Name = user.GivenName + " " + user.FamilyName
			info.GivenName, info.FamilyName = user.GivenName, user.FamilyName
			info.Locale = oidc.NewLocale(language.English)
		case oidc.ScopeEmail:
			info.Email, info.EmailVerified = user.Email, true
		case scopeGroups:
			info.AppendClaims(scopeGroups, user.Groups)
		}
	}
	return nil
}

// GetClientByClientID returns the only client.
func (s *storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if id != s.client.GetID() {
		return nil, fmt.Errorf("no client has the id %q", id)
	}
	return s.client, nil
}

// AuthorizeClientIDSecret checks the client's secret.
func (s *storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	known := []byte(s.client.config.ClientSecret)
	if id != s.client.GetID() || subtle.ConstantTimeCompare(known, []byte(secret)) != 1 {
		return errors.New("unknown client or wrong secret")
	}
	return nil
}

// RevokeToken ends an access token.
func (s *storage) RevokeToken(_ context.Context, tokenID, _, _ string) *oidc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, tokenID)
	return nil
}

// SigningKey returns the key that signs ID tokens.
func (s *storage) SigningKey(context.Context) (op.SigningKey, error) { return s.key, nil }

// KeySet returns the public half of it, for the JWKS endpoint.
func (s *storage) KeySet(context.Context) ([]op.Key, error) { return []op.Key{publicKey{s.key}}, nil }

// SignatureAlgorithms returns what ID tokens are signed with.
func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{s.key.SignatureAlgorithm()}, nil
}

// Health says that maps in memory are well.
func (s *storage) Health(context.Context) error { return nil }

// GetPrivateClaimsFromScopes is asked for access tokens that are JWTs; ours are not.
func (s *storage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil
}
