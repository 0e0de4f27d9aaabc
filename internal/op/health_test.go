package op

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestHealthOverTime checks the health of a provider before, during and after an outage.
func TestHealthOverTime(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch {
		case down.Load():
			http.Error(w, "out of order", http.StatusBadGateway)
		case r.URL.Path == "/keys":
			_, _ = w.Write(keySetOf(secp256k1, member(t, "p256", "")))
		default:
			_, _ = io.WriteString(w, strings.ReplaceAll(`{"issuer":"@","authorization_endpoint":"@/a","token_endpoint":"@/t","jwks_uri":"@/keys"}`, "@", "http://"+r.Host))
		}
	}))
	defer server.Close()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	r := NewDiscovery(DiscoveryConfig{Issuer: server.URL, Timeout: time.Minute, Now: func() time.Time { return now }})
	defer r.Close()
	check := func(when string, metadata, keys Health, usable int) {
		t.Helper()
		before := asked.Load()
		got, known := r.Health()
		gotKeys, gotUsable := r.KeysHealth()
		if asked.Load() != before {
			t.Errorf("%s: the provider was asked", when)
		}
		for what, h := range map[string][2]Health{"metadata": {got, metadata}, "keys": {gotKeys, keys}} {
			if (h[0].Err == nil) != h[0].Failed.IsZero() {
				t.Errorf("%s: %s failed at %v: %v", when, what, h[0].Failed, h[0].Err)
			}
			h[0].Err, h[0].Next = nil, time.Time{}
			if h[0] != h[1] {
				t.Errorf("%s: %s: expected %+v, seen %+v", when, what, h[1], h[0])
			}
		}
		if read := !metadata.Read.IsZero(); (known != nil) != read {
			t.Errorf("%s: expected metadata %t, seen %v", when, read, known)
		}
		if gotUsable != usable {
			t.Errorf("%s: expected %d keys, seen %d", when, usable, gotUsable)
		}
	}
	none := Health{State: Unknown}
	check("at first", none, none, 0)

	down.Store(true)
	failed := now
	_, _ = r.Metadata(t.Context())
	check("when it is down", Health{State: Failing, Failed: failed}, none, 0)
	h, _ := r.Health()
	if !h.Next.After(now) {
		t.Errorf("expected the next attempt after %v, seen %v", now, h.Next)
	}
	if latest := now.Add(firstPause); h.Next.After(latest) {
		t.Errorf("expected the next attempt until %v, seen %v", latest, h.Next)
	}
	if !strings.Contains(h.Err.Error(), "status 502") {
		t.Errorf("expected an error with the status 502, seen %v", h.Err)
	}
	now = now.Add(time.Hour)
	if h, _ := r.Health(); !h.Next.IsZero() {
		t.Errorf("nothing waits any more, and the next attempt is at %v", h.Next)
	}

	down.Store(false)
	read := now
	_, _ = r.keys.current(t.Context())
	ok := Health{State: OK, Read: read, Failed: failed}
	check("when it answers", ok, Health{State: OK, Read: read}, 1)
	r.Invalidate() // makes the metadata count as old
	check("when it is doubted", ok, Health{State: OK, Read: read}, 1)

	down.Store(true)
	now = now.Add(2 * time.Hour)
	_, _ = r.keys.current(t.Context())
	// The old metadata is used to fetch the keys, which fails as well.
	check("when it is down again", Health{State: Failing, Read: read, Failed: now}, Health{State: Failing, Read: read, Failed: now}, 1)
	if h, _ := r.KeysHealth(); !h.Next.Equal(now.Add(firstPause)) {
		t.Errorf("the next look for keys is at %v", h.Next)
	}
}

func TestHealthOfWhatIsConfigured(t *testing.T) {
	t.Parallel()
	const issuer = "https://op.invalid"
	r := NewDiscovery(DiscoveryConfig{Issuer: issuer, Endpoints: Endpoints{Authorization: issuer + "/a", Token: issuer + "/t"}, JWKS: keySetOf(member(t, "p256", "")), Now: time.Now})
	if h, n := r.KeysHealth(); h != (Health{State: OK}) || n != 1 {
		t.Errorf("%+v, %d keys", h, n)
	}
	if h, m := r.Health(); h.State != Unknown || m != nil {
		t.Errorf("before the first use: %+v, %v", h, m)
	}
	if _, err := r.Metadata(t.Context()); err != nil {
		t.Fatal(err)
	}
	h, m := r.Health()
	if h.State != OK {
		t.Errorf("expected the state %v, seen %+v", OK, h)
	}
	if m == nil {
		t.Fatal("expected metadata, seen none")
	}
	if m.Endpoints.Token != issuer+"/t" {
		t.Errorf("token endpoint: expected %s, seen %s", issuer+"/t", m.Endpoints.Token)
	}
}
