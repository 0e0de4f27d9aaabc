package revocation

import (
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// TestStoredBytesStayTheSame checks the formats that nodes of other releases read: lines,
// packs, records and the keys of records.
func TestStoredBytesStayTheSame(t *testing.T) {
	t.Parallel()
	at, until := moment0, time.Unix(1_790_043_200, 0)
	events := []Event{
		ForSession(session.ID{1, 2, 3, 15: 0xff}, at, until),
		ForSID(issuer, "sid", at.Add(time.Second), until.Add(time.Minute)),
		ForAll(at, until.Add(time.Hour)),
	}
	dated := ForSubject(issuer, "ada", at, until).Issued(at.Add(-5*time.Second), at.Add(-3*time.Second))
	all := append(slices.Clone(events), dated)

	var lines []byte
	for _, event := range all {
		lines = event.appendLine(lines)
	}
	wantLines := `AQIDAAAAAAAAAAAAAAAA_w at 1790000000123 1790043200
3Qmc_heXug2LvtGAmNGT6w by 1790000001123 1790043260
XmeOuV33uTIbzMgrOS2aUg by 1790000000123 1790046800
8xgXaJOjcydbG8eKHvjobw iat 1790000000123 1790043200 1789999995
8xgXaJOjcydbG8eKHvjobw by +1789999997123 1790043200
`
	if string(lines) != wantLines {
		t.Errorf("expected the lines\n%sseen\n%s", wantLines, lines)
	}

	var plain, both record
	plain.add(events[1])
	both.add(events[1])
	both.add(dated)
	for _, tc := range []struct {
		name string
		got  []byte
		want string
	}{
		{"a pack", encodePack(events), "6f6964635f727020666163747320310a03010203000000000000000000000000ff0080918fab0d89b69929dd099cfe1797ba0d8bbed18098d193eb0178f9cfa0295e678eb95df7b9321bccc82b392d9a5201a83789f0d02c8c1765b1a6ac3c3ac5f67d992e23aa47"},
		{"a pack with an event that the provider dated", encodePack(all), "6f6964635f727020666163747320320a04010203000000000000000000000000ff0080918fab0d89b69929dd099cfe1797ba0d8bbed18098d193eb0178f9cfa0295e678eb95df7b9321bccc82b392d9a5201a83789f0d02cf318176893a373275b1bc78a1ef8e86f029f3889b6992989a305acdab7319aef350f2b9b34625ffcf76b"},
		{"a record", plain.encode(), "0101c6c183c59868f8918fab0d"},
		{"a record with an event that the provider dated", both.encode(), "0201c6c183c59868f8918fab0d0001f6b183c5986880918fab0df6ed89ab0d"},
	} {
		if got := hex.EncodeToString(tc.got); got != tc.want {
			t.Errorf("%s: expected %s, seen %s", tc.name, tc.want, got)
		}
	}

	s := wholeSession()
	s.SID = "sid"
	target := TargetOf(&s, issuer)
	want := []string{"fact/5e678eb95df7b9321bccc82b392d9a52", "fact/d0b20a8338f61f34970df4ed77eb84f7", "fact/dd099cfe1797ba0d8bbed18098d193eb"}
	if got := target.Keys(); !slices.Equal(got, want) {
		t.Errorf("the keys of records: expected %q, seen %q", want, got)
	}
}
