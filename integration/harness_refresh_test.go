package integration_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// An access token of oidctest lasts ten minutes, so its refresh is due after nine.
const (
	notYetDue  = 8*time.Minute + 50*time.Second
	due        = 9*time.Minute + 10*time.Second
	tokenGone  = 11 * time.Minute
	usualGuard = `
upstream {
	header X-Sub sub
	access_token
}
`
)

func refreshSite(op *refreshOP, more string) string {
	return `
http://rp.test {
	oidc_rp {
		` + options(op.Provider) + `
		` + usualGuard + `
		` + more + `
	}
	reverse_proxy {upstream}
}
`
}

// refreshOP is a provider that issues refresh tokens, and the test's stopped clock.
type refreshOP struct {
	*oidctest.Provider
	clock *stopped
}

func newRefreshOP(t *testing.T, options ...oidctest.Option) *refreshOP {
	its := stop(t)
	return &refreshOP{newOP(t, append(options, oidctest.RefreshTokens())...), its}
}

// at moves the clocks of the provider and of harnesses.
func (op *refreshOP) at(d time.Duration, rigs ...*harness) {
	op.clock.by.Store(int64(d))
	for _, r := range rigs {
		r.ahead(d)
	}
}

func newRefreshRig(t *testing.T, op *refreshOP) *harness {
	return newHarnessAt(t, storageDir(t), refreshSite(op, ""))
}

// calls returns the number of token requests after the login.
func calls(op *refreshOP) int { return op.Hits(oidctest.Token) - 1 }

// ask makes a program's request with only a Cookie header.
func (r *harness) ask(ctx context.Context, cookies string) (status int, header http.Header, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.server.URL+"/x", nil)
	if err != nil {
		return 0, nil, err
	}
	request.Host = "rp.test"
	request.Header.Set("Cookie", cookies)
	response, err := r.server.Client().Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Header, err
}

// use returns the status for a program that sends only these cookies.
func (r *harness) use(cookies string) int {
	r.t.Helper()
	status, _, err := r.ask(r.t.Context(), cookies)
	if err != nil {
		r.t.Fatal(err)
	}
	return status
}

// tokens makes the application count the access tokens that it receives.
func (e *echo) tokens() func() map[string]int {
	var mu sync.Mutex
	seen := make(map[string]int)
	e.mu.Lock()
	e.answer = func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]++
	}
	e.mu.Unlock()
	return func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// program changes the header of a navigation into that of a program's request.
var program = map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}

func (r *harness) bearer() string {
	header, _ := r.upstream.got()
	return strings.TrimPrefix(header.Get("Authorization"), "Bearer ")
}

// held makes the token endpoint wait. arrived is closed when a request arrives, and answer lets
// it continue.
func held(op *refreshOP) (arrived <-chan struct{}, answer func()) {
	asked, may := make(chan struct{}), make(chan struct{})
	op.Lie(func(l *oidctest.Faults) {
		l.At(oidctest.Token).Hold = func(*http.Request) {
			close(asked)
			<-may
		}
	})
	return asked, func() {
		op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Token).Hold = nil })
		close(may)
	}
}

var apiCall = map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
