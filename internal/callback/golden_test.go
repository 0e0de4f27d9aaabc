package callback

import (
	"encoding/hex"
	"testing"
	"time"
)

// TestStoredBytesStayTheSame checks the format and the key, which nodes of other
// releases read.
func TestStoredBytesStayTheSame(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_790_000_000_123)
	for _, tc := range []struct {
		name    string
		outcome Outcome
		want    string
	}{
		{"a sign-in", Outcome{Location: "/page", Cookies: []string{"a=1; Path=/", "b=2"}, at: at}, "01f6b183c59868052f7061676500000b613d313b20506174683d2f03623d32"},
		{"an error", Outcome{Code: "token_invalid", ErrorID: "1234", at: at}, "01f6b183c59868000d746f6b656e5f696e76616c69640431323334"},
	} {
		if got := hex.EncodeToString(tc.outcome.encode()); got != tc.want {
			t.Errorf("%s: expected %s, seen %s", tc.name, tc.want, got)
		}
	}
	if got, want := fileKey(29833333, "name"), "oidc_rp/callback/29833333/name"; got != want {
		t.Errorf("the key: expected %s, seen %s", want, got)
	}
}
