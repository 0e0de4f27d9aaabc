package signin

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
)

// State is what is known of the steps of a sign-in so far. It is kept in the
// request, so that a sign-in goes on at any node, after a reload or a restart.
type State struct {
	// Name is what the user typed on the first page. It is the same for a name
	// that exists and one that does not.
	Name string `json:"name,omitempty"`
	// UserID is the user who has proven something, or who chose to continue.
	UserID string `json:"user,omitempty"`
	// Proven is what was proven in this request.
	Proven proofs `json:"proven,omitempty"`
	// Other: the user does not want the account of the session.
	Other bool `json:"other,omitempty"`
	// Chosen: the user chose the account of the session.
	Chosen bool `json:"chosen,omitempty"`
	// Problem is what the next page says is wrong.
	Problem string `json:"problem,omitempty"`
	// External is the external provider that the user came back from, and when
	// its session ends, if it says so.
	External        string    `json:"external,omitempty"`
	ExternalExpires time.Time `json:"external_expires,omitzero"`
}

func stateOf(q *request.Request) (s State, err error) {
	if len(q.State) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(q.State, &s); err != nil {
		return s, fmt.Errorf("decode the state of a sign-in: %w", err)
	}
	return s, nil
}

func (s State) keep(q *request.Request) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the state of a sign-in: %w", err)
	}
	q.State = data
	return nil
}
