package refresh

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// TestStoredBytesStayTheSame checks the format and the keys that nodes of other releases
// use.
func TestStoredBytesStayTheSame(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_790_000_000_123)
	id := session.ID{1, 2, 3, 15: 0xff}
	newer := &session.Session{
		ID: id, Subject: "ada", SignedIn: at, Expires: time.Unix(1_790_043_200, 0),
		Grant: session.Grant{RefreshToken: "rt", Issued: at},
	}
	for _, tc := range []struct {
		name   string
		result Result
		want   string
	}{
		{"an end", Result{Ended: true, at: at, tried: at.Add(-time.Minute)}, "0101f6b183c59868b688fcc49868"},
		{"a newer state", Result{Session: newer, at: at, tried: at.Add(-time.Minute)}, "0100f6b183c59868b688fcc4986802010203000000000000000000000000ff0000000000000000000000000000000000000000f6b183c5986880918fab0d000000036164610000000000027274f6b183c598680000000000000000000000000000000000"},
	} {
		if got := hex.EncodeToString(tc.result.encode()); got != tc.want {
			t.Errorf("%s: expected %s, seen %s", tc.name, tc.want, got)
		}
	}
	if got, want := fileKey(29833333, fileName(id)), "oidc_rp/refresh/29833333/2831dba736fe6d7f033b502fa1ae2d0f"; got != want {
		t.Errorf("the key: expected %s, seen %s", want, got)
	}
}
