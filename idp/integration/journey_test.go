package integration_test

import (
	"fmt"
	"testing"
)

// TestFromAProtectedSiteAndBack is the whole way: a site that wants to know who one is,
// the sign-in, the application, the logout.
func TestFromAProtectedSiteAndBack(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""))
	h.addUser("alice", "staff")
	b := h.browser()
	b.get(appURL+"/reports?year=2026").at(h.idpURL+"/signin/").submit("username", "alice").expect(`name="password"`)
	b.submit("password", "wrong").at(h.idpURL + "/signin/").expect(`name="password"`)
	b.submit("password", password).at(appURL + "/reports").expect("application sees alice")
	b.get(appURL + "/other").at(appURL + "/other").expect("application sees alice")
}
