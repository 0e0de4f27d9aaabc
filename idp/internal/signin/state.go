package signin

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
)

// State is the state of a sign-in. It is kept in the request, so that a sign-in can
// continue at any node, and after a reload or a restart.
type State struct {
	// Name is what the user entered on the first page, whether or not it exists.
	Name string `json:"name,omitempty"`
	// UserID is the user who has proved something, or chose to continue.
	UserID string `json:"user,omitempty"`
	// Proven is what was proved in this request.
	Proven proofs `json:"proven,omitempty"`
	// Concealed reports that the password was wrong, which is concealed; see
	// concealed.go.
	Concealed bool `json:"concealed,omitempty"`
	// Other reports that the user does not want the account of the session.
	Other bool `json:"other,omitempty"`
	// Chosen reports that the user chose the account of the session.
	Chosen bool `json:"chosen,omitempty"`
	// Remember reports that this browser is to replace the second factor.
	Remember bool `json:"remember,omitempty"`
	// Problem is the problem that the next page shows.
	Problem *pages.Problem `json:"problem,omitempty"`
	// Leaving is the external provider that the browser is sent to.
	Leaving string `json:"leaving,omitempty"`
	// Link is an external account that may be linked to one of ours.
	Link *Link `json:"link,omitempty"`
	// Enrol is the state of a due enrolment of a factor.
	Enrol Enrolment `json:"enrol,omitzero"`
	// MayEnrol is the user who may enrol a first factor because of an operator's
	// link.
	MayEnrol string `json:"may_enrol,omitempty"`
	// External is the external provider from which the user returned, and when its
	// session ends, if known.
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

// problem sets the problem that the next page shows, or none for an empty key.
func (s *State) problem(field, key string) {
	s.Problem = nil
	if key != "" {
		wrong := pages.Wrong(field, key)
		s.Problem = &wrong
	}
}

// prove records what the user has proved.
func (s *State) prove(userID string, at time.Time, kinds ...string) {
	if s.UserID != userID {
		s.UserID, s.Proven = userID, nil
	}
	if s.Proven == nil {
		s.Proven = make(proofs, len(kinds))
	}
	for _, kind := range kinds {
		if kind != amrMFA { // amrMFA is derived from the others
			s.Proven[kind] = at
		}
	}
}
