package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"
)

// A staff is a directory of users behind a SCIM server from outside this project:
// elimity-com/scim, which reads filters as RFC 7644 says. Its userName is
// case-insensitive, as in the core schema.
type staff struct {
	t     testing.TB
	http  *httptest.Server
	token string

	mu    sync.Mutex
	users map[string]scim.ResourceAttributes
	down  bool
}

func newStaff(t testing.TB) *staff {
	t.Helper()
	s := &staff{t: t, token: rand.Text(), users: make(map[string]scim.ResourceAttributes)}
	server, err := scim.NewServer(&scim.ServerArgs{
		ServiceProviderConfig: &scim.ServiceProviderConfig{SupportFiltering: true},
		ResourceTypes: []scim.ResourceType{{
			ID: optional.NewString("User"), Name: "User", Endpoint: "/Users", Schema: schema.CoreUserSchema(), Handler: s,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.isDown():
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.Header.Get("Authorization") != "Bearer "+s.token:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			http.StripPrefix("/scim/v2", server).ServeHTTP(w, r)
		}
	})
	s.http = httptest.NewServer(guarded)
	t.Cleanup(s.http.Close)
	return s
}

func (s *staff) url() string { return s.http.URL + "/scim/v2" }

// stop makes the server answer 503 (true) or normally again (false).
func (s *staff) stop(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *staff) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

// call changes users through SCIM, as an operator's system does.
func (s *staff) call(method, path, body string) (id string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Content-Type", "application/scim+json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		s.t.Fatalf("%s %s: expected success, seen %d", method, path, answer.StatusCode)
	}
	var resource struct{ ID string }
	_ = json.NewDecoder(answer.Body).Decode(&resource) // DELETE has no response body
	return resource.ID
}

func (s *staff) add(name string) (id string) {
	s.t.Helper()
	return s.call(http.MethodPost, "/Users", userNamed(name, true))
}

func (s *staff) replace(id, name string, active bool) {
	s.t.Helper()
	s.call(http.MethodPut, "/Users/"+id, userNamed(name, active))
}

func (s *staff) remove(id string) {
	s.t.Helper()
	s.call(http.MethodDelete, "/Users/"+id, "")
}

func userNamed(name string, active bool) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"active":%t}`, name, active)
}

// Create, Get, GetAll, Replace, Delete and Patch are the server's callbacks.

func (s *staff) Create(_ *http.Request, attributes scim.ResourceAttributes) (scim.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := rand.Text()
	s.users[id] = attributes
	return scim.Resource{ID: id, Attributes: attributes}, nil
}

func (s *staff) Get(_ *http.Request, id string) (scim.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	attributes, ok := s.users[id]
	if !ok {
		return scim.Resource{}, scimerrors.ScimErrorResourceNotFound(id)
	}
	return scim.Resource{ID: id, Attributes: attributes}, nil
}

func (s *staff) GetAll(_ *http.Request, params scim.ListRequestParams) (scim.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []scim.Resource{}
	for _, id := range slices.Sorted(maps.Keys(s.users)) {
		if params.FilterValidator == nil || params.FilterValidator.PassesFilter(s.users[id]) == nil {
			found = append(found, scim.Resource{ID: id, Attributes: s.users[id]})
		}
	}
	return scim.Page{TotalResults: len(found), Resources: found}, nil
}

func (s *staff) Replace(r *http.Request, id string, attributes scim.ResourceAttributes) (scim.Resource, error) {
	if _, err := s.Get(r, id); err != nil {
		return scim.Resource{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[id] = attributes
	return scim.Resource{ID: id, Attributes: attributes}, nil
}

func (s *staff) Delete(r *http.Request, id string) error {
	_, err := s.Get(r, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, id)
	return err
}

func (s *staff) Patch(*http.Request, string, []scim.PatchOperation) (scim.Resource, error) {
	return scim.Resource{}, scimerrors.ScimErrorMutability
}
