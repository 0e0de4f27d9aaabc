package signin

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
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
	// Concealed: the password was wrong, which must not show; see concealed.go.
	Concealed bool `json:"concealed,omitempty"`
	// Other: the user does not want the account of the session.
	Other bool `json:"other,omitempty"`
	// Chosen: the user chose the account of the session.
	Chosen bool `json:"chosen,omitempty"`
	// Remember: this browser is to stand for the second factor.
	Remember bool `json:"remember,omitempty"`
	// Problem is what the next page says is wrong.
	Problem *pages.Problem `json:"problem,omitempty"`
	// Leaving is the external provider that the browser is sent to.
	Leaving string `json:"leaving,omitempty"`
	// Link is an external account that may be joined with one of ours.
	Link *Link `json:"link,omitempty"`
	// Enrol is the enrolment of a factor that is due.
	Enrol Enrolment `json:"enrol,omitzero"`
	// MayEnrol is the user whom an operator's link lets enrol a first factor.
	MayEnrol string `json:"may_enrol,omitempty"`
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

// problem sets what the next page says is wrong, or nothing for an empty key.
func (s *State) problem(field, key string) {
	s.Problem = nil
	if key != "" {
		wrong := pages.Wrong(field, key)
		s.Problem = &wrong
	}
}

// prove notes what the user has proven.
func (s *State) prove(userID string, at time.Time, kinds ...string) {
	if s.UserID != userID {
		s.UserID, s.Proven = userID, nil
	}
	if s.Proven == nil {
		s.Proven = make(proofs, len(kinds))
	}
	for _, kind := range kinds {
		if kind != amrMFA { // it follows from the others
			s.Proven[kind] = at
		}
	}
}
