package op

import (
	"encoding/json"
	"testing"
	"time"
)

func TestSessionExpiry(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		raw  string
		want int64
		bad  bool
	}{
		{raw: `1700000000`, want: 1700000000},
		{raw: `1.7e9`, want: 1700000000},
		{raw: `1700000000.9`, want: 1700000000},
		{raw: `0`, want: 0},
		{raw: `-5`, want: -5},
		{raw: `"1700000000"`, bad: true},
		{raw: `true`, bad: true},
		{raw: `[1700000000]`, bad: true},
		{raw: `{}`, bad: true},
		{raw: `1e300`, bad: true},
	} {
		got, err := SessionExpiry(Claims{"session_expiry": json.RawMessage(row.raw)})
		if (err != nil) != row.bad {
			t.Errorf("%s: expected an error: %t, seen %v", row.raw, row.bad, err)
		}
		if want := time.Unix(row.want, 0); !row.bad && !got.Equal(want) {
			t.Errorf("%s: expected %v, seen %v", row.raw, want, got)
		}
	}
	for _, absent := range []Claims{nil, {"session_expiry": json.RawMessage("null")}} {
		if got, err := SessionExpiry(absent); err != nil || !got.IsZero() {
			t.Errorf("%v: expected no time, seen %v, %v", absent, got, err)
		}
	}
}
