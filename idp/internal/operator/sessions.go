package operator

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Session is a single sign-on session of a user in one browser. ID is not a secret: the
// browser's cookie contains a different value.
type Session struct {
	ID           string     `json:"id"`
	User         string     `json:"user"`
	AMR          []string   `json:"amr,omitempty"`
	ACR          string     `json:"acr,omitempty"`
	External     string     `json:"external,omitempty"`
	Created      *time.Time `json:"created,omitempty"`
	AuthTime     *time.Time `json:"auth_time,omitempty"`
	LastUsed     *time.Time `json:"last_used,omitempty"`
	Expires      *time.Time `json:"expires,omitempty"`
	Address      string     `json:"address,omitempty"`
	UserAgent    string     `json:"user_agent,omitempty"`
	Applications []string   `json:"applications,omitempty"`
}

func shownSession(session *store.Session, user string) Session {
	return Session{
		ID: session.SID, User: user, AMR: session.AMR, ACR: session.ACR, External: session.External,
		Created: inUTC(session.Created), AuthTime: inUTC(session.AuthTime), LastUsed: inUTC(session.LastSeen), Expires: inUTC(session.Expires),
		Address: session.Address, UserAgent: session.UserAgent,
	}
}

// Sessions are the single sign-on sessions of a user.
type Sessions struct {
	Sessions []Session `json:"sessions"`
}

func listSessions(ctx context.Context, s *server.Server, r UserRequest) (Sessions, error) {
	all := Sessions{Sessions: []Session{}}
	user, err := found(ctx, s, r.User)
	if err != nil {
		return all, err
	}
	sessions, err := s.Sessions.List(ctx, user.ID)
	if err != nil {
		return all, err
	}
	for i := range sessions {
		shown := shownSession(&sessions[i], user.Name)
		err := s.Store.View(ctx, func(tx store.Tx) error {
			shown.Applications, err = tx.SessionClients(shown.ID)
			return err
		})
		if err != nil {
			return all, err
		}
		all.Sessions = append(all.Sessions, shown)
	}
	return all, nil
}

// EndSessionsRequest asks to end one or all sessions of a user.
type EndSessionsRequest struct {
	User string `json:"user"`
	ID   string `json:"id,omitempty"` // default: all sessions of the user
}

// EndedSessions describes the sessions that ended: one, or all of a user.
type EndedSessions struct {
	User    string `json:"user"`
	Subject string `json:"subject"`
	ID      string `json:"id,omitempty"`
}

func (e EndedSessions) audit() []slog.Attr {
	return []slog.Attr{slog.String("user", e.User), slog.String("subject", e.Subject), slog.Bool("one_session", e.ID != "")}
}

func endSessions(ctx context.Context, s *server.Server, r EndSessionsRequest) (EndedSessions, error) {
	user, err := found(ctx, s, r.User)
	if err != nil {
		return EndedSessions{}, err
	}
	ended := EndedSessions{user.Name, user.ID, r.ID}
	if r.ID == "" {
		return ended, s.Sessions.EndAll(ctx, user.ID, "")
	}
	return ended, s.Sessions.EndOf(ctx, user.ID, r.ID)
}

// SigningKey describes a key that signs tokens.
type SigningKey struct {
	ID        string     `json:"id"`
	Algorithm string     `json:"algorithm"`
	Status    string     `json:"status"` // published, signing or retiring
	Created   *time.Time `json:"created,omitempty"`
	Signs     *time.Time `json:"signs_from,omitempty"`
	Retires   *time.Time `json:"published_until,omitempty"`
}

// SigningKeys are all signing keys: those in use, those that will be used, and those that
// are still published after their use.
type SigningKeys struct {
	Keys []SigningKey `json:"keys"`
	// Vault is the id of the new key in Caddy's storage. It is set only after a rotation.
	Vault string `json:"storage_key,omitempty"`
	// Active is when the new keys begin to sign. Retired is when the old ones are no
	// longer published.
	Active  *time.Time `json:"signs_from,omitempty"`
	Retired *time.Time `json:"old_keys_published_until,omitempty"`
}

func (k SigningKeys) audit() []slog.Attr { return []slog.Attr{slog.Int("keys", len(k.Keys))} }

func shownKeys(keys []store.SigningKey, now time.Time) []SigningKey {
	all := []SigningKey{}
	for _, key := range keys {
		status := "signing"
		switch {
		case key.Active.After(now):
			status = "published"
		case !key.Retires.IsZero():
			status = "retiring"
		}
		all = append(all, SigningKey{key.ID, key.Alg, status, inUTC(key.Created), inUTC(key.Active), inUTC(key.Retires)})
	}
	return all
}

func listSigningKeys(ctx context.Context, s *server.Server, _ Empty) (SigningKeys, error) {
	var keys []store.SigningKey
	err := s.Store.View(ctx, func(tx store.Tx) (err error) {
		keys, err = tx.SigningKeys()
		return err
	})
	return SigningKeys{Keys: shownKeys(keys, s.Now())}, err
}

// RotateRequest asks for new signing keys.
type RotateRequest struct {
	// Compromised retires the old keys at once, because somebody else has them.
	Compromised bool `json:"compromised,omitempty"`
	Yes         bool `json:"yes,omitempty"`
}

// rotateKeys creates new signing keys, and a new key in Caddy's storage for everything
// that is sealed or hashed from now on.
func rotateKeys(ctx context.Context, s *server.Server, r RotateRequest) (SigningKeys, error) {
	if r.Compromised && !r.Yes {
		return SigningKeys{}, refuse(http.StatusBadRequest, "applications refuse all tokens that the old keys signed; add --yes")
	}
	vault, err := s.Vault.Rotate(ctx)
	if err != nil {
		return SigningKeys{}, err
	}
	rotation, err := s.Keys.Rotate(ctx, r.Compromised)
	if err != nil {
		return SigningKeys{}, err
	}
	return SigningKeys{Keys: shownKeys(rotation.Keys, s.Now()), Vault: vault, Active: inUTC(rotation.Active), Retired: inUTC(rotation.Retired)}, nil
}
